# SPDX-License-Identifier: GPL-3.0-or-later
"""The request ``preview``: quick, never loading anything, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from service_client import Engine
from square_scene import click, item, make_capture, prepared

from mvsam_engine.capture import Capture
from mvsam_engine.capture.schema import object_to_json
from mvsam_engine.errors import MvsamError, ProtocolError
from mvsam_engine.protocol import PreviewParams, PreviewResult, to_json
from mvsam_engine.segment.base import Segmenter
from mvsam_engine.service.previewing import preview


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_capture(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def lift(capture: Capture) -> Segmenter:
    return prepared("lift", capture)


def asked(capture: Capture, *prompts, view: str = "left", segmenter: str = "lift") -> PreviewParams:
    return PreviewParams(str(capture.root), view, object_to_json(item(*prompts)), segmenter)


def files(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_it_is_the_first_answer_and_nothing_is_written(capture: Capture, lift: Segmenter) -> None:
    before = files(capture.root)
    # The click in the other view does not count here.
    found = preview(asked(capture, click("left"), click("right")), [lift])
    assert found.ready and found.seconds < 5
    cells = np.repeat(np.arange(len(found.runs)) % 2 == 1, found.runs)
    expected = lift.first_answer(item(click("left")), "left").logits > 0
    np.testing.assert_array_equal(cells.reshape(found.height, found.width), expected)
    assert expected.any() and files(capture.root) == before
    assert PreviewResult.from_json(json.loads(json.dumps(to_json(found)))) == found


def test_it_loads_nothing(capture: Capture, lift: Segmenter, tmp_path: Path) -> None:
    assert not preview(asked(capture, click()), []).ready
    assert not preview(asked(capture, click(), segmenter="mvsam"), [lift]).ready
    (tmp_path / "other").mkdir()
    other = make_capture(tmp_path / "other")
    assert not preview(asked(other, click()), [lift]).ready


def test_prompts_that_cannot_be_answered_are_refused(capture: Capture, lift: Segmenter) -> None:
    with pytest.raises(MvsamError, match="no prompt that includes"):
        preview(asked(capture, click("right")), [lift])


def test_the_engine_that_is_not_ready_says_so_without_an_error(
    capture: Capture, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("wb") as log:
        engine = Engine(log)
        response = engine.ask(PreviewParams.METHOD, asked(capture, click()), timeout=60)
        engine.close()
    assert response.error is None
    assert not PreviewResult.from_json(response.result).ready


@pytest.mark.parametrize(
    "broken",
    [
        {"width": 3, "height": 2, "runs": [2, 3], "seconds": 0.1},
        {"width": 3, "height": 2, "runs": [7, -1], "seconds": 0.1},
        {"width": 9000, "height": 1, "runs": [9000], "seconds": 0.1},
        {"width": 1, "height": 1, "runs": ["x"], "seconds": 0.1},
    ],
)
def test_runs_that_do_not_fill_the_grid_are_refused(broken: dict) -> None:
    with pytest.raises(ProtocolError):
        PreviewResult.from_json(broken)
