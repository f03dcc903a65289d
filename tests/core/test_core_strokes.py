# SPDX-License-Identifier: GPL-3.0-or-later
"""Strokes with fewer positions, and which prompt a place is nearest to."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvsam_blender.core.prompts import distance_to, nearest_prompt
from mvsam_blender.core.strokes import MOST_POSITIONS, distance_to_path, simplified
from mvsam_engine.capture import Prompt

coordinate = st.floats(0, 1000, allow_nan=False).map(lambda v: round(v, 2))
paths = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=60)


def test_a_straight_stroke_keeps_its_ends():
    path = [(float(x), 2.0 * x) for x in range(50)]
    assert simplified(path, 0.5) == ((0.0, 0.0), (49.0, 98.0))


def test_a_corner_stays():
    path = [(float(x), 0.0) for x in range(10)] + [(9.0, float(y)) for y in range(1, 10)]
    assert simplified(path, 0.5) == ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0))


def test_one_position_stays_one():
    assert simplified([(3.0, 4.0)], 1.0) == ((3.0, 4.0),)


@given(paths, st.floats(0.1, 50))
@settings(max_examples=150, deadline=None)
def test_every_position_stays_near_the_simplified_line(path, tolerance):
    line = simplified(path, tolerance)
    assert line[0] == path[0] and line[-1] == path[-1]
    assert set(line) <= set(path)
    assert all(distance_to_path(place, line) <= tolerance + 1e-6 for place in path)


def test_a_scribble_is_kept_small():
    random = np.random.default_rng(0)
    path = [tuple(p) for p in random.uniform(0, 1000, (5000, 2)).tolist()]
    assert len(simplified(path, 0.5)) <= MOST_POSITIONS


@given(paths, st.tuples(coordinate, coordinate))
@settings(max_examples=100, deadline=None)
def test_distance_is_that_of_a_dense_walk(path, place):
    walked = [
        (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]))
        for a, b in zip(path, path[1:] or path, strict=False)
        for t in np.linspace(0, 1, 200).tolist()
    ]
    walk = min(math.dist(place, p) for p in walked)
    longest = max((math.dist(a, b) for a, b in itertools.pairwise(path)), default=0)
    assert distance_to_path(place, path) == pytest.approx(walk, abs=longest / 100 + 1e-6)


def test_a_boxs_distance_is_that_of_its_frame():
    box = Prompt("box", "a", xy=((10.0, 40.0), (30.0, 20.0)))
    assert distance_to(box, (20.0, 30.0)) == 10.0
    assert distance_to(box, (10.0, 25.0)) == 0.0
    assert distance_to(box, (5.0, 30.0)) == 5.0


def test_a_strokes_distance_begins_at_its_edge():
    stroke = Prompt("stroke", "a", xy=((0.0, 0.0), (100.0, 0.0)), radius=8.0)
    assert distance_to(stroke, (50.0, 5.0)) == 0.0
    assert distance_to(stroke, (50.0, 20.0)) == 12.0


def test_the_nearest_prompt_of_any_kind_is_found():
    prompts = (
        Prompt("point", "a", xy=((10.0, 10.0),)),
        Prompt("box", "a", xy=((50.0, 50.0), (90.0, 90.0))),
        Prompt("stroke", "a", xy=((100.0, 10.0), (200.0, 10.0)), radius=4.0),
        Prompt("mask", "a", mask="mask_prompts/x.png"),
        Prompt("point", "b", xy=((70.0, 50.0),)),
        Prompt("point", "a", xy=((10.0, 10.0),)),
    )
    assert nearest_prompt(prompts, "a", (12.0, 10.0), 5.0) == 5, "the newer of two"
    assert nearest_prompt(prompts, "a", (70.0, 47.0), 5.0) == 1
    assert nearest_prompt(prompts, "a", (70.0, 70.0), 5.0) is None, "inside a box is not on it"
    assert nearest_prompt(prompts, "a", (150.0, 18.0), 5.0) == 2
    assert nearest_prompt(prompts, "b", (70.0, 47.0), 5.0) == 4
    assert nearest_prompt(prompts, "c", (70.0, 47.0), 500.0) is None
