# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a view's depths are measured: other views see the same, and they are likely right."""

from __future__ import annotations

import numpy as np

from mvsam_engine.reconstruct.classical.confidence import chance_within_one_percent
from mvsam_engine.reconstruct.classical.consistency import DepthMap, ask, without_speckles
from mvsam_engine.reconstruct.classical.patchmatch import pixels_per_inverse
from mvsam_engine.reconstruct.classical.undistort import FloatMap, WorkingView

# Depths that are less likely right are rather guessed from what is around them.
LEAST_CHANCE = 0.3


def measured(
    view: WorkingView,
    found: DepthMap,
    others: list[tuple[WorkingView, FloatMap]],
    sources: list[WorkingView],
) -> DepthMap:
    """What other views confirm of one view's depth map.

    Args:
        view: the view to check.
        found: its matched depth.
        others: the views to ask, with their matched depth.
        sources: the views that it was matched with.

    Returns:
        Mean of the agreeing depths, 0 where no other view agrees or it is probably wrong, with
        the confidence, above `LEAST_CHANCE`.
    """
    if not others or not sources:
        nothing = np.zeros_like(found.depth)
        return DepthMap(nothing, nothing)
    votes = ask(view, found.depth, others)
    moves = float(np.median([pixels_per_inverse(view, source) for source in sources]))
    chance = chance_within_one_percent(view, votes, found.score, moves)
    likely = (chance > LEAST_CHANCE) & (view.gray >= 0)
    return without_speckles(
        DepthMap(
            depth=np.where(likely, votes.depth, np.float32(0.0)),
            score=np.where(likely, chance, np.float32(0.0)),
        )
    )
