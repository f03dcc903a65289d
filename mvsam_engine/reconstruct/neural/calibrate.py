# SPDX-License-Identifier: GPL-3.0-or-later
"""Confidence with our meaning: the chance that a point lies within 1 % of its depth.

Every model has a confidence in units of its own, and it is overconfident in its own way. But the
photos themselves can be asked: each point is looked up in the other photos that should see it,
and whether their depth agrees is counted, by raw confidence. A curve that only rises (isotonic,
Ayer et al. 1955) through the counts turns the one into the other. Where photos do not overlap,
the back end's own guess stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.neural.answer import Prior
from mvsam_engine.reconstruct.neural.settle import SettledView

# Our meaning: within this share of the depth.
WITHIN = 0.01
# A point that another photo sees at least this much nearer is hidden from it: no evidence.
HIDDEN = 0.05
# Levels of the curve, points looked up in each photo, other photos asked for each.
LEVELS, SAMPLE, ASKED = 24, 4000, 6
# Answers that a curve needs before it counts as measured.
ENOUGH = 2000
# Two answers of one run share mistakes, so agreement flatters: taken off the odds' logarithm.
SHARED_MISTAKES = 0.5


class Calibration:
    """A rising curve from raw confidence to the chance of being within 1 %.

    Attributes:
        agreement: share of the looked-up points that other photos confirm; None when too few
            could be looked up.
        answers: how many could.
    """

    def __init__(
        self,
        prior: Prior,
        edges: NDArray[np.float64] | None,
        chances: NDArray[np.float64] | None,
        agreement: float | None,
        answers: int,
    ) -> None:
        self._prior, self._edges, self._chances = prior, edges, chances
        self.agreement, self.answers = agreement, answers

    def __call__(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Chance [...] of each raw confidence [...]."""
        if self._edges is None or self._chances is None:
            return np.clip(self._prior(raw), 0.0, 1.0).astype(np.float32)
        return np.interp(raw, self._edges, self._chances).astype(np.float32)


def calibrate(views: Sequence[SettledView], prior: Prior) -> Calibration:
    """Learn what a run's confidence means from how far its photos agree."""
    raw, agrees = evidence(views)
    if len(raw) < ENOUGH:
        share = float(agrees.mean()) if len(agrees) else None
        return Calibration(prior, None, None, share, len(raw))
    order = np.argsort(raw, kind="stable")
    groups = np.array_split(order, LEVELS)
    middles = np.array([np.median(raw[g]) for g in groups])
    shares = np.array([agrees[g].mean() for g in groups])
    counts = np.array([len(g) for g in groups], np.float64)
    # Agreement takes both points to be right. If each is with chance p, independently, both are
    # with p * p, and two wrong ones hardly ever meet.
    chances = np.sqrt(np.clip(rising(shares, counts), 1e-4, 1 - 1e-4))
    odds = np.log(chances / (1 - chances)) - SHARED_MISTAKES
    chances = 1 / (1 + np.exp(-odds))
    return Calibration(prior, middles, chances, float(agrees.mean()), len(raw))


def rising(values: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """The closest sequence that never falls: neighbours that do are pooled."""
    pools: list[list[float]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        pools.append([float(value), float(weight), 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            b, a = pools.pop(), pools.pop()
            total = a[1] + b[1]
            pools.append([(a[0] * a[1] + b[0] * b[1]) / total, total, a[2] + b[2]])
    return np.concatenate([np.full(int(length), mean) for mean, _, length in pools])


def evidence(views: Sequence[SettledView]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Raw confidence of points that could be looked up elsewhere, and whether they were confirmed.

    Both [n], over all views; deterministic.
    """
    raw: list[NDArray[np.float64]] = []
    agrees: list[NDArray[np.bool_]] = []
    centers = np.array([view.camera.center for view in views]).reshape(-1, 3)
    for i, view in enumerate(views):
        known = np.flatnonzero(np.isfinite(view.depth))
        at = known[:: max(1, len(known) // SAMPLE)]
        points = view.world_points().reshape(-1, 3)[at].astype(np.float64)
        trust = view.confidence.ravel()[at].astype(np.float64)
        near = np.argsort(np.linalg.norm(centers - centers[i], axis=1), kind="stable")
        for other in (views[j] for j in near[: ASKED + 1] if j != i):
            asked, confirmed = look_up(points, other)
            raw.append(trust[asked])
            agrees.append(confirmed[asked])
    if not raw:
        return np.zeros(0), np.zeros(0, bool)
    return np.concatenate(raw), np.concatenate(agrees)


def look_up(
    points: NDArray[np.float64], other: SettledView
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which points [n] another view can say something about, and which it confirms."""
    pixels, depth = other.camera.project(points)
    cells = other.framing.to_network(pixels)
    height, width = other.depth.shape
    with np.errstate(invalid="ignore"):
        inside = (cells >= 0).all(1) & (cells[:, 0] < width) & (cells[:, 1] < height)
    rows = np.where(inside, cells[:, 1], 0).astype(np.int64)
    columns = np.where(inside, cells[:, 0], 0).astype(np.int64)
    seen = other.depth[rows, columns].astype(np.float64)
    # Between pixels the depth changes: it is continued along the row and column.
    seen = seen + _slope(other.depth, rows, columns, cells)
    with np.errstate(invalid="ignore"):
        asked = inside & np.isfinite(seen) & (seen > (1 - HIDDEN) * depth)
        confirmed = np.abs(seen - depth) <= WITHIN * depth
    return asked, confirmed


def _slope(
    depth: NDArray[np.float32],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    cells: NDArray[np.float64],
) -> NDArray[np.float64]:
    """What to add for the place inside the pixel; 0 beside edges."""
    out = np.zeros(len(rows))
    here = depth[rows, columns]
    for axis, index in ((1, columns), (0, rows)):
        step = np.where(cells[:, 1 - axis] - index >= 0.5, 1, -1)
        last = depth.shape[axis] - 1
        beside = np.clip(index + step, 0, last)
        there = depth[rows, beside] if axis == 1 else depth[beside, columns]
        change = (there - here) * np.abs(np.nan_to_num(cells[:, 1 - axis]) - index - 0.5)
        smooth = np.abs(there - here) < 0.03 * here
        out += np.where(smooth & np.isfinite(change), change, 0.0)
    return out
