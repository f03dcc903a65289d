# SPDX-License-Identifier: GPL-3.0-or-later
"""Extracted meshes against the truth of a rendered scene.

    python benchmarks/surface_truth.py TRUTH       (Python with bpy 4.5: true meshes, new views)
    python benchmarks/surface.py CAPTURE CAMERAS TRUTH [--objects robot,mug] [--method poisson]

CAPTURE is a capture of the scene's photos with segmented objects, CAMERAS the scene's true
``cameras.json``. Own cameras are carried onto the true ones by one similarity of their places.

    near     share of the extracted surface that photos saw and that lies within 1 % of the
             object's size (diagonal of its box) of the true mesh
    median   distance to the true mesh, % of the size
    found    share of the true surface in sight within 1 % of the extracted mesh
    PSNR     of the textured mesh against photos from between the views, where both show the object

``--method poisson`` makes the mesh by screened Poisson (Kazhdan and Hoppe 2013, pymeshlab) of the
same points with the same weights instead, trimmed where no point is near.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from mvsam_engine.capture import Camera, Capture
from mvsam_engine.capture.conventions import camera_center, grid_pixels
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.posed.mesh import Mesh
from mvsam_engine.reconstruct.posed.raycast import Surface, cast_pixels
from mvsam_engine.reconstruct.similarity import Similarity, align
from mvsam_engine.surface import meshing
from mvsam_engine.surface.asset import TexturedMesh, extract
from mvsam_engine.surface.meshing import SurfaceMesh, decimate, largest_parts
from mvsam_engine.surface.options import SurfaceOptions
from mvsam_engine.surface.photos import sample
from mvsam_engine.surface.views import SurfaceView, read_views
from mvsam_engine.surface.visible import sees_exactly

SAMPLES = 40_000
NEAR = 0.01


def main() -> None:
    """Measure each object and print a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path)
    parser.add_argument("cameras", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--objects", default="", help="names, by commas; all that are segmented")
    parser.add_argument("--method", choices=("fused", "poisson"), default="fused")
    parser.add_argument("--detail", type=int, default=256)
    parser.add_argument("--faces", type=int, default=20_000)
    given = parser.parse_args()
    capture = Capture.open(given.capture)
    carry = similarity(capture, given.cameras)
    wanted = given.objects.split(",") if given.objects else [o.id for o in capture.objects()]
    print("object      near   median  found  PSNR   seconds")
    for name in wanted:
        began = time.monotonic()
        options = SurfaceOptions(faces=given.faces, detail=given.detail)
        if given.method == "fused":
            mesh = extract(capture, name, options)
            seconds = time.monotonic() - began
            psnr = texture_psnr(mesh, carry, given.truth, name)
            vertices, faces, seen = mesh.vertices + mesh.origin, mesh.faces, mesh.seen
        else:
            raw = poisson(read_views(capture, capture.object(name), Progress()), options)
            seconds = time.monotonic() - began
            psnr, vertices, faces, seen = np.nan, raw.vertices, raw.faces, raw.seen
        near, median, found = geometry(
            carry.apply(vertices),
            faces,
            seen,
            given.truth / "meshes" / f"{name}.ply",
            given.cameras,
        )
        print(
            f"{name:10s} {near:6.3f} {100 * median:6.2f}% {found:6.3f} {psnr:6.2f} {seconds:6.1f}",
            flush=True,
        )


def similarity(capture: Capture, cameras: Path) -> Similarity:
    """From the person's frame to the truth's."""
    reconstruction = capture.require_reconstruction()
    views = json.loads(cameras.read_text(encoding="utf-8"))["views"]
    own = [reconstruction.placement.place_camera(c).center for c in reconstruction.cameras]
    true = [
        camera_center(np.array(views[c.view]["camera_from_world"])) for c in reconstruction.cameras
    ]
    return align(np.array(own), np.array(true))


def geometry(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int32],
    seen: NDArray[np.float32],
    truth: Path,
    cameras: Path,
) -> tuple[float, float, float]:
    """Near, median and found, as the module says."""
    true = trimesh.load_mesh(truth, process=False)
    size = float(np.linalg.norm(true.extents))
    mesh = trimesh.Trimesh(vertices, faces[seen[faces].mean(axis=1) > meshing.SEEN], process=False)
    points, _ = trimesh.sample.sample_surface(mesh, SAMPLES, seed=0)
    dense, at = trimesh.sample.sample_surface(true, 10 * SAMPLES, seed=0)
    distance = cKDTree(dense).query(points)[0]
    visible = in_sight(true, dense[::10], true.face_normals[at[::10]], cameras)
    back = cKDTree(points).query(dense[::10][visible])[0]
    return (
        float((distance < NEAR * size).mean()),
        float(np.median(distance)) / size,
        float((back < NEAR * size).mean()),
    )


