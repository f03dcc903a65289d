# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of photos that overlap, carried onto each other and joined into one world.

Each run of a model has a world and a scale of its own. The photos that two runs share have points
in both; the similarity that carries one set onto the other, found robustly because a model errs
in places, joins the runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.neural.settle import SettledView
from mvsam_engine.reconstruct.similarity import Similarity, align

ROUNDS = 15
SAMPLE = 3000  # points of each shared photo
# Two runs that disagree by more than this share of the depth, in the middle, cannot be joined
# without a word; by more than the second, not at all.
DOUBTFUL, HOPELESS = 0.05, 0.25


@dataclass(frozen=True, slots=True)
class Window:
    """Photos of one run.

    Attributes:
        members: numbers of the photos, in rising order.
        shared: those that an earlier run has too; empty for the first.
    """

    members: tuple[int, ...]
    shared: tuple[int, ...] = ()


def windows(count: int, most: int) -> list[Window]:
    """Runs of at most `most` photos that cover `count`, each sharing photos with the one before.

    A quarter of a run is shared, two photos at least, and the last run is as full as the others.

    Raises:
        ValueError: runs of fewer than three photos cannot share two and bring a new one.
    """
    if count <= most:
        return [Window(tuple(range(count)))]
    if most < 3:
        raise ValueError(f"windows of {most} photos cannot be joined")
    overlap = max(2, most // 4)
    starts = [*range(0, count - most, most - overlap), count - most]
    out: list[Window] = []
    for start in starts:
        members = tuple(range(start, start + most))
        before = set(out[-1].members) if out else set()
        out.append(Window(members, tuple(i for i in members if i in before)))
    return out


def robust_similarity(
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    weights: NDArray[np.floating],
    depth: NDArray[np.floating],
) -> tuple[Similarity, float]:
    """The similarity from `source` [n, 3] to `target` [n, 3] despite wrong points.

    Weighted Umeyama, reweighted by how far each point is off in shares of its depth (Cauchy).

    Args:
        source: points in the old world.
        target: the same points in the new one.
        weights: [n] trust.
        depth: [n] of each in `target`'s units.

    Returns:
        The similarity, and the median share of the depth that points are off by.

    Raises:
        ValueError: fewer than three points, or all in one place.
    """
    trust = weights / max(float(weights.max()), 1e-12)
    found = align(source, target, trust)
    off = np.full(len(source), np.inf)
    for _ in range(ROUNDS):
        off = np.linalg.norm(found.apply(source) - target, axis=1) / np.maximum(depth, 1e-9)
        scale = max(float(np.median(off)), 1e-6)
        found = align(source, target, trust / (1.0 + (off / scale) ** 2) / depth**2)
    return found, float(np.median(off))


def join(
    placed: dict[int, SettledView], new: dict[int, SettledView], keep_scale: bool = False
) -> tuple[dict[int, SettledView], float]:
    """The views of a new run in the world of those placed already.

    Args:
        placed: views by number, one world.
        new: views of another run, some of the same numbers.
        keep_scale: both runs are in metres, so only turn and move.

    Returns:
        All views; shared ones stay as they were placed. And the median share of the depth by
        which the two runs disagree.

    Raises:
        ReconstructionError: they share too little, or contradict each other.
    """
    shared = sorted(placed.keys() & new.keys())
    source, target, trust, depth = _pairs(placed, new, shared)
    if len(source) < 50:
        raise ReconstructionError(
            "reconstruct.windows",
            "Two runs of the model share too few points to be joined.",
            "Use fewer photos, or a smaller model, so that all fit in one run.",
        )
    change, off = robust_similarity(source, target, trust, depth)
    if off > HOPELESS:
        raise ReconstructionError(
            "reconstruct.windows",
            f"Two runs of the model contradict each other by {off:.0%} of the depth on the photos "
            "that they share.",
            "Order the photos along the path they were taken on, use fewer of them, or another "
            "model.",
        )
    scale = 1.0 if keep_scale and abs(np.log(change.scale)) < 0.2 else change.scale
    if scale != change.scale:
        middle = source.mean(axis=0)
        goal = change.apply(middle)
        change = Similarity(1.0, change.rotation, goal - change.rotation @ middle)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = change.rotation, change.translation
    moved = {i: view.moved(change.scale, matrix) for i, view in new.items() if i not in placed}
    return placed | moved, off


def _pairs(
    placed: dict[int, SettledView], new: dict[int, SettledView], shared: list[int]
) -> tuple[NDArray[np.float64], ...]:
    """Points of shared photos in both worlds, their trust, and their depth in the placed one."""
    columns: list[list[NDArray[np.float64]]] = [[], [], [], []]
    for i in shared:
        a, b = placed[i], new[i]
        known = np.flatnonzero(np.isfinite(a.depth) & np.isfinite(b.depth))
        if len(known) == 0:
            continue
        trust = np.minimum(_rank(a.confidence.ravel()[known]), _rank(b.confidence.ravel()[known]))
        some = np.arange(0, len(known), max(1, len(known) // SAMPLE))
        at = known[some]
        columns[0].append(b.world_points().reshape(-1, 3)[at].astype(np.float64))
        columns[1].append(a.world_points().reshape(-1, 3)[at].astype(np.float64))
        columns[2].append(0.05 + trust[some])
        columns[3].append(a.depth.ravel()[at].astype(np.float64))
    if not columns[0]:
        return tuple(np.zeros((0, 3) if k < 2 else 0) for k in range(4))
    return tuple(np.concatenate(column) for column in columns)


def _rank(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Each value's rank, 0 to 1: raw confidences have units of their own."""
    order = np.empty(len(values))
    order[np.argsort(values, kind="stable")] = np.arange(len(values))
    return order / max(1, len(values) - 1)
