# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of vertices, changed by their neighbours: grown, shrunk, smoothed, spread, largest part.

Add-on and command line use the same code. A mesh is joined along its edges, and vertices in one
place count as one, so that seams of texture coordinates cut nothing. Points without faces are
joined through a grid of cells: a cell touches its 26 neighbours.

Convention: weights are 0..1; positions and distances have one unit, whichever.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]
Flags = NDArray[np.bool_]

# Vertices nearer than this share of the mesh's size lie in one place.
_SAME_PLACE = 1e-6
# Cells of a cloud hold about so many points: fewer leave gaps, more blur what lies within.
_POINTS_PER_CELL = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class VertexGraph:
    """Which vertices lie beside each other.

    Attributes:
        node: [n] node of each vertex; vertices in one place, or in one cell, share a node.
        start: [nodes + 1] where each node's neighbours begin in `neighbour`.
        neighbour: [2 * edges] nodes.
        length: [2 * edges] float32 distance to the neighbour.
    """

    node: NDArray[np.int64]
    start: NDArray[np.int64]
    neighbour: NDArray[np.int64]
    length: NDArray[np.float32]

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.start) - 1

    def grown(self, weights: Weights, rings: int) -> Weights:
        """Each vertex takes the highest weight within `rings` neighbours; negative: the lowest."""
        if rings < 0:
            return 1 - self.grown(1 - weights, -rings)
        values = self._highest(weights)
        for _ in range(rings):
            values = np.maximum(values, self._reduced(np.maximum, values))
        return np.maximum(weights, values[self.node]) if rings else weights

    def grown_by(self, weights: Weights, distance: float, threshold: float = 0.5) -> Weights:
        """Vertices within `distance` of the object, along edges, join it; negative: leave it.

        Args:
            weights: [n].
            distance: in the unit of the positions.
            threshold: weights above belong to the object.

        Returns:
            [n]; a vertex that joins has weight 1, one that leaves has 0.
        """
        if distance < 0:
            inner = self.grown_by(1 - weights, -distance, 1 - threshold - 1e-6)
            return 1 - inner
        inside = np.zeros(self.nodes, bool)
        inside[self.node[weights > threshold]] = True
        near = self._distance(inside, distance)[self.node] <= distance
        return np.where(near & (weights <= threshold), np.float32(1), weights)

    def smoothed(self, weights: Weights, rounds: int = 1) -> Weights:
        """Each vertex becomes the mean of itself and its neighbours' mean, `rounds` times."""
        if rounds <= 0:
            return weights
        values = self._mean(weights)
        count = np.diff(self.start)
        for _ in range(rounds):
            around = self._reduced(np.add, values)
            mean = around / np.maximum(count, 1)
            values = np.where(count > 0, (values + mean) / 2, values).astype(np.float32)
        return values[self.node]

    def largest_part(self, weights: Weights, threshold: float = 0.5) -> Weights:
        """Only the largest connected part above `threshold` (most vertices) keeps its weight."""
        inside = np.zeros(self.nodes, bool)
        inside[self.node[weights > threshold]] = True
        part = self._parts(inside)
        members = weights > threshold
        if not members.any():
            return weights
        largest = int(np.bincount(part[self.node[members]]).argmax())
        return np.where(members & (part[self.node] != largest), np.float32(0), weights)

    def spread(self, weights: Weights, known: Flags, rounds: int = 4) -> tuple[Weights, Flags]:
        """Unknown vertices take the weight of the nearest known ones along edges, then smooth.

        Args:
            weights: [n].
            known: [n] whose weight counts; theirs is kept as it is.
            rounds: of smoothing among the others.

        Returns:
            Weights [n], and which vertices [n] have one now: those in parts of the mesh without
            any known vertex stay as they were.
        """
        values, has = self._mean(weights, known), np.zeros(self.nodes, bool)
        has[self.node[known]] = True
        fixed = has.copy()
        frontier = np.flatnonzero(has)
        while len(frontier):
            source, target = self._steps(frontier)
            new = ~has[target]
            source, target = source[new], target[new]
            if len(target) == 0:
                break
            total = np.bincount(target, values[source], self.nodes)
            count = np.bincount(target, minlength=self.nodes)
            frontier = np.flatnonzero(count)
            values[frontier] = (total[frontier] / count[frontier]).astype(np.float32)
            has[frontier] = True
        count = np.maximum(np.diff(self.start), 1)
        for _ in range(rounds):
            mean = (self._reduced(np.add, values) / count).astype(np.float32)
            values = np.where(has & ~fixed, (values + mean) / 2, values)
        reached = has[self.node]
        return np.where(known | ~reached, weights, values[self.node]), reached | known

    # --- on nodes ------------------------------------------------------------------------------

    def _highest(self, weights: Weights) -> Weights:
        values = np.zeros(self.nodes, np.float32)
        np.maximum.at(values, self.node, weights)
        return values

    def _mean(self, weights: Weights, known: Flags | None = None) -> Weights:
        node = self.node if known is None else self.node[known]
        chosen = weights if known is None else weights[known]
        total = np.bincount(node, chosen, self.nodes)
        return (total / np.maximum(np.bincount(node, minlength=self.nodes), 1)).astype(np.float32)

    def _reduced(self, how: np.ufunc, values: Weights) -> Weights:
        """`how` over the values of each node's neighbours; 0 for a node without any."""
        result = np.zeros(self.nodes, np.float32)
        some = np.flatnonzero(np.diff(self.start))
        if len(some):
            result[some] = how.reduceat(values[self.neighbour], self.start[some])
        return result

    def _steps(self, frontier: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All steps from nodes to neighbours: sources and targets."""
        slots = self._slots(frontier)
        source = np.repeat(frontier, self.start[frontier + 1] - self.start[frontier])
        return source, self.neighbour[slots]

    def _slots(self, frontier: NDArray[np.int64]) -> NDArray[np.int64]:
        count = self.start[frontier + 1] - self.start[frontier]
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
        offset = np.arange(int(before[-1]), dtype=np.int64) - np.repeat(before[:-1], count)
        return np.repeat(self.start[frontier], count) + offset

    def _distance(self, inside: Flags, limit: float) -> NDArray[np.float32]:
        """Distance of each node to the nearest inside, along edges; infinite beyond `limit`."""
        distance = np.where(inside, np.float32(0), np.float32(np.inf))
        frontier = np.flatnonzero(inside)
        while len(frontier):
            source, target = self._steps(frontier)
            reach = distance[source] + self.length[self._slots(frontier)]
            closer = (reach < distance[target]) & (reach <= limit)
            before = distance[target[closer]]
            np.minimum.at(distance, target[closer], reach[closer])
            frontier = np.unique(target[closer][distance[target[closer]] < before])
        return distance

    def _parts(self, inside: Flags) -> NDArray[np.int64]:
        """[nodes] number of the connected part; nodes outside are parts of their own.

        Hooking and pointer jumping (Shiloach and Vishkin, J. Algorithms 1982).
        """
        source = np.repeat(np.arange(self.nodes), np.diff(self.start))
        joined = inside[source] & inside[self.neighbour]
        a, b = source[joined], self.neighbour[joined]
        part = np.arange(self.nodes)
        while True:
            low = np.minimum(part[a], part[b])
            before = part.copy()
            np.minimum.at(part, part[a], low)
            while True:
                higher = part[part]
                if np.array_equal(higher, part):
                    break
                part = higher
            if np.array_equal(part, before):
                return part


def mesh_graph(positions: NDArray[np.floating], edges: NDArray[np.integer]) -> VertexGraph:
    """The graph of a mesh.

    Args:
        positions: [n, 3].
        edges: [e, 2] vertices; the sides of all faces.
    """
    if len(positions) == 0:
        return _graph(np.zeros(0, np.int64), np.zeros((0, 2), np.int64), np.zeros((0, 3)))
    low = positions.min(axis=0)
    size = float(np.ptp(positions, axis=0).max()) or 1.0
    node, first = _same((np.asarray(positions) - low) / (size * _SAME_PLACE))
    return _graph(node, node[np.asarray(edges, np.int64)], np.asarray(positions)[first])


def triangle_edges(faces: NDArray[np.integer]) -> NDArray[np.int64]:
    """The sides [3 * m, 2] of triangles [m, 3]."""
    corners = np.asarray(faces, np.int64)
    return np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])


def cloud_graph(positions: NDArray[np.floating], cell: float = 0.0) -> VertexGraph:
    """The graph of points without faces.

    Args:
        positions: [n, 3].
        cell: side of the cells; 0 for one that holds about four points of a surface.
    """
    none = np.zeros((0, 2), np.int64)
    if len(positions) == 0:
        return _graph(np.zeros(0, np.int64), none, np.zeros((0, 3)))
    low = positions.min(axis=0)
    side = cell or _cell_size(np.asarray(positions))
    cells = np.floor((np.asarray(positions, np.float64) - low) / side)
    node, first = _same(cells)
    key = _keys(cells[first].astype(np.int64))
    order = np.argsort(key)
    found: list[NDArray[np.int64]] = [none]
    for step in np.ndindex(3, 3, 3):
        offset = np.array(step) - 1
        if tuple(offset) <= (0, 0, 0):
            continue  # the other half of the 26 comes from the other side
        wanted = _keys(cells[first].astype(np.int64) + offset)
        place = np.minimum(np.searchsorted(key[order], wanted), len(order) - 1)
        there = key[order[place]] == wanted
        found.append(np.stack([np.flatnonzero(there), order[place[there]]], axis=1))
    return _graph(node, np.concatenate(found), np.asarray(positions)[first])


def _cell_size(positions: NDArray[np.floating]) -> float:
    """Side of a cell that holds about `_POINTS_PER_CELL` points, by counting coarse cells.

    Points of a surface fill cells in proportion to the square of their side.
    """
    low, high = np.percentile(positions, [1, 99], axis=0)
    coarse = float((high - low).max()) / 64 or 1.0
    cells = np.floor((positions - low) / coarse)
    inside = ((positions >= low) & (positions <= high)).all(axis=1)
    if not inside.any():
        return coarse
    _, count = np.unique(_keys(cells[inside].astype(np.int64)), return_counts=True)
    return coarse * float(np.sqrt(_POINTS_PER_CELL / max(np.median(count), 1.0)))


def _keys(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number per cell [n, 3]; cells 2**20 apart may share one, which no cloud has."""
    wide = cells + (1 << 19)
    return (wide[:, 0] << 42) | (wide[:, 1] << 21) | wide[:, 2]


def _same(cells: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of the distinct place of each row [n], and a row of each place."""
    rounded = np.ascontiguousarray(np.rint(cells), dtype=np.int64)
    order = np.lexsort((rounded[:, 2], rounded[:, 1], rounded[:, 0]))
    ordered = rounded[order]
    new = np.ones(len(order), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    node = np.empty(len(order), np.int64)
    node[order] = np.cumsum(new) - 1
    return node, order[new]


def _graph(
    node: NDArray[np.int64], edges: NDArray[np.int64], place: NDArray[np.floating]
) -> VertexGraph:
    """The graph of undirected `edges` [e, 2] between nodes at `place` [nodes, 3]."""
    count = len(place)
    edges = edges[edges[:, 0] != edges[:, 1]]
    key = np.unique(edges.min(axis=1) * max(count, 1) + edges.max(axis=1))
    a, b = key // max(count, 1), key % max(count, 1)
    length = np.linalg.norm(place[a] - place[b], axis=1).astype(np.float32)
    source, target = np.concatenate([a, b]), np.concatenate([b, a])
    order = np.argsort(source, kind="stable")
    start = np.searchsorted(source[order], np.arange(count + 1))
    return VertexGraph(
        node, start, target[order].astype(np.int64), np.concatenate([length, length])[order]
    )


__all__ = ["VertexGraph", "cloud_graph", "mesh_graph", "triangle_edges"]
