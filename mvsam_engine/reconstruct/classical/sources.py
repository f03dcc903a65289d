# SPDX-License-Identifier: GPL-3.0-or-later
"""Which other photos help to measure the depth of a photo, and which depths to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.sparse import SparseModel

# A pair of rays is most useful at this angle in degrees: wide enough to measure, narrow enough
# to look alike. Below it usefulness falls off quickly, above it slowly (MVSNet, Yao et al. 2018).
BEST_ANGLE = 7.0
NARROW_SPREAD = 3.0
WIDE_SPREAD = 14.0
# Rays closer than this measure nothing, they only seem to agree.
LEAST_ANGLE = 0.5


def select_sources(model: SparseModel, count: int) -> list[list[int]]:
    """The `count` most useful other cameras of each camera, best first.

    Scored by the points that both see, each weighted by the angle between its two rays. A camera
    that shares no point is never chosen, so a list may be shorter than `count`.
    """
    centers = np.array([c.center for c in model.cameras])
    order = np.argsort(model.seen_point, kind="stable")
    observers, observed = model.seen_by[order], model.seen_point[order]
    first = np.searchsorted(observed, np.arange(len(model.points) + 1))
    chosen: list[list[int]] = []
    for index in range(len(model.cameras)):
        mine = np.unique(model.seen_point[model.seen_by == index])
        rows = _ranges(first[mine], first[mine + 1])
        scores = _scores(model, centers, index, observers[rows], observed[rows])
        scores[index] = 0.0
        best = np.argsort(-scores, kind="stable")[:count]
        chosen.append([int(j) for j in best if scores[j] > 0])
    return chosen


def _ranges(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """All integers of the half-open ranges starts..ends, one after the other."""
    parts = [np.arange(a, b) for a, b in zip(starts, ends, strict=True)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _scores(
    model: SparseModel,
    centers: NDArray[np.float64],
    index: int,
    observers: NDArray[np.int64],
    observed: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Usefulness [cameras] for camera `index`, from observations of the points that it sees."""
    points = model.points[observed]
    ours, theirs = centers[index] - points, centers[observers] - points
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine = (ours * theirs).sum(axis=1) / np.maximum(lengths, 1e-12)
    angle = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    spread = np.where(angle < BEST_ANGLE, NARROW_SPREAD, WIDE_SPREAD)
    useful = np.exp(-((angle - BEST_ANGLE) ** 2) / (2 * spread**2))
    useful[angle < LEAST_ANGLE] = 0.0
    return np.bincount(observers, weights=useful, minlength=len(model.cameras))


def depth_ranges(model: SparseModel, sources: list[list[int]]) -> list[tuple[float, float]]:
    """Near and far z-depth to look at, for each camera.

    From the points that the camera or its sources see and that lie inside its photo. The near
    bound is widened most: floors and table tops run towards the camera without any features.
    """
    ranges: list[tuple[float, float]] = []
    for index, camera in enumerate(model.cameras):
        views = [index, *sources[index]]
        seen = np.unique(model.seen_point[np.isin(model.seen_by, views)])
        pixels, depth = camera.project(model.points[seen])
        x, y = pixels[:, 0], pixels[:, 1]
        with np.errstate(invalid="ignore"):
            inside = (x >= 0) & (y >= 0) & (x < camera.width) & (y < camera.height)
        usable = depth[inside & (depth > 0)]
        near, far = np.percentile(usable, [1, 99])
        ranges.append((float(near) * 0.6, float(far) * 1.5))
    return ranges
