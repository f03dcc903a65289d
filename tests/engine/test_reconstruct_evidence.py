# SPDX-License-Identifier: GPL-3.0-or-later
"""Can the photos say no? Evidence for and against the places of cameras, and what is kept."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
from planes import Plane, Scene, look_at, render

from mvsam_engine.capture import Camera
from mvsam_engine.reconstruct.classical.evidence import Evidence, gather, make_look, triangulate
from mvsam_engine.reconstruct.classical.judge import (
    confirmed_core,
    contradict,
    judge,
    verdicts,
)
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.view_graph import ViewGraph

WIDTH, HEIGHT = 320, 240
SCENE = Scene(
    (
        Plane(point=(0, 0, 1.0), normal=(0.15, 0, -1.0), seed=11),
        Plane(point=(-0.1, 0.0, 0.2), normal=(-0.2, 0.1, -1.0), seed=12, half_size=0.45),
    )
)


def camera(view, degrees, distance=2.2):
    a = np.radians(degrees)
    center = np.array([distance * np.sin(a), -0.25, 0.4 - distance * np.cos(a)])
    params = (368.0, WIDTH / 2, HEIGHT / 2, -0.04)
    return Camera(view, "SIMPLE_RADIAL", WIDTH, HEIGHT, params, look_at(center, (0.0, 0.0, 0.4)))


CAMERAS = tuple(camera(f"v{i}", 5.0 * i - 10.0) for i in range(5))


@pytest.fixture(scope="module")
def photographed():
    """Small pictures, and exact matches of neighbours in a view graph; features are grid pixels."""
    looks, keypoints, points = {}, {}, {}
    xs, ys = np.meshgrid(np.arange(20.5, WIDTH - 20, 20), np.arange(20.5, HEIGHT - 20, 20))
    pixels = np.stack([xs, ys], axis=-1).reshape(-1, 2)
    for one in CAMERAS:
        photo, depth = render(SCENE, one)
        looks[one.view] = make_look(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), WIDTH)
        at = pixels.astype(int)
        points[one.view] = one.unproject(pixels, depth[at[:, 1], at[:, 0]])
        keypoints[one.view] = [pixels]
    pairs = {}
    for a, b in itertools.pairwise(CAMERAS):
        # What a sees on the grid, matched where b really sees it.
        there, depth = b.project(points[a.view])
        inside = (there > 5).all(axis=1) & (there < [WIDTH - 5, HEIGHT - 5]).all(axis=1)
        seen = np.flatnonzero(inside & visible(b, there, depth, inside))
        start = sum(len(part) for part in keypoints[b.view])
        keypoints[b.view].append(there[seen])
        pairs[a.view, b.view] = np.stack([seen, start + np.arange(len(seen))], axis=1)
    together = {view: np.concatenate(parts) for view, parts in keypoints.items()}
    return looks, ViewGraph(together, pairs)


def visible(one, pixels, depth, inside):
    rays = one.rays(np.where(inside[:, None], pixels, 100.0))
    return np.abs(SCENE.depth(one, rays) / depth - 1) < 0.01


def model_of(cameras, seed=0):
    """Every camera sees a few hundred points; only the cameras matter to the evidence."""
    points = np.random.default_rng(seed).normal(0, 0.3, (300, 3))
    n = len(cameras)
    seen_by, seen_point = np.repeat(np.arange(n), 300), np.tile(np.arange(300), n)
    return SparseModel(tuple(cameras), points, seen_by, seen_point, "test")


def test_matches_become_the_points_that_they_show():
    a, b = CAMERAS[1], CAMERAS[3]
    points = np.array([[0.0, 0.1, 0.5], [0.2, -0.1, 0.9], [-0.1, 0.0, 0.2]])
    found, angles = triangulate(a, b, a.project(points)[0], b.project(points)[0])
    assert np.allclose(found, points, atol=1e-6)
    assert ((angles > 5) & (angles < 15)).all()
    shifted = b.project(points)[0] + [0.0, 12.0]  # off the epipolar line
    assert (triangulate(a, b, a.project(points)[0], shifted)[1] == 0).all()
    far = 1000.0 * points + [0.0, 0.0, 1000.0]
    assert np.isnan(triangulate(a, b, a.project(far)[0], b.project(far)[0])[1]).all()


def test_rightly_placed_photos_look_alike(photographed):
    looks, graph = photographed
    evidence = gather(model_of(CAMERAS), graph, looks)
    for i in range(len(CAMERAS) - 2):
        assert evidence.asked[i, i + 2] > 60  # matched only through the photo between them
        assert evidence.share[i, i + 2] > 0.8
        assert 5 < evidence.angle[i, i + 2] < 15
    assert (evidence.asked == evidence.asked.T).all()
    assert evidence.matched[0, 1] == evidence.fitting[0, 1] > 80
    assert evidence.matched[0, 2] == 0


def test_a_photo_in_the_wrong_place_is_contradicted_and_dropped(photographed):
    looks, graph = photographed
    strange = Scene((Plane(point=(0, 0, 1.0), normal=(0, 0, -1.0), seed=99),))
    photo, _ = render(strange, CAMERAS[2])
    wrong = looks | {"v2": make_look(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), WIDTH)}
    judgement = judge(model_of(CAMERAS), graph, wrong)
    assert "v2" not in [c.view for c in judgement.model.cameras]
    assert any("v2" in pair for pair in judgement.contradicted)
    right = judge(model_of(CAMERAS), graph, looks)
    assert right.placed == 5 and right.contradicted == ()
    assert right.beats(judgement) and not judgement.beats(right)


def test_matches_that_do_not_fit_the_cameras_confirm_nothing(photographed):
    looks, graph = photographed
    moved = list(CAMERAS)
    moved[4] = replace(camera("v4", -25.0), view="v4")
    evidence = gather(model_of(moved), graph, looks)
    assert evidence.fitting[3, 4] < 0.5 * evidence.matched[3, 4]
    assert "v4" not in [c.view for c in judge(model_of(moved), graph, looks).model.cameras]


def evidence_of(asked, share, angle=8.0, matched=50, fitting=50):
    full = np.full((3, 3), 1.0) - np.eye(3)
    counts = (full * asked).astype(np.int64)
    return Evidence(
        asked=counts,
        alike=np.round(counts * share).astype(np.int64),
        angle=full * angle,
        matched=(full * matched).astype(np.int64),
        fitting=(full * fitting).astype(np.int64),
    )


def test_what_confirms_and_what_contradicts():
    def first(evidence):
        confirmed, contradicted = verdicts(evidence)
        return int(confirmed[0, 1]), bool(contradicted[0, 1])

    assert first(evidence_of(15, 1.0)) == (0, False)  # too few to say anything
    assert first(evidence_of(25, 0.6)) == (1, False)
    assert first(evidence_of(25, 0.4)) == (0, False)  # of few points more must look alike
    assert first(evidence_of(200, 0.4)) == (1, False)
    assert first(evidence_of(200, 0.8, matched=200, fitting=200)) == (2, False)
    assert first(evidence_of(200, 0.8, matched=200, fitting=100)) == (0, False)
    assert first(evidence_of(60, 0.1)) == (0, True)
    assert first(evidence_of(60, 0.1, angle=28.0)) == (0, False)  # from there it may well differ


def graph_of(n, yes, no=()):
    confirmed, contradicted = np.zeros((n, n), np.int64), np.zeros((n, n), bool)
    for a, b, *strength in yes:
        confirmed[a, b] = confirmed[b, a] = strength[0] if strength else 1
    for a, b in no:
        contradicted[a, b] = contradicted[b, a] = True
    return confirmed, contradicted


def test_the_core_is_what_others_confirm():
    triangle = [(0, 1), (1, 2), (0, 2)]
    assert confirmed_core(*graph_of(3, triangle)) == [0, 1, 2]
    assert confirmed_core(*graph_of(3, triangle[:2])) == []  # a chain may swing
    assert confirmed_core(*graph_of(4, [*triangle, (2, 3)])) == [0, 1, 2]
    assert confirmed_core(*graph_of(4, [*triangle, (2, 3, 2)])) == [0, 1, 2, 3]
    # Two groups that nothing links: the larger one.
    other = [(3, 4), (4, 5), (5, 6), (3, 6)]
    assert confirmed_core(*graph_of(7, triangle + other)) == [3, 4, 5, 6]
    # A photo that as many deny as confirm goes, and the others stay.
    square = [*triangle, (3, 0), (3, 1)]
    assert confirmed_core(*graph_of(4, square, [(3, 2)])) == [0, 1, 2, 3]
    five = [*square, (4, 0), (4, 1), (4, 2)]
    assert confirmed_core(*graph_of(5, five, [(3, 2), (3, 4)])) == [0, 1, 2, 4]


def test_models_that_turn_a_photo_differently_contradict():
    model = model_of(CAMERAS)
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(np.array([0.3, -1.0, 0.5]))[0]
    assert not contradict(model, model.transformed(3.0, turn))  # another world, the same cameras
    moved = [*CAMERAS[:4], camera("v4", 40.0)]
    assert contradict(model, model_of(moved))
    assert not contradict(model, model_of([camera("other", 0.0), camera("more", 5.0)]))


def test_groups_of_a_view_graph():
    numbers = np.zeros((40, 2), np.int64)
    keypoints = {view: np.zeros((40, 2)) for view in "abcdef"}
    pairs = {("a", "b"): numbers, ("b", "c"): numbers, ("d", "e"): numbers, ("c", "d"): numbers[:5]}
    graph = ViewGraph(keypoints, pairs)
    assert sorted(map(sorted, graph.groups(30))) == [["a", "b", "c"], ["d", "e"], ["f"]]
    assert sorted(graph.groups(5)[0]) == ["a", "b", "c", "d", "e"]
    graph.pairs["a", "b"] = np.array([[3, 7]])
    assert graph.numbers("b", "a").tolist() == [[7, 3]]
    assert graph.matched("b", "a").tolist() == [7]
    assert graph.numbers("a", "f").shape == (0, 2)


def test_two_photos_need_many_matches_all_over(photographed):
    looks, graph = photographed
    pair = model_of(CAMERAS[1:3])
    numbers, pixels = graph.matches("v1", "v2")
    assert len(numbers) > 100
    assert judge(pair, graph, looks).placed == 2
    few = ViewGraph(graph.keypoints, {("v1", "v2"): numbers[:90]})
    assert judge(pair, few, looks).placed == 0
    # As many, but all from one corner: what repeats is seldom all of a photo.
    corner = numbers[(pixels[0] < [120, 120]).all(axis=1)]
    close = ViewGraph(graph.keypoints, {("v1", "v2"): np.repeat(corner, 8, axis=0)})
    assert len(close.numbers("v1", "v2")) > 100
    assert judge(pair, close, looks).placed == 0


def test_a_small_model_needs_points_of_three_photos(photographed):
    looks, graph = photographed
    model = model_of(CAMERAS)
    assert judge(model, graph, looks).placed == 5
    # The last photo keeps 30 of its 300 points, then all do.
    thin = (model.seen_by < 4) | (model.seen_point < 30)
    weak = replace(model, seen_by=model.seen_by[thin], seen_point=model.seen_point[thin])
    assert [c.view for c in judge(weak, graph, looks).model.cameras] == ["v0", "v1", "v2", "v3"]
    few = model.seen_point < 30
    bare = replace(model, seen_by=model.seen_by[few], seen_point=model.seen_point[few])
    assert judge(bare, graph, looks).placed == 0
