# SPDX-License-Identifier: GPL-3.0-or-later
"""Placing the world: up from floor and cameras, ground, scale, and what is refused in words."""

import json
from dataclasses import replace

import numpy as np
import pytest
from standing_scene import FLOOR, TABLE, WALL, World, fill, make, ring, rotation
from typer.testing import CliRunner

from mvsam_engine.capture import Placement, Reconstruction
from mvsam_engine.cli import app
from mvsam_engine.errors import MvsamError, PlacementError, UsageError
from mvsam_engine.place.carry import carry_placement, compare_cameras
from mvsam_engine.place.ground import find_ground
from mvsam_engine.place.samples import sample_capture
from mvsam_engine.place.scale import Baseline, Distance, Spot, parse_length
from mvsam_engine.place.world import Wish, place
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.normalise import camera_up

UP = np.array([0.0, 0.0, 1.0])
TILTED = World(rotation(7), 0.37, (0.4, -2.0, 1.0))


class Listening(Progress):
    """Keeps warnings."""

    def __init__(self):
        super().__init__()
        self.codes = []

    def on_warning(self, code, message, remedy):
        self.codes.append(code)


def wish(capture, **what):
    """Place, as the engine does."""
    with capture.writing():
        return place(capture, Wish(**what), Progress())


def degrees(world, placement) -> float:
    """Angle between true up and the person's +Z."""
    up = placement.matrix[:3, :3] @ world.turn @ UP
    return float(np.degrees(np.arccos(np.clip(up[2], -1, 1))))


def spot(camera, point) -> Spot:
    """Where a truth point is seen."""
    xy, _ = camera.project(np.array(point, float))
    return Spot(camera.view, float(xy[0]), float(xy[1]))


def search(capture):
    """Samples, cameras' up, and the plane."""
    cameras = capture.require_reconstruction().cameras
    samples = sample_capture(capture, cameras, Progress())
    sideways = np.array([c.camera_from_world[0, :3] for c in cameras])
    held = camera_up(cameras)
    return held, find_ground(samples, held, sideways)


# --- up ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_floor_makes_up_better_than_the_cameras_alone(tmp_path, seed):
    world = World(rotation(seed), 0.5 + seed, (seed, 2.0, -1.0))
    capture = make(tmp_path / "c", world, ring(roll=2.0))
    held, plane = search(capture)
    placed = wish(capture, upright=True)
    by_cameras = np.degrees(np.arccos(np.clip(held.direction @ world.turn @ UP, -1, 1)))
    assert held.trusted
    assert placed.up_from == "plane"
    assert degrees(world, placed.placement) < min(0.1, by_cameras)
    assert placed.up_degrees < 0.1
    assert plane.convincing
    assert 0.2 < plane.support < 0.9
    assert capture.require_reconstruction().is_upright


def test_a_wall_is_no_ground_however_much_of_it_is_seen(tmp_path):
    capture = make(tmp_path / "c", TILTED, rectangles=(WALL, TABLE))
    _, plane = search(capture)
    assert abs(plane.normal @ TILTED.turn @ UP) > np.cos(np.radians(0.5))
    only_wall = make(tmp_path / "d", TILTED, rectangles=(WALL,))
    placed = wish(only_wall, upright=True)
    assert placed.up_from == "cameras"
    assert placed.ground is None
    assert degrees(TILTED, placed.placement) < placed.up_degrees + 0.5


def test_a_ramp_does_not_turn_the_world(tmp_path):
    a = np.radians(20)
    ramp = ((-4, -4 * np.cos(a), -4 * np.sin(a)), (8, 0, 0), (0, 8 * np.cos(a), 8 * np.sin(a)))
    capture = make(tmp_path / "c", TILTED, rectangles=(ramp,))
    placed = wish(capture, upright=True)
    assert placed.up_from == "cameras"
    assert degrees(TILTED, placed.placement) < 1.5


