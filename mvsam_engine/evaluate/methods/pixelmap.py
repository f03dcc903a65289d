# SPDX-License-Identifier: GPL-3.0-or-later
"""pixelmap-multiview (photos to a fused mesh), as a method's process.

Its mesh is turned into depth by casting the rays of its own cameras at it: where no triangle is
hit, nothing is known. It gives no confidence.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pixelmap_multiview as pmv
import trimesh
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import fit_size
from mvsam_engine.evaluate.exchange import Result, write_depth, write_result
from mvsam_engine.evaluate.methods import Job, read_job

QUALITY = "medium"


def run(job: Job) -> Result:
    """Reconstruct the job's photos and cast rays at the mesh."""
    files = job.files
    settings = {"quality": QUALITY, "seed": job.seed}
    version = f"pixelmap-multiview {pmv.__version__}"
    photos, focal = pmv.load_photos(files)
    try:
        model = pmv.reconstruct(photos, quality=QUALITY, focal_35mm=focal, seed=job.seed)
    except (pmv.ReconstructionError, pmv.InvalidInputError) as error:
        return Result(refused=" ".join(str(error).split()), version=version, settings=settings)
    cameras = {
        file.stem: np.asarray(pose.matrix, float)
        for file, pose in zip(files, model.cameras, strict=True)
        if pose is not None
    }
    cameras = {view: _square(matrix) for view, matrix in cameras.items()}
    height, width = photos[0].shape[:2]
    size = fit_size(width, height, job.depth_size)
    scale = size[0] / width
    mesh = trimesh.Trimesh(model.vertices, model.triangles, process=False)
    for view, matrix in cameras.items():
        write_depth(Path(job.out), view, mesh_depth(mesh, matrix, model.intrinsics, size, scale))
    return Result(
        cameras=cameras,
        version=version,
        settings=settings | {"triangles": len(model.triangles)},
    )


def _square(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """A 3x4 or 4x4 matrix as 4x4."""
    result = np.eye(4)
    result[:3] = matrix[:3]
    return result


def mesh_depth(
    mesh: trimesh.Trimesh,
    camera_from_world: NDArray[np.float64],
    intrinsics: pmv.Intrinsics,
    size: tuple[int, int],
    scale: float,
) -> NDArray[np.float64]:
    """z-depth [h, w] of the mesh from a camera, nan where no ray hits.

    Args:
        mesh: in the camera's world.
        camera_from_world: 4x4.
        intrinsics: fx, fy, cx, cy of the photo that the program saw.
        size: width and height of the depth map.
        scale: its pixels per pixel of that photo.
    """
    width, height = size
    x, y = np.meshgrid((np.arange(width) + 0.5) / scale, (np.arange(height) + 0.5) / scale)
    rays = np.stack(
        [(x - intrinsics.cx) / intrinsics.fx, (y - intrinsics.cy) / intrinsics.fy, np.ones_like(x)],
        axis=-1,
    ).reshape(-1, 3)
    rotation, translation = camera_from_world[:3, :3], camera_from_world[:3, 3]
    directions = rays @ rotation
    origins = np.broadcast_to(-rotation.T @ translation, directions.shape)
    places, index, _ = mesh.ray.intersects_location(origins, directions, multiple_hits=False)
    depth = np.full(len(rays), np.nan)
    depth[index] = places @ rotation[2] + translation[2]
    return depth.reshape(height, width)


if __name__ == "__main__":
    job = read_job()
    write_result(Path(job.out), run(job))
