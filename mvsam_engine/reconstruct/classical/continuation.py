# SPDX-License-Identifier: GPL-3.0-or-later
"""Continues measured surfaces, as planes, into regions of the photo that were not measured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.segments import segments
from mvsam_engine.reconstruct.classical.undistort import FloatMap, WorkingView, warp_between

# Rounds: a region that was filled is something to go on from for its neighbours.
ROUNDS = 4
# Measured pixels this near to what is missing say how it goes on.
RING = 5
# Points of a region that planes are fitted to and judged by, and fewer that say nothing.
MOST_POINTS, LEAST_POINTS = 320, 12
# Planes through points chosen by chance, for each region.
TRIALS = 96
# A point lies on a plane when its inverse depth differs by less than this share.
ON_PLANE = 0.01
# What a known point clearly behind the plane counts against it: that would have to end there, while
# points in front merely hide it.
BEHIND = 0.5
# Nearness of the points that planes are fitted to in the end, one fit after the other.
NARROWING = (0.015, 0.008, 0.004)
# What points outside the region count for, less with every so many pixels between: only where it
# touches the region does a floor tell how deep a wall is. And points that were filled themselves.
OUTSIDE_WEIGHT, FADE, FILLED_WEIGHT = 0.5, 1.5, 0.25
# The best planes of a region that the other views are asked about, at so many of its pixels.
FINALISTS, PROBES = 5, 24
# The other views' word: what seeing through the plane costs, and seeing it brings, as a share.
AGAINST, FOR = 1.5, 0.5
SEEN_THROUGH, SEEN = 1.03, 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Continued:
    """Guessed surfaces.

    Attributes:
        inverse: [h, w] inverse depth, 0 where nothing was guessed.
        support: [h, w] 0..1, share of the points around that lie on the guessed plane, less what
            other views say against it.
    """

    inverse: FloatMap
    support: FloatMap


def continue_planes(
    view: WorkingView,
    depth: FloatMap,
    others: list[tuple[WorkingView, FloatMap]],
    seed: int,
) -> Continued:
    """Guess inverse depth where `depth` is 0, region by region.

    Args:
        view: the view.
        depth: [h, w] its measured depth, 0 unknown.
        others: other views with their measured depth.
        seed: of the random numbers.
    """
    labels, count = segments(view.guide)
    known = depth > 0
    inverse = np.where(known, 1.0 / np.where(known, depth, 1.0), 0.0).astype(np.float32)
    weight = known.astype(np.float32)
    support = np.zeros(depth.shape, np.float32)
    limits = (1.0 / (1.5 * view.far), 1.0 / (0.6 * view.near))
    rng = np.random.default_rng(seed)
    for _ in range(ROUNDS):
        jobs = _regions(labels, count, inverse, weight, rng)
        fits = [_finalists(job, rng, limits) for job in jobs]
        verdicts = _ask(view, jobs, fits, others)
        if not jobs:
            break
        for job, (planes, shares), (agree, against) in zip(jobs, fits, verdicts, strict=True):
            worth = shares + FOR * agree - AGAINST * against
            best = int(np.argmax(worth))
            plane = _refit(job, planes[best])
            rows, columns = job.missing
            guess = plane[0] + plane[1] * columns + plane[2] * rows
            good = (guess > limits[0]) & (guess < limits[1])
            inverse[rows[good], columns[good]] = guess[good]
            weight[rows[good], columns[good]] = FILLED_WEIGHT
            support[rows[good], columns[good]] = np.clip(worth[best], 0.0, 1.0)
    return Continued(np.where(known, np.float32(0.0), inverse).astype(np.float32), support)


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """A region with missing pixels.

    Attributes:
        missing: rows and columns of its missing pixels.
        points: [n, 3] 1, column, row of known pixels in it and around.
        inverse: [n] their inverse depth.
        weight: [n] what they count for.
    """

    missing: tuple[NDArray[np.int64], NDArray[np.int64]]
    points: NDArray[np.float64]
    inverse: NDArray[np.float64]
    weight: NDArray[np.float64]


def _regions(
    labels: NDArray[np.int32],
    count: int,
    inverse: FloatMap,
    weight: FloatMap,
    rng: np.random.Generator,
) -> list[_Region]:
    """The regions with missing pixels and enough known ones in and around them."""
    height, width = labels.shape
    missing = inverse <= 0
    order = np.argsort(labels[missing], kind="stable")
    rows, columns = (c[order] for c in np.nonzero(missing))
    starts = np.searchsorted(labels[rows, columns], np.arange(count + 1))
    found: list[_Region] = []
    for label in np.flatnonzero(np.diff(starts)):
        r, c = (x[starts[label] : starts[label + 1]] for x in (rows, columns))
        top, bottom = max(r.min() - RING, 0), min(r.max() + RING + 1, height)
        left, right = max(c.min() - RING, 0), min(c.max() + RING + 1, width)
        hole = np.zeros((bottom - top, right - left), np.uint8)
        hole[r - top, c - left] = 1
        distance = cv2.distanceTransform(1 - hole, cv2.DIST_L2, 3)
        own = labels[top:bottom, left:right] == label
        usable = (inverse[top:bottom, left:right] > 0) & ((distance <= RING) | own)
        y, x = np.nonzero(usable)
        if len(y) < LEAST_POINTS:
            continue
        if len(y) > MOST_POINTS:
            chosen = rng.choice(len(y), MOST_POINTS, replace=False)
            y, x = y[chosen], x[chosen]
        beside = OUTSIDE_WEIGHT * np.exp(-(distance[y, x] - 1.0) / FADE)
        share = np.where(own[y, x], 1.0, beside) * weight[y + top, x + left]
        points = np.stack([np.ones(len(y)), x + left, y + top], axis=1).astype(np.float64)
        values = inverse[y + top, x + left].astype(np.float64)
        found.append(_Region((r, c), points, values, share))
    return found


def _finalists(
    region: _Region, rng: np.random.Generator, limits: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best planes [k, 3] through a region's points, and the share of points on each [k]."""
    n = len(region.inverse)
    triples = np.stack([rng.integers(0, n, TRIALS) for _ in range(3)], axis=1)
    points, values = region.points[triples], region.inverse[triples]
    volume = np.linalg.det(points)
    solid = np.abs(volume) > 20.0
    planes = [np.linalg.solve(points[solid], values[solid][..., None])[..., 0]]
    weighted = region.points * region.weight[:, None]
    ridge = 1e-6 * np.eye(3) * region.weight.sum()
    planes.append(
        np.linalg.solve(region.points.T @ weighted + ridge, weighted.T @ region.inverse)[None]
    )
    middle = np.median(region.inverse)
    planes.append(np.array([[middle, 0.0, 0.0]]))
    every = np.concatenate(planes)
    rows, columns = region.missing
    corners = np.array(
        [[1.0, c, r] for c in (columns.min(), columns.max()) for r in (rows.min(), rows.max())]
    )
    ends = every @ corners.T
    every = every[(ends > limits[0]).all(axis=1) & (ends < limits[1]).all(axis=1)]
    if not len(every):
        every = np.array([[middle, 0.0, 0.0]])
    off = every @ region.points.T / region.inverse - 1.0
    worth = np.exp(-((off / ON_PLANE) ** 2)) - BEHIND * (off > 3.0 * ON_PLANE)
    share = (worth * region.weight).sum(axis=1) / region.weight.sum()
    best = np.argsort(-share, kind="stable")[:FINALISTS]
    return every[best], share[best]


