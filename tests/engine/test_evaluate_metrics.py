# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of cameras and depth, on cases whose answer is known by arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mvsam_engine.capture.conventions import invert_rigid
from mvsam_engine.evaluate import metrics


def turn(axis: int, degrees: float) -> np.ndarray:
    """Rotation [3, 3] about a coordinate axis."""
    i, j = [k for k in range(3) if k != axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = math.cos(math.radians(degrees))
    matrix[j, i] = math.sin(math.radians(degrees))
    matrix[i, j] = -matrix[j, i]
    return matrix


def rig(count: int = 6) -> dict[str, np.ndarray]:
    """Cameras on a circle of radius 2 that look at its middle from changing heights."""
    poses = {}
    for index in range(count):
        world_from_camera = np.eye(4)
        world_from_camera[:3, :3] = turn(1, 60.0 * index) @ turn(0, 10.0)
        world_from_camera[:3, 3] = (
            2 * math.sin(math.radians(60 * index)),
            0.3 * (index % 3),
            -2 * math.cos(math.radians(60 * index)),
        )
        poses[f"v{index}"] = invert_rigid(world_from_camera)
    return poses


def moved(poses: dict[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    """The same cameras in a world that is turned, shifted and scaled."""
    world = np.eye(4)
    world[:3, :3], world[:3, 3] = turn(2, 33.0) @ turn(0, 71.0), (5.0, -3.0, 1.0)
    result = {}
    for view, matrix in poses.items():
        camera = matrix @ invert_rigid(world)
        camera[:3, 3] *= scale
        result[view] = camera
    return result


def test_a_similarity_is_no_error() -> None:
    errors = metrics.pose_errors(moved(rig(), 0.01), rig())
    assert errors is not None
    assert errors.degrees.max() < 1e-9
    assert errors.centre_share.max() < 1e-9
    assert errors.similarity.scale == pytest.approx(100.0)
    assert not errors.wrong


def test_a_turned_camera_shows_its_angle_even_when_tiny() -> None:
    for degrees in (1e-5, 0.02, 3.0, 179.0):
        estimated = rig()
        rotation = np.eye(4)
        rotation[:3, :3] = turn(0, degrees)
        estimated["v2"] = rotation @ estimated["v2"]
        # A camera turned about its own centre keeps the centre.
        errors = metrics.pose_errors(estimated, rig())
        assert errors is not None
        assert errors.degrees[2] == pytest.approx(degrees, rel=1e-6)
        assert np.delete(errors.degrees, 2).max() < 1e-9
        assert errors.wrong == (degrees > metrics.WRONG_DEGREES)


def test_a_shifted_camera_is_measured_against_the_rig() -> None:
    true = rig(24)
    estimated = {view: matrix.copy() for view, matrix in true.items()}
    size = metrics.rig_size(true)
    estimated["v7"][:3, 3] += np.array([0.10 * size, 0, 0])
    errors = metrics.pose_errors(estimated, true)
    assert errors is not None
    # The similarity shares a little of the shift among all 24.
    assert errors.centre_share[7] == pytest.approx(0.10, abs=0.01)
    assert errors.wrong


def test_a_rotation_common_to_all_frames_can_be_taken_out() -> None:
    rotation = np.eye(4)
    rotation[:3, :3] = turn(1, 0.5)
    estimated = {view: rotation @ matrix for view, matrix in rig().items()}
    plain = metrics.pose_errors(estimated, rig())
    without = metrics.pose_errors(estimated, rig(), common_rotation=True)
    assert plain is not None and without is not None
    assert plain.degrees.min() == pytest.approx(0.5, rel=1e-6)
    assert without.degrees.max() < 1e-9


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("aside", [0.0, 0.004, 0.03])
def test_a_walk_is_not_turned_by_noise_in_its_centres(seed: int, aside: float) -> None:
    rng = np.random.default_rng(seed)
    true, estimated = {}, {}
    for index in range(8):
        world_from_camera = np.eye(4)
        world_from_camera[:3, :3] = turn(1, 4.0 * index)
        world_from_camera[:3, 3] = (0.5 * index, aside * (index % 3), 0.0)
        true[f"v{index}"] = invert_rigid(world_from_camera)
        world_from_camera[:3, 3] += rng.normal(0, 0.003, 3)  # 0.1 % of the rig
        estimated[f"v{index}"] = invert_rigid(world_from_camera)
    errors = metrics.pose_errors(estimated, true)
    assert errors is not None
    assert errors.degrees.max() < 0.1 and errors.centre_share.max() < 0.003
    if aside == 0.0:  # the centres alone leave the turn about the line open
        by_centres_alone = metrics.pose_errors(estimated, true, common_rotation=True)
        assert by_centres_alone is not None
        assert metrics.rotation_degrees(by_centres_alone.similarity.rotation) > 5
        assert errors.similarity.scale == by_centres_alone.similarity.scale


def test_two_photos_say_nothing() -> None:
    poses = rig()
    two = {view: poses[view] for view in ("v0", "v1")}
    assert metrics.pose_errors(two, poses) is None
    assert metrics.pose_errors(two | {"unknown": np.eye(4)}, poses) is None


def test_depth_shares_count_what_they_say() -> None:
    true = np.full((4, 10), 2.0)
    true[0] = 0.0  # sky
    true[1, :5] = np.nan  # truth unknown
    depth = np.full((4, 10), 2.0)  # right everywhere, the sky excepted
    confidence = np.full((4, 10), 0.9)
    depth[1, 5:] = 2.0 * 1.02  # within 3 %
    depth[2, :5] = 2.0 * 1.5  # far off, but only a guess
    confidence[2, :5] = 0.1
    depth[3] = np.nan  # no point at all
    calibration = metrics.Calibration()
    score = metrics.depth_score(depth, confidence, true, calibration)
    # 25 pixels have a true depth: 5 of row 1, rows 2 and 3.
    assert score.measured == pytest.approx(10 / 25)
    assert score.measured_within == pytest.approx((0.5, 1.0, 1.0))
    assert score.full_within == pytest.approx((5 / 25, 10 / 25, 10 / 25))
    assert score.nothing == 1.0
    assert calibration.count.tolist() == [0, 5, 0, 0, 0, 0, 0, 0, 0, 10]
    assert calibration.right.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0, 5]
    assert calibration.share[9] == 0.5 and np.isnan(calibration.share[0])


def test_confidence_of_stored_halves_falls_into_its_tenth() -> None:
    calibration = metrics.Calibration()
    confidence = np.array([0.9, 0.3, 0.7, 1.0, 0.0], np.float16)
    calibration.add(confidence, np.zeros(5))
    assert calibration.count.tolist() == [1, 0, 0, 1, 0, 0, 0, 1, 0, 2]


def test_nothing_measured_is_not_perfect() -> None:
    true = np.full((4, 4), 1.0)
    score = metrics.depth_score(np.full((4, 4), np.nan), None, true)
    assert score.measured == 0.0
    assert all(math.isnan(share) for share in score.measured_within)
    assert score.full_within == (0.0, 0.0, 0.0)
    assert math.isnan(score.nothing)


def plane_depth(height: int, width: int) -> np.ndarray:
    """Depth of a strongly slanted plane at the centres of a grid over the same photo."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return 1.0 / (0.6 + 0.9 * x + 0.4 * y)


@pytest.mark.parametrize("size", [(48, 64), (30, 41), (96, 128)])
def test_truth_is_exact_on_a_slanted_plane_at_any_size(size: tuple[int, int]) -> None:
    sampled = metrics.sample_depth(plane_depth(96, 128), *size)
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(sampled[inner], plane_depth(*size)[inner], rtol=1e-9)


def test_truth_never_mixes_two_surfaces() -> None:
    true = np.where(np.arange(40) < 17, 1.0, 3.0)[None].repeat(30, axis=0)
    true[:7] = 0.0
    sampled = metrics.sample_depth(true, 13, 21)
    assert set(np.unique(sampled.round(9))) == {0.0, 1.0, 3.0}
