# SPDX-License-Identifier: GPL-3.0-or-later
"""Which photos of a model are placed where the evidence says, and whether two models agree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.evidence import Evidence, Look, gather, triangulate
from mvsam_engine.reconstruct.classical.seams import largest_whole
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.support import drop_unsupported, photo_support
from mvsam_engine.reconstruct.classical.view_graph import ViewGraph

# Points that must be asked before a pair says anything. Measured on pairs of models of the sample
# rooms and the kitchen: of rightly placed pairs within 20 degrees 99 in 100 show at least 0.31 of
# them alike, half of them 0.72; of wrongly placed ones half show 0.21.
LEAST_ASKED = 20
# Share that confirms a pair: this, and more when few points were asked (over the root of them).
CONFIRMED_SHARE = 0.35
CONFIRMED_MARGIN = 0.5
WIDE_ALLOWANCE = 0.03
# Verified matches of a photo, with all others together, that must fit the cameras.
LEAST_FITTING = 30
# Share of the verified matches that must fit the cameras of a confirmed pair: 0.8 and more in 9 of
# 10 right pairs, less in half of the wrong ones.
FITTING_SHARE = 0.75
# Share in the best of a photo's confirmed pairs below which the photo is bent into its place: 0.76
# in the wrong places seen, 0.87 and more in right ones.
HELD_SHARE = 0.82
# The same for a whole model: right ones explained 638 of 640 and 376 of 378 matches, one of three
# photos that other photos had bent 539 of 640.
EXACT_SHARE = 0.9
# Models of so few photos bend when few points hold them: rightly linked photos were off by 2 to 8
# degrees where one of them had a support of 22 to 39, by 0.4 where all had 52.
SMALL_MODEL = 8
SMALL_SUPPORT = 45.0
# Share at which a pair is contradicted, when it looks from within so many degrees.
CONTRADICTED_SHARE = 0.25
CONTRADICTED_ANGLE = 20.0
# Confirmations that each photo needs: one alone may be chance, two seldom agree by chance. A pair
# with this many points asked, a share like this and this many matches counts as two.
LEAST_CONFIRMATIONS = 2
STRONG_ASKED = 100
STRONG_SHARE = 0.6
STRONG_MATCHES = 100
# Two photos leave nothing to ask; their matches must be this many and spread this far over both
# photos (standard deviation as a share of each side). Matches of a repeated part are fewer (under
# 90 in three wrong pairs of the sample room, 98 and more in eight right ones) or lie close together
# (at most 0.08 in two of the wrong ones, 0.13 and more in the right ones).
PAIR_MATCHES = 100
PAIR_SPREAD = 0.1
# Degrees between two models' ideas of how one photo is turned, from which they contradict.
SAME_ROTATION = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A model without the photos that the evidence does not confirm.

    Attributes:
        model: what is left, possibly empty.
        confirmed: pairs of its photos that are confirmed.
        matched: verified matches of those pairs.
        fitting: how many of them fit the cameras.
        contradicted: pairs of photos of the WHOLE model, by view, that are contradicted.
    """

    model: SparseModel
    confirmed: int
    matched: int
    fitting: int
    contradicted: tuple[tuple[str, str], ...]

    @property
    def placed(self) -> int:
        """Number of photos that are left."""
        return len(self.model.cameras)

    def beats(self, other: Judgement) -> bool:
        """Whether this is the better model: more confirmed photos, or as many better held."""
        if self.placed != other.placed:
            return self.placed > other.placed
        return self.fitting > other.fitting

    @property
    def exact(self) -> bool:
        """Whether the cameras explain the matches of the pairs that they are confirmed by."""
        return self.fitting >= EXACT_SHARE * self.matched


def judge(model: SparseModel, graph: ViewGraph, looks: dict[str, Look]) -> Judgement:
    """Keep the largest group of photos that confirm one another.

    Args:
        model: right or wrong.
        graph: verified matches of its photos.
        looks: small picture of each view.
    """
    if len(model.cameras) < 3:  # two photos leave nothing to ask
        return _judge_pair(drop_unsupported(model), graph)
    evidence = gather(model, graph, looks)
    confirmed, contradicted = verdicts(evidence)
    core, torn = largest_whole(confirmed_core(confirmed, contradicted), confirmed, evidence)
    contradicted |= torn
    kept = _well_held(model, core)
    views = [camera.view for camera in model.cameras]
    linked = confirmed[np.ix_(kept, kept)] > 0
    return Judgement(
        model=model.keep(kept),
        confirmed=int(linked.sum()) // 2,
        matched=int(evidence.matched[np.ix_(kept, kept)][linked].sum()) // 2,
        fitting=int(evidence.fitting[np.ix_(kept, kept)][linked].sum()) // 2,
        contradicted=tuple((views[i], views[j]) for i, j in np.argwhere(np.triu(contradicted))),
    )


