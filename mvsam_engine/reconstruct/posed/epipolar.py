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
# A pair's matches count at most so often, so that a few rich pairs do not decide alone.
PAIR_WEIGHT = 100
# Share of its matches that a right camera fits at least. Right cameras of the test sets reach 0.85
# to 1.0, wrong ones 0.02 to 0.3.
LEAST_SHARE = 0.5
# Fewer verified matches than this say nothing about a photo.
LEAST_MATCHES = 30


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

    @property
    def weight(self) -> float:
        """How often each match counts."""
        return min(len(self.rays_first), PAIR_WEIGHT) / max(len(self.rays_first), 1)


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
        matches: [p] weighted number of matches.
        fitting: [p] weighted number of those that fit.
    """

    pairs: NDArray[np.int64]
    matches: FloatArray
    fitting: FloatArray

    @property
    def share(self) -> float:
        """Share of all matches that fit; 1 when there are none."""
        total = float(self.matches.sum())
        return float(self.fitting.sum()) / total if total > 0 else 1.0

    def by_camera(self, count: int) -> tuple[FloatArray, FloatArray]:
        """Matches and fitting matches [count] of each camera."""
        matches, fits = np.zeros(count), np.zeros(count)
        for column in (0, 1):
            matches += np.bincount(self.pairs[:, column], self.matches, count)
            fits += np.bincount(self.pairs[:, column], self.fitting, count)
        return matches, fits

    def without(self, cameras: set[int]) -> PairFit:
        """The pairs in which none of `cameras` is."""
        keep = ~np.isin(self.pairs, list(cameras)).any(axis=1)
        return PairFit(self.pairs[keep], self.matches[keep], self.fitting[keep])


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
    matches, fits = np.zeros(len(pairs)), np.zeros(len(pairs))
    for number, pair in enumerate(pairs):
        relative = poses[pair.second] @ inverse[pair.first]
        tolerance = 0.5 * (tolerances[pair.first] + tolerances[pair.second])
        good = fitting(relative, pair.rays_first, pair.rays_second, tolerance)
        matches[number] = pair.weight * len(good)
        fits[number] = pair.weight * good.sum()
    numbers = np.array([(p.first, p.second) for p in pairs], np.int64).reshape(-1, 2)
    return PairFit(numbers, matches, fits)


def contradicting(fit: PairFit, count: int) -> list[int]:
    """Cameras that most of their matches contradict, the worst first.

    A wrong camera spoils the matches of its neighbours too, so the worst is taken away before the
    others are looked at.
    """
    wrong: list[int] = []
    while True:
        matches, fits = fit.without(set(wrong)).by_camera(count)
        share = np.where(matches >= LEAST_MATCHES, fits / np.maximum(matches, 1e-9), 1.0)
        worst = int(np.argmin(share))
        if share[worst] >= LEAST_SHARE:
            return wrong
        wrong.append(worst)
