# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compiled routine against a plain, slow reference."""

from __future__ import annotations

import numpy as np
import pytest

from mvsam_engine.reconstruct.classical.consistency import DepthMap, without_speckles
from mvsam_engine.reconstruct.classical.fill import fill
from mvsam_engine.reconstruct.classical.kernels import edge_match, plane_match
from mvsam_engine.reconstruct.classical.kernels.agreement import count_agreement
from mvsam_engine.reconstruct.classical.kernels.sgm import (
    EDGE_GAIN,
    aggregate_direction,
    winner,
)
from mvsam_engine.reconstruct.classical.kernels.smoother import smooth_rows
from mvsam_engine.reconstruct.classical.sweep import DIRECTIONS


def slow_aggregation(cost, guide, dy, dx, small, large):
    """Hirschmueller's recursion, cell by cell, each asking the cell before it on its path."""
    height, width, planes = cost.shape
    result = np.zeros_like(cost)
    rows = range(height) if dy >= 0 else range(height - 1, -1, -1)
    columns = range(width) if dx >= 0 else range(width - 1, -1, -1)
    for y in rows:
        for x in columns:
            i, j = y - dy, x - dx
            if not (0 <= i < height and 0 <= j < width):
                result[y, x] = cost[y, x]
                continue
            before = result[i, j]
            step = abs(guide[y, x] - guide[i, j])
            jump = max(small * 1.5, large / (1 + step * EDGE_GAIN))
            for d in range(planes):
                ways = [before[d], before.min() + jump]
                ways += [before[e] + small for e in (d - 1, d + 1) if 0 <= e < planes]
                result[y, x, d] = cost[y, x, d] + min(ways) - before.min()
    return result


@pytest.mark.parametrize(("dy", "dx"), DIRECTIONS)
def test_aggregation_equals_the_recursion(dy, dx):
    rng = np.random.default_rng(5)
    cost = rng.random((7, 9, 6)).astype(np.float32)
    guide = rng.random((7, 9)).astype(np.float32)
    total = np.full_like(cost, 0.25)
    aggregate_direction(cost, total, guide, dy, dx, np.float32(0.05), np.float32(0.6))
    expected = slow_aggregation(cost.astype(float), guide.astype(float), dy, dx, 0.05, 0.6)
    assert np.allclose(total - 0.25, expected, atol=1e-5)


def test_winner_is_the_bottom_of_the_parabola():
    planes = np.arange(8, dtype=np.float32)
    bottom = np.array([[0.0, 2.3, 4.0], [5.6, 6.8, 7.0]], np.float32)
    found = np.empty_like(bottom)
    winner(np.ascontiguousarray((planes - bottom[..., None]) ** 2), found)
    # The first and the last plane (here for 6.8) have no neighbour to fit a parabola with.
    assert np.allclose(found, [[0.0, 2.3, 4.0], [5.6, 7.0, 7.0]], atol=1e-4)


OUTSIDE = -1e4


def slow_correlation(image, source, column, row, warp, offsets, bilateral, least):
    """1 - weighted correlation with numpy in float64; `warp` as in `plane_match.photo_cost`."""
    u, v, u_dx, v_dx, u_dy, v_dy = warp
    height, width = source.shape
    if not (0 <= u <= width - 1.001 and 0 <= v <= height - 1.001):
        return 1.2
    grey, other = [], []
    for dx, dy in offsets:
        y, x = row + dy, column + dx
        if not (0 <= y < image.shape[0] and 0 <= x < image.shape[1]) or image[y, x] < 0:
            continue
        grey.append(image[y, x])
        px = min(max(u + dx * u_dx + dy * u_dy, 0), width - 1.001)
        py = min(max(v + dx * v_dx + dy * v_dy, 0), height - 1.001)
        j, i = int(px), int(py)
        fx, fy = px - j, py - i
        corners = source[i : i + 2, j : j + 2].astype(float)
        other.append((corners @ [1 - fx, fx]) @ [1 - fy, fy])
    grey, other = np.array(grey, float), np.array(other)
    weight = 1 / (1 + (grey - image[row, column]) ** 2 * bilateral)
    weight /= weight.sum()
    if (weight * other).sum() < 0:
        return 1.2
    a, b = grey - (weight * grey).sum(), other - (weight * other).sum()
    one, two = (weight * a * a).sum(), (weight * b * b).sum()
    if one <= least or two <= least:
        return 1.0
    return min(1 - (weight * a * b).sum() / np.sqrt(one * two), 1.2)