def in_sight(
    mesh: trimesh.Trimesh,
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    cameras: Path,
) -> NDArray[np.bool_]:
    """Whether at least two photos look at the front of each point; other things may hide it."""
    data = json.loads(cameras.read_text(encoding="utf-8"))
    surface = Surface(Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int32)))
    count = np.zeros(len(points), int)
    for view in data["views"]:
        seen = sees_exactly(surface, true_camera(data, view), points, normals)
        count += seen.visible & (seen.cosine > 0.2)
    return count >= 2


def true_camera(data: dict, view: str) -> Camera:
    """A camera of the truth."""
    K = np.array(data["views"][view]["K"])
    params = (K[0, 0], K[1, 1], K[0, 2], K[1, 2])
    pose = np.array(data["views"][view]["camera_from_world"])
    return Camera(view, "PINHOLE", data["width"], data["height"], params, pose)


def texture_psnr(mesh: TexturedMesh, carry: Similarity, truth: Path, name: str) -> float:
    """Over all pixels of all new views in which photo and mesh show the object."""
    data = json.loads((truth / "cameras.json").read_text(encoding="utf-8"))
    vertices = carry.apply(mesh.vertices + mesh.origin)
    surface = Surface(Mesh(vertices, mesh.faces))
    total, count = 0.0, 0
    for view in data["views"]:
        camera = true_camera(data, view)
        photo = np.asarray(Image.open(truth / "photos" / f"{view}.jpg").convert("RGB"), float)
        mask = np.asarray(Image.open(truth / "masks" / name / f"{view}.png")) > 127
        rays = camera.rays(grid_pixels(camera.height, camera.width, camera.width, camera.height))
        hits = cast_pixels(surface, camera, rays)
        both = mask & hits.hit
        if not both.any():
            continue
        points = camera.center + hits.distance[both][:, None] * (
            rays[both] @ camera.camera_from_world[:3, :3]
        )
        face = hits.face[both]
        weights = trimesh.triangles.points_to_barycentric(vertices[mesh.faces[face]], points)
        uv = (mesh.uv[face] * weights[..., None]).sum(axis=1)
        size = mesh.image.shape[0]
        color = sample(mesh.image, np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1) * size)
        total += float(((color - photo[both]) ** 2).sum())
        count += 3 * int(both.sum())
    return 10 * np.log10(255.0**2 / (total / count)) if count else np.nan


def poisson(views: tuple[SurfaceView, ...], options: SurfaceOptions) -> SurfaceMesh:
    """Screened Poisson of the views' object points, trimmed."""
    import pymeshlab

    points, normals = (np.concatenate(part) for part in zip(*map(oriented, views), strict=True))
    size = float(np.ptp(points, axis=0).max()) / options.detail
    scene = pymeshlab.MeshSet()
    scene.add_mesh(pymeshlab.Mesh(vertex_matrix=points, v_normals_matrix=normals))
    scene.generate_surface_reconstruction_screened_poisson(
        depth=round(np.log2(options.detail)), preclean=True, confidence=True
    )
    made = scene.current_mesh()
    vertices, faces = made.vertex_matrix(), made.face_matrix().astype(np.int32)
    near = cKDTree(points).query(vertices)[0] < 3 * size
    mesh = SurfaceMesh(vertices, faces, np.ones(len(vertices), np.float32))
    return decimate(largest_parts(mesh.kept(near[faces].all(axis=1))), options.faces)


def oriented(view: SurfaceView) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sure object points [n, 3] of a view, and normals towards it as long as their weight."""
    rows, columns = view.depth.shape
    pixels = grid_pixels(rows, columns, view.camera.width, view.camera.height)
    depth = np.where(view.depth > 0, view.depth, np.nan)
    points = view.camera.unproject(pixels, depth)
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    towards = ((view.camera.center - points) * normals).sum(axis=-1, keepdims=True)
    normals *= np.sign(towards) * view.confidence[..., None]
    good = (view.share > 0.5) & (view.confidence > 0.1) & np.isfinite(normals).all(axis=-1)
    return points[good], normals[good]


if __name__ == "__main__":
    main()
