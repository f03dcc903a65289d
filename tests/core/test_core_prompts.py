# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts and revisions: one number never names two sets of prompts."""

from __future__ import annotations

from mvsam_blender.core.prompts import (
    Revisions,
    can_segment,
    is_pending,
    is_stale,
    nearest_prompt,
)
from mvsam_engine.capture import Prompt, SceneObject

YES = Prompt("point", "a", xy=((10.0, 20.0),))
NO = Prompt("point", "a", include=False, xy=((30.0, 20.0),))
BOX = Prompt("box", "b", xy=((0.0, 0.0), (50.0, 50.0)))


def test_revisions_count_on_after_undo():
    revisions = Revisions()
    first = revisions.next("cup", 0)
    second = revisions.next("cup", first)
    # Undo brings revision `first` back; the next change must not be `second` again.
    third = revisions.next("cup", first)
    assert (first, second, third) == (1, 2, 3)


def test_revisions_of_objects_are_their_own():
    revisions = Revisions()
    revisions.observe("cup", 7)
    assert revisions.next("cup", 0) == 8
    assert revisions.next("book", 0) == 1
    revisions.observe("cup", 3)
    assert revisions.next("cup", 0) == 9


def test_nearest_prompt_is_of_the_same_view_and_within_reach():
    prompts = (YES, NO, BOX)
    assert nearest_prompt(prompts, "a", (12, 20), 5) == 0
    assert nearest_prompt(prompts, "a", (27, 22), 5) == 1
    assert nearest_prompt(prompts, "a", (20, 20), 5) is None
    assert nearest_prompt(prompts, "b", (48, 49), 5) == 2
    assert nearest_prompt(prompts, "c", (10, 20), 1000) is None
    # Exactly in the middle the newer one wins, which lies on top.
    assert nearest_prompt(prompts, "a", (20, 20), 10) == 1


def cup(*prompts, revision=4, answered=0):
    return SceneObject("cup", "Cup", prompts=prompts, revision=revision, answered=answered)


def test_pending_until_the_answer_is_of_the_same_revision():
    assert is_pending(cup(YES))
    assert not is_pending(cup(YES, answered=4))
    assert is_pending(cup(YES, NO, revision=5, answered=4))
    # After undo the answer may be of a later revision.
    assert is_pending(cup(YES, revision=4, answered=5))
    assert not is_pending(cup(revision=0))


def test_answers_to_other_prompts_are_stale():
    assert not is_stale(4, cup(YES))
    assert is_stale(3, cup(YES)) and is_stale(5, cup(YES)) and is_stale(4, None)


def test_only_prompts_that_include_can_be_answered():
    assert not can_segment(cup())
    assert not can_segment(cup(NO))
    assert can_segment(cup(NO, YES))
