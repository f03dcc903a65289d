# SPDX-License-Identifier: GPL-3.0-or-later
"""What each camera sees of a mesh, and which cameras see the same of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.undistort import FloatMap, WorkingView
from mvsam_engine.reconstruct.posed.raycast import Surface, cast_pixels

# Samples of the mesh along the long side of each photo.
SAMPLES = 16
# A point is seen when nothing stands in front of it by more than this share of its distance.
SEEN_SHARE = 0.01
# Views kept in memory; neighbours are asked for again and again, so few are made twice.
KEPT_VIEWS = 40


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceSamples:
    """A coarse look at a mesh through all cameras.

    Attributes:
        model: hit points as a sparse model: which camera sees which sample.
        hit: [cameras] share of each camera's rays that meet the mesh.
        behind: share of all hits that meet the back of a face.
    """

    model: SparseModel
    hit: NDArray[np.float64]
    behind: float


def sample_surface(
    surface: Surface, cameras: tuple[Camera, ...], progress: Progress
) -> SurfaceSamples:
    """Cast a coarse grid of rays from every camera, and see who else sees the hits."""
    progress.stage("Mesh in view", 2 * len(cameras))
    points: list[NDArray[np.float64]] = []
    shares, behind = np.zeros(len(cameras)), 0
    for index, camera in enumerate(cameras):
        long_side = max(camera.width, camera.height)
        rows = max(2, round(SAMPLES * camera.height / long_side))
        columns = max(2, round(SAMPLES * camera.width / long_side))
        pixels = grid_pixels(rows, columns, camera.width, camera.height)
        found = cast_pixels(surface, camera, camera.rays(pixels))
        shares[index] = found.hit.mean()
        behind += int((found.hit & (found.cosine < 0)).sum())
        points.append(camera.unproject(pixels, found.distance)[found.hit])
        progress.step()
    samples = np.concatenate(points)
    seen_by: list[NDArray[np.int64]] = []
    seen_point: list[NDArray[np.int64]] = []
    for index, camera in enumerate(cameras):
        seen = np.flatnonzero(sees(surface, camera, samples))
        seen_by.append(np.full(len(seen), index, np.int64))
        seen_point.append(seen)
        progress.step()
    return SurfaceSamples(
        model=SparseModel(
            cameras=cameras,
            points=samples,
            seen_by=np.concatenate(seen_by),
            seen_point=np.concatenate(seen_point),
            method="mesh",
        ),
        hit=shares,
        behind=behind / max(len(samples), 1),
    )


def inside_photo(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which world points [n, 3] lie in front of the camera and inside its photo."""
    pixels, depth = camera.project(points)
    with np.errstate(invalid="ignore"):
        inside = (pixels >= 0).all(axis=1) & (pixels <= (camera.width, camera.height)).all(axis=1)
    return inside & (depth > 0)


def sees(surface: Surface, camera: Camera, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points [n, 3] of the surface the camera sees."""
    seen = inside_photo(camera, points)
    found = surface.cast(camera.center, points[seen] - camera.center)
    # Distances count in lengths of the ray to the point: nearer than 1 is in front of it.
    seen[seen] = ~found.hit | (found.distance > 1.0 - SEEN_SHARE)
    return seen


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceView:
    """A photo's working view with the mesh's depth on its canvas.

    Attributes:
        view: the lens-corrected photo.
        depth: [h, w] z-depth of the mesh, 0 where there is none.
        planes: [h, w, 3] inverse depth of the mesh and its slopes per pixel (convention of
            `classical.kernels.plane_match`).
    """

    view: WorkingView
    depth: FloatMap
    planes: FloatMap


class SurfaceViews:
    """Surface views by number, made when asked for; the last few stay in memory."""

    def __init__(self, surface: Surface, make: Callable[[int], WorkingView]) -> None:
        """Hold on to what views are made from.

        Args:
            surface: in the cameras' world frame.
            make: gives the working view of a number.
        """
        self._surface, self._make = surface, make
        self._kept: OrderedDict[int, SurfaceView] = OrderedDict()

    def __getitem__(self, index: int) -> SurfaceView:
        """The view of this number."""
        if index not in self._kept:
            self._kept[index] = _surface_view(self._surface, self._make(index))
        self._kept.move_to_end(index)
        while len(self._kept) > KEPT_VIEWS:
            self._kept.popitem(last=False)
        return self._kept[index]


def _surface_view(surface: Surface, view: WorkingView) -> SurfaceView:
    height, width = view.filled.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).astype(np.float64)
    inverse = np.linalg.inv(view.intrinsics)
    rays = pixels @ inverse.T
    found = cast_pixels(surface, view.camera, rays)
    # In space the face is the plane n X = n P; over the canvas its inverse depth is affine:
    # 1 / z = (n K^-1 (x, y, 1)) / (n P).
    normals = surface.normals(found.face) @ view.rotation.T
    offset = (normals * rays).sum(axis=-1) * found.distance
    good = found.hit & (np.abs(offset) > 0)
    slopes = (normals @ inverse)[..., :2] / np.where(good, offset, 1.0)[..., None]
    inverse_depth = np.where(good, 1.0 / np.where(good, found.distance, 1.0), 0.0)
    planes = np.dstack([inverse_depth, np.where(good[..., None], slopes, 0.0)])
    return SurfaceView(
        view=view,
        depth=np.where(good, found.distance, 0.0).astype(np.float32),
        planes=np.ascontiguousarray(planes, np.float32),
    )
