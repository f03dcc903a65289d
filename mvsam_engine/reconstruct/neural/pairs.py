# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of photos, each in a frame of its own, brought into one world.

DUSt3R (arXiv 2312.14132, section 3.4) minimises, over a world pointmap for each photo and a
similarity for each pair, the confidence-weighted distance between the two. For a fixed half the
other half has a closed form (a weighted mean; weighted Umeyama), so here they take turns, and
points that disagree count less each round. No gradients, no network of our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.neural.joining import robust_similarity
from mvsam_engine.reconstruct.similarity import Similarity, align

# Up to so many photos, every photo is paired with every other; beyond, with its neighbours along
# the order of the photos, and with ever farther ones.
ALL_PAIRS = 8
NEAR, FAR = 2, (4, 8, 16, 32)
ROUNDS = 40
SAMPLE = 1500  # points of a photo that take part in the rounds


@dataclass(frozen=True, slots=True, eq=False)
class PairAnswer:
    """What a model says of two photos, in the first one's camera frame.

    Attributes:
        photos: their numbers.
        points: two [h, w, 3].
        confidence: two [h, w], above 1.
    """

    photos: tuple[int, int]
    points: tuple[NDArray[np.float32], NDArray[np.float32]]
    confidence: tuple[NDArray[np.float32], NDArray[np.float32]]

    @property
    def trust(self) -> float:
        """How sure the model is of the pair: unsure of one photo is unsure of both."""
        return float(min(np.mean(np.log(np.maximum(c, 1.0))) for c in self.confidence))


def choose_pairs(count: int) -> list[tuple[int, int]]:
    """Pairs to run, both ways round; a photo alone is paired with itself."""
    if count == 1:
        return [(0, 0)]
    steps = range(1, count) if count <= ALL_PAIRS else [*range(1, NEAR + 1), *FAR]
    one_way = [(i, i + step) for step in steps for i in range(count - step)]
    return [pair for a, b in one_way for pair in ((a, b), (b, a))]


