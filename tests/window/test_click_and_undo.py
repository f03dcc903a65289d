# SPDX-License-Identifier: GPL-3.0-or-later
"""Clicks, corrections, undo and redo by mouse and keyboard, on true cameras and points."""

from __future__ import annotations

import pytest
import sample

VIEWS = [f"tabletop_{number:02d}" for number in range(3, 9)]
# Ones that a single click settles; how well others do is measured by the benchmarks, not here.
FIRST, SECOND = "robot", "mug"
CLICKED = sample.best_view(FIRST, VIEWS[:-1])  # there is a next photo


@pytest.fixture(scope="module")
def played(play, extension_zip, engine):
    from conftest import RESULTS

    # Beside the scenario's own folder, which is emptied before it starts; it is copied in.
    ready = RESULTS / "click_and_undo_capture"
    sample.true_capture(ready, VIEWS)
    return play(
        "click_and_undo",
        timeout=500,
        bring={"capture": ready},
        zip=extension_zip,
        engine=engine,
        view=CLICKED,
        first=sample.inside(FIRST, CLICKED),
        not_this=sample.inside("books", CLICKED),
        second=sample.inside(SECOND, CLICKED),
    )


def test_nothing_is_there_before_the_first_click(played):
    assert played.report["empty"]["objects"] == []


def test_first_click_makes_an_object_with_masks_everywhere(played):
    assert played.report["one"]["prompts"] == [1]
    assert played.report["one"]["current"] == [True]
    weights = played.report["weights"]
    assert 100 < weights["in_object"] < 0.3 * weights["points"]
    assert weights["group_differs"] == 0


def test_ctrl_click_excludes(played):
    assert played.report["two"]["prompts"] == [2]
    assert played.report["included"] == [True, False]


def test_undo_brings_back_one_click_and_its_weights(played):
    assert played.report["undone"]["prompts"] == [1]
    assert played.report["undone"]["current"] == [True]
    assert played.report["undone"]["points"] == played.report["one"]["points"]
    assert played.report["undone_weights"] == played.report["weights"]
    # One for the answer, one for the click.
    assert played.report["undo_presses"]["one click"] <= 2


def test_redo_brings_the_second_click_back(played):
    assert played.report["redone"]["prompts"] == [2]


def test_shift_click_begins_another_object(played):
    after = played.report["second_object"]
    assert len(after["objects"]) == 2
    assert after["prompts"][1] == 1
    assert after["current"][1]


def test_masks_of_the_second_object_fit_the_truth(played):
    capture = played.folder / "capture"
    overlaps = sample.overlaps(capture, played.report["second_id"], SECOND)
    print({view: round(value, 2) for view, value in overlaps.items()})
    assert overlaps[CLICKED] > 0.7
    assert sum(overlaps.values()) / len(overlaps) > 0.6


def test_page_down_shows_the_next_photo(played):
    assert VIEWS[VIEWS.index(CLICKED) + 1] in played.report["next_photo"]


def test_undo_goes_back_to_before_the_first_click(played):
    assert played.report["emptied"]["objects"] == []
    assert played.report["points_left"] == played.report["weights"]["points"]
