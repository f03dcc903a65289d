# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a person puts the world: arithmetic, storage, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mvsam_engine.capture import Camera, Capture, Photo, Placement, Reconstruction, schema
from mvsam_engine.errors import CaptureError
from mvsam_engine.fields import Fields

PHOTO = Photo("a", "photos/a.png", 64, 48, 1, "0" * 64, "a.png")
POINTS = np.random.default_rng(0).normal((0, 0, 6), size=(50, 3))


def turned(degrees: float, shift: tuple[float, float, float]) -> np.ndarray:
    """A rigid matrix: a turn about the diagonal axis, then a shift."""
    angle, axis = np.radians(degrees), np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    matrix[:3, 3] = shift
    return matrix


CAMERA = Camera("a", "SIMPLE_RADIAL", 64, 48, (60.0, 32.0, 24.0, -0.1), turned(5, (0.1, 0.2, 1)))
PLACEMENT = Placement(2.5, turned(40, (1, -2, 3)), True, True, "the floor")


@pytest.fixture
def capture(tmp_path) -> Capture:
    """One photo with a camera, nothing else."""
    made = Capture.create(tmp_path / "capture")
    with made.writing(), made.transaction() as transaction:
        made.put_photos((PHOTO,), transaction)
        made.put_reconstruction(Reconstruction((CAMERA,), upright=True), transaction)
    return made


def test_scale_comes_before_the_turn():
    moved = PLACEMENT.apply(np.array([[1.0, 0.0, 0.0]]))
    assert moved[0] == pytest.approx(2.5 * PLACEMENT.matrix[:3, 0] + [1, -2, 3])
    full = np.append(POINTS, np.ones((len(POINTS), 1)), axis=1) @ PLACEMENT.transform.T
    assert PLACEMENT.apply(POINTS) == pytest.approx(full[:, :3])


def test_a_placed_camera_sees_placed_points_at_the_same_pixels():
    before, depth = CAMERA.project(POINTS)
    after, placed_depth = PLACEMENT.place_camera(CAMERA).project(PLACEMENT.apply(POINTS))
    assert after == pytest.approx(before)
    assert placed_depth == pytest.approx(2.5 * depth)
    assert PLACEMENT.place_camera(CAMERA).center == pytest.approx(PLACEMENT.apply(CAMERA.center))


def test_a_placement_follows_its_world_into_another_frame():
    scale, change = 0.4, turned(-70, (3, 1, 0))
    old_world = scale * POINTS @ change[:3, :3].T + change[:3, 3]
    follows = PLACEMENT.after(scale, change)
    assert follows.apply(POINTS) == pytest.approx(PLACEMENT.apply(old_world))
    assert (follows.metric, follows.upright, follows.source) == (True, True, "the floor")


def test_a_placement_is_kept_in_the_capture(capture):
    with capture.writing(), capture.transaction() as transaction:
        capture.put_placement(PLACEMENT, transaction)
    found = Capture.open(capture.root).require_reconstruction()
    assert found.placement.scale == PLACEMENT.scale
    assert np.array_equal(found.placement.matrix, PLACEMENT.matrix)
    assert (found.placement.metric, found.placement.upright) == (True, True)
    assert found.placement.source == "the floor"
    assert (found.is_metric, found.is_upright) == (True, True)
    assert np.array_equal(found.cameras[0].camera_from_world, CAMERA.camera_from_world)


def test_without_one_it_is_the_identity_and_the_file_does_not_name_it(capture):
    found = capture.require_reconstruction()
    assert found.placement.is_default
    assert (found.is_metric, found.is_upright) == (False, True)
    assert "placement" not in json.loads((capture.root / "cameras.json").read_text())


def test_a_new_reconstruction_begins_without_one(capture):
    with capture.writing(), capture.transaction() as transaction:
        capture.put_placement(PLACEMENT, transaction)
    with capture.writing(), capture.transaction() as transaction:
        capture.put_reconstruction(Reconstruction((CAMERA,)), transaction)
    assert capture.require_reconstruction().placement.is_default


def test_other_changes_of_the_cameras_keep_it(capture):
    with capture.writing(), capture.transaction() as transaction:
        placed = capture.put_placement(PLACEMENT, transaction)
    data = schema.reconstruction_to_json(replace(placed, method="other"))
    assert schema.reconstruction_from_json(data).placement.scale == PLACEMENT.scale


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 0},
        {"scale": -1},
        {"scale": "2"},
        {"matrix": [[1, 0, 0, 0]]},
        {"matrix": (2 * np.eye(4)).tolist()},
        {"matrix": np.diag([1, 1, -1, 1]).tolist()},
        {"matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]},
        {"metric": 1},
    ],
)
def test_a_damaged_placement_is_refused(change):
    data = schema.placement_to_json(PLACEMENT) | change
    with pytest.raises(CaptureError):
        schema.placement_from_json(Fields(data, "cameras.json placement", CaptureError))


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(CaptureError):
        Placement(float("nan"))
    with pytest.raises(CaptureError):
        Placement(1.0, np.full((4, 4), np.nan))
