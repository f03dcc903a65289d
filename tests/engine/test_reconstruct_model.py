# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided about sparse models: support, sources, depth ranges, the world frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planes import look_at

from mvsam_engine.capture import Camera, Photo
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.classical.consistency import trusted_views
from mvsam_engine.reconstruct.classical.reasons import no_model, reason
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts
from mvsam_engine.reconstruct.classical.sources import depth_ranges, select_sources
from mvsam_engine.reconstruct.classical.sparse import SparseModel, load_model, save_model
from mvsam_engine.reconstruct.classical.support import (
    drop_unsupported,
    photo_support,
    quality,
    viewing_angle,
)
from mvsam_engine.reconstruct.normalise import VIEWING_DISTANCE, up_direction, world_change
from mvsam_engine.reconstruct.similarity import align


def camera(view, center, target=(0.0, 0.0, 0.0), up=(0.0, 0.0, 1.0)):
    pose = look_at(np.asarray(center, float), target, up)
    return Camera(view, "SIMPLE_RADIAL", 640, 480, (500.0, 320.0, 240.0, 0.02), pose)


def ring(count, degrees=300.0, height=1.5, radius=3.0):
    """Cameras around the origin, looking down at it, held level in a world with Z up."""
    angles = np.radians(np.linspace(0.0, degrees, count))
    return tuple(
        camera(f"v{i}", (radius * np.sin(a), -radius * np.cos(a), height))
        for i, a in enumerate(angles)
    )


def model_of(cameras, points=400, seed=0):
    """Every camera sees every point of a cloud around the origin."""
    cloud = np.random.default_rng(seed).normal(0, 0.3, (points, 3))
    n = len(cameras)
    return SparseModel(
        cameras=tuple(cameras),
        points=cloud,
        seen_by=np.repeat(np.arange(n), points),
        seen_point=np.tile(np.arange(points), n),
        method="test",
    )


def turned(cameras, rotation):
    """The same cameras described in a world turned by `rotation` [3, 3]."""
    result = []
    for item in cameras:
        matrix = item.camera_from_world.copy()
        matrix[:3, :3] = matrix[:3, :3] @ rotation.T
        result.append(replace(item, camera_from_world=matrix))
    return tuple(result)


