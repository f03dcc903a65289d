# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong cameras are told from right ones by matches alone, and the mistake is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mvsam_engine.capture import Camera
from mvsam_engine.capture.conventions import invert_rigid
from mvsam_engine.reconstruct.posed.diagnosis import diagnose, diagnose_lens, tolerances
from mvsam_engine.reconstruct.posed.epipolar import (
    PairFit,
    PairMatches,
    contradicting,
    fit_pairs,
    fitting,
    sampson,
)
from mvsam_engine.reconstruct.posed.neighbours import pose_neighbours

FOCAL = 800.0


def look(center, target, roll):
    """Camera-from-world of a camera that is held at an angle."""
    forward = target - center
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    rotation = np.stack([c * right + s * down, c * down - s * right, forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ center
    return matrix


def orbit(count=9):
    """Cameras round a scene, at changing heights, distances and rolls."""
    rng = np.random.default_rng(3)
    cameras = []
    for i in range(count):
        a = np.radians(11.0 * i)
        distance = 4.0 + rng.uniform(-0.7, 0.7)
        center = np.array([distance * np.cos(a), distance * np.sin(a), rng.uniform(0.5, 2.5)])
        pose = look(center, rng.uniform(-0.3, 0.3, 3), rng.uniform(-0.4, 0.4))
        cameras.append(Camera(f"p{i}", "PINHOLE", 1000, 750, (FOCAL, FOCAL, 510.0, 370.0), pose))
    return cameras


def matches_of(cameras, outliers=0.15, noise=0.5):
    """Matches of neighbouring cameras on scattered points, in rays of the given lenses."""
    rng = np.random.default_rng(4)
    points = rng.uniform(-1.0, 1.0, (400, 3))
    pairs = []
    for i in range(len(cameras)):
        for j in range(i + 1, min(i + 4, len(cameras))):
            rays = []
            for camera in (cameras[i], cameras[j]):
                pixels, _ = camera.project(points)
                pixels = pixels + rng.normal(scale=noise, size=pixels.shape)
                wrong = rng.random(len(points)) < outliers
                pixels[wrong] = rng.uniform(0, 700, (int(wrong.sum()), 2))
                rays.append(camera.rays(pixels)[:, :2])
            pairs.append(PairMatches(i, j, *rays))
    return pairs


CAMERAS = orbit()
PAIRS = matches_of(CAMERAS)


def with_poses(change):
    return [replace(c, camera_from_world=change(c.camera_from_world)) for c in CAMERAS]


def seen_through(cameras):
    """The matches as rays of other lenses: the pixels stay the same."""
    found = []
    for pair in PAIRS:
        rays = []
        for number, old in ((pair.first, pair.rays_first), (pair.second, pair.rays_second)):
            homogeneous = np.column_stack([old, np.ones(len(old))])
            pixels = homogeneous @ CAMERAS[number].intrinsics.T
            rays.append(cameras[number].rays(pixels[:, :2])[:, :2])
        found.append(PairMatches(pair.first, pair.second, *rays))
    return found


def judge(cameras, pairs=PAIRS):
    fit = fit_pairs([c.camera_from_world for c in cameras], pairs, tolerances(cameras))
    return fit, contradicting(fit, len(cameras))


def test_sampson_distance_is_the_distance_in_pixels():
    """Moving a point off its epipolar line by one pixel moves both points' share of it."""
    first, second = CAMERAS[0].camera_from_world, CAMERAS[1].camera_from_world
    point = np.array([[0.2, -0.1, 0.3]])
    rays = [c.rays(c.project(point)[0])[:, :2] for c in CAMERAS[:2]]
    relative = second @ invert_rigid(first)
    assert sampson(relative, *rays)[0] * FOCAL < 1e-6
    moved = rays[1] + np.array([[0.0, 1.0 / FOCAL]])
    assert 0.2 < sampson(relative, rays[0], moved)[0] * FOCAL < 1.0


def test_points_behind_the_cameras_do_not_fit():
    first, second = CAMERAS[0].camera_from_world, CAMERAS[1].camera_from_world
    relative = second @ invert_rigid(first)
    point = np.array([[0.2, -0.1, 0.3]])
    rays = [c.rays(c.project(point)[0])[:, :2] for c in CAMERAS[:2]]
    assert fitting(relative, *rays, 1e-3).all()
    turned_back = relative.copy()
    turned_back[:3, 3] *= -1  # the same epipolar lines, but the rays meet behind
    assert sampson(turned_back, *rays)[0] < 1e-9
    assert not fitting(turned_back, *rays, 1e-3).any()


def test_photos_from_one_place_fit_by_their_rotation():
    relative = np.eye(4)
    rays = np.array([[0.1, 0.2], [-0.3, 0.1]])
    assert np.allclose(sampson(relative, rays, rays + np.array([[0.0, 0.01]])), 0.01)


def test_right_cameras_are_not_accused():
    fit, wrong = judge(CAMERAS)
    assert wrong == [] and fit.mean_share(len(CAMERAS)) > 0.7


def test_right_cameras_are_not_accused_when_far_pairs_match_wrongly():
    """Repeated patterns: most pairs verify something that is not there."""
    rng = np.random.default_rng(5)
    pairs = [
        p if p.second == p.first + 1 else replace(p, rays_second=rng.permutation(p.rays_second))
        for p in PAIRS
    ]
    fit, wrong = judge(CAMERAS, pairs)
    assert fit.share < 0.5 and wrong == []


def test_two_swapped_cameras_are_named():
    cameras = list(CAMERAS)
    for a, b in ((2, 6), (6, 2)):
        cameras[a] = replace(CAMERAS[a], camera_from_world=CAMERAS[b].camera_from_world)
    assert judge(cameras)[1] == [2, 6]


def test_a_camera_that_nothing_is_known_of_is_not_accused():
    pairs = [p for p in PAIRS if 4 not in (p.first, p.second)]
    cameras = list(CAMERAS)
    cameras[4] = replace(CAMERAS[4], camera_from_world=np.eye(4))
    assert judge(cameras, pairs)[1] == []


def test_half_of_the_photos_in_another_frame_are_named():
    """Two parts, each right in itself, that lie wrongly to each other."""
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    cameras = [
        replace(c, camera_from_world=c.camera_from_world @ turn) if i >= 5 else c
        for i, c in enumerate(CAMERAS)
    ]
    assert judge(cameras)[1] == [5, 6, 7, 8]  # 8 shares nothing with the others, but with these


OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
MIRROR = np.diag([1.0, 1.0, -1.0, 1.0])
QUARTER = np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def place_as_translation(pose):
    changed = pose.copy()
    changed[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return changed


def transposed_rotation(pose):
    changed = np.eye(4)
    changed[:3, :3] = pose[:3, :3].T
    changed[:3, 3] = changed[:3, :3] @ pose[:3, :3].T @ pose[:3, 3]
    return changed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pose: OPENGL @ pose, ["OpenGL's and Blender's axes"]),
        (invert_rigid, ["from the camera to the world"]),
        (lambda pose: invert_rigid(OPENGL @ pose), ["from the camera to the world", "OpenGL"]),
        (lambda pose: MIRROR @ pose @ MIRROR, ["mirrored (left-handed)"]),
        (place_as_translation, ["the translations are the cameras' places"]),
        (transposed_rotation, ["the rotations lead from the camera"]),
        (lambda pose: QUARTER @ pose, ["turned by 90 degrees"]),
    ],
)
def test_a_mistake_in_the_matrices_is_named(change, words):
    cameras = with_poses(change)
    _, wrong = judge(cameras)
    assert len(wrong) == len(CAMERAS)
    found = diagnose(cameras, PAIRS, [c.view for c in cameras])
    assert found is not None and found.share > 0.75
    for word in words:
        assert word in found.sentence
    assert "OpenCV axes" in found.remedy


