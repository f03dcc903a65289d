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
from mvsam_engine.reconstruct.classical.consistency import DepthMap, measured
from mvsam_engine.reconstruct.classical.dense import to_pointmap
from mvsam_engine.reconstruct.classical.patchmatch import refine_depth
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
    planes = plane_count(view, sources)
    depth = sweep_depth(view, sources, planes, Progress())
    return depth, *refine_depth(view, sources, depth, planes, 0, Progress())


def test_sweep_finds_a_slanted_plane(slanted):
    view, truth = slanted.views[1], slanted.truth[1]
    sources = [slanted.views[0], slanted.views[2]]
    depth = sweep_depth(view, sources, 64, Progress())
    error = inner(np.abs(depth / truth - 1))
    assert np.median(error) < 0.005
    assert (error < 0.01).mean() > 0.9


def test_patchmatch_is_better_than_the_sweep(slanted):
    swept, refined, score = matched(slanted, 1)
    truth = slanted.truth[1]
    before, after = (inner(np.abs(d / truth - 1)) for d in (swept, refined))
    assert np.median(after) < 0.001
    assert (after < 0.01).mean() > 0.98
    assert after.mean() < before.mean()
    assert inner(score).mean() > 0.9


def test_patchmatch_recovers_from_a_map_that_is_wrong_in_places(slanted):
    view, truth = slanted.views[1], slanted.truth[1].astype(np.float32)
    sources = [slanted.views[0], slanted.views[2]]
    bad = truth.copy()
    bad[40:60, 40:60] *= 1.3
    refined, _ = refine_depth(view, sources, bad, 64, 0, Progress())
    assert np.abs(refined / truth - 1)[42:58, 42:58].mean() < 0.01


def test_two_planes_are_kept_apart():
    shots = shoot(TWO)
    _, refined, _ = matched(shots, 1)
    truth = shots.truth[1]
    front = truth < 2.0
    # Edges fatten by half a patch, so four pixels beside them are left out.
    edges = np.zeros_like(front)
    for dy in range(-4, 5):
        for dx in range(-4, 5):
            edges |= np.roll(front, (dy, dx), (0, 1)) != front
    for part in (front, ~front):
        chosen = inner(part & ~edges)
        error = inner(np.abs(refined / truth - 1))[chosen]
        assert chosen.sum() > 500
        assert (error < 0.01).mean() > 0.93


def test_agreement_confirms_right_maps_and_rejects_a_wrong_one(slanted):
    maps = [
        DepthMap(t.astype(np.float32), np.ones_like(t, dtype=np.float32)) for t in slanted.truth
    ]
    good = measured(slanted.views, maps, 1, [0, 2])
    seen_by_both = inner(good.score) > 0.7
    assert seen_by_both.mean() > 0.9
    assert np.abs(inner(good.depth) / inner(slanted.truth[1]) - 1)[seen_by_both].max() < 0.01

    maps[1] = replace(maps[1], depth=maps[1].depth * np.float32(1.05))
    wrong = measured(slanted.views, maps, 1, [0, 2])
    assert (wrong.depth > 0).mean() < 0.01


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
    depth = sweep_depth(view, sources, 64, Progress())
    refined, _ = refine_depth(view, sources, depth, 64, 0, Progress())
    error = np.abs(refined / slanted.truth[1] - 1)[30:-30, 50:-50]
    assert (error < 0.01).mean() > 0.97


def test_options_refuse_sizes_that_cannot_work():
    from mvsam_engine.errors import UsageError

    with pytest.raises(UsageError, match="between 64 and 4096"):
        ReconstructOptions(max_size=8)
