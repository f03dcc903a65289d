# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure marks, scale, up and undo by mouse and keyboard, on true points in a world askew."""

from __future__ import annotations

import numpy as np
import pytest
import sample

from mvsam_engine.capture import Capture, Placement, Pointmap, Reconstruction
from mvsam_engine.capture.lifting import lift

VIEWS = [f"tabletop_{number:02d}" for number in range(3, 9)]
VIEW = sample.best_view("robot", VIEWS)
LEFT, RIGHT = (sample.inside(name, VIEW) for name in ("robot", "books"))


def askew() -> Placement:
    """From the truth, upright and in metres, to a world that is neither."""
    a, b = np.radians([50.0, 25.0])
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_z = [[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.array(about_x) @ np.array(about_z), (0.5, 1.0, -0.3)
    return Placement(2.7, matrix)


def turn_over(capture: Capture) -> float:
    """Put the true capture askew; the true distance of the two places."""
    true = capture.require_reconstruction()
    camera = true.camera(VIEW)
    ends = [lift(camera, capture.pointmap(VIEW), *xy).point for xy in (LEFT, RIGHT)]
    maps = [capture.pointmap(c.view) for c in true.cameras]
    with capture.writing(), capture.transaction() as transaction:
        placed = tuple(askew().place_camera(c) for c in true.cameras)
        capture.put_reconstruction(Reconstruction(placed, method="truth, askew"), transaction)
        for found in maps:
            points = askew().apply(found.points).astype(np.float32)
            moved = Pointmap(found.view, points, found.confidence, found.colors)
            capture.put_pointmap(moved, transaction)
    return float(np.linalg.norm(ends[0] - ends[1]))


@pytest.fixture(scope="module")
def played(play, extension_zip, engine):
    from conftest import RESULTS

    ready = RESULTS / "place_and_scale_capture"
    distance = turn_over(sample.true_capture(ready, VIEWS))
    return play(
        "place_and_scale",
        timeout=300,
        bring={"capture": ready},
        zip=extension_zip,
        engine=engine,
        view=VIEW,
        left=LEFT,
        right=RIGHT,
        distance=distance,
    )


def test_clicks_with_the_tool_set_marks_and_undo_takes_one(played):
    assert played.report["tool"] == "mvsam.measure_tool"
    assert np.abs(np.array(played.report["marks"]) - [LEFT, RIGHT]).max() < 3
    assert played.report["marks_undone"] == 1
    assert np.abs(np.array(played.report["marks_again"]) - [LEFT, RIGHT]).max() < 3


def test_set_scale_makes_metres(played):
    scale = np.linalg.norm(np.array(played.report["scaled"])[:3, 0])
    assert scale * askew().scale == pytest.approx(1.0, rel=0.02)


def test_set_upright_turns_the_table_level(played):
    up = np.array(played.report["upright"])[:3, :3] @ askew().matrix[:3, 2]
    tilt = np.degrees(np.arccos(up[2] / np.linalg.norm(up)))
    assert tilt < 0.2
    assert "Turned upright" in played.report["message"]


def test_undo_takes_it_back_in_the_scene_and_in_the_capture(played):
    assert played.report["undo_presses"] <= 2
    assert np.array(played.report["undone"]) == pytest.approx(
        np.array(played.report["scaled"]), abs=1e-5
    )
    stored = Capture.open(played.folder / "capture").require_reconstruction().placement
    assert stored.transform == pytest.approx(np.array(played.report["scaled"]), abs=1e-4)
    assert not stored.upright


def test_pictures_were_taken(played):
    assert [p.name for p in played.shots()] == [
        "01_askew.png",
        "02_marks.png",
        "03_upright_and_scaled.png",
        "04_undone.png",
    ]