def lens(factor, whole):
    return [
        replace(c, params=tuple(v * factor if whole or i < 2 else v for i, v in
                                enumerate(c.params)))
        for c in CAMERAS
    ]  # fmt: skip


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_lens_for_photos_of_another_size_is_named(factor):
    cameras = lens(factor, whole=True)
    pairs = seen_through(cameras)
    assert len(judge(cameras, pairs)[1]) * 2 > len(cameras)
    found = diagnose(cameras, pairs, [c.view for c in cameras])
    assert found is not None and "photos about" in found.sentence
    said = float(found.sentence.split("about ")[1].split(" times")[0])
    assert said == pytest.approx(factor, rel=0.1)


def test_a_focal_length_that_is_a_fifth_too_short_is_found_by_exact_matches():
    cameras = lens(0.8, whole=False)
    pairs = matches_of(CAMERAS, outliers=0.03, noise=0.2)
    through = []
    for pair in pairs:
        through.append(replace(pair, rays_first=pair.rays_first / 0.8,
                               rays_second=pair.rays_second / 0.8))  # fmt: skip
    found = diagnose_lens(cameras, through)
    assert found is not None and "the focal length is about 0.8" in found.sentence
    assert diagnose_lens(CAMERAS, matches_of(CAMERAS, outliers=0.0, noise=5.0)) is None


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 0], "slipped by 1"),
        (list(range(8, -1, -1)), "reverse order"),
    ],
)
def test_names_that_slipped_are_named_with_an_example(order, words):
    cameras = [
        replace(c, camera_from_world=CAMERAS[k].camera_from_world)
        for c, k in zip(CAMERAS, order, strict=True)
    ]
    found = diagnose(cameras, PAIRS, [c.view for c in cameras])
    assert found is not None and words in found.sentence and "photo p1" in found.sentence


