# SPDX-License-Identifier: GPL-3.0-or-later
"""Which photos probably show the same, from where their cameras stand and look."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.reconstruct.classical.sparse import SparseModel

# Ranks of the neighbours that are asked: all near ones, and some further ones that see the same
# under a wider angle (in a video the nearest hundred photos have hardly any angle).
RANKS = (0, 1, 2, 3, 4, 5, 7, 10, 15, 22, 32)
# Cameras that look in directions further apart than this, in degrees, see different sides.
WIDEST = 75.0
# So many degrees between the directions count as much as the usual step between neighbours.
STEP_DEGREES = 15.0
# Photos that are looked at to see whether a model with tracks belongs to the photos at all.
SPOT_CHECKS = 8
ROWS = 512

Pair = tuple[int, int]


def pose_neighbours(cameras: tuple[Camera, ...]) -> list[Pair]:
    """Pairs of cameras that stand near each other and look the same way; grows with N only.

    Photos that follow one another in the list are paired too: when the cameras are wrong, these
    are the ones that show the same after all.
    """
    centers = np.array([c.center for c in cameras])
    forward = np.array([c.camera_from_world[2, :3] for c in cameras])
    count = len(cameras)
    pairs = {(a, b) for a, b in pairwise(range(count))}
    step = _usual_step(centers)
    for start in range(0, count, ROWS):
        rows = slice(start, min(start + ROWS, count))
        apart = np.linalg.norm(centers[rows, None] - centers[None], axis=2)
        cosine = np.clip(forward[rows] @ forward.T, -1.0, 1.0)
        degrees = np.degrees(np.arccos(cosine))
        price = apart / step + degrees / STEP_DEGREES
        # Photos from one place show no depth together.
        price[(degrees > WIDEST) | (apart < 1e-3 * step)] = np.inf
        for row, prices in enumerate(price, start=start):
            order = np.argsort(prices, kind="stable")
            order = order[np.isfinite(prices[order])]
            pairs |= {_pair(row, int(order[r])) for r in RANKS if r < len(order)}
    return sorted(pairs)


def spot_checks(model: SparseModel) -> list[Pair]:
    """A few cameras spread over a model with tracks, each with the one that shares most points."""
    count = len(model.cameras)
    chosen = np.unique(np.linspace(0, count - 1, min(SPOT_CHECKS, count)).round().astype(int))
    pairs: set[Pair] = set()
    for index in chosen:
        mine = np.zeros(len(model.points), bool)
        mine[model.seen_point[model.seen_by == index]] = True
        shared = np.bincount(model.seen_by[mine[model.seen_point]], minlength=count)
        shared[index] = 0
        if shared.max() > 0:
            pairs.add(_pair(int(index), int(shared.argmax())))
    return sorted(pairs)


def _pair(a: int, b: int) -> Pair:
    return (min(a, b), max(a, b))


def _usual_step(centers: NDArray[np.float64]) -> float:
    """Median distance from a camera to the nearest one that stands elsewhere."""
    from scipy.spatial import cKDTree

    extent = float(np.ptp(centers, axis=0).max())
    if extent == 0:
        return 1.0
    distances, _ = cKDTree(centers).query(centers, k=min(len(centers), 6))
    elsewhere = np.where(distances > 1e-6 * extent, distances, np.inf).min(axis=1)
    usual = elsewhere[np.isfinite(elsewhere)]
    return float(np.median(usual)) if len(usual) else extent
