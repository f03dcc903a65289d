# SPDX-License-Identifier: GPL-3.0-or-later
"""The torch version of sweep and matching gives what the compiled kernels give, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planes import Plane, Scene, look_at, render

from mvsam_engine.capture import Camera
from mvsam_engine.errors import Cancelled, ReconstructionError
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.device import OnCpu, OnTorch, pick_match_device
from mvsam_engine.reconstruct.classical.kernels import plane_match, sgm
from mvsam_engine.reconstruct.classical.on_gpu import sweep as torch_sweep
from mvsam_engine.reconstruct.classical.on_gpu.match import DRAWS, TorchMatch, random_signed
from mvsam_engine.reconstruct.classical.on_gpu.sampling import window_mean
from mvsam_engine.reconstruct.classical.patchmatch import (
    Match,
    first_planes,
    planes_through,
    second_planes,
)
from mvsam_engine.reconstruct.classical.sweep import (
    DIRECTIONS,
    LARGE_CHANGE,
    SMALL_CHANGE,
    cost_volume,
    inverse_depths,
    sweep_depth,
)
from mvsam_engine.reconstruct.classical.undistort import make_working_view

CPU = torch.device("cpu")
SIZE = 96
TWO = Scene(
    (
        Plane(point=(0, 0, 0.6), normal=(0.2, 0, -1.0), seed=2),
        Plane(point=(0, 0, -0.2), normal=(0, 0, -1.0), seed=3, half_size=0.35),
    )
)


@pytest.fixture(scope="module")
def views():
    """Four photos of two planes, side by side; a corner of one is ignored."""
    made = []
    for i in range(4):
        pose = look_at(np.array([0.22 * (i - 1.5), 0.04 * (i % 2), -2.0]), np.array([0, 0, 0.2]))
        params = (1.1 * SIZE, SIZE / 2, SIZE * 3 / 8, 0.0)
        camera = Camera(f"v{i}", "SIMPLE_RADIAL", SIZE, SIZE * 3 // 4, params, pose)
        photo, _ = render(TWO, camera)
        used = np.ones(photo.shape[:2], bool)
        used[:9, :13] = i != 1
        made.append(make_working_view(camera, photo, SIZE, near=1.2, far=4.5, used=used))
    return made


@pytest.fixture(scope="module")
def swept(views):
    return sweep_depth(views[1], [views[0], views[2], views[3]], 48, Progress())


def test_window_means_are_opencvs():
    import cv2

    values = np.random.default_rng(0).random((13, 17)).astype(np.float32)
    for repeat, border in ((True, cv2.BORDER_REFLECT), (False, cv2.BORDER_REFLECT_101)):
        expected = cv2.blur(values, (5, 5), borderType=border)
        found = window_mean(torch.from_numpy(values)[None], 5, repeat)[0].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_cost_volume(views):
    sources = [views[0], views[2]]
    inverse = inverse_depths(views[1], 20)
    expected = cost_volume(views[1], sources, inverse, Progress())
    found = torch_sweep.cost_volume(views[1], sources, inverse, Progress(), CPU).numpy()
    assert found.shape == expected.shape
    off = np.abs(found - expected)
    # OpenCV interpolates at 1/32 of a pixel.
    assert np.median(off) < 0.01
    assert np.percentile(off, 99) < 0.2
    assert (found <= 1.0).all()


@pytest.mark.parametrize(("dy", "dx"), DIRECTIONS)
def test_aggregation(dy, dx):
    rng = np.random.default_rng(5)
    cost = rng.random((9, 11, 6)).astype(np.float32)
    guide = rng.random((9, 11)).astype(np.float32)
    expected = np.zeros_like(cost)
    sgm.aggregate_direction(cost, expected, guide, dy, dx, SMALL_CHANGE, LARGE_CHANGE)
    found = torch_sweep.aggregated(torch.from_numpy(cost), torch.from_numpy(guide), dy, dx)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_winner():
    total = np.random.default_rng(1).random((8, 9, 7)).astype(np.float32)
    expected = np.empty((8, 9), np.float32)
    sgm.winner(total, expected)
    np.testing.assert_allclose(
        torch_sweep.winner(torch.from_numpy(total)).numpy(), expected, atol=1e-4
    )


def test_sweep(views, swept):
    found = torch_sweep.sweep_depth(views[1], [views[0], views[2], views[3]], 48, Progress(), CPU)
    close = np.abs(found / swept - 1) < 0.01
    assert close.mean() > 0.97


@pytest.mark.parametrize("colour", [0, 1])
def test_random_numbers_are_the_kernels(colour):
    height, width, seed = 5, 12, 1234567
    visited = np.zeros((height, width), bool)
    for row in range(height):
        visited[row, (row + colour) % 2 :: 2] = True
    visited[2, 4:9] = False
    found = random_signed(torch.from_numpy(visited), seed).numpy()
    assert found.shape == (visited.sum(), DRAWS)
    k = 0
    for row in range(height):
        state = np.array([(seed * 9781 + row * 6271 + 1) % 2**32], np.uint32)
        for _ in range(visited[row].sum()):
            expected = [plane_match.random_signed(state) for _ in range(DRAWS)]
            np.testing.assert_allclose(found[k], expected, atol=1e-6)
            k += 1


def matches(views, geometric):
    sources = [views[0], views[2], views[3]]
    if not geometric:
        match = Match.of(views[1], sources)
    else:
        rng = np.random.default_rng(3)
        inverse = []
        for view in sources:
            depth = rng.uniform(1.8, 2.9, view.gray.shape)
            one = (1 / depth).astype(np.float32)
            one[rng.random(one.shape) < 0.2] = 0.0
            inverse.append(one)
        match = Match.of(views[1], sources, inverse, 0.3)
    return match, TorchMatch(match, CPU)


def some_planes(swept):
    planes = planes_through((1.0 / swept).astype(np.float32), 0.05)
    planes += np.random.default_rng(4).normal(0, 0.004, planes.shape).astype(np.float32)
    planes[:4, :4] = (5.0, 0.0, 0.0)  # far out of every source
    return planes


@pytest.mark.parametrize("geometric", [False, True])
def test_costs(views, swept, geometric):
    on_cpu, on_torch = matches(views, geometric)
    planes = some_planes(swept)
    expected, found = on_cpu.costs(planes), on_torch.costs(planes)
    off = np.abs(found - expected)
    assert off.mean() < 1e-3
    # Which side of a rounding or of the photo's border a sample falls on may differ.
    assert (off < 0.02).mean() > 0.995
    assert len(np.unique(np.round(expected, 1))) > 8
    best, other = on_cpu.choose(planes), on_torch.choose(planes)
    assert (np.sort(best, axis=-1) == np.sort(other, axis=-1)).mean() > 0.98


@pytest.mark.parametrize("geometric", [False, True])
def test_improving(views, swept, geometric):
    """The same steps: nearly every pixel ends at the same plane, and as well off everywhere."""
    on_cpu, on_torch = matches(views, geometric)
    planes = some_planes(swept)
    chosen = on_cpu.choose(planes)
    first, second = planes.copy(), planes.copy()
    cost_first = on_cpu.improve(first, chosen, 0.02, 2, 7, Progress())
    cost_second = on_torch.improve(second, chosen, 0.02, 2, 7, Progress())
    start = on_cpu.improve(planes.copy(), chosen, 0.02, 0, 7, Progress())
    assert cost_first.mean() < 0.8 * start.mean()
    assert cost_second.mean() == pytest.approx(cost_first.mean(), rel=0.02)
    close = np.abs(second[..., 0] / first[..., 0] - 1) < 1e-3
    assert close.mean() > 0.9
    ignored = views[1].gray < 0
    assert ignored.any()
    np.testing.assert_array_equal(second[ignored], planes[ignored])


def test_it_can_be_cancelled(views, swept):
    progress = Progress()
    progress.cancel()
    _, on_torch = matches(views, False)
    planes = some_planes(swept)
    with pytest.raises(Cancelled):
        on_torch.improve(planes, on_torch.all_sources(), 0.02, 1, 0, progress)
    with pytest.raises(Cancelled):
        torch_sweep.sweep_depth(views[1], [views[0]], 48, progress, CPU)


def test_the_whole_of_a_view_is_as_right_as_on_the_cpu(views):
    """Coarse to fine, both passes: as many pixels near the truth, whichever device."""
    sources = [views[0], views[2], views[3]]
    height, width = views[1].gray.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    truth = TWO.depth(views[1].camera, pixels @ np.linalg.inv(views[1].intrinsics).T)
    right = []
    for device in (OnCpu(), OnTorch(CPU)):
        planes = first_planes(views[1], sources, device, 0, Progress())
        inverse = [np.full(v.gray.shape, 0.0, np.float32) for v in sources]
        planes, cost = second_planes(views[1], sources, planes, inverse, device, 50, Progress())
        assert cost.shape == (height, width)
        good = np.abs(1 / planes[..., 0] / truth - 1) < 0.01
        right.append(good[8:-8, 20:-8].mean())
    assert right[0] > 0.8
    assert right[1] == pytest.approx(right[0], abs=0.02)


def test_devices_are_chosen_and_refused():
    assert pick_match_device("cpu").name == "cpu"
    if torch.cuda.is_available():
        assert pick_match_device("cuda").name == "cuda"
    else:
        assert pick_match_device("auto").name == "cpu"
        with pytest.raises(ReconstructionError, match="not available"):
            pick_match_device("cuda")
    with pytest.raises(ReconstructionError, match="abacus"):
        pick_match_device("abacus")
