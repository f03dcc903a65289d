# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of `mvsam evaluate segmentation`: by hand, and against plain references."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wall_sets import AWAY, HEIGHT, WIDTH, answer, mask_of, square, wall_capture

from mvsam_engine.evaluate.segmentation.consistency import Surfaces
from mvsam_engine.evaluate.segmentation.metrics import (
    boundary,
    boundary_f,
    boundary_radius,
    iou,
    score_view,
)
from mvsam_engine.progress import Progress

# --- by hand ---------------------------------------------------------------------------------


def test_scores_of_half_a_square() -> None:
    truth, found = mask_of(40, 60, 20, 20) > 0, mask_of(40, 60, 20, 10) > 0
    scores = score_view(found, truth)
    assert scores.iou == 0.5
    assert scores.recall == 0.5
    assert scores.accuracy == 1 - 200 / (WIDTH * HEIGHT)


def test_scores_of_too_much() -> None:
    truth, found = mask_of(40, 60, 20, 20) > 0, mask_of(40, 60, 20, 40) > 0
    scores = score_view(found, truth)
    assert (scores.iou, scores.recall) == (0.5, 1.0)
    assert scores.accuracy == 1 - 400 / (WIDTH * HEIGHT)


def test_an_empty_answer_scores_nothing_but_the_background() -> None:
    truth = square("a") > 0
    scores = score_view(np.zeros_like(truth), truth)
    assert (scores.iou, scores.recall, scores.boundary) == (0, 0, 0)
    assert scores.accuracy == 1 - 400 / (WIDTH * HEIGHT)


def test_a_view_without_the_object_has_no_iou() -> None:
    empty = np.zeros((4, 4), bool)
    with pytest.raises(ValueError, match="absent"):
        score_view(empty, empty)
    with pytest.raises(ValueError, match="truth"):
        score_view(np.zeros((4, 5), bool), np.ones((4, 4), bool))
    assert iou(empty, empty) == 1


def test_the_tolerance_is_davis_s() -> None:
    # 0.8 % of the diagonal, rounded up: DAVIS at 854 x 480 has 8 pixels.
    assert boundary_radius((480, 854)) == math.ceil(0.008 * 979.6) == 8
    assert boundary_radius((HEIGHT, WIDTH)) == 2  # diagonal 160


@pytest.mark.parametrize(("off", "expected"), [(0, 1.0), (2, 1.0), (3, 0.0), (-2, 1.0), (-3, 0.0)])
def test_a_straight_boundary_may_be_two_pixels_off(off: int, expected: float) -> None:
    truth, found = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    truth[:, 50:] = True
    found[:, 50 + off :] = True
    assert boundary(truth).sum() == HEIGHT  # one line; the image's edge is none
    assert boundary_f(found, truth) == expected


def test_half_of_the_boundary_wrong_is_two_thirds() -> None:
    truth, found = np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    truth[:, 50:] = True
    found[:, 50:100] = True  # a second line at 100: precision 1/2, recall 1
    assert boundary_f(found, truth) == pytest.approx(2 / 3)


def test_masks_without_a_boundary() -> None:
    everything, nothing = np.ones((8, 8), bool), np.zeros((8, 8), bool)
    some = nothing.copy()
    some[2:5, 2:5] = True
    assert boundary_f(everything, nothing) == 1  # DAVIS's convention: neither has one
    assert boundary_f(some, nothing) == boundary_f(nothing, some) == 0


# --- against plain references ------------------------------------------------------------------


