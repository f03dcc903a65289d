# SPDX-License-Identifier: GPL-3.0-or-later
"""Which point of a cloud is under the mouse: what one sees there, not what lies behind it.

Convention: screen positions are pixels of the region, origin lower left; clip space is OpenGL's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Points this much farther away than the nearest one around are behind its surface: as a share of
# the distance, without perspective of the height of the view.
BEHIND = 0.03
# Quarters around the mouse.
_SIDES = 4


def point_under(
    position: NDArray[np.float32],
    clip_from_local: NDArray[np.floating],
    size: tuple[int, int],
    mouse: tuple[float, float],
    disc: float,
    reach: float,
) -> int | None:
    """Index of the point that is seen under the mouse, None when there is none.

    From the front to the back, the first surface counts that has a point drawn over the mouse, or
    points on all sides of it: then the mouse is in one of its gaps, through which nothing is meant.
    Beside all surfaces it is the nearest point on the screen.

    Args:
        position: [N, 3] points.
        clip_from_local: [4, 4] to clip space; its w is the distance, or constant without
            perspective.
        size: width and height of the region.
        mouse: where.
        disc: radius of a drawn point.
        reach: farthest that the mouse may be off.
    """
    if len(position) == 0:
        return None
    matrix = np.asarray(clip_from_local, dtype=np.float32)
    clip = position @ matrix[:, :3].T + matrix[:, 3]  # [N, 4]
    w = clip[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        x = (clip[:, 0] / w + 1) * (size[0] / 2) - mouse[0]
        y = (clip[:, 1] / w + 1) * (size[1] / 2) - mouse[1]
        near = (w > 0) & (np.abs(x) <= reach) & (np.abs(y) <= reach) & (np.abs(clip[:, 2]) <= w)
    candidates = np.flatnonzero(near)
    away = np.hypot(x[candidates], y[candidates])
    candidates, away = candidates[away <= reach], away[away <= reach]
    if len(candidates) == 0:
        return None
    height = _view_height(matrix)
    depth = clip[candidates, 3]
    if height is not None:
        depth = clip[candidates, 2] / float(np.linalg.norm(matrix[2, :3]))
    side = (x[candidates] > 0) + 2 * (y[candidates] > 0)
    left = np.ones(len(candidates), dtype=bool)
    while left.any():
        nearest = float(depth[left].min())
        surface = left & (depth <= nearest + BEHIND * (nearest if height is None else height))
        covering = surface & (away <= disc)
        if covering.any():
            return int(candidates[covering][np.argmin(depth[covering])])
        if len(np.unique(side[surface])) == _SIDES:
            return int(candidates[surface][np.argmin(away[surface])])
        left &= ~surface
    return int(candidates[np.argmin(away)])


def _view_height(matrix: NDArray[np.float32]) -> float | None:
    """How much a view without perspective shows from bottom to top; None with perspective."""
    if np.abs(matrix[3, :3]).max() > 1e-9:
        return None
    return 2.0 / max(float(np.linalg.norm(matrix[1, :3])), 1e-12)
