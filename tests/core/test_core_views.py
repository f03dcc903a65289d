# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an object in each photo, what to check first, and how long a check holds."""

from __future__ import annotations

import numpy as np
import pytest

from mvsam_blender.core.views import (
    ViewAnswer,
    ViewState,
    carry_checks,
    least_sure,
    next_in,
    state_of,
    to_check,
)
from mvsam_blender.core.weights import own_part, strongest_object

SURE = ViewAnswer(1.0, 0.95, 0.20)
DOUBTFUL = ViewAnswer(1.0, 0.55, 0.10)
WORSE = ViewAnswer(0.8, 0.30, 0.10)
GONE = ViewAnswer(0.1, 0.90, 0.0)
CHECKED = ViewAnswer(1.0, 0.20, 0.10, checked=True)


@pytest.mark.parametrize(
    ("placed", "answer", "pending", "state"),
    [
        (False, None, False, ViewState.NOT_PLACED),
        (False, SURE, True, ViewState.NOT_PLACED),
        (True, SURE, True, ViewState.PENDING),
        (True, None, False, ViewState.UNANSWERED),
        (True, GONE, False, ViewState.ABSENT),
        (True, DOUBTFUL, False, ViewState.LOW),
        (True, CHECKED, False, ViewState.CHECKED),
        (True, SURE, False, ViewState.ANSWERED),
    ],
)
def test_states(placed, answer, pending, state):
    assert state_of(placed, answer, pending, check_below=0.8) is state


def test_the_least_sure_come_first_and_what_is_checked_or_absent_does_not():
    answers = {"a": SURE, "b": DOUBTFUL, "c": GONE, "d": CHECKED, "e": WORSE}
    assert to_check(answers, 0.8) == ["e", "b"]
    assert to_check(answers, 0.4) == ["e"]
    assert to_check(answers, 1.0) == ["e", "b", "a"]
    assert least_sure(answers) == "d"
    assert least_sure({"c": GONE}) == ""


def test_going_on_to_the_next():
    assert next_in(["e", "b", "a"], "other") == "e"
    assert next_in(["e", "b", "a"], "e") == "b"
    assert next_in(["e", "b", "a"], "a") == "e"
    assert next_in(["e"], "e") is None
    assert next_in([], "e") is None


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (ViewAnswer(1.0, 0.9, 0.105), True),  # 5 % more
        (ViewAnswer(1.0, 0.1, 0.10), True),  # a person's word counts more than the confidence
        (ViewAnswer(1.0, 0.9, 0.15), False),
        (ViewAnswer(1.0, 0.9, 0.05), False),
        (ViewAnswer(0.2, 0.9, 0.10), False),
    ],
)
def test_a_check_ends_when_the_mask_changes(now, holds):
    carried = carry_checks({"a": CHECKED, "b": SURE}, [("a", now), ("b", now), ("new", now)])
    assert carried["a"].checked is holds
    assert (carried["a"].confidence, carried["a"].area) == (now.confidence, now.area)
    assert not carried["b"].checked and not carried["new"].checked


def test_overlap_goes_to_the_highest_weight_under_the_objects_own_numbers():
    mug = np.array([0.9, 0.6, 0.2, 0.7, 0.4], np.float32)
    cup = np.array([0.1, 0.8, 0.4, 0.7, 0.6], np.float32)
    owner = strongest_object([mug, cup], [5, 2])
    assert owner.tolist() == [5, 2, 0, 5, 2]  # of equal weights the first object wins
    # What nobody owns keeps its weight in both: a lower threshold may still take it in.
    np.testing.assert_array_equal(own_part(mug, owner, 5), np.float32([0.9, 0, 0.2, 0.7, 0]))
    np.testing.assert_array_equal(own_part(cup, owner, 2), np.float32([0, 0.8, 0.4, 0, 0.6]))
