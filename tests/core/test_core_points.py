# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing points and looking up their weights: small arrays, plain references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvsam_blender.core.points import choose_points, even_subset, typical_spacing
from mvsam_blender.core.weights import gather_weights, quantise, strongest_object
from mvsam_engine.capture import Camera, Pointmap
from mvsam_engine.errors import CaptureError


def pointmap(view, rows=2, columns=3, confidence=1.0):
    """Points whose x is the column, y the row; colours count up."""
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    points = np.stack([x, y, np.full_like(x, 5)], axis=-1)
    colors = np.arange(rows * columns * 3, dtype=np.uint8).reshape(rows, columns, 3)
    return Pointmap(view, points, np.full((rows, columns), confidence, dtype=np.float16), colors)


def test_points_keep_where_they_come_from():
    cloud = choose_points([pointmap("a"), pointmap("b", 1, 2)])
    assert len(cloud) == 8 and cloud.views == ("a", "b")
    assert cloud.view.tolist() == [0] * 6 + [1] * 2
    assert cloud.row.tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    assert cloud.column.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    np.testing.assert_array_equal(cloud.position[:, 0], cloud.column)
    np.testing.assert_array_equal(cloud.position[:, 1], cloud.row)
    assert cloud.color[4].tolist() == [12, 13, 14]
    assert cloud.grids == ((2, 3), (1, 2)) and cloud.full_count == 8
    assert (cloud.position.dtype, cloud.color.dtype) == (np.float32, np.uint8)


def test_unknown_and_untrusted_points_are_left_out():
    made = pointmap("a")
    made.points[0, 1] = np.nan
    made.points[1, 1, 2] = np.inf
    made.confidence[1, 2] = 0.2
    made.confidence[0, 0] = np.nan
    cloud = choose_points([made], min_confidence=0.3)
    assert list(zip(cloud.row.tolist(), cloud.column.tolist(), strict=True)) == [(0, 2), (1, 0)]


def test_nothing_gives_an_empty_cloud():
    empty = choose_points([])
    assert len(empty) == 0 and empty.position.shape == (0, 3) and empty.views == ()
    nowhere = pointmap("a")
    nowhere.points[:] = np.nan
    assert len(choose_points([nowhere])) == 0


def test_thinning_is_even_over_views_and_places_and_repeatable():
    maps = [pointmap("a", 200, 300), pointmap("b", 100, 300)]
    cloud = choose_points(maps, cap=9000)
    again = choose_points(maps, cap=9000)
    assert len(cloud) == 9000 and cloud.full_count == 90000
    np.testing.assert_array_equal(cloud.position, again.position)
    assert (cloud.view == 0).mean() == pytest.approx(2 / 3, abs=0.02)
    # Blocks of 20 x 20 pixels hold 40 points each, give or take; stripes would hold 0 or hundreds.
    of_a = cloud.view == 0
    blocks, _, _ = np.histogram2d(
        cloud.row[of_a], cloud.column[of_a], bins=(10, 15), range=((0, 200), (0, 300))
    )
    assert blocks.min() > 15 and blocks.max() < 70
    lines = np.bincount(cloud.row[of_a], minlength=200)
    assert lines.min() > 8 and lines.max() < 60


@given(count=st.integers(0, 3000), cap=st.integers(1, 3000))
@settings(max_examples=50, deadline=None)
def test_a_subset_is_sorted_unique_and_of_the_right_size(count, cap):
    kept = even_subset(count, cap)
    assert len(kept) == min(count, cap)
    assert np.all(np.diff(kept) > 0)
    assert len(kept) == 0 or (kept[0] >= 0 and kept[-1] < count)


def test_spacing_of_a_plane_seen_straight():
    """A plane at z = 5 seen with f = 100 px at 1/2 size: neighbours are 0.1 apart."""
    camera = Camera("a", "SIMPLE_PINHOLE", 80, 60, (100.0, 40.0, 30.0), np.eye(4))
    rows, columns = 30, 40
    y, x = np.mgrid[:rows, :columns]
    pixels = np.stack([(x + 0.5) * 2, (y + 0.5) * 2], axis=-1)
    points = camera.unproject(pixels, np.full((rows, columns), 5.0)).astype(np.float32)
    made = Pointmap(
        "a",
        points,
        np.ones((rows, columns), dtype=np.float16),
        np.zeros((rows, columns, 3), dtype=np.uint8),
    )
    spacing = typical_spacing(choose_points([made]), [camera])
    assert spacing == pytest.approx(0.1, rel=0.1)
    thinned = typical_spacing(choose_points([made], cap=300), [camera])
    assert thinned == pytest.approx(0.2, rel=0.1)


def test_weights_are_looked_up_by_view_row_and_column():
    rng = np.random.default_rng(0)
    grids = {"a": rng.random((4, 5)).astype(np.float16), "b": rng.random((3, 7)).astype(np.float16)}
    grids["a"][1, 2] = np.nan
    view = rng.integers(0, 2, 200).astype(np.int32)
    row = np.where(view == 0, rng.integers(0, 4, 200), rng.integers(0, 3, 200)).astype(np.int32)
    column = np.where(view == 0, rng.integers(0, 5, 200), rng.integers(0, 7, 200)).astype(np.int32)
    found = gather_weights(("a", "b"), view, row, column, grids.__getitem__)
    slow = [float(grids["ab"[v]][r, c]) for v, r, c in zip(view, row, column, strict=True)]
    np.testing.assert_array_equal(found, np.nan_to_num(np.array(slow, dtype=np.float32)))
    assert found.dtype == np.float32 and np.isfinite(found).all()


def test_views_without_points_are_not_read():
    read = []

    def fused(name):
        read.append(name)
        return np.ones((1, 1), dtype=np.float16)

    zero = np.zeros(3, dtype=np.int32)
    assert gather_weights(("a", "b"), zero, zero, zero, fused).tolist() == [1, 1, 1]
    assert read == ["a"]


def test_an_answer_on_another_grid_is_refused_in_words():
    rows = np.array([5], dtype=np.int32)
    zero = np.zeros(1, dtype=np.int32)
    with pytest.raises(CaptureError, match="earlier reconstruction"):
        gather_weights(("a",), zero, rows, zero, lambda _: np.ones((5, 5), dtype=np.float16))


def test_each_point_belongs_to_the_strongest_object():
    first = np.array([0.9, 0.6, 0.2, 0.5, 0.0], dtype=np.float32)
    second = np.array([0.8, 0.7, 0.4, 0.5, 0.51], dtype=np.float32)
    assert strongest_object([first, second]).tolist() == [1, 2, 0, 0, 2]


def test_quantised_weights_are_close_and_on_the_same_side_of_one_half():
    weights = np.linspace(0, 1, 1001, dtype=np.float32)
    steps = quantise(weights, 32)
    assert (steps.min(), steps.max()) == (0, 32)
    off = np.abs(steps / 32 - weights)
    assert off.max() <= 1 / 32 and np.mean(off > 1 / 64 + 1e-6) < 0.02
    np.testing.assert_array_equal(steps / 32 > 0.5, weights > 0.5)
