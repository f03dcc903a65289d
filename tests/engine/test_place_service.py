# SPDX-License-Identifier: GPL-3.0-or-later
"""The request ``place``: a real engine process places a capture, refuses, and sets one back."""

import numpy as np
import pytest
from service_client import Engine
from standing_scene import World, make, ring, rotation

from mvsam_engine import protocol as p
from mvsam_engine.capture import Placement, schema

WORLD = World(rotation(4), 0.6, (1.0, 2.0, 3.0))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with (tmp_path_factory.mktemp("log") / "log.txt").open("wb") as log:
        engine = Engine(log)
        yield engine
        engine.close()


def test_place_over_the_protocol(engine, tmp_path):
    capture = make(tmp_path / "c", WORLD)
    camera = ring()[4]
    ends = [camera.project(np.array([x, 0, 0.7]))[0] for x in (-0.5, 0.5)]
    known = p.KnownDistance(camera.view, *map(float, ends[0]), camera.view, *map(float, ends[1]), 1)
    params = p.PlaceParams(str(capture.root), upright=True, ground=True, distances=(known,))
    response = engine.ask("place", params)
    assert response.error is None
    result = p.PlaceResult.from_json(response.result)
    assert result.up_from == "plane"
    assert result.lengths[0].found == pytest.approx(1.0)
    assert len(result.sentences) == 3
    stored = capture.require_reconstruction().placement
    assert schema.placement_to_json(stored) == result.placement
    assert stored.scale * WORLD.scale == pytest.approx(1.0, rel=0.01)


def test_an_exact_placement_and_clearing_it(engine, tmp_path):
    capture = make(tmp_path / "c", WORLD)
    wished = schema.placement_to_json(Placement(2.0, np.eye(4), True, False, "by hand"))
    response = engine.ask("place", p.PlaceParams(str(capture.root), placement=wished))
    assert response.result["placement"] == wished
    assert capture.require_reconstruction().placement.scale == 2.0
    engine.ask("place", p.PlaceParams(str(capture.root), reset=True))
    assert capture.require_reconstruction().placement.is_default


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({}, "place.nothing"),
        ({"camera_height": -1.0}, "place.length"),
        ({"baselines": (p.KnownBaseline("v00", "v01", float(0)),)}, "place.length"),
        ({"placement": {"scale": 0}}, "json.field"),
        ({"placement": {"scale": 0, "matrix": np.eye(4).tolist()}}, "placement.invalid"),
    ],
)
def test_bad_requests_are_refused_with_a_code(engine, tmp_path, what, code):
    capture = make(tmp_path / "c", WORLD)
    response = engine.ask("place", p.PlaceParams(str(capture.root), **what))
    assert response.error.code == code
    assert capture.require_reconstruction().placement.is_default


def test_fields_of_the_wrong_type_are_refused():
    for wrong in ({"upright": 1}, {"distances": [{"first_view": 3}]}, {"camera_height": "tall"}):
        with pytest.raises(p.messages.ProtocolError):
            p.PlaceParams.from_json({"capture": "c"} | wrong)
