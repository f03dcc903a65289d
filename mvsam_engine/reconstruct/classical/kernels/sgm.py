# SPDX-License-Identifier: GPL-3.0-or-later
"""Semi-global aggregation of a cost volume (Hirschmueller, PAMI 2008)."""

import numpy as np
from numba import prange

from mvsam_engine.jit import kernel

# How strongly an edge in the photo (grey values 0..1) lowers the price of a depth jump.
EDGE_GAIN = np.float32(30.0)


@kernel("void(float32[:,:,::1], float32[:,:,::1], float32[:,::1], int64, int64, float32, float32)")
def aggregate_direction(cost, total, guide, dy, dx, small, large):
    """Add to `total` the cheapest path cost that reaches each cell along one direction.

    Args:
        cost: [h, w, planes] matching cost.
        total: [h, w, planes], added to.
        guide: [h, w] grey photo, 0..1.
        dy: row step of the direction: -1, 0 or 1.
        dx: column step: -1, 0 or 1.
        small: price of a change by one plane.
        large: price of any larger change where the photo is flat.
    """
    height, width, planes = cost.shape
    lines = height if dy == 0 else (width if dx == 0 else width + height - 1)
    for line in prange(lines):
        # Where this line enters the picture.
        if dy == 0:
            y, x = np.int64(line), np.int64(0 if dx > 0 else width - 1)
        elif line < width:
            y, x = np.int64(0 if dy > 0 else height - 1), np.int64(line)
        else:
            along = np.int64(line - width + 1)
            y = along if dy > 0 else height - 1 - along
            x = np.int64(0 if dx > 0 else width - 1)
        previous = np.zeros(planes, np.float32)
        current = np.empty(planes, np.float32)
        cheapest = np.float32(0.0)
        before = guide[y, x]
        first = True
        while 0 <= y < height and 0 <= x < width:
            here = guide[y, x]
            jump = max(small * np.float32(1.5), large / (1 + abs(here - before) * EDGE_GAIN))
            lowest = np.float32(1e9)
            for d in range(planes):
                if first:
                    value = cost[y, x, d]
                else:
                    best = min(previous[d], cheapest + jump)
                    if d > 0:
                        best = min(best, previous[d - 1] + small)
                    if d < planes - 1:
                        best = min(best, previous[d + 1] + small)
                    value = cost[y, x, d] + best - cheapest
                current[d] = value
                total[y, x, d] += value
                lowest = min(lowest, value)
            previous, current = current, previous
            cheapest = lowest
            before = here
            first = False
            y += dy
            x += dx


@kernel("void(float32[:,:,::1], float32[:,::1])")
def winner(total, plane):
    """Write into `plane` [h, w] the cheapest plane of each pixel, refined by a parabola."""
    height, width, planes = total.shape
    for y in prange(height):
        for x in range(width):
            k = 0
            for d in range(1, planes):
                if total[y, x, d] < total[y, x, k]:
                    k = d
            offset = np.float32(0.0)
            if 0 < k < planes - 1:
                left, mid, right = total[y, x, k - 1], total[y, x, k], total[y, x, k + 1]
                bend = left - 2 * mid + right
                if bend > 1e-6:
                    offset = np.float32(0.5) * (left - right) / bend
            plane[y, x] = k + offset