def test_noise_and_shuffled_names_are_not_explained_away():
    rng = np.random.default_rng(6)
    order = [4, 0, 7, 2, 8, 1, 5, 3, 6]
    shuffled = [
        replace(c, camera_from_world=CAMERAS[k].camera_from_world)
        for c, k in zip(CAMERAS, order, strict=True)
    ]
    assert len(judge(shuffled)[1]) * 2 > len(CAMERAS)
    assert diagnose(shuffled, PAIRS, [c.view for c in CAMERAS]) is None
    random = [
        replace(p, rays_first=rng.uniform(-0.5, 0.5, p.rays_first.shape),
                rays_second=rng.uniform(-0.5, 0.5, p.rays_second.shape))
        for p in PAIRS
    ]  # fmt: skip
    assert diagnose(CAMERAS, random, [c.view for c in CAMERAS]) is None


def test_no_matches_accuse_nobody():
    empty = PairFit(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert contradicting(empty, 3) == []
    assert empty.share == empty.mean_share(3) == 1.0


# --- neighbours ----------------------------------------------------------------------------------


def test_pairs_grow_with_the_photos_not_with_their_square():
    counts = {}
    for count in (40, 80, 160):
        cameras = []
        for i in range(count):
            center = np.array([0.3 * i, 0.0, 0.0])
            pose = look(center, center + np.array([0.0, 5.0, 0.0]), 0.0)
            cameras.append(Camera(f"p{i}", "PINHOLE", 640, 480, (500.0,) * 2 + (320.0, 240.0),
                                  pose))  # fmt: skip
        counts[count] = len(pose_neighbours(tuple(cameras)))
    assert counts[160] < 2.3 * counts[80] < 5.3 * counts[40]
    assert counts[160] < 160 * 12


def test_neighbours_look_the_same_way_and_have_a_baseline():
    here = np.array([0.0, 0.0, 0.0])
    poses = [
        look(here, np.array([0.0, 5.0, 0.0]), 0.0),
        look(here, np.array([0.1, 5.0, 0.0]), 0.0),  # the same place
        look(np.array([0.4, 0.0, 0.0]), np.array([0.0, 5.0, 0.0]), 0.0),
        look(np.array([0.2, 0.0, 0.0]), np.array([0.0, -5.0, 0.0]), 0.0),  # the other way
        look(np.array([0.8, 0.0, 0.0]), np.array([0.0, 5.0, 0.0]), 0.0),
    ]
    cameras = tuple(
        Camera(str(i), "SIMPLE_PINHOLE", 640, 480, (500.0, 320.0, 240.0), pose)
        for i, pose in enumerate(poses)
    )
    pairs = set(pose_neighbours(cameras))
    assert {(0, 2), (0, 4), (2, 4), (1, 2), (1, 4)} <= pairs
    # Only as photos that follow one another are (0, 1), (2, 3) and (3, 4) asked.
    assert (0, 3) not in pairs and (1, 3) not in pairs