def slow_warp(matrix, shift, column, row, plane):
    """Where a plane carries a pixel and its surroundings: by finite differences; and its z."""

    def place(dx, dy):
        q = plane[0] + plane[1] * dx + plane[2] * dy
        p = matrix @ [column + dx, row + dy, 1.0] + shift * q
        return p[:2] / p[2]

    tiny = 1e-4
    along_x = (place(tiny, 0) - place(-tiny, 0)) / (2 * tiny)
    along_y = (place(0, tiny) - place(0, -tiny)) / (2 * tiny)
    z = (matrix @ [column, row, 1.0] + shift * plane[0])[2]
    return (*place(0, 0), *along_x, *along_y), z


def slow_plane_cost(image, sources, neighbours, chosen, column, row, plane):
    """The definition in the kernels' convention."""
    images, matrix, shift = sources
    inverse, gain, strength = neighbours
    grid = range(-4, 5, 2)
    offsets = [(dx, dy) for dy in grid for dx in grid]
    costs = []
    for s in chosen:
        warp, z = slow_warp(matrix[s].astype(float), shift[s].astype(float), column, row, plane)
        cost = slow_correlation(
            image, images[s], column, row, warp, offsets, plane_match.BILATERAL, 1e-5
        )
        i, j = int(np.floor(warp[1] + 0.5)), int(np.floor(warp[0] + 0.5))
        off = 3.0
        if 0 <= i < images.shape[1] and 0 <= j < images.shape[2] and inverse[s, i, j] > 0:
            off = min(abs(plane[0] / z - inverse[s, i, j]) * gain[s], 3.0)
        costs.append(cost + strength * off / 3.0)
    return float(np.mean(sorted(costs)[:2]))


@pytest.fixture
def world():
    """A noisy reference with an ignored corner, sources and their depth: all by chance."""
    rng = np.random.default_rng(2)
    image = rng.random((24, 30)).astype(np.float32)
    image[:5, :6] = OUTSIDE
    images = rng.random((3, 26, 28)).astype(np.float32)
    images[1, 20:, 20:] = OUTSIDE
    matrix = (np.eye(3) + rng.normal(0, 0.01, (3, 3, 3))).astype(np.float32)
    matrix[:, 2, :2] *= 0.01
    shift = rng.normal(0, 2.0, (3, 3)).astype(np.float32)
    shift[:, 2] *= 0.01
    inverse = rng.normal(0.7, 0.05, (3, 26, 28)).astype(np.float32)
    inverse[:, ::3, ::3] = 0
    gain = np.array([30.0, 20.0, 50.0], np.float32)
    return image, (images, matrix, shift), (inverse, gain, np.float32(0.3))


def chance_planes(rng, height, width):
    planes = rng.normal([0.7, 0, 0], [0.3, 0.02, 0.02], (height, width, 3))
    return planes.astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_plane_cost_equals_the_definition(world, count):
    image, sources, neighbours = world
    rng = np.random.default_rng(count)
    planes = chance_planes(rng, *image.shape)
    chosen = rng.integers(0, 3, (*image.shape, count)).astype(np.uint8)
    cost = np.empty(image.shape, np.float32)
    plane_match.plane_costs(planes, cost, image, sources, neighbours, chosen)
    kinds = set()
    for row, column in np.argwhere(image >= 0)[::3]:
        expected = slow_plane_cost(
            image, sources, neighbours, chosen[row, column], column, row, planes[row, column]
        )
        assert cost[row, column] == pytest.approx(expected, abs=3e-3)
        kinds.add(expected < 1.19)
    assert kinds == {True, False}  # both comparable patches and such that leave the sources
    # Where the reference is ignored nothing can be compared.
    assert (cost[:5, :6] >= 1.0).all()


def test_costs_by_source_are_those_of_single_sources(world):
    image, sources, neighbours = world
    planes = chance_planes(np.random.default_rng(7), *image.shape)
    every = np.empty((3, *image.shape), np.float32)
    plane_match.costs_by_source(planes, image, sources, neighbours, every)
    for s in range(3):
        one = np.empty(image.shape, np.float32)
        chosen = np.full((*image.shape, 1), s, np.uint8)
        plane_match.plane_costs(planes, one, image, sources, neighbours, chosen)
        assert np.allclose(every[s], one, atol=1e-5)


