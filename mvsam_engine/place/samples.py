# SPDX-License-Identifier: GPL-3.0-or-later
"""Trusted points of all pointmaps with their surface normals, a bounded number of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture
from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import Pointmap
from mvsam_engine.progress import Progress

LEAST_CONFIDENCE = 0.5
_MOST = 60_000
# A normal is taken over this share of the pointmap's long side: depth noise of 0.1 % over a step
# of one pixel would tilt it by tens of degrees.
_SPAN = 0.012


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Points of the scene as the views see them; near surfaces are as dense as they look.

    Attributes:
        points: [n, 3] float64, world.
        normals: [n, 3] float64 unit vectors that face the camera.
        view: [n] int64 index of the camera.
        distance: median distance from a camera to its points, world units.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    view: NDArray[np.int64]
    distance: float

    def __len__(self) -> int:
        return len(self.points)


def sample_capture(
    capture: Capture, cameras: tuple[Camera, ...], progress: Progress, seed: int = 0
) -> Samples:
    """Sample the pointmaps of `cameras`, one after the other."""
    random = np.random.default_rng(seed)
    each = max(50, _MOST // max(1, len(cameras)))
    points, normals, distances = [], [], []
    progress.stage("Points", len(cameras))
    for camera in cameras:
        found, facing = sample_view(camera, capture.pointmap(camera.view), each, random)
        points.append(found)
        normals.append(facing)
        if len(found):
            distances.append(float(np.median(np.linalg.norm(found - camera.center, axis=1))))
        progress.step()
    view = np.repeat(np.arange(len(cameras)), [len(p) for p in points])
    return Samples(
        points=np.concatenate(points) if points else np.zeros((0, 3)),
        normals=np.concatenate(normals) if normals else np.zeros((0, 3)),
        view=view,
        distance=float(np.median(distances)) if distances else 0.0,
    )


def sample_view(
    camera: Camera, pointmap: Pointmap, count: int, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most `count` trusted points [n, 3] of a view and their normals [n, 3]."""
    grid = pointmap.points
    step = max(1, round(max(grid.shape[:2]) * _SPAN / 2))
    if min(grid.shape[:2]) <= 2 * step:
        return np.zeros((0, 3)), np.zeros((0, 3))
    good = np.isfinite(grid).all(axis=-1) & (pointmap.confidence >= LEAST_CONFIDENCE)
    inner = (slice(step, -step), slice(step, -step))
    all_good = (
        good[inner]
        & good[: -2 * step, step:-step]
        & good[2 * step :, step:-step]
        & good[step:-step, : -2 * step]
        & good[step:-step, 2 * step :]
    )
    rows, columns = np.nonzero(all_good)
    if len(rows) > count:
        chosen = random.choice(len(rows), count, replace=False)
        rows, columns = rows[chosen], columns[chosen]
    rows, columns = rows + step, columns + step
    across = (grid[rows, columns + step] - grid[rows, columns - step]).astype(np.float64)
    down = (grid[rows + step, columns] - grid[rows - step, columns]).astype(np.float64)
    points = grid[rows, columns].astype(np.float64)
    normals = np.cross(down, across)
    length = np.linalg.norm(normals, axis=1)
    kept = length > 0
    points, normals = points[kept], normals[kept] / length[kept, None]
    facing = np.sum(normals * (camera.center - points), axis=1)
    return points, normals * np.where(facing < 0, -1.0, 1.0)[:, None]
