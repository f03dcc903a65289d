# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain surfaces that no patch can measure: continued as planes, region by region."""

from __future__ import annotations

import numpy as np
import pytest
from planes import look_at

from mvsam_engine.capture import Camera
from mvsam_engine.reconstruct.classical.consistency import DepthMap
from mvsam_engine.reconstruct.classical.continuation import continue_planes
from mvsam_engine.reconstruct.classical.fill import complete
from mvsam_engine.reconstruct.classical.segments import segments
from mvsam_engine.reconstruct.classical.undistort import make_working_view

WIDTH, HEIGHT = 200, 150


def flat_view(photo, x=0.0):
    pose = look_at(np.array([x, 0.0, 0.0]), np.array([x, 0.0, 2.0]))
    params = (180.0, 180.0, WIDTH / 2, HEIGHT / 2)
    camera = Camera(f"x{x}", "PINHOLE", WIDTH, HEIGHT, params, pose)
    return make_working_view(camera, photo, WIDTH, near=0.5, far=8.0)


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (*shape, 3)).astype(np.uint8)


@pytest.fixture
def corner():
    """A textured floor meets a plain wall; of the wall only a strip at the right is measured."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    wall = 0.25 + 0.0008 * (WIDTH - columns)
    floor = 0.25 + 0.004 * (rows - 80)
    inverse = np.maximum(wall, floor)
    photo = np.full((HEIGHT, WIDTH, 3), 180, np.uint8)
    on_floor = floor > wall
    photo[on_floor] = noise(on_floor.shape)[on_floor]
    known = on_floor | (columns > WIDTH - 12)
    depth = np.where(known, 1 / inverse, 0).astype(np.float32)
    return flat_view(photo), depth, (1 / inverse).astype(np.float32), on_floor


def test_regions_keep_plain_areas_whole_and_cover_everything(corner):
    view, _, _, on_floor = corner
    labels, count = segments(view.guide)
    assert labels.shape == on_floor.shape and labels.min() == 0 and labels.max() < count
    wall = labels[:60]
    assert (wall == np.bincount(wall.ravel()).argmax()).mean() > 0.99
    plain = np.bincount(wall.ravel()).argmax()
    assert (labels[on_floor] == plain).mean() < 0.05


def test_a_plain_wall_is_continued_from_a_strip_and_the_floor(corner):
    view, depth, truth, _ = corner
    found = continue_planes(view, depth, [], seed=1)
    missing = depth == 0
    assert (found.inverse[~missing] == 0).all()
    assert (found.inverse[missing] > 0).mean() > 0.99
    error = np.abs(1 / found.inverse[missing] / truth[missing] - 1)
    assert (error < 0.01).mean() > 0.95
    assert found.support[missing].mean() > 0.5


def test_other_views_forbid_a_plane_that_they_see_through():
    """A gap between a near and a far surface: both planes fit, one view has looked behind."""
    near, far = 1.0, 2.0
    photo = noise((HEIGHT, WIDTH), 3)
    photo[:, 80:120] = 128  # plain between the two
    depth = np.full((HEIGHT, WIDTH), far, np.float32)
    depth[:, :80] = near
    depth[:, 80:120] = 0
    view = flat_view(photo)
    shift = 180.0 * 0.15  # of the near surface, in pixels, from x = 0 to x = 0.15
    seen = np.full((HEIGHT, WIDTH), far, np.float32)
    seen[:, : int(80 - shift)] = near
    other = flat_view(noise((HEIGHT, WIDTH), 4), x=0.15)
    gap = np.s_[10:-10, 84:116]
    asked = continue_planes(view, depth, [(other, seen)], seed=0)
    assert np.abs(1 / asked.inverse[gap] / far - 1).max() < 0.02
    # The other way round: the view looks behind where the far surface should be.
    hidden = np.full((HEIGHT, WIDTH), far * 1.5, np.float32)
    asked = continue_planes(view, depth, [(other, hidden)], seed=0)
    assert asked.support[gap].max() < 0.2


def test_complete_keeps_what_was_measured_and_trusts_guesses_less(corner):
    view, depth, truth, _ = corner
    score = np.where(depth > 0, 0.95, 0).astype(np.float32)
    full = complete(view, DepthMap(depth, score), [], seed=0)
    known = depth > 0
    assert np.array_equal(full.depth[known], depth[known])
    assert (full.depth > 0).all()
    assert full.score[~known].max() < 0.3
    assert (np.abs(full.depth / truth - 1) < 0.03).mean() > 0.97
    assert complete(view, DepthMap(depth, score), [], seed=0).depth.tobytes() == (
        full.depth.tobytes()
    )