def test_improving_keeps_costs_true_and_never_raises_them(world):
    image, sources, neighbours = world
    planes = chance_planes(np.random.default_rng(8), *image.shape)
    chosen = np.tile(np.array([0, 2], np.uint8), (*image.shape, 1))
    before, after, again = (np.empty(image.shape, np.float32) for _ in range(3))
    plane_match.plane_costs(planes, before, image, sources, neighbours, chosen)
    after[:] = before
    limits = (np.float32(0.2), np.float32(1.5), np.float32(0.1))
    for colour in (0, 1):
        plane_match.improve(
            planes, after, image, sources, neighbours, chosen, limits, (colour, 3 + colour)
        )
    plane_match.plane_costs(planes, again, image, sources, neighbours, chosen)
    assert (after <= before).all()
    assert (after < before)[image >= 0].mean() > 0.8
    assert np.allclose(again, after, atol=1e-4)


def test_a_photo_matches_itself_and_not_what_lies_outside():
    image = np.random.default_rng(3).random((20, 20)).astype(np.float32)
    planes = np.ones((20, 20, 3), np.float32)
    planes[..., 1:] = 0
    identity, still = np.eye(3, dtype=np.float32)[None], np.zeros((1, 3), np.float32)
    nothing = (np.zeros((1, 1, 1), np.float32), np.zeros(1, np.float32), np.float32(0.0))
    chosen = np.zeros((20, 20, 1), np.uint8)
    cost = np.empty((20, 20), np.float32)
    sources = (image[None].copy(), identity, still)
    plane_match.plane_costs(planes, cost, image, sources, nothing, chosen)
    assert np.abs(cost[:-1, :-1]).max() < 1e-3
    outside = (np.full((1, 20, 20), OUTSIDE, np.float32), identity, still)
    plane_match.plane_costs(planes, cost, image, outside, nothing, chosen)
    assert (cost == np.float32(1.2)).all()


def slow_better_half(image, sources, column, row, plane):
    images, matrix, shift = sources
    whole = [(dx, dy) for dy in range(-3, 4) for dx in range(-3, 4)]
    halves = [
        [o for o in whole if o[0] <= 0],
        [o for o in whole if o[0] >= 0],
        [o for o in whole if o[1] <= 0],
        [o for o in whole if o[1] >= 0],
    ]
    result = []
    for offsets in halves:
        costs = []
        for s in range(len(images)):
            warp, _ = slow_warp(matrix[s].astype(float), shift[s].astype(float), column, row, plane)
            costs.append(
                slow_correlation(
                    image, images[s], column, row, warp, offsets, edge_match.BILATERAL, 3e-5
                )
            )
        result.append(np.mean(sorted(costs)[:2]))
    return min(result)


def test_the_better_half_equals_the_definition(world):
    image, sources, _ = world
    rng = np.random.default_rng(9)
    weight, centred = np.empty((2, 4, edge_match.SAMPLES), np.float32)
    variance, scratch = np.empty(4, np.float32), np.empty((3, 4), np.float32)
    found, expected = [], []
    for row, column in np.argwhere(image >= 0)[::9]:
        plane = tuple(np.float32(v) for v in rng.normal([0.7, 0, 0], [0.3, 0.02, 0.02]))
        edge_match.gather_halves(image, row, column, weight, centred, variance)
        pixel = (np.float32(column), np.float32(row))
        found.append(
            edge_match.better_half(weight, centred, variance, sources, pixel, plane, scratch)
        )
        expected.append(slow_better_half(image, sources, column, row, plane))
    assert np.allclose(found, expected, atol=3e-3)
    assert np.ptp(expected) > 0.3


def slow_agreement(depth, other, forth, back, pixels, share):
    """Votes [h, w]: 1 agrees, -1 speaks against, 0 says nothing."""
    votes = np.zeros(depth.shape, int)
    for v in range(depth.shape[0]):
        for u in range(depth.shape[1]):
            z = float(depth[v, u])
            if z <= 0:
                continue
            there = forth @ [u * z, v * z, z, 1.0]
            if there[2] <= 1e-9:
                continue
            x, y = there[:2] / there[2]
            j, i = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
            if not (0 <= i < other.shape[0] and 0 <= j < other.shape[1]) or other[i, j] <= 0:
                continue
            found = float(other[i, j])
            if found > there[2] * (1 + 3 * share):
                votes[v, u] = -1
                continue
            again = back @ [x * found, y * found, found, 1.0]
            off = np.hypot(again[0] / again[2] - u, again[1] / again[2] - v)
            votes[v, u] = abs(again[2] / z - 1) < share and off < pixels
    return votes


