# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order views are asked: from the prompted ones outward.

A view far from the prompts shares one side of the object with them. Asked at once, it answers with
that side alone and from then on speaks against the others. Asked after the views between, it hears
of all that these have seen.

Convention: cells as in `segment.scene`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.segment.kernels import UNSEEN
from mvsam_engine.segment.visibility import VisibilityTables


class Waves:
    """The views that have not answered yet.

    Args:
        tables: which cells of two views show the same point.
        views: indices of all views.
        share: a view's turn comes when it sees this share of what some view has found.
    """

    def __init__(self, tables: VisibilityTables, views: Collection[int], share: float) -> None:
        self._tables, self._share = tables, share
        self._seen = dict.fromkeys(views, 0.0)

    def answered(self, masks: Mapping[int, NDArray[np.bool_]]) -> None:
        """Hear of the masks [cells] of some views; they are no longer waited for."""
        for j, mask in masks.items():
            self._seen.pop(j, None)
            area = max(1, int(mask.sum()))
            for i, table in self._tables.partners(j).items():
                if i in self._seen:
                    share = int((table[mask] != UNSEEN).sum()) / area
                    self._seen[i] = max(self._seen[i], share)

    def next(self) -> list[int]:
        """The views whose turn it is, the nearest one at least; none when nobody sees anything."""
        nearest = max(self._seen.values(), default=0.0)
        if nearest <= 0:
            return []
        return [i for i, share in self._seen.items() if share >= min(nearest, self._share)]

    def give_up(self, views: Collection[int]) -> None:
        """Ask some views no more."""
        for i in views:
            self._seen.pop(i, None)