def any_rotation(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


# --- the model itself ------------------------------------------------------------------------


def test_model_survives_the_disk(tmp_path):
    model = model_of(ring(4))
    save_model(model, tmp_path)
    back = load_model(tmp_path)
    assert [c.view for c in back.cameras] == ["v0", "v1", "v2", "v3"]
    assert back.cameras[2].params == model.cameras[2].params
    assert np.array_equal(back.cameras[2].camera_from_world, model.cameras[2].camera_from_world)
    assert np.array_equal(back.points, model.points)
    assert np.array_equal(back.seen_point, model.seen_point)
    assert back.method == "test"


def test_keep_reorders_cameras_with_their_observations():
    model = model_of(ring(4))
    seen = model.seen_by * 1000 + model.seen_point >= 500  # camera 0 loses all but 400..499
    model = replace(model, seen_by=model.seen_by[seen], seen_point=model.seen_point[seen])
    kept = model.keep([3, 0])
    assert [c.view for c in kept.cameras] == ["v3", "v0"]
    assert len(kept.points_of(0)) == 400
    assert len(kept.points_of(1)) == len(model.points_of(0))


def test_transformed_model_projects_to_the_same_pixels():
    model = model_of(ring(3))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = any_rotation(3), (4.0, -2.0, 1.0)
    moved = model.transformed(2.5, matrix)
    for before, after in zip(model.cameras, moved.cameras, strict=True):
        old, depth = before.project(model.points)
        new, new_depth = after.project(moved.points)
        assert np.allclose(old, new, atol=1e-8)
        assert np.allclose(new_depth, 2.5 * depth)


# --- support -----------------------------------------------------------------------------------


def test_points_of_three_photos_count_and_points_of_two_hardly_do():
    three, two = model_of(ring(3), points=50), model_of(ring(2), points=50)
    assert photo_support(three) == pytest.approx([60.0] * 3)
    assert photo_support(two) == pytest.approx([10.0] * 2)
    assert quality(three).beats(quality(two))
    assert quality(three).shared == 150 and quality(two).shared == 0


def test_a_photo_held_by_few_points_is_dropped_and_the_rest_stays():
    model = model_of(ring(5), points=100)
    weak = (model.seen_by == 4) & (model.seen_point >= 8)
    model = replace(model, seen_by=model.seen_by[~weak], seen_point=model.seen_point[~weak])
    kept = drop_unsupported(model)
    assert [c.view for c in kept.cameras] == ["v0", "v1", "v2", "v3"]
    # A model that places one trusted photo more is better, whatever the points.
    full = model_of(ring(5), points=80)
    assert quality(full).beats(quality(model))


def test_nothing_is_left_of_a_model_without_support():
    assert drop_unsupported(model_of(ring(3), points=5)).cameras == ()


def test_viewing_angle_tells_a_walk_from_a_turn_on_the_spot():
    walk = model_of([camera(f"v{i}", (0.5 * i, -4.0, 0.0)) for i in range(3)])
    centre = walk.cameras[0].center
    spot = model_of([camera(f"v{i}", centre + 1e-3 * i) for i in range(3)])
    # Cameras 1 unit apart at 4 units: about 14 degrees.
    assert viewing_angle(walk) == pytest.approx(14.0, abs=1.5)
    assert viewing_angle(spot) < 0.1


# --- sources and depth ranges ------------------------------------------------------------------


def test_sources_are_neighbours_at_a_useful_angle():
    angles = [0.0, 0.1, 7.0, 14.0, 40.0]
    cameras = [
        camera(f"v{i}", (5 * np.sin(np.radians(a)), -5 * np.cos(np.radians(a)), 0.0))
        for i, a in enumerate(angles)
    ]
    chosen = select_sources(model_of(cameras), 3)
    assert chosen[0][:2] == [2, 3]
    assert 1 not in chosen[0]  # practically the same place: it can only seem to agree
    assert all(index not in sources for index, sources in enumerate(chosen))


def test_a_photo_that_shares_no_point_is_no_source():
    model = model_of(ring(3, degrees=20))
    alone = model.seen_by == 2
    points = np.concatenate([model.points, model.points + 5])
    shifted = np.where(alone, model.seen_point + len(model.points), model.seen_point)
    chosen = select_sources(replace(model, points=points, seen_point=shifted), 4)
    assert chosen == [[1], [0], []]


def test_depth_range_holds_the_points_with_room_in_front():
    model = model_of(ring(4))
    for index, (near, far) in enumerate(depth_ranges(model, select_sources(model, 2))):
        _, depth = model.cameras[index].project(model.points)
        assert near < depth.min() and far > depth.max()
        assert near > 0.3 * depth.min() and far < 3 * depth.max()


# --- the world frame ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_up_is_found_from_cameras_that_look_down_from_one_side(seed):
    rotation = any_rotation(seed)
    up, trusted = up_direction(turned(ring(12, degrees=120.0), rotation))
    assert trusted
    assert np.degrees(np.arccos(np.clip(up @ rotation[:, 2], -1, 1))) < 0.5


def test_up_is_not_trusted_when_the_photos_cannot_tell():
    assert not up_direction(ring(2))[1]
    row = tuple(camera(f"v{i}", (0.2 * i, -4.0, 1.0), (0.2 * i, 0.0, 0.0)) for i in range(6))
    assert not up_direction(row)[1]
    # Rolled at random: nobody held the camera level.
    rolled = []
    for i, item in enumerate(ring(12)):
        a = np.radians(80.0 * np.sin(7.0 * i))
        roll = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        matrix = item.camera_from_world.copy()
        matrix[:3] = roll @ matrix[:3]
        rolled.append(replace(item, camera_from_world=matrix))
    assert not up_direction(tuple(rolled))[1]


def test_new_world_is_upright_centred_and_of_sensible_size():
    rotation = any_rotation(9)
    model = model_of(turned(ring(10), rotation))
    model = replace(model, points=model.points @ rotation.T)
    centers = np.array([c.center for c in model.cameras])
    distance = float(np.median(np.linalg.norm(centers[:, None] - model.points, axis=-1)))
    change = world_change(model.cameras, model.points, distance)
    moved = model.transformed(change.scale, change.matrix)
    assert change.upright
    assert np.allclose(np.median(moved.points, axis=0)[:2], 0.0, atol=1e-9)
    assert np.percentile(moved.points[:, 2], 2) == pytest.approx(0.0, abs=1e-9)
    new_centers = np.array([c.center for c in moved.cameras])
    seen = np.linalg.norm(new_centers[:, None] - moved.points, axis=-1)
    assert np.median(seen) == pytest.approx(VIEWING_DISTANCE)
    # All at one height, the first looking towards +Y.
    assert np.ptp(new_centers[:, 2]) < 1e-6
    forward = moved.cameras[0].camera_from_world[2, :3]
    assert abs(forward[0]) < 1e-9 and forward[1] > 0.5


def test_align_finds_the_similarity_again():
    points = np.random.default_rng(8).normal(size=(20, 3))
    rotation = any_rotation(5)
    found = align(points, 1.7 * points @ rotation.T + [1.0, 2.0, 3.0])
    assert found.scale == pytest.approx(1.7)
    assert np.allclose(found.rotation, rotation)
    assert np.allclose(found.apply(points), 1.7 * points @ rotation.T + [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="one place"):
        align(np.ones((4, 3)), points[:4])


# --- sentences ---------------------------------------------------------------------------------


def test_every_reason_says_what_to_do():
    photo = Photo("a", "photos/a.jpg", 100, 80, 1, "", "a.jpg")
    facts = (
        None,
        PhotoFacts("a", features=-1, error="The file is damaged."),
        PhotoFacts("a", features=3),
        PhotoFacts("a", features=900, matches=4),
        PhotoFacts("a", features=900, matches=40),
        PhotoFacts("a", features=900, matches=40, agreement=0.01),
    )
    said = [reason(photo, fact) for fact in facts]
    assert len(set(said)) == 6
    assert "100 x 80" in said[0]
    assert "damaged" in said[1]
    assert all(sentence.endswith(".") or sentence.endswith(").") for sentence in said)


@pytest.mark.parametrize(
    ("features", "matches", "code"),
    [
        (5, 0, "reconstruct.detail"),
        (900, 3, "reconstruct.overlap"),
        (900, 80, "reconstruct.unsupported"),
    ],
)
def test_refusal_names_the_likely_cause(features, matches, code):
    facts = {v: PhotoFacts(v, features, matches) for v in ("a", "b", "c")}
    error = no_model(facts)
    assert error.code == code
    assert error.remedy


def test_views_that_depth_confirms_are_trusted():
    assert trusted_views([0.6, 0.01, 0.7]) == [0, 2]
    assert trusted_views([0.1, 0.6]) == [0, 1]


@pytest.mark.parametrize("shares", [[0.15, 0.14, 0.13], [0.6, 0.01], [0.0, 0.0], [0.01, 0.02, 0.2]])
def test_a_model_that_depth_hardly_confirms_is_refused(shares):
    with pytest.raises(ReconstructionError, match="does not agree in depth"):
        trusted_views(shares)
