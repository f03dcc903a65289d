# SPDX-License-Identifier: GPL-3.0-or-later
"""Previews while the mouse rests: one question at a time, nothing stale, no slow engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mvsam_blender.core.hover import FORGOTTEN, PAUSE, REST, TOO_SLOW, Hover, Question
from mvsam_engine.protocol import PreviewResult

SIZE = (80, 60)
PLACE = Question("/capture", "mug", 3, "IMG_1", 20.0, 30.0)
# The left half of an 8 x 2 grid is object.
LEFT = PreviewResult(8, 2, (0, 4, 4, 4, 4), 0.05)


def at(x, y=30.0, **changes):
    return replace(PLACE, x=x, y=y, **changes)


@pytest.fixture
def hover():
    made = Hover()
    made.follow(PLACE, SIZE, 10.0)
    return made


def ask(hover, now, request=1):
    question = hover.wanted(now)
    assert question is not None
    hover.asked(request, question)
    return question


def test_it_asks_once_the_mouse_rests(hover):
    assert hover.wanted(10.0 + REST / 2) is None
    assert ask(hover, 10.0 + REST * 1.01) == PLACE
    assert hover.is_open(1) and not hover.is_open(2) and hover.waits


def test_a_hand_that_trembles_rests(hover):
    hover.follow(at(20.5), SIZE, 10.0 + REST)
    assert hover.wanted(10.0 + REST * 1.01) is not None


def test_never_more_than_one_question(hover):
    ask(hover, 11.0)
    hover.follow(at(40.0), SIZE, 11.1)
    assert hover.wanted(12.0) is None


def test_the_answer_is_shown_where_it_was_asked(hover):
    ask(hover, 11.0)
    assert hover.answered(LEFT, 11.1)
    assert hover.preview.mask.tolist() == [[1, 1, 1, 1, 0, 0, 0, 0]] * 2
    assert hover.wanted(12.0) is None, "the same is not asked again"


def test_an_answer_for_where_the_mouse_was_is_dropped(hover):
    ask(hover, 11.0)
    hover.follow(at(60.0), SIZE, 11.05)
    assert not hover.answered(LEFT, 11.1) and hover.preview is None
    assert hover.wanted(11.2) == at(60.0)


def test_inside_its_mask_a_preview_stays_until_the_next_and_goes_outside(hover):
    ask(hover, 11.0)
    hover.answered(LEFT, 11.1)
    assert not hover.follow(at(35.0), SIZE, 11.2) and hover.preview is not None
    assert hover.wanted(11.4) == at(35.0)
    assert hover.follow(at(45.0), SIZE, 11.5) and hover.preview is None


@pytest.mark.parametrize(
    "place", [None, at(20.0, view="IMG_2"), at(20.0, revision=4), at(20.0, object_id="cup")]
)
def test_elsewhere_and_for_other_prompts_nothing_is_shown(hover, place):
    ask(hover, 11.0)
    hover.answered(LEFT, 11.1)
    assert hover.follow(place, SIZE, 11.2) and hover.preview is None


@pytest.mark.parametrize(
    "result", [PreviewResult(0, 0, (), 0.0), replace(LEFT, seconds=TOO_SLOW * 2)]
)
def test_an_engine_that_is_slow_or_not_ready_is_left_alone_for_a_while(hover, result):
    ask(hover, 11.0)
    assert not hover.answered(result, 11.1) and hover.preview is None
    hover.follow(at(50.0), SIZE, 11.2 + PAUSE / 2)
    assert hover.wanted(11.0 + PAUSE) is None
    assert hover.wanted(11.2 + PAUSE) is not None


def test_what_was_refused_is_not_asked_again_there(hover):
    ask(hover, 11.0)
    hover.failed()
    assert not hover.waits and hover.wanted(11.5) is None
    hover.follow(at(50.0), SIZE, 11.6)
    assert hover.wanted(11.8) is not None


def test_a_mouse_that_left_without_a_word_is_forgotten(hover):
    ask(hover, 11.0)
    hover.answered(LEFT, 11.1)
    assert not hover.fade(10.0 + FORGOTTEN - 0.1) and hover.preview is not None
    assert hover.fade(10.0 + FORGOTTEN + 0.1) and hover.preview is None
    assert hover.wanted(10.0 + FORGOTTEN + 0.2) is None


def test_clear_forgets_place_and_preview(hover):
    ask(hover, 11.0)
    hover.answered(LEFT, 11.1)
    assert hover.clear() and hover.preview is None and hover.wanted(12.0) is None
    assert not hover.clear()


def test_an_answer_without_a_question_changes_nothing(hover):
    assert not hover.answered(LEFT, 11.0) and hover.preview is None
