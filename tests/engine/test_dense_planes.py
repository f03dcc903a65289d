# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense step against analytic truth: photos of textured planes, rendered here by numpy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from planes import Plane, Scene, look_at, render

from mvsam_engine.capture import Camera
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.confidence import chance_within_one_percent
from mvsam_engine.reconstruct.classical.consistency import DepthMap, Votes
from mvsam_engine.reconstruct.classical.dense import to_pointmap
from mvsam_engine.reconstruct.classical.device import OnCpu
from mvsam_engine.reconstruct.classical.levels import doubled, halved
from mvsam_engine.reconstruct.classical.measure import LEAST_CHANCE, measured
from mvsam_engine.reconstruct.classical.patchmatch import (
    Match,
    first_planes,
    planes_through,
    second_planes,
    sharpened,
)
from mvsam_engine.reconstruct.classical.sweep import plane_count, sweep_depth
from mvsam_engine.reconstruct.classical.undistort import make_working_view, photo_grid

SIZE = 160
SLANTED = Scene((Plane(point=(0, 0, 0), normal=(0.35, 0.25, -1.0), seed=1),))
TWO = Scene(
    (
        Plane(point=(0, 0, 0.6), normal=(0, 0, -1.0), seed=2),
        Plane(point=(0, 0, -0.2), normal=(0, 0, -1.0), seed=3, half_size=0.35),
    )
)


@dataclass
class Shots:
    """Views of a scene and their true depths."""

    views: list
    truth: list


