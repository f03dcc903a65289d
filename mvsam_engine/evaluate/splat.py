# SPDX-License-Identifier: GPL-3.0-or-later
"""A point cloud seen from anywhere, by a depth buffer: to judge pointmaps with the eye.

Convention: `capture.conventions`. Points are drawn as squares as large as their own spacing looks
from there, so that a closed surface stays closed and a stray point shows as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BACKGROUND = (24, 26, 30)
_LARGEST = 3  # half width of a splat, pixels


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """Points of all views.

    Attributes:
        points: [n, 3] float32, world frame.
        colors: [n, 3] uint8.
        spacing: [n] float32, distance to the neighbouring pixel's point, about, world units.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    spacing: NDArray[np.float32]

    def __len__(self) -> int:
        """How many points."""
        return len(self.points)


def join(clouds: list[Cloud]) -> Cloud:
    """One cloud of several."""
    return Cloud(
        np.concatenate([c.points for c in clouds]),
        np.concatenate([c.colors for c in clouds]),
        np.concatenate([c.spacing for c in clouds]),
    )


def splat(
    cloud: Cloud, camera_from_world: NDArray[np.float64], focal: float, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The cloud from a camera with its principal point in the middle: [height, width, 3] uint8."""
    width, height = size
    seen = cloud.points @ camera_from_world[:3, :3].T.astype(np.float32)
    seen += camera_from_world[:3, 3].astype(np.float32)
    z = seen[:, 2]
    near = z > 1e-6
    z = np.where(near, z, 1.0)
    x = seen[:, 0] / z * focal + width / 2
    y = seen[:, 1] / z * focal + height / 2
    half = np.clip(np.ceil(cloud.spacing * focal / z * 0.5), 0, _LARGEST).astype(int)
    keep = near & (x > -8) & (y > -8) & (x < width + 8) & (y < height + 8)
    index = np.flatnonzero(keep)
    # Far points first, so that near ones are painted over them.
    index = index[np.argsort(-z[index], kind="stable")]
    column, row, half = x[index].astype(int), y[index].astype(int), half[index]
    pixel, source = [], []
    for dy in range(-_LARGEST, _LARGEST + 1):
        for dx in range(-_LARGEST, _LARGEST + 1):
            r, c = row + dy, column + dx
            inside = (max(abs(dy), abs(dx)) <= half) & (r >= 0) & (r < height) & (c >= 0)
            inside &= c < width
            chosen = np.flatnonzero(inside)
            pixel.append(r[chosen] * width + c[chosen])
            source.append(chosen)
    pixels, sources = np.concatenate(pixel), np.concatenate(source)
    nearest = np.full(height * width, -1)
    np.maximum.at(nearest, pixels, sources)
    image = np.empty((height * width, 3), np.uint8)
    image[:] = BACKGROUND
    hit = nearest >= 0
    image[hit] = cloud.colors[index[nearest[hit]]]
    return image.reshape(height, width, 3)
