# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a person said something in several views, the answers there have to fit each other.

Each such view is believed as much as the others. So one whose own choice took in half the table
would spoil all of them: more clicks would give worse masks. Therefore each view's candidates are
compared with the masks of the other prompted views, carried over on the points, and the one that
fits best is taken; the view that the others agree with most goes first.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.segment.base import PreparedScene, on_cells, probability
from mvsam_engine.segment.fusion import Fused, agreement, fuse
from mvsam_engine.segment.scale import Asked, point_fit

# What the decoder's own score of a candidate counts, against 1 for its agreement.
SCORE_WEIGHT = 0.5
# Share of a view's cells that the others' masks must reach for them to have a say in it.
LEAST_SHARED = 0.0005


def reconciled(
    scene: PreparedScene, asked: Mapping[int, Asked], logits: Mapping[int, NDArray[np.float32]]
) -> dict[int, NDArray[np.float32]]:
    """The candidates of the prompted views that fit each other.

    Args:
        scene: the views.
        asked: questions and answers by index of the view.
        logits: [cells] of the candidate that each view settled on by itself.

    Returns:
        [cells] logits by index of the view; of a single view as given.
    """
    first, *others = sorted(asked, key=lambda i: -_support(scene, i, logits))
    settled = {first: logits[first]}
    for i in others:
        masks = {j: probability(m) for j, m in settled.items()}
        told = fuse(i, scene.views, scene.tables, masks, dict.fromkeys(masks, 1.0))
        shared = told.solid_area(scene.views[i].shape) >= LEAST_SHARED
        settled[i] = _best_fit(scene, i, asked[i], told) if shared else logits[i]
    return settled


def _support(scene: PreparedScene, i: int, logits: Mapping[int, NDArray[np.float32]]) -> float:
    """How well the mask of view `i` fits those of the others, summed."""
    mask = {i: probability(logits[i])}
    return sum(
        agreement(probability(other), fuse(j, scene.views, scene.tables, mask, {i: 1.0}))
        for j, other in logits.items()
        if j != i
    )


def _best_fit(scene: PreparedScene, i: int, asked: Asked, told: Fused) -> NDArray[np.float32]:
    """Of the candidates that fit the person's points best, the one that other views agree with."""
    fits = point_fit(asked.answer.logits, asked.prompts)
    rows = [on_cells(scene.views[i], asked.answer, k) for k in range(len(fits))]
    agreed = np.array([agreement(probability(row), told) for row in rows])
    merits = np.where(fits >= fits.max(), agreed + SCORE_WEIGHT * asked.answer.scores, -np.inf)
    return rows[int(np.argmax(merits))]