def test_photos_on_their_side_do_not_turn_the_world():
    cameras = list(ring(12, roll=0.5))
    quarter = np.eye(4)
    quarter[:2, :2] = [[0, -1], [1, 0]]
    for i in (2, 5, 9):
        cameras[i] = replace(cameras[i], camera_from_world=quarter @ cameras[i].camera_from_world)
    held = camera_up(tuple(cameras))
    assert held.trusted
    assert np.degrees(np.arccos(held.direction @ UP)) < 1.0


def test_looking_one_way_the_floor_tells_the_pitch_that_the_cameras_leave_open(tmp_path):
    row = []
    for i in range(6):
        camera = ring(3, roll=0.3)[1]
        matrix = camera.camera_from_world.copy()
        matrix[0, 3] += 0.15 * i
        row.append(replace(camera, view=f"v{i:02}", camera_from_world=matrix))
    capture = make(tmp_path / "c", TILTED, tuple(row))
    held, _ = search(capture)
    placed = wish(capture, upright=True)
    assert not held.trusted
    assert placed.up_from == "plane"
    assert degrees(TILTED, placed.placement) < 0.3


def test_when_nothing_tells_up_it_is_refused_and_nothing_changes(tmp_path):
    capture = make(tmp_path / "c", TILTED, ring(2), rectangles=(WALL,))
    before = (capture.root / "cameras.json").read_bytes()
    with pytest.raises(PlacementError, match="Which way is up cannot be told"):
        wish(capture, upright=True)
    assert (capture.root / "cameras.json").read_bytes() == before


def test_turning_upright_turns_no_further_than_needed(tmp_path):
    slight = World(
        np.array([[1, 0, 0], [0, np.cos(0.1), -np.sin(0.1)], [0, np.sin(0.1), np.cos(0.1)]])
    )
    capture = make(tmp_path / "c", slight)
    placement = wish(capture, upright=True).placement
    assert placement.matrix[:3, :3] @ slight.turn == pytest.approx(np.eye(3), abs=3e-3)


# --- ground ------------------------------------------------------------------------------------


