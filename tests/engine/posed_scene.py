# SPDX-License-Identifier: GPL-3.0-or-later
"""A rendered room whose cameras and mesh are known, and files of both as people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from planes import Plane, Scene, look_at, render
from scipy.spatial.transform import Rotation

from mvsam_engine.capture import Camera, Capture
from mvsam_engine.capture.conventions import grid_pixels, transform_points
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions, method_for, reconstruct

ROOM = Scene(
    (
        Plane(point=(0, 0, 1.0), normal=(0.15, 0, -1.0), seed=11, half_size=3.0),
        Plane(point=(-0.1, 0.0, 0.2), normal=(-0.2, 0.1, -1.0), seed=12, half_size=0.45),
    )
)
WIDTH, HEIGHT, FOCAL = 320, 240, 368.0


def room_cameras(count=6, bend=-0.04):
    """On an arc of 5 degrees a step, 2.2 units from the middle, at two heights."""
    cameras = []
    for i in range(count):
        a = np.radians(5.0 * (i - count / 2))
        center = np.array([2.2 * np.sin(a), -0.25 + 0.1 * (i % 2), 0.4 - 2.2 * np.cos(a)])
        pose = look_at(center, (0.0, 0.0, 0.4))
        params = (FOCAL, WIDTH / 2, HEIGHT / 2, bend)
        cameras.append(Camera(f"v{i}", "SIMPLE_RADIAL", WIDTH, HEIGHT, params, pose))
    return cameras


def write_photos(folder: Path, cameras, scene=ROOM):
    """Render the photos; gives view to its true z-depth [H, W]."""
    folder.mkdir(parents=True, exist_ok=True)
    depth = {}
    for camera in cameras:
        photo, depth[camera.view] = render(scene, camera)
        Image.fromarray(photo).save(folder / f"{camera.view}.png")
    return depth


def write_colmap(folder: Path, cameras, points=None, tracks=None, names=None):
    """A COLMAP text model, each photo with its own camera.

    `tracks` is a list of lists of camera numbers, one for each of the `points` [n, 3].
    """
    folder.mkdir(parents=True, exist_ok=True)
    lenses, images, seen = [], [], {i: [] for i in range(len(cameras))}
    for point, track in enumerate(tracks or []):
        for camera in track:
            seen[camera].append(point)
    for i, camera in enumerate(cameras):
        numbers = " ".join(repr(float(p)) for p in camera.params)
        lenses.append(f"{i + 1} {camera.model} {camera.width} {camera.height} {numbers}\n")
        matrix = camera.camera_from_world
        x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat()
        place = " ".join(repr(float(v)) for v in (w, x, y, z, *matrix[:3, 3]))
        name = names[i] if names else f"{camera.view}.png"
        images.append(f"{i + 1} {place} {i + 1} {name}\n")
        pixels, _ = camera.project(np.array([points[p] for p in seen[i]]).reshape(-1, 3))
        images.append(
            " ".join(f"{u} {v} {p + 1}" for (u, v), p in zip(pixels, seen[i], strict=True)) + "\n"
        )
    (folder / "cameras.txt").write_text("".join(lenses), encoding="utf-8")
    (folder / "images.txt").write_text("".join(images), encoding="utf-8")
    rows = []
    for point, track in enumerate(tracks or []):
        where = " ".join(repr(float(v)) for v in points[point])
        spots = " ".join(f"{c + 1} {seen[c].index(point)}" for c in track)
        rows.append(f"{point + 1} {where} 200 200 200 0.5 {spots}\n")
    (folder / "points3D.txt").write_text("".join(rows), encoding="utf-8")
    return folder


def room_mesh(scene=ROOM, cells=1):
    """Vertices [n, 3] and triangles [m, 3] of the scene's squares, each cut into cells x cells."""
    vertices, faces = [], []
    for plane in scene.planes:
        right, up = plane.axes()
        steps = np.linspace(-plane.half_size, plane.half_size, cells + 1)
        grid = np.array(plane.point) + steps[:, None, None] * up + steps[None, :, None] * right
        start = sum(len(v) for v in vertices)
        vertices.append(grid.reshape(-1, 3))
        corner = np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)[None] + start
        a, b, c, d = (corner + k for k in (0, 1, cells + 2, cells + 1))
        # Counter-clockwise seen from the cameras: fronts face them.
        faces += [np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))]
    return np.concatenate(vertices), np.concatenate(faces)


def write_mesh(path: Path, vertices, faces):
    """Any kind that trimesh writes; double precision for PLY in text."""
    import trimesh

    if path.suffix == ".ply":
        head = (
            f"ply\nformat ascii 1.0\nelement vertex {len(vertices)}\nproperty double x\n"
            f"property double y\nproperty double z\nelement face {len(faces)}\n"
            "property list uchar int vertex_indices\nend_header\n"
        )
        rows = [" ".join(repr(float(v)) for v in vertex) for vertex in vertices]
        rows += ["3 " + " ".join(str(int(i)) for i in face) for face in faces]
        path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    else:
        trimesh.Trimesh(vertices, faces, process=False).export(path)
    return path


class Record(Progress):
    """Remembers stages, counts and warnings."""

    def __init__(self):
        super().__init__()
        self.stages = {}
        self.warnings = {}

    def on_change(self):
        self.stages[self.stage_name] = (self.done, self.total)

    def on_warning(self, code, message, remedy):
        self.warnings[code] = message


def capture_of(folder: Path, root: Path) -> Capture:
    """A new capture of the photos in a folder."""
    capture = Capture.create(root)
    with capture.writing():
        add_photos(capture, [folder], Progress())
    return capture


def run(capture, cameras=None, mesh=None, progress=None, **options):
    """Reconstruct as the command line does."""
    settings = ReconstructOptions(cameras=cameras, mesh=mesh, **{"max_size": 96, **options})
    with capture.writing():
        return reconstruct(capture, method_for("", settings), settings, progress or Progress())


def depth_of(capture, camera, pointmap=None):
    """z-depth [h, w] of a stored pointmap, NaN where it has no point."""
    pointmap = pointmap or capture.pointmap(camera.view)
    return transform_points(camera.camera_from_world, pointmap.points.astype(np.float64))[..., 2]


def true_depth(camera, shape, scene=ROOM):
    """Exact z-depth [h, w] at the centres of a grid over the photo; inf where nothing is."""
    grid = grid_pixels(*shape, camera.width, camera.height)
    return scene.depth(camera, camera.rays(grid))
