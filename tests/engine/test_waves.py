# SPDX-License-Identifier: GPL-3.0-or-later
"""Views are asked from the prompted ones outward."""

import numpy as np

from mvsam_engine.segment.kernels import UNSEEN
from mvsam_engine.segment.waves import Waves

CELLS = 100


class Ring:
    """Views 0 to n - 1, each of which shares `shared` of its 100 cells with its neighbours."""

    def __init__(self, count, shared):
        self._count, self._shared = count, shared

    def partners(self, i):
        tables = {}
        for j in (i - 1, i + 1):
            if 0 <= j < self._count:
                table = np.full(CELLS, UNSEEN, np.uint16)
                table[: self._shared] = np.arange(self._shared)
                tables[j] = table
        return tables


def everything():
    return np.ones(CELLS, bool)


def test_views_come_from_the_prompted_one_outward():
    waves = Waves(Ring(5, 80), range(5), share=0.6)
    waves.answered({2: everything()})
    order = []
    while wave := waves.next():
        order.append(sorted(wave))
        waves.answered({i: everything() for i in wave})
    assert order == [[1, 3], [0, 4]]


def test_the_nearest_is_asked_when_none_sees_enough():
    waves = Waves(Ring(3, 20), range(3), share=0.6)
    waves.answered({0: everything()})
    assert waves.next() == [1]


def test_only_what_was_found_counts():
    waves = Waves(Ring(3, 20), range(3), share=0.6)
    hidden = everything()
    hidden[:20] = False  # the next view sees nothing of this
    waves.answered({0: hidden})
    assert waves.next() == []


def test_what_was_given_up_is_not_asked_again():
    waves = Waves(Ring(4, 80), range(4), share=0.6)
    waves.answered({0: everything()})
    assert waves.next() == [1]
    waves.give_up([1])
    assert waves.next() == []


def test_nothing_is_asked_before_anything_is_known():
    assert Waves(Ring(3, 80), range(3), share=0.6).next() == []
