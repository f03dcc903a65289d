# SPDX-License-Identifier: GPL-3.0-or-later
"""The inner loop of fusing, compiled: for every view, over all pairs of views, at every click."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.jit import kernel

# In a table: not seen there. Costs square photos the use of their last corner cell.
UNSEEN = np.uint16(65535)


_ROW = "float32[::1]"


@kernel(f"void(uint16[::1], {_ROW}, {_ROW}, {_ROW}, float32, {_ROW}, {_ROW})", parallel=False)
def add_opinion(
    table: NDArray[np.uint16],
    own: NDArray[np.float32],
    confidence: NDArray[np.float32],
    mask: NDArray[np.float32],
    trust: float,
    total: NDArray[np.float32],
    evidence: NDArray[np.float32],
) -> None:
    """Add what another view says of this view's cells, in place.

    The plain form of it is in tests/engine/test_joining.py.

    Args:
        table: [cells] the other view's cell that shows the same surface, or `UNSEEN`.
        own: [cells] confidence of this view's points.
        confidence: [other cells] of the other view's points.
        mask: [other cells] 0..1 of the other view.
        trust: say of the other view.
        total: [cells] sum of say times mask.
        evidence: [cells] sum of say.
    """
    for cell in range(table.shape[0]):
        other = table[cell]
        if other != UNSEEN:
            say = trust * own[cell] * confidence[other]
            total[cell] += say * mask[other]
            evidence[cell] += say
