# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cell of another view shows the same surface point: projection with a depth test.

Convention: cells as in `segment.scene`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import pixels_to_grid
from mvsam_engine.progress import Progress
from mvsam_engine.segment.kernels import UNSEEN
from mvsam_engine.segment.scene import SceneView

# Two depths of the same place count as the same surface within this share of the depth.
DEPTH_TOLERANCE = 0.03

# Points below this confidence say nothing about other views.
LEAST_CONFIDENCE = 0.05

# Views that a view exchanges weights with: enough for any object, and memory stays bounded.
MOST_PARTNERS = 32


def seen_cells(
    points: NDArray[np.floating], target: SceneView, tolerance: float = DEPTH_TOLERANCE
) -> NDArray[np.int64]:
    """Cells of `target` that show world `points`, or -1.

    Args:
        points: [n, 3] world points, NaN where unknown.
        target: the view that may see them.
        tolerance: largest difference of depths, as a share of the depth.

    Returns:
        [n] indices into the target's cells; -1 where the point is outside the photo, behind the
        camera, hidden by something nearer, or where the target's own depth is unknown.
    """
    pixels, depth = target.camera.project(points)
    rows, columns = target.shape
    photo = target.photo
    row, column, inside = pixels_to_grid(pixels, rows, columns, photo.width, photo.height)
    cell = row * columns + column
    # NaN compares false, so unknown depths count as not seen.
    same = np.abs(target.depth[cell] - depth) < tolerance * depth
    trusted = target.confidence[cell] > LEAST_CONFIDENCE
    return np.where(inside & same & trusted, cell, -1)


class VisibilityTables:
    """For pairs of views, the cell of the second that each cell of the first is seen in.

    Args:
        views: all views.
        progress: counts views.
        among: indices of the views that the others are joined with; None for all.
    """

    def __init__(
        self, views: Sequence[SceneView], progress: Progress, among: Iterable[int] | None = None
    ) -> None:
        progress.stage("Joining views", len(views))
        joined = range(len(views)) if among is None else sorted(among)
        self._tables: list[dict[int, NDArray[np.uint16]]] = []
        for i, view in enumerate(views):
            points = np.where(
                view.confidence[:, None] > LEAST_CONFIDENCE, view.points, np.float32(np.nan)
            )
            partners = _partners(points, views, [j for j in joined if j != i])
            self._tables.append({j: _table(points, views[j]) for j in partners})
            progress.step()

    def partners(self, i: int) -> dict[int, NDArray[np.uint16]]:
        """Tables of view `i`: other view's index to [cells of i] with its cells or `UNSEEN`."""
        return self._tables[i]


def _table(points: NDArray[np.float32], target: SceneView) -> NDArray[np.uint16]:
    cells = seen_cells(points, target)
    return np.where((cells >= 0) & (cells < UNSEEN), cells, UNSEEN).astype(np.uint16)


def _partners(
    points: NDArray[np.float32], views: Sequence[SceneView], others: list[int]
) -> list[int]:
    """Of the others, those that share most surface with the points, by every 97th of these."""
    if len(others) <= MOST_PARTNERS:
        return others
    shared = {j: int((seen_cells(points[::97], views[j]) >= 0).sum()) for j in others}
    best = sorted(others, key=lambda j: -shared[j])[:MOST_PARTNERS]
    return [j for j in best if shared[j] > 0]