def into_one_world(
    pairs: Sequence[PairAnswer], count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """World points [n, h, w, 3] and confidence [n, h, w] of all photos.

    The world's scale is the geometric mean of the pairs' own.
    """
    shape = pairs[0].confidence[0].shape
    cells = np.arange(0, shape[0] * shape[1], max(1, shape[0] * shape[1] // SAMPLE))
    small = [_Sampled(pair, cells) for pair in pairs]
    world = _spanning_tree(small, count)
    for _ in range(ROUNDS):
        world = _mean_points(small, count, len(cells), world)
        for pair in small:
            pair.place(world)
        scale = float(np.exp(np.mean([np.log(pair.change.scale) for pair in small])))
        for pair in small:
            pair.rescale(1.0 / scale)
        world = world / scale
    return _full(pairs, [pair.change for pair in small], count, shape)


class _Sampled:
    """A pair at some of its pixels, and where it lies in the world."""

    def __init__(self, pair: PairAnswer, cells: NDArray[np.int64]) -> None:
        self.photos, self.trust = pair.photos, pair.trust
        self.points = np.stack([p.reshape(-1, 3)[cells] for p in pair.points]).astype(np.float64)
        weight = np.stack([np.log(np.maximum(c.ravel()[cells], 1.0)) for c in pair.confidence])
        known = np.isfinite(self.points).all(axis=-1)
        self.points[~known] = 0.0
        self.weight = np.where(known, weight + 1e-3, 0.0)
        self.change = Similarity(1.0, np.eye(3), np.zeros(3))
        # How far a point may be off before it counts half: 2 % of the pair's own depth.
        self.tolerance = 0.02 * float(np.median(np.linalg.norm(self.points[known], axis=-1)))

    def placed(self) -> NDArray[np.float64]:
        """World points [2, k, 3]."""
        return self.change.apply(self.points)

    def robust(self, world: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights [2, k]: less for points far from where the world has them."""
        off = np.linalg.norm(self.placed() - world[list(self.photos)], axis=-1)
        scale = max(self.tolerance * self.change.scale, 1e-12)
        return self.weight / (1.0 + (off / scale) ** 2)

    def place(self, world: NDArray[np.float64]) -> None:
        """The similarity that carries the pair onto the world best."""
        weights = self.robust(world).ravel()
        if weights.sum() > 0:
            goal = world[list(self.photos)].reshape(-1, 3)
            self.change = align(self.points.reshape(-1, 3), goal, weights)

    def rescale(self, factor: float) -> None:
        """Follow the world to another scale."""
        old = self.change
        self.change = Similarity(old.scale * factor, old.rotation, old.translation * factor)


def _spanning_tree(pairs: list[_Sampled], count: int) -> NDArray[np.float64]:
    """First world points [n, k, 3]: pairs joined on shared photos, the surest first (Prim)."""
    k = pairs[0].points.shape[1]
    world, weight = np.zeros((count, k, 3)), np.zeros((count, k))
    first = max(pairs, key=lambda pair: pair.trust)
    placed = {*first.photos}
    for side, photo in enumerate(first.photos):
        world[photo], weight[photo] = first.points[side], first.weight[side]
    used = {id(first)}
    while True:
        open_ends = [p for p in pairs if id(p) not in used and len(placed & {*p.photos}) == 1]
        if not open_ends:
            break
        pair = max(open_ends, key=lambda p: p.trust)
        used.add(id(pair))
        side = 0 if pair.photos[0] in placed else 1
        known, new = pair.photos[side], pair.photos[1 - side]
        trust = np.sqrt(pair.weight[side] * weight[known])
        depth = np.maximum(np.linalg.norm(pair.points[side], axis=-1), 1e-9)
        pair.change, _ = robust_similarity(pair.points[side], world[known], trust, depth)
        world[new] = pair.change.apply(pair.points[1 - side])
        weight[new] = pair.weight[1 - side]
        placed.add(new)
    for pair in pairs:
        if id(pair) not in used:
            goal = world[list(pair.photos)].reshape(-1, 3)
            source, trust = pair.points.reshape(-1, 3), pair.weight.ravel()
            depth = np.maximum(np.linalg.norm(source, axis=-1), 1e-9)
            pair.change, _ = robust_similarity(source, goal, trust, depth)
    return world


def _mean_points(
    pairs: list[_Sampled], count: int, k: int, world: NDArray[np.float64]
) -> NDArray[np.float64]:
    """World points [n, k, 3] that all pairs of a photo agree on best."""
    total, weight = np.zeros((count, k, 3)), np.full((count, k, 1), 1e-12)
    for pair in pairs:
        placed, robust = pair.placed(), pair.robust(world)
        for side, photo in enumerate(pair.photos):
            total[photo] += robust[side, :, None] * placed[side]
            weight[photo] += robust[side, :, None]
    return total / weight


def _full(
    pairs: Sequence[PairAnswer],
    changes: list[Similarity],
    count: int,
    shape: tuple[int, ...],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """All pixels, as `_mean_points` does for some: the pairs' mean, twice, the second robust."""
    mean = np.zeros((count, *shape, 3))
    for turn in range(2):
        total, weight = np.zeros((count, *shape, 3)), np.full((count, *shape), 1e-12)
        best = np.zeros((count, *shape))
        for pair, change in zip(pairs, changes, strict=True):
            for side, photo in enumerate(pair.photos):
                placed = change.apply(pair.points[side].astype(np.float64))
                trust = np.log(np.maximum(pair.confidence[side], 1.0)) + 1e-3
                if turn:
                    depth = change.scale * np.linalg.norm(pair.points[side], axis=-1)
                    off = np.linalg.norm(placed - mean[photo], axis=-1)
                    trust = trust / (1.0 + (off / np.maximum(0.02 * depth, 1e-12)) ** 2)
                known = np.isfinite(placed).all(axis=-1) & np.isfinite(trust)
                total[photo][known] += (trust[..., None] * placed)[known]
                weight[photo][known] += trust[known]
                np.maximum(best[photo], pair.confidence[side], out=best[photo], where=known)
        mean = total / weight[..., None]
    mean[best == 0] = np.nan
    return mean.astype(np.float32), best.astype(np.float32)