def plain_scores(found: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    tp = fp = fn = tn = 0
    for m, g in zip(found.ravel().tolist(), truth.ravel().tolist(), strict=True):
        tp, fp, fn, tn = tp + (m and g), fp + (m and not g), fn + (g and not m), tn + (not m | g)
    return tp / (tp + fp + fn), (tp + tn) / truth.size, tp / (tp + fn)


def plain_boundary(mask: np.ndarray) -> list[tuple[int, int]]:
    height, width = mask.shape
    found = []
    for y in range(height):
        for x in range(width):
            below, right = min(y + 1, height - 1), min(x + 1, width - 1)
            around = {bool(mask[v, u]) for v in (y, below) for u in (x, right)}
            if around - {bool(mask[y, x])}:
                found.append((y, x))
    return found


def plain_boundary_f(found: np.ndarray, truth: np.ndarray) -> float:
    radius = math.ceil(0.008 * math.hypot(*truth.shape))
    a, b = plain_boundary(found), plain_boundary(truth)

    def share(of: list[tuple[int, int]], near: list[tuple[int, int]]) -> float:
        close = [any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in near) for y, x in of]
        return sum(close) / len(close) if close else 1.0

    if not a or not b:
        return float(len(a) == len(b))
    precision, recall = share(a, b), share(b, a)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.floats(0.0, 1.0),
    st.floats(0.05, 1.0),
    st.integers(0, 10_000),
)
def test_random_masks_score_as_plain_references_say(
    height: int, width: int, much: float, true: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    found, truth = rng.random((height, width)) < much, rng.random((height, width)) < true
    truth[rng.integers(height), rng.integers(width)] = True
    scores = score_view(found, truth)
    assert (scores.iou, scores.accuracy, scores.recall) == pytest.approx(plain_scores(found, truth))
    assert scores.boundary == pytest.approx(plain_boundary_f(found, truth))
    assert iou(found, truth) == iou(truth, found)


def test_large_boundaries_as_the_plain_reference_says() -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        top, left, height, width = rng.integers(2, 60, 4)
        truth = np.zeros((220, 300), bool)
        truth[top : top + height, left : left + width] = True
        found = np.roll(truth, tuple(rng.integers(-5, 6, 2)), (0, 1))
        assert boundary_radius(truth.shape) == 3
        assert boundary_f(found, truth) == pytest.approx(plain_boundary_f(found, truth))


# --- 3D consistency ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Surfaces:
    capture = wall_capture(tmp_path_factory.mktemp("wall") / "capture", "ab" + AWAY)
    return Surfaces.of(capture, Progress())


def test_masks_that_are_one_object_in_space_agree_wholly(surfaces: Surfaces) -> None:
    assert surfaces.consistency(answer({"a": square("a"), "b": square("b")})) == 1


def test_half_of_the_object_in_one_view_is_half_consistent(surfaces: Surfaces) -> None:
    half = mask_of(40, 52, 20, 10)  # of the square as b sees it
    assert surfaces.consistency(answer({"a": square("a"), "b": half})) == 0.5


def test_a_mask_that_stays_in_place_does_not_follow_the_object(surfaces: Surfaces) -> None:
    # 8 of 20 columns off: 12 agree, 28 are in either.
    found = surfaces.consistency(answer({"a": square("a"), "b": square("a")}))
    assert found == pytest.approx(12 / 28)


def test_where_no_other_view_looks_there_is_nothing_to_agree_on(surfaces: Surfaces) -> None:
    assert surfaces.consistency(answer({AWAY: square("a")})) is None
    assert surfaces.consistency(answer({"a": square("a") * 0})) is None
    assert surfaces.consistency(answer({"a": square("a")})) == 0  # b looks there and denies it


def test_logits_of_any_size_count(surfaces: Surfaces) -> None:
    given = answer({"a": square("a"), "b": square("b")})
    small = [m.logits[::2, ::2] for m in given.masks]
    masks = tuple(type(m)(m.score, logits) for m, logits in zip(given.masks, small, strict=True))
    assert surfaces.consistency(type(given)("e", 1, "s", masks)) == pytest.approx(1, abs=0.02)


def test_the_capture_stays_as_it_was(tmp_path: Path) -> None:
    capture = wall_capture(tmp_path / "capture", "ab")
    before = sorted(str(p) for p in capture.root.rglob("*"))
    Surfaces.of(capture, Progress())
    assert sorted(str(p) for p in capture.root.rglob("*")) == before
