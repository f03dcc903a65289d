# SPDX-License-Identifier: GPL-3.0-or-later
"""Every compiled routine against a plain, slow reference."""

from __future__ import annotations

import numpy as np
import pytest

from mvsam_engine.reconstruct.classical.consistency import DepthMap, without_speckles
from mvsam_engine.reconstruct.classical.fill import fill
from mvsam_engine.reconstruct.classical.kernels.agreement import count_agreement
from mvsam_engine.reconstruct.classical.kernels.plane_match import (
    REACH,
    SAMPLES,
    STRIDE,
    gather,
    initial_cost,
    plane_cost,
)
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


def slow_plane_cost(image, images, matrix, shift, column, row, plane):
    """The definition in the kernel's convention, with numpy in float64."""
    q, a, b = plane
    offsets = [
        (dx, dy)
        for dy in range(-REACH, REACH + 1, STRIDE)
        for dx in range(-REACH, REACH + 1, STRIDE)
        if 0 <= row + dy < image.shape[0] and 0 <= column + dx < image.shape[1]
    ]
    grey = np.array([image[row + dy, column + dx] for dx, dy in offsets])
    weight = 1 / (1 + (grey - image[row, column]) ** 2 * 60)
    costs = []
    for m, t, source in zip(matrix, shift, images, strict=True):
        seen = []
        for dx, dy in offsets:
            p = m @ [column + dx, row + dy, 1.0] + t * (q + a * dx + b * dy)
            x, y = p[:2] / p[2]
            if not (0 <= x < source.shape[1] - 1 and 0 <= y < source.shape[0] - 1):
                break
            j, i = int(x), int(y)
            fx, fy = x - j, y - i
            seen.append(
                (source[i, j] * (1 - fx) + source[i, j + 1] * fx) * (1 - fy)
                + (source[i + 1, j] * (1 - fx) + source[i + 1, j + 1] * fx) * fy
            )
        if len(seen) < len(offsets):
            costs.append(1.2)
            continue
        other = np.array(seen)
        centred = [v - np.average(v, weights=weight) for v in (grey, other)]
        cov = [
            np.average(centred[k] * centred[m_], weights=weight)
            for k, m_ in ((0, 1), (0, 0), (1, 1))
        ]
        costs.append(min(1.2, 1 - cov[0] / np.sqrt(cov[1] * cov[2])))
    return float(np.mean(sorted(costs)[:2]))


def test_plane_cost_equals_the_definition():
    rng = np.random.default_rng(2)
    image = rng.random((24, 30)).astype(np.float32)
    images = rng.random((3, 26, 28)).astype(np.float32)
    matrix = (np.eye(3) + rng.normal(0, 0.01, (3, 3, 3))).astype(np.float32)
    matrix[:, 2, :2] *= 0.01
    shift = rng.normal(0, 2.0, (3, 3)).astype(np.float32)
    shift[:, 2] *= 0.01
    patch = np.empty((SAMPLES, 4), np.float32)
    kinds = set()
    for _ in range(200):
        row, column = int(rng.integers(24)), int(rng.integers(30))
        plane = tuple(np.float32(v) for v in rng.normal([0.7, 0, 0], [0.3, 0.02, 0.02]))
        moments = gather(image, row, column, patch)
        pixel = (np.float32(column), np.float32(row))
        found = plane_cost(patch, moments, (images, matrix, shift), pixel, plane)
        expected = slow_plane_cost(image, images, matrix, shift, column, row, plane)
        assert found == pytest.approx(expected, abs=2e-3)
        kinds.add(expected < 1.19)
    assert kinds == {True, False}  # both comparable patches and such that leave the sources


def test_a_photo_matches_itself_and_not_what_lies_outside():
    image = np.random.default_rng(3).random((20, 20)).astype(np.float32)
    planes = np.ones((20, 20, 3), np.float32)
    planes[..., 1:] = 0
    cost = np.empty((20, 20), np.float32)
    identity = np.eye(3, dtype=np.float32)[None]
    still = np.zeros((1, 3), np.float32)
    initial_cost(planes, cost, image, (image[None].copy(), identity, still))
    assert np.abs(cost[4:-5, 4:-5]).max() < 1e-3
    outside = np.full((1, 20, 20), -1e4, np.float32)
    initial_cost(planes, cost, image, (outside, identity, still))
    assert (cost == np.float32(1.2)).all()


def slow_agreement(depth, other, forth, back, pixels, share):
    count = np.zeros(depth.shape, np.uint8)
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
            again = back @ [x * found, y * found, found, 1.0]
            off = np.hypot(again[0] / again[2] - u, again[1] / again[2] - v)
            count[v, u] = abs(again[2] - z) < share * z and off < pixels
    return count


def test_agreement_equals_the_definition():
    rng = np.random.default_rng(4)
    intrinsics = np.array([[20.0, 0, 10], [0, 20.0, 8], [0, 0, 1]])
    shift = np.array([0.1, 0.02, 0.01])
    there, inverse = np.eye(4), np.eye(4)
    there[:3, 3], inverse[:3, 3] = shift, -shift
    flat = intrinsics @ np.linalg.inv(intrinsics)
    forth = np.column_stack([flat, intrinsics @ shift])
    back = np.column_stack([flat, intrinsics @ -shift])
    depth = (2 + 0.03 * rng.random((16, 20))).astype(np.float32)
    other = (2 + 0.03 * rng.random((14, 18))).astype(np.float32)
    depth[rng.random(depth.shape) < 0.1] = 0
    other[rng.random(other.shape) < 0.1] = 0
    count, total = np.zeros(depth.shape, np.uint8), depth.copy()
    count_agreement(depth, other, forth, back, 1.5, 0.01, count, total)
    expected = slow_agreement(depth, other, forth, back, 1.5, 0.01)
    assert np.array_equal(count, expected)
    assert 0 < expected.mean() < 1
    assert np.array_equal(total > depth, expected > 0)


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
    assert filled.score[~known].max() <= 0.3
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
