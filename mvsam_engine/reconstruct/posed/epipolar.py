# SPDX-License-Identifier: GPL-3.0-or-later
"""Do matches of photos fit the cameras that were given?

Convention: a ray is a camera-frame direction with z = 1, written as its x and y (the lens is
already corrected). ``relative`` poses are second-from-first: ``X_second = R @ X_first + t``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import invert_rigid

FloatArray = NDArray[np.floating]

# Matches further than this from their epipolar line contradict the cameras, as a share of the
# photo's long side: 4 pixels of 800, as wide as two-view verification is itself.
TOLERANCE = 0.005
# Rays closer to parallel than this (sine) meet at a distance that even their sign is lost in.
PARALLEL = 2e-3
# Pairs with fewer verified matches say nothing.
LEAST_MATCHES = 15
# Share of its matches that a pair of right cameras fits at least; right pairs reach 0.75 to 1.0.
# Pairs far apart may be lower, since repeated patterns give them wrong matches: what counts is
# that each camera fits some of its neighbours.
GOOD_PAIR = 0.6
# So many of a camera's pairs, the best ones, are looked at.
BEST_PAIRS = 2


@dataclass(frozen=True, slots=True, eq=False)
class PairMatches:
    """Matches between two photos that two-view geometry confirms, whatever the cameras say.

    Attributes:
        first: number of the one photo's camera.
        second: number of the other's.
        rays_first: [n, 2] rays of the first camera.
        rays_second: [n, 2] rays of the second camera.
    """

    first: int
    second: int
    rays_first: FloatArray
    rays_second: FloatArray


def fitting(
    relative: FloatArray, rays_first: FloatArray, rays_second: FloatArray, tolerance: float
) -> NDArray[np.bool_]:
    """Which matches [n] a relative pose explains: near the epipolar lines and in front of both.

    Args:
        relative: second-from-first [4, 4].
        rays_first: [n, 2].
        rays_second: [n, 2].
        tolerance: greatest Sampson distance, in units of the rays (pixels over focal length).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = sampson(relative, rays_first, rays_second)
        return (distance < tolerance) & _in_front(relative, rays_first, rays_second)


def sampson(relative: FloatArray, rays_first: FloatArray, rays_second: FloatArray) -> FloatArray:
    """Sampson distance [n] of matches to the epipolar geometry.

    First-order distance to the nearest pair that fits exactly (Hartley and Zisserman, 11.4.3).
    Two photos from one place have no such geometry; there the ray itself is carried over.
    """
    rotation, shift = relative[:3, :3], relative[:3, 3]
    length = np.linalg.norm(shift)
    if length == 0:
        turned = _homogeneous(rays_first) @ rotation.T
        return np.linalg.norm(turned[:, :2] / turned[:, 2:] - rays_second, axis=1)
    x, y, z = shift / length
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    first, second = _homogeneous(rays_first), _homogeneous(rays_second)
    line_second = first @ (cross @ rotation).T
    line_first = second @ (cross @ rotation)
    residual = (second * line_second).sum(axis=1)
    slope = (line_second[:, :2] ** 2).sum(axis=1) + (line_first[:, :2] ** 2).sum(axis=1)
    return np.abs(residual) / np.sqrt(slope)


def _in_front(relative: FloatArray, rays_first: FloatArray, rays_second: FloatArray) -> FloatArray:
    """Whether the rays [n] meet in front of both cameras, or so far off that it is open."""
    shift = relative[:3, 3]
    turned = _homogeneous(rays_first) @ relative[:3, :3].T
    second = _homogeneous(rays_second)
    cross = np.cross(second, turned)
    area = (cross**2).sum(axis=1)
    along_first = -(np.cross(second, shift) * cross).sum(axis=1)
    along_second = (np.cross(turned, shift) * np.cross(turned, second)).sum(axis=1)
    lengths = (turned**2).sum(axis=1) * (second**2).sum(axis=1)
    return ((along_first > 0) & (along_second > 0)) | (area < PARALLEL**2 * lengths)


def _homogeneous(rays: FloatArray) -> FloatArray:
    return np.concatenate([rays, np.ones_like(rays[:, :1])], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class PairFit:
    """How many matches of each pair fit the cameras.

    Attributes:
        pairs: [p, 2] int64 numbers of the cameras.
        matches: [p] number of matches.
        fitting: [p] number of those that fit.
    """

    pairs: NDArray[np.int64]
    matches: NDArray[np.int64]
    fitting: NDArray[np.int64]

    @property
    def share(self) -> float:
        """Share of all matches that fit; 1 when there are none."""
        total = int(self.matches.sum())
        return int(self.fitting.sum()) / total if total else 1.0

    def by_camera(self, count: int) -> FloatArray:
        """Share of its matches that fits, in the best pairs of each camera.

        Returns:
            [count], NaN for a camera without a pair that says anything.
        """
        shares = np.where(
            self.matches >= LEAST_MATCHES, self.fitting / np.maximum(self.matches, 1), np.nan
        )
        best = np.full(count, np.nan)
        for camera in range(count):
            mine = shares[(self.pairs == camera).any(axis=1)]
            mine = np.sort(mine[np.isfinite(mine)])[-BEST_PAIRS:]
            if len(mine):
                best[camera] = mine.mean()
        return best

    def mean_share(self, count: int) -> float:
        """Mean of `by_camera`; 1 when no camera has a pair that says anything."""
        shares = self.by_camera(count)
        return float(np.nanmean(shares)) if np.isfinite(shares).any() else 1.0


def fit_pairs(
    poses: Sequence[FloatArray], pairs: Sequence[PairMatches], tolerances: FloatArray
) -> PairFit:
    """Count the matches that fit camera-from-world `poses`.

    Args:
        poses: [4, 4] of each camera.
        pairs: matches.
        tolerances: of each camera, in units of its rays.
    """
    inverse = [invert_rigid(pose) for pose in poses]
    fits = np.zeros(len(pairs), np.int64)
    for number, pair in enumerate(pairs):
        relative = poses[pair.second] @ inverse[pair.first]
        tolerance = 0.5 * (tolerances[pair.first] + tolerances[pair.second])
        fits[number] = fitting(relative, pair.rays_first, pair.rays_second, tolerance).sum()
    return PairFit(
        pairs=np.array([(p.first, p.second) for p in pairs], np.int64).reshape(-1, 2),
        matches=np.array([len(p.rays_first) for p in pairs], np.int64),
        fitting=fits,
    )


def contradicting(fit: PairFit, count: int) -> list[int]:
    """Cameras that their matches contradict.

    Cameras are tied together by the pairs that fit. The largest group is right; a camera outside
    it is wrong when its matches with the group do not fit, when that is so of half of its own
    group, or when it fits nobody at all. Cameras that no match says anything about are not accused.
    """
    telling = fit.matches >= LEAST_MATCHES
    good = telling & (fit.fitting >= GOOD_PAIR * fit.matches)
    group = _groups(fit.pairs[good], count)
    sizes = np.bincount(group, minlength=count)
    largest = int(sizes.argmax())
    accused: set[int] = set()
    for first, second in fit.pairs[telling & ~good]:
        for one, other in ((int(first), int(second)), (int(second), int(first))):
            alone = sizes[group[one]] == 1
            if alone or (group[one] != largest and group[other] == largest):
                accused.add(one)
    blame = np.bincount(group[sorted(accused)], minlength=count) if accused else np.zeros(count)
    return [i for i in range(count) if i in accused or 2 * blame[group[i]] >= sizes[group[i]]]


def _groups(edges: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Number [count] of the connected group of each node."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(edges), np.int8)
    graph = coo_array((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)