def test_agreement_equals_the_definition():
    rng = np.random.default_rng(4)
    intrinsics = np.array([[20.0, 0, 10], [0, 20.0, 8], [0, 0, 1]])
    shift = np.array([0.1, 0.02, 0.01])
    flat = intrinsics @ np.linalg.inv(intrinsics)
    forth = np.column_stack([flat, intrinsics @ shift])
    back = np.column_stack([flat, intrinsics @ -shift])
    depth = (2 + 0.1 * rng.random((16, 20))).astype(np.float32)
    other = (2 + 0.1 * rng.random((14, 18))).astype(np.float32)
    depth[rng.random(depth.shape) < 0.1] = 0
    other[rng.random(other.shape) < 0.1] = 0
    agree, against = np.zeros((2, *depth.shape), np.uint8)
    total, square = depth.copy(), np.zeros_like(depth)
    count_agreement(depth, other, forth, back, (1.5, 0.01), (agree, against), (total, square))
    expected = slow_agreement(depth, other, forth, back, 1.5, 0.01)
    assert np.array_equal(agree, expected == 1)
    assert np.array_equal(against, expected == -1)
    assert (agree.sum(), against.sum()) > (20, 20)
    assert np.array_equal(total > depth, expected == 1)
    again = total - depth
    off = np.where(agree > 0, again / np.where(depth > 0, depth, 1) - 1, 0)
    assert np.allclose(square, off**2, atol=1e-7)


def test_smoother_solves_its_equations():
    rng = np.random.default_rng(6)
    values = rng.random((3, 12, 2)).astype(np.float32)
    affinity = rng.random((3, 12)).astype(np.float32)
    solved = values.copy()
    smooth_rows(solved, affinity, np.float32(4.0))
    for y in range(3):
        matrix = np.eye(12)
        for x in range(11):
            edge = 4.0 * affinity[y, x]
            matrix[x, x] += edge
            matrix[x + 1, x + 1] += edge
            matrix[x, x + 1] -= edge
            matrix[x + 1, x] -= edge
        assert np.allclose(solved[y], np.linalg.solve(matrix, values[y]), atol=1e-4)


def plane_map(height=60, width=80):
    """Depth of a slanted plane: affine in inverse depth."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-0.75, 0.75, height))
    return (1.0 / (0.5 + 0.1 * x + 0.08 * y)).astype(np.float32)


def test_fill_continues_a_plane_and_keeps_what_was_measured():
    truth = plane_map()
    depth = truth.copy()
    depth[:, 50:] = 0
    depth[20:30, 10:20] = 0
    known = depth > 0
    grey = np.full((*truth.shape, 3), 120, np.uint8)
    filled = fill(DepthMap(depth, np.where(known, 0.9, 0).astype(np.float32)), grey)
    assert np.array_equal(filled.depth[known], depth[known])
    assert np.abs(filled.depth / truth - 1)[20:30, 10:20].max() < 0.002
    assert np.abs(filled.depth / truth - 1)[:, 50:60].max() < 0.02
    assert filled.score[known].min() == np.float32(0.9)
    assert filled.score[~known].max() < 0.3
    assert filled.score[30, 79] < filled.score[30, 52]


def test_fill_stops_at_edges_of_the_photo():
    depth = np.zeros((60, 80), np.float32)
    guide = np.zeros((60, 80, 3), np.uint8)
    guide[:, 40:] = 255
    depth[20:40, 5:25], depth[20:40, 55:75] = 1.0, 3.0
    filled = fill(DepthMap(depth, (depth > 0).astype(np.float32)), guide)
    assert np.abs(filled.depth[10:50, 2:38] - 1.0).max() < 0.1
    assert np.abs(filled.depth[10:50, 42:78] - 3.0).max() < 0.3
    # Beside the jump from one to the other nothing is sure.
    assert filled.score[30, 39] < 0.3 * filled.score[30, 28]


def test_small_floating_patches_are_forgotten():
    depth = np.full((60, 80), 2.0, np.float32)
    depth[10:15, 10:15] = 3.0
    depth[30:50, 30:50] = 0.0
    depth[38:42, 38:42] = 2.0
    score = np.where(depth > 0, 0.8, 0.0).astype(np.float32)
    kept = without_speckles(DepthMap(depth, score))
    assert (kept.depth[10:15, 10:15] == 0).all() and (kept.score[10:15, 10:15] == 0).all()
    assert (kept.depth[38:42, 38:42] == 0).all()
    assert (kept.depth == 2.0).sum() == 60 * 80 - 25 - 400
