# SPDX-License-Identifier: GPL-3.0-or-later
"""Brush strokes: fewer positions for the same line, and how far away a place is.

All in photo pixels (x right, y down).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Position = tuple[float, float]

# More positions than this say nothing more, and every one is kept in the file and in undo.
MOST_POSITIONS = 256


def simplified(path: Sequence[Position], tolerance: float) -> tuple[Position, ...]:
    """The path with as few of its positions as stay within `tolerance` pixels of it.

    Method: Douglas and Peucker, 1973, without recursion. When more than `MOST_POSITIONS` are left,
    the tolerance grows.

    Args:
        path: at least one position.
        tolerance: in pixels.
    """
    points = np.array(path, dtype=np.float64).reshape(-1, 2)
    while True:
        kept = points[_corners(points, tolerance)]
        if len(kept) <= MOST_POSITIONS:
            return tuple((float(x), float(y)) for x, y in kept)
        tolerance = max(1.0, tolerance * 2)


def distance_to_path(xy: Position, path: Sequence[Position]) -> float:
    """How far a place is from a line of positions; from the one when there is only one."""
    if len(path) == 1:
        return math.dist(xy, path[0])
    points = np.array(path, dtype=np.float64)
    return float(_to_segments(np.array([xy]), points[:-1], points[1:]).min())


def _corners(points: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Which of the positions [n, 2] are needed."""
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        between = points[first + 1 : last]
        ends = points[first : first + 1], points[last : last + 1]
        away = _to_segments(between, *ends)[:, 0]
        worst = int(away.argmax())
        if away[worst] > tolerance:
            middle = first + 1 + worst
            keep[middle] = True
            spans += [(first, middle), (middle, last)]
    return keep


def _to_segments(
    points: NDArray[np.float64], starts: NDArray[np.float64], ends: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distances [n, m] of points [n, 2] from segments [m, 2] to [m, 2]."""
    along = ends - starts  # [m, 2]
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    offset = points[:, None] - starts[None]  # [n, m, 2]
    share = np.clip((offset * along).sum(axis=2) / length, 0.0, 1.0)
    return np.linalg.norm(offset - share[..., None] * along, axis=2)
