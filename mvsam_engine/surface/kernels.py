# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner loops of surfaces and their textures, compiled."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.jit import kernel

# Least say of a mask that sees something else, whatever the confidence of its depth.
_MASK_CONFIDENCE = 0.3
# Share of the lines of sight to unseen space that must show the object for the space to be its
# inside: all would lose what stands behind something else in a few photos.
_LEAST_SHARE = 0.6


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


_GRID = "float32[:,::1]"
_SUM = "float32[::1]"


@kernel(
    f"void(float64[:,::1], float64[::1], {_GRID}, {_GRID}, {_GRID}, float64, float64,"
    f" {_SUM}, {_SUM}, {_SUM}, {_SUM})",
    exact=True,
)
def add_view(  # noqa: PLR0913, PLR0917 - the rows of one table, and what is added up
    places: NDArray[np.float64],
    depth: NDArray[np.float64],
    seen_depth: NDArray[np.float32],
    confidence: NDArray[np.float32],
    share: NDArray[np.float32],
    band: float,
    trust: float,
    value: NDArray[np.float32],
    weight: NDArray[np.float32],
    support: NDArray[np.float32],
    outside: NDArray[np.float32],
) -> None:
    """Add what one view says of voxels to their sums, in place (see `surface.volume`).

    Args:
        places: [n, 2] (x, y) of the voxels in cells of the view's grid; NaN where not seen.
        depth: [n] z-depths of the voxels.
        seen_depth: [h, w] z-depth that the view sees, 0 where nothing is known.
        confidence: [h, w] 0..1.
        share: [h, w] 0..1, how much of the cell is object.
        band: truncation distance.
        trust: 0..1 of the whole view.
        value: [n] sum of weight times truncated distance, -1..1, positive outside.
        weight: [n] sum of weights.
        support: [n] sum of the weights of object surface within the band.
        outside: [n] votes of the views that do not see the space there: positive where most
            of them see something else than the object on the line of sight.
    """
    rows, columns = seen_depth.shape
    for n in numba.prange(depth.shape[0]):
        x, y, z = places[n, 0], places[n, 1], depth[n]
        if not (z > 0.0 and x >= 0.0 and y >= 0.0 and x < columns and y < rows):
            continue
        row, column = int(y), int(x)
        surface = seen_depth[row, column]
        object_share = share[row, column]
        vote = trust * (_LEAST_SHARE - object_share)
        if surface <= 0.0:
            outside[n] += vote
            continue
        # Between the centres of four cells of one surface, the inverse depth is interpolated.
        r, c = math.floor(y - 0.5), math.floor(x - 0.5)
        if r >= 0 and c >= 0 and r + 1 < rows and c + 1 < columns:
            a, b = seen_depth[r, c], seen_depth[r, c + 1]
            d, e = seen_depth[r + 1, c], seen_depth[r + 1, c + 1]
            least, most = min(a, b, d, e), max(a, b, d, e)
            if least > 0.0 and most - least < 2.0 * band:
                u, v = x - 0.5 - c, y - 0.5 - r
                upper = (1.0 - u) / a + u / b
                lower = (1.0 - u) / d + u / e
                surface = 1.0 / ((1.0 - v) * upper + v * lower)
        distance = (surface - z) / band
        sure = trust * confidence[row, column]
        other = trust * (1.0 - object_share)
        if distance < -1.0:
            outside[n] += vote
            continue
        # Behind the surface a view knows less and less; so thin things keep their far side.
        own = sure * object_share * min(1.0, 1.0 + distance)
        # What is not object is empty to it, and a mask is surer than the depth behind it.
        empty = other * max(confidence[row, column], _MASK_CONFIDENCE)
        value[n] += own * min(1.0, distance) + empty
        weight[n] += own + empty
        if distance < 1.0:
            support[n] += own
