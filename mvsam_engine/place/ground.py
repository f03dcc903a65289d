# SPDX-License-Identifier: GPL-3.0-or-later
"""The dominant horizontal plane: floor, table top or lawn, and how sure it is.

Of the planes that could be horizontal, judged by how the cameras were held, the one is taken that
most of the trusted points lie on and few lie below: RANSAC (Fischler and Bolles, CACM 1981) over
points whose normals agree, then a least-squares fit with Tukey's weights. How well its direction
is known is measured by leaving out groups of views (jackknife): errors of depth are shared by the
pixels of a view, so counting pixels would promise far too much. Errors that all views share stay
unseen even so; what is told is therefore larger, by what was measured on scenes with known up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.place.samples import Samples
from mvsam_engine.reconstruct.normalise import CameraUp

# Half thickness of a plane as a share of the viewing distance; confident points are within 1 %.
_THICKNESS = 0.006
_NORMAL_DEGREES = 30.0
# How far from the cameras' up a plane may lie: at least, at most, and in expected errors.
_LEAST_GATE, _MOST_GATE, _GATE_ERRORS = 5.0, 25.0, 3.0
# Where cameras leave the pitch open (all look the same way), it may be this far off.
_PITCH_GATE = 55.0
_ROLL_DEGREES = 4.0

_TRIES, _SCORED = 1500, 4000
_ROUNDS = 12
_GROUPS = 10
# True errors were 3.5 and 7 times the jackknife's where up was known (0.066 and 0.014 degrees).
_UNSEEN, _FLOOR_DEGREES = 4.0, 0.05

# What makes a plane convincing.
LEAST_SUPPORT = 0.06
LEAST_VIEWS_SHARE = 0.3
MOST_DEGREES = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class GroundPlane:
    """A plane ``normal @ X = offset`` that the scene stands on.

    Attributes:
        normal: [3] unit vector that points up, world frame.
        offset: world units.
        center: [3] middle of the points that lie on it.
        degrees: expected error of the normal.
        support: share of the trusted points that lie on it, 0..1.
        below: share of the trusted points that lie below it, 0..1.
        views: share of the views that see it, 0..1.
        tilt: degrees between the normal and the cameras' up.
    """

    normal: NDArray[np.float64]
    offset: float
    center: NDArray[np.float64]
    degrees: float
    support: float
    below: float
    views: float
    tilt: float

    @property
    def convincing(self) -> bool:
        """Whether up may be taken from it."""
        return (
            self.support >= LEAST_SUPPORT
            and self.views >= LEAST_VIEWS_SHARE
            and self.degrees <= MOST_DEGREES
        )

    def height(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Heights [...] of points [..., 3] above it, world units."""
        return points @ self.normal - self.offset


def find_ground(
    samples: Samples, up: CameraUp, sideways: NDArray[np.float64], seed: int = 0
) -> GroundPlane | None:
    """The dominant horizontal plane, None where no plane could be one.

    Args:
        samples: trusted points with normals.
        up: what the cameras say.
        sideways: [n, 3] the cameras' x axes; with a level hold the ground's normal is across them.
        seed: of the random choices.
    """
    prior = _Prior(up, sideways)
    thickness = _THICKNESS * samples.distance
    candidates = np.flatnonzero(prior.may_be_ground(samples.normals, slack=_NORMAL_DEGREES / 2))
    if len(candidates) < 50 or thickness <= 0:
        return None
    random = np.random.default_rng(seed)
    best = _search(samples, candidates, prior, thickness, random)
    if best is None:
        return None
    return _refine(samples, best, up, thickness)