def test_the_ground_lies_at_zero(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    placement = wish(capture, upright=True, ground=True).placement
    floor = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    unit = TILTED.scale
    assert TILTED.person(placement, floor)[:, 2] == pytest.approx(0.0, abs=0.004 * unit)
    assert TILTED.person(placement, floor + np.array([0, 0, 0.7]))[:, 2] == pytest.approx(
        0.7 * unit, abs=0.004 * unit
    )


def test_without_a_plane_the_lowest_points_are_the_ground(tmp_path):
    capture = make(tmp_path / "c", TILTED, rectangles=(WALL,))
    placed = wish(capture, upright=True, ground=True)
    assert "lowest trusted points" in " ".join(placed.sentences)
    heights = placed.placement.apply(
        np.concatenate([capture.pointmap(c.view).points.reshape(-1, 3) for c in ring()])
    )[:, 2]
    assert 0.005 < (heights[np.isfinite(heights)] < 0).mean() < 0.08


# --- scale -------------------------------------------------------------------------------------


def test_a_known_distance_makes_metres(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    camera = ring()[4]
    known = Distance(spot(camera, (-0.5, 0, 0.7)), spot(camera, (0.5, 0.2, 0.7)), np.hypot(1, 0.2))
    placed = wish(capture, distances=(known,))
    assert placed.placement.scale * TILTED.scale == pytest.approx(1.0, rel=0.004)
    assert placed.placement.metric
    assert not placed.placement.upright
    assert capture.require_reconstruction().is_metric


def test_several_lengths_are_averaged_and_their_residuals_told(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    one, other = ring()[3], ring()[6]
    long = Distance(spot(one, (-0.5, 0, 0.7)), spot(other, (0.5, 0, 0.7)), 1.02)
    back = Baseline(one.view, other.view, float(np.linalg.norm(one.center - other.center)))
    placed = wish(capture, distances=(long,), baselines=(back,))
    shares = [r.share for r in placed.residuals]
    assert shares[0] == pytest.approx(shares[1] - 0.02, abs=0.004)
    assert min(shares) < 0 < max(shares)
    assert placed.placement.scale * TILTED.scale == pytest.approx(1.01, rel=0.01)
    assert sum("given" in s for s in placed.sentences) == 2


def test_a_slip_of_the_unit_is_noticed(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    camera = ring()[4]
    ends = spot(camera, (-0.5, 0, 0.7)), spot(camera, (0.5, 0, 0.7))
    with pytest.raises(PlacementError, match="factor of"):
        wish(capture, distances=(Distance(*ends, 1.0), Distance(*ends, 100.0)))


def test_a_known_height_of_the_camera_makes_metres_and_says_how_sure(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    placed = wish(capture, upright=True, ground=True, camera_height=1.6)
    assert placed.placement.scale * TILTED.scale == pytest.approx(1.0, rel=0.005)
    floor = np.array([[1.0, 0.5, 0.0], [-1, 1, 0]])
    assert TILTED.person(placed.placement, floor)[:, 2] == pytest.approx(0.0, abs=0.005)
    assert any("heights differ by 0 %" in s for s in placed.sentences)


def test_a_height_without_a_ground_is_refused(tmp_path):
    capture = make(tmp_path / "c", TILTED, rectangles=(WALL,))
    with pytest.raises(PlacementError, match="No ground was found"):
        wish(capture, camera_height=1.6)


def test_an_uncertain_place_is_refused_with_its_confidence(tmp_path):
    capture = make(tmp_path / "c", TILTED, confidence=0.25)
    camera = ring()[4]
    known = Distance(spot(camera, (-0.5, 0, 0.7)), spot(camera, (0.5, 0, 0.7)), 1.0)
    with pytest.raises(MvsamError, match=r"confidence is about 0\.25, 0\.5 is needed"):
        wish(capture, distances=(known,))


def test_a_point_that_other_photos_see_past_is_refused(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    camera = ring()[4]
    path = capture.root / "pointmaps" / f"{camera.view}.npy"
    points = np.load(path)
    middle = TILTED.camera(camera).center
    np.save(path, (middle + 0.8 * (points - middle)).astype(np.float32))  # all of it too near
    ends = spot(camera, (-0.5, 0, 0.7)), spot(camera, (0.5, 0, 0.7))
    with pytest.raises(PlacementError, match=r"Other photos do not confirm .* confidence is 0\.90"):
        wish(capture, distances=(Distance(*ends, 1.0),))


def test_with_one_photo_alone_nobody_can_disagree(tmp_path):
    capture = make(tmp_path / "c", TILTED, ring()[4:5])
    camera = ring()[4]
    ends = spot(camera, (-0.5, 0, 0.7)), spot(camera, (0.5, 0, 0.7))
    placed = wish(capture, distances=(Distance(*ends, 1.0),))
    assert placed.placement.scale * TILTED.scale == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ({}, "Nothing was asked for"),
        ({"distances": (Distance(Spot("x", 1, 1), Spot("v00", 1, 1), 1.0),)}, "no view 'x'"),
        ({"baselines": (Baseline("v00", "v00", 1.0),)}, "same place"),
        ({"baselines": (Baseline("v00", "nope", 1.0),)}, "no camera"),
        (
            {"distances": (Distance(Spot("v00", 160, 200), Spot("v00", 9e9, 1), 1.0),)},
            "outside photo",
        ),
        (
            {"distances": (Distance(Spot("v04", 160, 120), Spot("v04", 160.0, 120), 1.0),)},
            "too close together",
        ),
    ],
)
def test_bad_wishes_are_refused_in_words(tmp_path, what, sentence):
    capture = make(tmp_path / "c", TILTED, rectangles=(FLOOR, TABLE))
    with pytest.raises(MvsamError, match=sentence):
        wish(capture, **what)


# --- one after the other -----------------------------------------------------------------------


def test_each_wish_keeps_what_the_others_did(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    camera = ring()[4]
    known = Distance(spot(camera, (-0.5, 0, 0.7)), spot(camera, (0.5, 0.2, 0.7)), np.hypot(1, 0.2))
    scaled = wish(capture, distances=(known,)).placement
    upright = wish(capture, upright=True).placement
    assert upright.scale == scaled.scale
    assert upright.metric
    ground = wish(capture, ground=True).placement
    assert np.array_equal(ground.matrix[:3, :3], upright.matrix[:3, :3])
    assert "up from a plane" in ground.source and "scale from one length" in ground.source
    again = wish(capture, upright=True, ground=True, distances=(known,)).placement
    assert again.transform == pytest.approx(ground.transform, abs=1e-6)
    cleared = wish(capture, reset=True).placement
    assert cleared.is_default
    assert capture.require_reconstruction().placement.is_default


def test_a_placement_made_by_hand_is_taken_as_it_is_or_gone_on_from(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    turned = np.eye(4)
    turned[:3, :3], turned[:3, 3] = rotation(5), (1, 2, 3)
    by_hand = Placement(2.0, turned, False, False, "up from the hand")
    placed = wish(capture, start=by_hand).placement
    assert np.array_equal(placed.transform, by_hand.transform)
    assert capture.require_reconstruction().placement.source == "up from the hand"
    wish(capture, reset=True)
    scaled = wish(capture, start=by_hand, camera_height=1.6).placement
    assert np.array_equal(scaled.matrix[:3, :3], rotation(5))
    assert scaled.scale * TILTED.scale == pytest.approx(1.0, rel=0.005)
    assert scaled.matrix[:3, 3] == pytest.approx(np.array([1, 2, 3]) * scaled.scale / 2.0)


# --- a new reconstruction ----------------------------------------------------------------------


def reconstruction(world, cameras, placement=None) -> Reconstruction:
    """Only cameras."""
    made = Reconstruction(tuple(world.camera(c) for c in cameras))
    return made if placement is None else replace(made, placement=placement)


def test_a_placement_is_carried_onto_the_next_reconstruction(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    placement = wish(capture, upright=True, ground=True, camera_height=1.6).placement
    old = capture.require_reconstruction()
    other = World(rotation(3), 4.0, (9.0, 8.0, 7.0))
    progress = Listening()
    new = carry_placement(old, reconstruction(other, ring()[2:]), progress)
    assert progress.codes == ["place.carried"]
    points = np.random.default_rng(2).normal(size=(20, 3))
    assert other.person(new.placement, points) == pytest.approx(
        TILTED.person(placement, points), abs=1e-6
    )
    assert new.placement.metric and new.is_upright


def test_a_camera_that_was_wrong_before_does_not_spoil_it():
    wrong = ring()[1]
    old = reconstruction(TILTED, ring())
    cameras = list(ring())
    cameras[1] = replace(wrong, camera_from_world=ring(7)[3].camera_from_world)
    found = compare_cameras(old.cameras, reconstruction(World(rotation(3), 2.0), cameras).cameras)
    assert found.good
    clean = compare_cameras(old.cameras, reconstruction(World(rotation(3), 2.0), ring()).cameras)
    assert found.scale == pytest.approx(clean.scale, rel=1e-3)


@pytest.mark.parametrize("shared", [0, 2])
def test_with_too_few_photos_in_common_it_is_dropped_and_said(shared):
    old = reconstruction(TILTED, ring(), Placement(2.0, source="scale from one length"))
    new = [replace(c, view=f"new{i}") if i >= shared else c for i, c in enumerate(ring())]
    progress = Listening()
    found = carry_placement(old, reconstruction(TILTED, new), progress)
    assert found.placement.is_default
    assert progress.codes == ["place.dropped"]


def test_cameras_that_lie_differently_drop_it():
    old = reconstruction(TILTED, ring(), Placement(2.0, source="scale from one length"))
    progress = Listening()
    mirrored = [replace(c, view=ring()[-1 - i].view) for i, c in enumerate(ring())]
    found = carry_placement(old, reconstruction(TILTED, mirrored), progress)
    assert found.placement.is_default
    assert progress.codes == ["place.dropped"]


def test_without_a_placement_nothing_is_said():
    progress = Listening()
    new = reconstruction(TILTED, ring())
    assert carry_placement(reconstruction(TILTED, ring()), new, progress) is new
    assert carry_placement(None, new, progress) is new
    assert progress.codes == []


def test_reconstructing_again_carries_it(tmp_path, monkeypatch):
    from mvsam_engine import reconstruct as room

    capture = make(tmp_path / "c", TILTED)
    placement = wish(capture, upright=True).placement
    other = World(rotation(11), 2.0)

    class Again:
        name = "again"

        def reconstruct(self, capture, options, progress, transaction):
            return reconstruction(other, ring())

    monkeypatch.setattr(room, "RECONSTRUCTORS", {"again": Again})
    with capture.writing():
        room.reconstruct(capture, "again", room.ReconstructOptions(), Progress())
    found = capture.require_reconstruction().placement
    points = np.random.default_rng(2).normal(size=(20, 3))
    assert other.person(found, points) == pytest.approx(TILTED.person(placement, points), abs=1e-6)


# --- the command -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "metres"),
    [("1.2", 1.2), ("120cm", 1.2), ("1200 mm", 1.2), ("4ft", 1.2192), ("10IN", 0.254)],
)
def test_lengths_have_units(text, metres):
    assert parse_length(text) == pytest.approx(metres)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.2.3", "5 parsecs", "nan", "1e9", "m"])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(UsageError, match="is not a length"):
        parse_length(text)


def run(*arguments):
    """The command line."""
    return CliRunner().invoke(app, ["place", *(str(a) for a in arguments)])


def test_the_command_places_and_tells(tmp_path):
    capture = make(tmp_path / "my ü", TILTED)
    camera = ring()[4]
    one, other = spot(camera, (-0.5, 0, 0.7)), spot(camera, (0.5, 0, 0.7))
    result = run(
        capture.root, "--upright", "--ground", "--distance", f"{one}:{other}:100cm", "--json"
    )
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["up_from"] == "plane"
    assert data["placement"]["metric"] is True
    assert data["lengths"][0]["found"] == pytest.approx(1.0)
    stored = capture.require_reconstruction().placement
    assert stored.scale == pytest.approx(data["placement"]["scale"])
    quoted = run(capture.root, "--distance", f"{one} {other} 1m")
    assert quoted.exit_code == 0
    assert "one unit is one metre" in quoted.stdout
    shown = CliRunner().invoke(app, ["info", str(capture.root)]).stdout
    assert "The world is upright and in metres: up from a plane" in shown
    assert run(capture.root, "--reset").exit_code == 0
    assert capture.require_reconstruction().placement.is_default


@pytest.mark.parametrize(
    "arguments",
    [(), ("--distance", "v00:1,2:v01:1"), ("--baseline", "v00"), ("--camera-height", "tall")],
)
def test_wrong_usage_is_told_and_exits_with_2(tmp_path, arguments):
    capture = make(tmp_path / "c", TILTED)
    result = run(capture.root, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_an_unreconstructed_capture_is_refused(tmp_path):
    capture = make(tmp_path / "c", TILTED)
    (capture.root / "cameras.json").unlink()
    result = run(capture.root, "--upright")
    assert result.exit_code == 1
    fill(capture, TILTED, ring(), (FLOOR,))
    assert run(capture.root, "--upright").exit_code == 0
