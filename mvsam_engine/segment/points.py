# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing a few well-placed points inside an area."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def spread_points(area: NDArray[np.bool_], most: int, margin: float = 0.0) -> NDArray[np.float64]:
    """Points deep inside an area, far from each other.

    Takes the cell farthest from the area's border, blanks a disc around it, and repeats.

    Args:
        area: [h, w] bool.
        most: number of points at most.
        margin: points nearer than this to the border, in cells, are not taken (the first is).

    Returns:
        [n, 2] positions (x, y) in cells, centres at half integers; empty when `area` is.
    """
    # A frame of zeros makes the array's edge a border too.
    padded = cv2.copyMakeBorder(area.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1].copy()
    spacing = max(4.0, 0.12 * float(np.sqrt(area.sum())))
    found: list[tuple[float, float]] = []
    while len(found) < most:
        row, column = np.unravel_index(int(distance.argmax()), distance.shape)
        depth = float(distance[row, column])
        if depth <= 0 or (found and depth < margin):
            break
        found.append((column + 0.5, row + 0.5))
        radius = round(max(spacing, 1.2 * depth))
        cv2.circle(distance, (int(column), int(row)), radius, 0.0, -1)
    return np.array(found, dtype=np.float64).reshape(-1, 2)