def _well_held(model: SparseModel, kept: list[int]) -> list[int]:
    """Without the photos of a small model that too few points of three photos hold."""
    while len(kept) <= SMALL_MODEL:
        held = photo_support(model.keep(kept))
        if not len(held) or held.min() >= SMALL_SUPPORT:
            break
        weakest = int(np.argmin(held))
        kept = kept[:weakest] + kept[weakest + 1 :]
    return kept if len(kept) >= 3 else []


def _judge_pair(model: SparseModel, graph: ViewGraph) -> Judgement:
    """Two photos: their matches are all there is."""
    if len(model.cameras) < 2:
        return Judgement(model, 0, 0, 0, ())
    first, second = model.cameras
    numbers, pixels = graph.matches(first.view, second.view)
    fits = triangulate(first, second, *pixels)[1] > 0
    if fits.sum() < PAIR_MATCHES or any(
        (places[fits].std(axis=0) < PAIR_SPREAD * np.array([camera.width, camera.height])).any()
        for camera, places in zip(model.cameras, pixels, strict=True)
    ):
        return Judgement(model.keep([]), 0, 0, 0, ())
    return Judgement(model, 0, len(numbers), int(fits.sum()), ())


def verdicts(evidence: Evidence) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """How strongly each pair [n, n] is confirmed (0, 1 or 2), and whether it is contradicted."""
    enough = evidence.asked >= LEAST_ASKED
    near = np.nan_to_num(evidence.angle, nan=180.0) < CONTRADICTED_ANGLE
    needed = CONFIRMED_SHARE + CONFIRMED_MARGIN / np.sqrt(np.maximum(evidence.asked, 1))
    fits = evidence.fitting >= FITTING_SHARE * evidence.matched
    # From far apart more is hidden; photos that fit no match with any other are not held at all.
    needed = needed - np.where(near, 0.0, WIDE_ALLOWANCE)
    confirmed = (enough & fits & (evidence.share >= needed)).astype(np.int64)
    held = evidence.fitting.sum(axis=1) >= LEAST_FITTING
    exact = np.where(confirmed > 0, evidence.fitting / np.maximum(evidence.matched, 1), 0.0)
    held &= exact.max(axis=1) >= HELD_SHARE
    confirmed *= held[:, None] & held[None, :]
    strong = (evidence.asked >= STRONG_ASKED) & (evidence.matched >= STRONG_MATCHES)
    confirmed[(confirmed > 0) & strong & (evidence.share >= STRONG_SHARE)] = 2
    return confirmed, enough & near & (evidence.share <= CONTRADICTED_SHARE)


def confirmed_core(confirmed: NDArray[np.int64], contradicted: NDArray[np.bool_]) -> list[int]:
    """The largest set of photos each of which the others confirm enough, and more than deny.

    Args:
        confirmed: symmetric [n, n], how strongly.
        contradicted: symmetric [n, n].

    Returns:
        Ascending indices; empty when there are no three such photos.
    """
    alive = np.ones(len(confirmed), bool)
    while alive.any():
        inside = alive[:, None] & alive[None, :]
        yes, no = (confirmed * inside).sum(axis=1), (contradicted & inside).sum(axis=1)
        weak = alive & ((yes < LEAST_CONFIRMATIONS) | (no >= yes))
        if not weak.any():
            break
        # The worst first: what it denied may be right.
        worst = min(np.flatnonzero(weak), key=lambda i: (yes[i] - no[i], i))
        alive[worst] = False
    linked = (confirmed > 0) & alive[:, None] & alive[None, :]
    best: list[int] = []
    left = set(np.flatnonzero(alive).tolist())
    while left:
        group: set[int] = set()
        edge = [left.pop()]
        while edge:
            photo = edge.pop()
            group.add(photo)
            near = set(np.flatnonzero(linked[photo]).tolist()) & left
            left -= near
            edge += near
        if len(group) > len(best):
            best = sorted(group)
    return best if len(best) >= 3 else []


def contradict(first: SparseModel, second: SparseModel) -> bool:
    """Whether two models place the photos that they share differently.

    Compared by the rotations between photos, which need no alignment of the two worlds.
    """
    ours = {c.view: c.camera_from_world[:3, :3] for c in first.cameras}
    theirs = {c.view: c.camera_from_world[:3, :3] for c in second.cameras}
    shared = [view for view in ours if view in theirs]
    if len(shared) < 2:
        return False
    between = np.array([ours[view].T @ theirs[view] for view in shared])  # [k, 3, 3]
    relative = np.einsum("aji,bjk->abik", between, between)
    cosine = np.clip((np.trace(relative, axis1=2, axis2=3) - 1.0) / 2.0, -1.0, 1.0)
    # The photo that most others agree with stands for the turn between the two worlds.
    spread = np.degrees(np.arccos(cosine))
    middle = np.argmin(np.median(spread, axis=1))
    return bool((spread[middle] > SAME_ROTATION).any())
