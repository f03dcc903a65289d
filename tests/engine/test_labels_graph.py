# SPDX-License-Identifier: GPL-3.0-or-later
"""Grow, shrink, smooth, largest part and spread, on meshes and clouds that the eye can follow."""

import numpy as np
import pytest

from mvsam_engine.capture.vertex_graph import cloud_graph, mesh_graph, triangle_edges


def strip(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices 1 apart on a line, joined one to the next."""
    positions = np.zeros((count, 3))
    positions[:, 0] = np.arange(count)
    return positions, np.stack([np.arange(count - 1), np.arange(1, count)], axis=1)


def at(count: int, *places: int) -> np.ndarray:
    weights = np.zeros(count, np.float32)
    weights[list(places)] = 1
    return weights


def test_growing_by_rings_and_back():
    graph = mesh_graph(*strip(9))
    grown = graph.grown(at(9, 4), 2)
    assert grown.tolist() == at(9, 2, 3, 4, 5, 6).tolist()
    assert graph.grown(grown, -2).tolist() == at(9, 4).tolist()
    assert graph.grown(grown, 0).tolist() == grown.tolist()


@pytest.mark.parametrize(("distance", "reach"), [(1.5, 1), (3.0, 3), (0.5, 0)])
def test_growing_by_a_distance_follows_the_edges(distance, reach):
    graph = mesh_graph(*strip(11))
    grown = graph.grown_by(at(11, 5), distance)
    assert np.flatnonzero(grown).tolist() == list(range(5 - reach, 6 + reach))
    shrunk = graph.grown_by(np.ones(11, np.float32) - at(11, 5), -distance)
    assert np.flatnonzero(shrunk == 0).tolist() == list(range(5 - reach, 6 + reach))


def test_growing_by_a_distance_does_not_jump_a_gap():
    positions, edges = strip(6)
    positions[3:, 0] -= 0.9  # the second half lies 0.1 from the first, unconnected
    graph = mesh_graph(positions, edges[[0, 1, 3, 4]])
    assert np.flatnonzero(graph.grown_by(at(6, 0), 2.5)).tolist() == [0, 1, 2]


def test_vertices_in_one_place_are_one():
    # Two triangles with a shared side whose vertices are doubled, as at a seam of UVs.
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]])
    graph = mesh_graph(positions, triangle_edges(np.array([[0, 1, 2], [3, 5, 4]])))
    assert graph.nodes == 4
    assert graph.node[1] == graph.node[3] and graph.node[2] == graph.node[4]
    assert graph.grown(at(6, 0), 2).tolist() == [1] * 6
    assert graph.largest_part(np.ones(6, np.float32)).tolist() == [1] * 6


def test_only_the_largest_part_stays():
    graph = mesh_graph(*strip(10))
    weights = at(10, 0, 1, 4, 5, 6)
    weights[8] = 0.3
    kept = graph.largest_part(weights)
    assert np.flatnonzero(kept == 1).tolist() == [4, 5, 6]
    assert kept[8] == np.float32(0.3)
    nothing = np.zeros(10, np.float32)
    assert graph.largest_part(nothing).tolist() == nothing.tolist()


def test_parts_are_found_in_any_order_of_vertices():
    rng = np.random.default_rng(0)
    order = rng.permutation(200)
    positions, edges = strip(200)
    weights = np.ones(200, np.float32)
    weights[70] = 0
    graph = mesh_graph(positions[np.argsort(order)], order[edges])
    kept = graph.largest_part(weights[np.argsort(order)])
    assert kept.sum() == 129


def test_smoothing_keeps_flat_weights_and_the_sum_of_a_ring():
    positions, edges = strip(8)
    ring = np.concatenate([edges, [[7, 0]]])
    graph = mesh_graph(positions, ring)
    assert graph.smoothed(np.full(8, 0.7, np.float32), 5) == pytest.approx(0.7)
    smooth = graph.smoothed(at(8, 3), 1)
    assert smooth[[2, 3, 4]] == pytest.approx([0.25, 0.5, 0.25])


def test_unknown_vertices_take_the_nearest_known_weight():
    graph = mesh_graph(*strip(8))
    known = np.zeros(8, bool)
    known[[0, 7]] = True
    spread, has = graph.spread(at(8, 7), known, rounds=0)
    assert spread.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] and has.all()
    # A part without any known vertex stays as it was.
    positions, edges = strip(6)
    alone = mesh_graph(positions, edges[[0, 1, 3, 4]])
    spread, has = alone.spread(at(6, 0), np.arange(6) == 0)
    assert spread[:3].tolist() == [1, 1, 1] and spread[3:].tolist() == [0, 0, 0]
    assert has.tolist() == [True] * 3 + [False] * 3


def test_points_are_joined_through_cells():
    x, y = np.meshgrid(np.arange(20), np.arange(20))
    near = np.stack([x.ravel(), y.ravel(), np.zeros(400)], axis=1) * 0.1
    far = near[:50] + np.array([50.0, 0, 0])
    graph = cloud_graph(np.concatenate([near, far]), cell=0.15)
    everything = np.ones(450, np.float32)
    kept = graph.largest_part(everything)
    assert kept[:400].all() and not kept[400:].any()
    grown = graph.grown(at(450, 0), 3)
    assert 10 < grown[:400].sum() < 100 and not grown[400:].any()


def test_a_cell_holds_a_few_points_of_a_surface():
    rng = np.random.default_rng(1)
    sheet = rng.uniform(0, 1, (20000, 3)) * [1, 1, 0]
    graph = cloud_graph(sheet)
    assert 2 < len(sheet) / graph.nodes < 8


def test_nothing_at_all():
    empty = mesh_graph(np.zeros((0, 3)), np.zeros((0, 2), int))
    assert empty.grown(np.zeros(0, np.float32), 1).shape == (0,)
    assert cloud_graph(np.zeros((0, 3))).nodes == 0