class _Prior:
    """How likely a direction is up, from the way the cameras were held."""

    def __init__(self, up: CameraUp, sideways: NDArray[np.float64]) -> None:
        self._up = up
        self._sideways = sideways
        gate = float(np.clip(_GATE_ERRORS * up.degrees, _LEAST_GATE, _MOST_GATE))
        self._gate = gate if up.trusted else _PITCH_GATE

    def may_be_ground(self, normals: NDArray[np.float64], slack: float) -> NDArray[np.bool_]:
        """Which normals [n, 3] are within the gate, widened by `slack` degrees."""
        return normals @ self._up.direction > np.cos(np.radians(self._gate + slack))

    def weight(self, normals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights [n], 0..1, of directions [n, 3]; 0 beyond the gate."""
        angle = np.degrees(np.arccos(np.clip(normals @ self._up.direction, -1.0, 1.0)))
        inside = angle <= self._gate
        if self._up.trusted:
            return inside * np.exp(-0.5 * (angle / (0.6 * self._gate)) ** 2)
        roll = np.degrees(np.arcsin(np.clip(np.abs(normals @ self._sideways.T), 0.0, 1.0)))
        return inside * np.exp(-0.5 * (np.median(roll, axis=1) / _ROLL_DEGREES) ** 2)


def _search(
    samples: Samples,
    candidates: NDArray[np.int64],
    prior: _Prior,
    thickness: float,
    random: np.random.Generator,
) -> tuple[NDArray[np.float64], float] | None:
    """Normal and offset of the best of many planes through three points."""
    corners = samples.points[random.choice(candidates, (_TRIES, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    # Three points close together tell nothing of a direction.
    wide = length > (10 * thickness) ** 2
    if not wide.any():
        return None
    normals = normals[wide] / length[wide, None]
    normals *= np.where(prior.may_be_ground(normals, 0.0), 1.0, -1.0)[:, None]
    offsets = np.sum(normals * corners[wide, 0], axis=1)
    weights = prior.weight(normals)
    normals, offsets, weights = (v[weights > 1e-3] for v in (normals, offsets, weights))
    if len(normals) == 0:
        return None
    seen = random.choice(len(samples), min(_SCORED, len(samples)), replace=False)
    heights = samples.points[seen] @ normals.T - offsets
    agree = samples.normals[seen] @ normals.T > np.cos(np.radians(_NORMAL_DEGREES))
    support = ((np.abs(heights) < thickness) & agree).mean(axis=0)
    above = 1.0 - (heights < -3 * thickness).mean(axis=0)
    best = int(np.argmax(weights * support * above**2))
    return normals[best], float(offsets[best])


def _refine(
    samples: Samples, plane: tuple[NDArray[np.float64], float], up: CameraUp, thickness: float
) -> GroundPlane:
    """Fit the plane to all its points, and find out how well it is known."""
    normal, offset = plane
    weights = np.zeros(len(samples))
    for _ in range(_ROUNDS):
        height = samples.points @ normal - offset
        agree = samples.normals @ normal > np.cos(np.radians(_NORMAL_DEGREES))
        scaled = height / (3 * thickness)
        weights = agree * np.clip(1.0 - scaled**2, 0.0, None) ** 2
        normal, offset = _fit(samples.points, weights, normal)
    height = samples.points @ normal - offset
    on = weights > 0.5
    seen = np.bincount(samples.view[on], minlength=int(samples.view.max()) + 1)
    total = np.bincount(samples.view, minlength=len(seen))
    return GroundPlane(
        normal=normal,
        offset=offset,
        center=weights @ samples.points / max(float(weights.sum()), 1e-12),
        degrees=_jackknife(samples, weights, normal),
        support=float(on.mean()),
        below=float((height < -3 * thickness).mean()),
        views=float((seen[total > 0] > 0.02 * total[total > 0]).mean()),
        tilt=float(np.degrees(np.arccos(np.clip(normal @ up.direction, -1.0, 1.0)))),
    )


def _fit(
    points: NDArray[np.float64], weights: NDArray[np.float64], up: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Weighted least-squares plane through points [n, 3], its normal on the side of `up`."""
    total = weights.sum()
    if total <= 0:
        return up, float(np.median(points @ up))
    middle = weights @ points / total
    centred = points - middle
    _, vectors = np.linalg.eigh((weights[:, None] * centred).T @ centred)
    normal = vectors[:, 0] * (1.0 if vectors[:, 0] @ up >= 0 else -1.0)
    return normal, float(normal @ middle)


def _jackknife(
    samples: Samples, weights: NDArray[np.float64], normal: NDArray[np.float64]
) -> float:
    """Expected error of the normal in degrees, by leaving out one group of views at a time."""
    views = np.unique(samples.view[weights > 0])
    if len(views) < 2:
        return 90.0
    # Neighbouring photos share their errors: groups are runs of the order of the photos.
    groups = np.array_split(views, min(_GROUPS, len(views)))
    squares = 0.0
    for group in groups:
        left = np.where(np.isin(samples.view, group), 0.0, weights)
        other, _ = _fit(samples.points, left, normal)
        squares += float(np.arccos(np.clip(other @ normal, -1.0, 1.0))) ** 2
    seen = np.degrees(np.sqrt(squares * (len(groups) - 1) / len(groups)))
    return float(np.hypot(_UNSEEN * seen, _FLOOR_DEGREES))