def _refit(region: _Region, plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares over the points that lie on a plane, more and more strictly."""
    for nearness in NARROWING:
        off = np.abs(region.points @ plane / region.inverse - 1.0)
        weight = region.weight * (off < nearness)
        if (weight > 0).sum() < LEAST_POINTS:
            return plane
        weighted = region.points * weight[:, None]
        normal = region.points.T @ weighted
        if np.linalg.cond(normal) > 1e9:
            return plane
        plane = np.linalg.solve(normal, weighted.T @ region.inverse)
    return plane


def _ask(
    view: WorkingView,
    regions: list[_Region],
    fits: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    others: list[tuple[WorkingView, FloatMap]],
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Of each region's planes: the share of pixels that other views see, and see through."""
    if not regions:
        return []
    pixels, owner, inverse = [], [], []
    for number, (region, (planes, _)) in enumerate(zip(regions, fits, strict=True)):
        rows, columns = region.missing
        step = max(1, len(rows) // PROBES)
        spots = np.stack([np.ones(len(rows)), columns, rows], axis=1)[::step]
        for k, plane in enumerate(planes):
            pixels.append(spots)
            inverse.append(spots @ plane)
            owner.append(np.full(len(spots), number * FINALISTS + k))
    spots, q, numbers = np.concatenate(pixels), np.concatenate(inverse), np.concatenate(owner)
    usable = q > 0
    spots, q, numbers = spots[usable], q[usable], numbers[usable]
    votes = np.zeros((3, len(regions) * FINALISTS))
    place = np.stack([spots[:, 1], spots[:, 2], spots[:, 0]], axis=1)
    for other, depth in others:
        matrix, shift = warp_between(view, other)
        there = (place @ matrix.T) / q[:, None] + shift
        z = np.maximum(there[:, 2], 1e-9)
        column, row = np.floor(there[:, :2].T / z + 0.5)
        height, width = depth.shape
        inside = (there[:, 2] > 1e-9) & (column >= 0) & (row >= 0)
        inside &= (column < width) & (row < height)
        found = np.zeros(len(q))
        found[inside] = depth[row[inside].astype(int), column[inside].astype(int)]
        through = (found > 0) & (found > z * SEEN_THROUGH)
        seen = (found > 0) & (np.abs(found / z - 1.0) < SEEN)
        for k, vote in enumerate((seen, through)):
            votes[k] += np.bincount(numbers, weights=vote, minlength=votes.shape[1])
    votes[2] = np.bincount(numbers, minlength=votes.shape[1])
    share = np.minimum(votes[:2] / np.maximum(votes[2], 1.0), 1.0)
    return [
        tuple(s[i * FINALISTS : i * FINALISTS + len(planes)] for s in share)
        for i, (planes, _) in enumerate(fits)
    ]