def cameras(count, k1=0.0):
    """Side by side, 2 units in front of the origin, about 6 degrees apart."""
    result = []
    for i in range(count):
        x = 0.22 * (i - (count - 1) / 2)
        pose = look_at(np.array([x, 0.04 * (i % 2), -2.0]), np.array([0.0, 0.0, 0.2]))
        params = (1.1 * SIZE, SIZE / 2, SIZE * 3 / 8, k1)
        result.append(Camera(f"v{i}", "SIMPLE_RADIAL", SIZE, SIZE * 3 // 4, params, pose))
    return result


def shoot(scene, count=4, k1=0.0):
    """Render `count` views at working size."""
    views, truth = [], []
    for camera in cameras(count, k1):
        photo, _ = render(scene, camera)
        view = make_working_view(camera, photo, SIZE, near=1.2, far=4.5)
        views.append(view)
        truth.append(canvas_depth(scene, view))
    return Shots(views, truth)


def canvas_depth(scene, view):
    """True depth of every canvas pixel."""
    height, width = view.filled.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    return scene.depth(view.camera, pixels @ np.linalg.inv(view.intrinsics).T)


def inner(values, margin=12):
    return values[margin:-margin, margin:-margin]


@pytest.fixture(scope="module")
def slanted():
    return shoot(SLANTED)


def matched(shots, index):
    sources = [v for j, v in enumerate(shots.views) if j != index]
    view = shots.views[index]
    swept = sweep_depth(view, sources, plane_count(view, sources), Progress())
    planes = first_planes(view, sources, OnCpu(), 0, Progress())
    return swept, 1 / planes[..., 0], planes


def true_planes(truth):
    return planes_through((1 / truth).astype(np.float32), limit=0.05)


def test_sweep_finds_a_slanted_plane(slanted):
    view, truth = slanted.views[1], slanted.truth[1]
    sources = [slanted.views[0], slanted.views[2]]
    depth = sweep_depth(view, sources, 64, Progress())
    error = inner(np.abs(depth / truth - 1))
    assert np.median(error) < 0.005
    assert (error < 0.01).mean() > 0.9


def test_patchmatch_is_better_than_the_sweep(slanted):
    swept, refined, _ = matched(slanted, 1)
    truth = slanted.truth[1]
    before, after = (inner(np.abs(d / truth - 1)) for d in (swept, refined))
    assert np.median(after) < 0.001
    assert (after < 0.01).mean() > 0.98
    assert after.mean() < before.mean()


def test_second_pass_recovers_where_the_map_is_wrong(slanted):
    view, sources = slanted.views[1], [slanted.views[0], slanted.views[2]]
    truth = slanted.truth[1]
    bad = truth.copy()
    bad[40:60, 40:60] *= 1.3
    inverse = [(1 / slanted.truth[j]).astype(np.float32) for j in (0, 2)]
    planes, cost = second_planes(view, sources, true_planes(bad), inverse, OnCpu(), 0, Progress())
    error = np.abs(1 / planes[..., 0] / truth - 1)[42:58, 42:58]
    assert (error < 0.01).mean() > 0.95
    assert inner(cost).mean() < 0.1


def test_depth_of_the_sources_decides_where_looks_do_not(slanted):
    """A plain photo looks the same at every depth."""
    plain = np.full((SIZE * 3 // 4, SIZE, 3), 128, np.uint8)
    views = [make_working_view(v.camera, plain, SIZE, 1.2, 4.5) for v in slanted.views]
    truth, sources = slanted.truth[1], [views[0], views[2]]
    inverse = [(1 / slanted.truth[j]).astype(np.float32) for j in (0, 2)]
    wrong = true_planes(truth * np.where(np.arange(SIZE) % 8 == 0, 1.0, 1.05))
    before = np.abs(1 / wrong[..., 0] / truth - 1)
    match = Match.of(views[1], sources, inverse, weight=0.3)
    match.improve(wrong, match.all_sources(), 0.01, 3, 0, Progress())
    after = np.abs(1 / wrong[..., 0] / truth - 1)
    assert (inner(before) < 0.01).mean() < 0.2
    assert (inner(after) < 0.01).mean() > 0.9


def edge_distance(front):
    """Pixels to the nearest pixel of the other surface, 1 beside the edge."""
    import cv2

    return np.maximum(
        *(cv2.distanceTransform(m.astype(np.uint8), cv2.DIST_L2, 5) for m in (front, ~front))
    )


def test_two_planes_are_kept_apart():
    shots = shoot(TWO)
    view, sources = shots.views[1], [shots.views[j] for j in (0, 2, 3)]
    truth = shots.truth[1]
    front = truth < 2.0
    distance = edge_distance(front)
    _, first, planes = matched(shots, 1)
    sharp = 1 / sharpened(Match.of(view, sources), planes)[..., 0]
    wrong = {name: np.abs(d / truth - 1) > 0.05 for name, d in (("whole", first), ("half", sharp))}
    for part in (front, ~front):
        chosen = inner(part & (distance > 4))
        assert chosen.sum() > 500
        assert (inner(np.abs(sharp / truth - 1))[chosen] < 0.01).mean() > 0.93
    # Whole patches fatten the front by half a patch; halves know better.
    band = inner((distance <= 4) & ~front)
    fattened, sharpened_share = (inner(wrong[name])[band].mean() for name in ("whole", "half"))
    assert fattened > 0.2
    assert sharpened_share < 0.8 * fattened


def test_agreement_confirms_right_maps_and_rejects_a_wrong_one(slanted):
    maps = [truth.astype(np.float32) for truth in slanted.truth]
    alike, view = np.ones_like(maps[1]), slanted.views[1]
    others = [(slanted.views[j], maps[j]) for j in (0, 2)]
    sources = [v for v, _ in others]
    good = measured(view, DepthMap(maps[1], alike), others, sources)
    seen_by_both = inner(good.score) > 0.9
    assert seen_by_both.mean() > 0.9
    assert np.abs(inner(good.depth) / inner(slanted.truth[1]) - 1)[seen_by_both].max() < 0.01
    assert good.score[good.depth > 0].min() > LEAST_CHANCE

    wrong = measured(view, DepthMap(maps[1] * np.float32(1.05), alike), others, sources)
    assert (wrong.depth > 0).mean() < 0.01
    alone = measured(view, DepthMap(maps[1], alike), [], [])
    assert not alone.depth.any() and not alone.score.any()


def test_more_views_and_less_contradiction_make_surer(slanted):
    truth, view = slanted.truth[1].astype(np.float32), slanted.views[1]
    score = np.full_like(truth, 0.9)

    def chance(agree, against=0, spread=0.0, depth=truth):
        votes = Votes(
            np.full(truth.shape, agree, np.uint8),
            np.full(truth.shape, against, np.uint8),
            depth,
            np.full(truth.shape, spread, np.float32),
        )
        return inner(chance_within_one_percent(view, votes, score, 100.0))

    assert (chance(0) == 0).all()
    assert (chance(1) < chance(2)).all() and (chance(2) < chance(4)).all()
    assert (chance(2, against=1) < chance(2)).all()
    assert (chance(2, spread=0.008) < chance(2)).all()
    # Beside a depth edge a point may belong to the other side.
    step = np.where(np.arange(SIZE) < 80, truth, truth * 1.5).astype(np.float32)
    beside = chance(3, depth=step)[:, 80 - 12]
    assert (beside < chance(3)[:, 80 - 12] - 0.03).all()


def test_planes_survive_halving(slanted):
    view, truth = slanted.views[1], slanted.truth[1]
    small = halved(view)
    assert small.gray.shape == (view.gray.shape[0] // 2, view.gray.shape[1] // 2)
    coarse = true_planes(canvas_depth(SLANTED, small))
    planes = doubled(coarse, *view.gray.shape)
    assert np.abs(inner(1 / planes[..., 0]) / inner(truth) - 1).max() < 1e-3


def test_ignored_pixels_match_nothing_and_get_no_points(slanted):
    camera = slanted.views[1].camera
    photo, _ = render(SLANTED, camera)
    used = np.ones(photo.shape[:2], bool)
    used[:, :60] = False
    view = make_working_view(camera, photo, SIZE, 1.2, 4.5, used)
    assert (view.gray[:, :60] < 0).all() and (view.gray[:, 60:] >= 0).all()
    depth = slanted.truth[1].astype(np.float32)
    pointmap = to_pointmap(view, DepthMap(depth, np.ones_like(depth)))
    assert np.isnan(pointmap.points[:, :60]).all() and np.isfinite(pointmap.points[:, 60:]).all()
    assert (pointmap.confidence[:, :60] == 0).all()
    # As a source it is not compared where it is ignored.
    match = Match.of(slanted.views[0], [view])
    cost = match.costs(true_planes(slanted.truth[0]))[0]
    pixels, _ = camera.project(
        slanted.views[0].camera.unproject(
            grid_pixels(*cost.shape, SIZE, SIZE * 3 // 4), slanted.truth[0]
        )
    )
    assert (cost[pixels[..., 0] < 60] == np.float32(1.2)).all()
    assert np.median(cost[pixels[..., 0] > 70]) < 0.05


@pytest.mark.parametrize("k1", [0.0, -0.12, 0.1])
def test_pointmap_lies_on_the_plane_and_on_the_rays_of_the_original_photo(k1):
    shots = shoot(SLANTED, count=1, k1=k1)
    view = shots.views[0]
    depth = shots.truth[0].astype(np.float32)
    pointmap = to_pointmap(view, DepthMap(depth, np.ones_like(depth)))
    height, width = pointmap.points.shape[:2]
    assert (width, height) == (SIZE, SIZE * 3 // 4)
    assert np.isfinite(pointmap.points).all()
    pixels, _ = view.camera.project(pointmap.points)
    wanted = grid_pixels(height, width, view.camera.width, view.camera.height)
    assert np.abs(pixels - wanted).max() < 1e-3
    plane = SLANTED.planes[0]
    assert np.abs((pointmap.points - plane.point) @ plane.unit_normal).max() < 2e-4


def test_undistorted_photo_keeps_its_grid_and_a_bent_one_is_straightened():
    straight, bent = shoot(SLANTED, 1).views[0], shoot(SLANTED, 1, k1=-0.12).views[0]
    grid = photo_grid(straight)
    columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE * 3 // 4))
    assert np.array_equal(grid.x, columns) and np.array_equal(grid.y, rows)
    assert np.array_equal(straight.guide, straight.colors)
    # The corrected picture of the bent photo is what a straight lens would have seen.
    dy, dx = np.round(bent.intrinsics[:2, 2] - straight.intrinsics[:2, 2]).astype(int)[::-1]
    height, width = straight.filled.shape
    same = bent.filled[dy : dy + height, dx : dx + width]
    assert np.abs(inner(same) - inner(straight.filled)).mean() < 0.01
    assert np.abs(inner(bent.colors.astype(float)) - inner(straight.colors)).mean() > 5


def test_depth_is_not_averaged_across_an_edge():
    view = shoot(SLANTED, 1, k1=0.1).views[0]
    depth = np.where(np.arange(view.filled.shape[1]) < 80, 1.0, 2.0).astype(np.float32)
    found = photo_grid(view).depth(np.tile(depth, (view.filled.shape[0], 1)))
    assert set(np.unique(np.round(found, 3))) <= {1.0, 2.0}


def test_photos_of_other_sizes_are_sources_too(slanted):
    portrait = replace(
        cameras(4)[2], width=96, height=SIZE, params=(1.1 * SIZE, 48.0, SIZE / 2, 0.0)
    )
    photo, _ = render(SLANTED, portrait)
    source = make_working_view(portrait, photo, SIZE, near=1.2, far=4.5)
    view = slanted.views[1]
    sources = [slanted.views[0], source]
    planes = first_planes(view, sources, OnCpu(), 0, Progress())
    error = np.abs(1 / planes[..., 0] / slanted.truth[1] - 1)[30:-30, 50:-50]
    assert (error < 0.01).mean() > 0.97


def test_options_refuse_sizes_that_cannot_work():
    from mvsam_engine.errors import UsageError

    with pytest.raises(UsageError, match="between 64 and 4096"):
        ReconstructOptions(max_size=8)
