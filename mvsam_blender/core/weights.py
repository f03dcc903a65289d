# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of the shown points, looked up in the fused answers by view, row and column."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import CaptureError

# A point belongs to an object when its weight is above this.
THRESHOLD = 0.5


def gather_weights(
    views: Sequence[str],
    view: NDArray[np.int32],
    row: NDArray[np.int32],
    column: NDArray[np.int32],
    fused: Callable[[str], NDArray[np.float16]],
) -> NDArray[np.float32]:
    """Weight of each point.

    Args:
        views: names that `view` indexes.
        view: [N] view of each point.
        row: [N] row in that view's pointmap.
        column: [N] column in that view's pointmap.
        fused: gives a view's weights [h, w] float16, 0..1 or NaN, on the pointmap's grid.

    Returns:
        [N] float32, 0..1; 0 where the answer is not known.

    Raises:
        CaptureError: an answer lies on another grid than the points.
    """
    weights = np.zeros(len(view), dtype=np.float32)
    for index, name in enumerate(views):
        here = np.nonzero(view == index)[0]
        if len(here) == 0:
            continue
        grid = fused(name)
        rows, columns = row[here], column[here]
        if rows.max() >= grid.shape[0] or columns.max() >= grid.shape[1]:
            raise CaptureError(
                "weights.grid",
                f"The weights of view {name!r} belong to an earlier reconstruction.",
                "Segment the object again.",
            )
        weights[here] = grid[rows, columns]
    return np.clip(np.nan_to_num(weights, copy=False, nan=0.0), 0.0, 1.0)


def strongest_object(
    weights: Sequence[NDArray[np.float32]], numbers: Sequence[int] | None = None
) -> NDArray[np.int32]:
    """Which object each point belongs to.

    Args:
        weights: [N] per object; at least one.
        numbers: one per object, above 0; 1, 2, ... when None.

    Returns:
        [N] int32: 0 for none, otherwise the number of the object with the highest weight above
        `THRESHOLD`; of equal weights the first counts.
    """
    best = np.full(len(weights[0]), THRESHOLD, dtype=np.float32)
    owner = np.zeros(len(weights[0]), dtype=np.int32)
    for number, weight in zip(numbers or range(1, len(weights) + 1), weights, strict=True):
        stronger = weight > best
        owner[stronger] = number
        best[stronger] = weight[stronger]
    return owner


def own_part(
    weights: NDArray[np.float32], owner: NDArray[np.int32], number: int
) -> NDArray[np.float32]:
    """An object's weights [N] float32 without the points that belong to another object.

    Args:
        weights: [N] of the object, 0..1.
        owner: [N] number of the object that each point belongs to, 0 for none.
        number: of the object.
    """
    return np.where((owner == 0) | (owner == number), weights, np.float32(0))


def quantise(weights: NDArray[np.float32], steps: int = 32) -> NDArray[np.int32]:
    """Weights rounded to whole `steps`-ths: [N] int32, 0..steps; never across `THRESHOLD`."""
    rounded = np.rint(weights * steps).astype(np.int32)
    rounded[(weights > THRESHOLD) & (rounded <= THRESHOLD * steps)] += 1
    return rounded
