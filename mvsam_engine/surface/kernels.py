# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner loops of surfaces and their textures, compiled."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.jit import kernel


@kernel("int64(float64[:,:,::1], int32[:,::1])", parallel=False, exact=True)
def fill_triangles(corners: NDArray[np.float64], owner: NDArray[np.int32]) -> int:
    """Mark the texels whose centre lies in each triangle, in place; the first triangle keeps them.

    The plain form of it is in tests/engine/test_surface_texels.py.

    Args:
        corners: [m, 3, 2] (x, y) in texels, y down from the image's top edge.
        owner: [h, w] index of the triangle, -1 where there is none yet.

    Returns:
        How many texels lie clearly inside a triangle although they have an owner.
    """
    height, width = owner.shape
    overlaps = 0
    for m in range(corners.shape[0]):
        ax, ay = corners[m, 0]
        bx, by = corners[m, 1]
        cx, cy = corners[m, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not abs(area) > 1e-12:  # also where a corner is not a number
            continue
        top = max(0, math.floor(min(ay, by, cy) - 0.5))
        bottom = min(height - 1, math.ceil(max(ay, by, cy) - 0.5))
        left = max(0, math.floor(min(ax, bx, cx) - 0.5))
        right = min(width - 1, math.ceil(max(ax, bx, cx) - 0.5))
        for row in range(top, bottom + 1):
            y = row + 0.5
            for column in range(left, right + 1):
                x = column + 0.5
                a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                c = 1.0 - a - b
                if a < 0.0 or b < 0.0 or c < 0.0:
                    continue
                if owner[row, column] < 0:
                    owner[row, column] = m
                elif min(a, b, c) * abs(area) > 1e-3:
                    overlaps += 1
    return overlaps
