# SPDX-License-Identifier: GPL-3.0-or-later
"""Which points of a mesh a photo sees: rays cast at the mesh, lens distortion included.

Two ways, one meaning: `view_depth` casts one ray per pixel of a grid and `ViewDepth.sees`
compares any number of points with it, which suits the millions of texels of a texture;
`sees_exactly` casts one ray per point, which suits vertices.

Convention: depth is z-depth in world units, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import grid_pixels, pixels_to_grid
from mvsam_engine.reconstruct.posed.raycast import Surface

# Long side of the grid that rays are cast on; finer than the geometry of nearly any mesh.
GRID_SIDE = 1024
# A point counts as hidden when the mesh is this share of its depth nearer to the camera.
TOLERANCE = 2e-3
# Along the line of sight a slanted surface changes its depth within a pixel; steeper than this
# (tangent of the angle to the normal) nothing is allowed any more.
_STEEPEST = 12.0
_POINTS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """How a photo sees points.

    Attributes:
        pixels: [n, 2] positions in the photo; NaN where the lens cannot see.
        depth: [n] z-depths.
        cosine: [n] float32 between the line of sight and the normal: 1 looks straight at the
            front, 0 along the surface, negative from behind.
        visible: [n] bool: inside the photo and hidden by nothing. Points seen from behind are
            not excluded; `cosine` tells.
    """

    pixels: NDArray[np.float64]
    depth: NDArray[np.float64]
    cosine: NDArray[np.float32]
    visible: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ViewDepth:
    """A mesh's depth as one camera sees it.

    Attributes:
        camera: the camera.
        depth: [h, w] float32 z-depth of the mesh over the whole photo, inf where it is not.
        nearest: [h, w] float32 the least depth within a cell of each, so that points just behind
            an edge count as hidden: photos are blurred there.
    """

    camera: Camera
    depth: NDArray[np.float32]
    nearest: NDArray[np.float32]

    def sees(self, points: NDArray[np.floating], normals: NDArray[np.floating]) -> Seen:
        """How the photo sees points of the mesh.

        Args:
            points: [n, 3] world positions on the mesh.
            normals: [n, 3] unit normals there.
        """
        parts = [
            self._sees(points[i : i + _POINTS_AT_ONCE], normals[i : i + _POINTS_AT_ONCE])
            for i in range(0, len(points), _POINTS_AT_ONCE)
        ] or [self._sees(points, normals)]
        return Seen(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("pixels", "depth", "cosine", "visible")
            )
        )

    def _sees(self, points: NDArray[np.floating], normals: NDArray[np.floating]) -> Seen:
        camera = self.camera
        pixels, depth = camera.project(points)
        rows, columns = self.depth.shape
        row, column, inside = pixels_to_grid(pixels, rows, columns, camera.width, camera.height)
        cosine = _cosine(camera, points, normals)
        slope = np.sqrt(1.0 - np.minimum(cosine * cosine, 1.0)) / np.maximum(np.abs(cosine), 1e-6)
        cell = camera.width / columns / abs(camera.param("fx"))
        # Two cells: one that `nearest` looks around, one that grid and point may be apart.
        allowed = TOLERANCE + 2.0 * cell * np.minimum(slope, _STEEPEST)
        visible = inside & (depth * (1.0 - allowed) <= self.nearest[row, column])
        return Seen(pixels, depth, cosine, visible)


def view_depth(surface: Surface, camera: Camera, side: int = GRID_SIDE) -> ViewDepth:
    """Cast a ray through every cell of a grid over the photo.

    Args:
        surface: the mesh, and whatever else may hide it, in the camera's world.
        camera: the view.
        side: long side of the grid; smaller photos are taken pixel by pixel.
    """
    scale = min(1.0, side / max(camera.width, camera.height))
    columns, rows = (max(1, round(n * scale)) for n in (camera.width, camera.height))
    rays = camera.rays(grid_pixels(rows, columns, camera.width, camera.height))
    depth = surface.distances(camera.center, rays @ camera.camera_from_world[:3, :3])
    return ViewDepth(camera, depth, cv2.erode(depth, np.ones((3, 3), np.uint8)))


def sees_exactly(
    surface: Surface,
    camera: Camera,
    points: NDArray[np.floating],
    normals: NDArray[np.floating],
    tolerance: float = TOLERANCE,
) -> Seen:
    """How the photo sees points, by one ray each.

    Args:
        surface: the mesh, and whatever else may hide it, in the camera's world.
        camera: the view.
        points: [n, 3] world positions on the mesh.
        normals: [n, 3] unit normals there.
        tolerance: share of the distance that a point may lie behind the mesh.
    """
    pixels, depth = camera.project(points)
    size = (camera.width, camera.height)
    inside = ((pixels >= 0) & (pixels < size)).all(axis=1) & (depth > 0)
    visible = inside.copy()
    visible[inside] = surface.reaches(camera.center, points[inside], tolerance)
    return Seen(pixels, depth, _cosine(camera, points, normals), visible)


def vertex_normals(
    vertices: NDArray[np.floating], faces: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Unit normals [v, 3] of vertices, of their faces weighted by area; zero where none is."""
    a, b, c = (vertices[faces[:, i]].astype(np.float64) for i in range(3))
    normal = np.cross(b - a, c - a)
    total = np.empty((len(vertices), 3))
    for axis in range(3):
        weights = np.repeat(normal[:, axis], 3)
        total[:, axis] = np.bincount(faces.ravel(), weights, minlength=len(vertices))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return total / np.where(length > 0, length, 1.0)


def _cosine(
    camera: Camera, points: NDArray[np.floating], normals: NDArray[np.floating]
) -> NDArray[np.float32]:
    sight = camera.center - points
    length = np.linalg.norm(sight, axis=1)
    cosine = (sight * normals).sum(axis=1) / np.where(length > 0, length, 1.0)
    return cosine.astype(np.float32)
