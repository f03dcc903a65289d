# SPDX-License-Identifier: GPL-3.0-or-later
"""Lens models on normalised coordinates: what bends rays between the pinhole and the sensor.

Convention:
    flat      x/z, y/z of the point in the camera frame, in front of the camera.
    bent      what the sensor sees; ``pixel = [[fx, skew], [0, fy]] @ bent + (cx, cy)``.
    A lens is used only where it is one-to-one: within the first region around its axis in which
    moving outwards in the scene moves outwards on the sensor. Outside there is no answer (NaN), so
    that nothing far off the axis folds back into the photo.

Formulas: COLMAP's camera models (https://colmap.github.io/cameras.html) and OpenCV's. The
tangential part with v = (p2, p1) is ``r^2 v + 2 (v . w) w``, which turns with the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Newton stops when the sensor position is met to this (normalised units; 1e-9 pixels and less).
_CLOSE_ENOUGH = 1e-13
_MOST_STEPS = 25
# Samples of the radial profile from which Newton starts.
_TABLE = 2048
# Pixels that are inverted at once.
_BLOCK = 1 << 14
# Lenses with tangential parts are checked to be one-to-one up to this distance from the axis.
_CHECKED_RADIUS = 20.0


class Lens(Protocol):
    """A model of a lens, on normalised coordinates [..., 2] in float64."""

    def bend(self, flat: Array) -> Array:
        """Where the sensor sees `flat`; NaN where the model is not one-to-one."""
        ...

    def unbend(self, bent: Array) -> Array:
        """What the sensor position `bent` sees; NaN where nothing does."""
        ...


@dataclass(frozen=True, slots=True)
class Brown:
    """Radial polynomial or rational, tangential and thin-prism distortion, after a fisheye or not.

    Attributes:
        fisheye: first replace tan(angle) by the angle from the axis (equidistant fisheye).
        radial: k of r^2, r^4, ... above the line.
        below: k of r^2, r^4, ... below the line.
        tangential: p1, p2 in OpenCV's order.
        prism: s of r^2 and r^4 along x, then of r^2 and r^4 along y.
        after_radial: tangential and prism parts are functions of the radially distorted position
            (COLMAP's RAD_TAN_THIN_PRISM_FISHEYE), not of the undistorted one.
    """

    fisheye: bool = False
    radial: tuple[float, ...] = ()
    below: tuple[float, ...] = ()
    tangential: tuple[float, float] = (0.0, 0.0)
    prism: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    after_radial: bool = False

    @property
    def is_decentred(self) -> bool:
        """Whether anything but radial distortion is there."""
        return any(self.tangential) or any(self.prism)

    def bend(self, flat: Array) -> Array:
        """See `Lens.bend`."""
        start = _to_angles(flat) if self.fisheye else flat
        x, y = start[..., 0], start[..., 1]
        limit = one_to_one_radius(self)
        if np.isfinite(limit):
            x = np.where(x * x + y * y < limit * limit, x, np.nan)
        return np.stack(self.distort(x, y), axis=-1)

    def unbend(self, bent: Array) -> Array:
        """See `Lens.unbend`: the radial profile inverted, then Newton's method."""
        target = bent.reshape(-1, 2)
        found = np.empty_like(target)
        # In blocks that stay in the processor's cache.
        for start in range(0, len(target), _BLOCK):
            block = slice(start, start + _BLOCK)
            found[block] = _invert(self, target[block])
        return (_from_angles(found) if self.fisheye else found).reshape(bent.shape)

    def factor(self, q: Array) -> tuple[Array, Array]:
        """Radial factor at squared radius `q`, and its derivative by `q`."""
        above, above_slope = _polynomial(self.radial, q)
        if not self.below:
            return above, above_slope
        below, below_slope = _polynomial(self.below, q)
        factor = above / below
        return factor, (above_slope - factor * below_slope) / below

    def distort(self, x: Array, y: Array) -> tuple[Array, Array]:
        """All parts of the distortion of (x, y), without looking at its limits."""
        q = x * x + y * y
        factor, _ = self.factor(q)
        u, v = x * factor, y * factor
        if not self.is_decentred:
            return u, v
        if self.after_radial:
            x, y, q = u, v, u * u + v * v
        p1, p2 = self.tangential
        sx1, sx2, sy1, sy2 = self.prism
        along = 2.0 * (p2 * x + p1 * y)
        return (
            u + q * (p2 + sx1 + sx2 * q) + along * x,
            v + q * (p1 + sy1 + sy2 * q) + along * y,
        )

    def jacobian(self, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        """Derivatives du/dx, du/dy, dv/dx, dv/dy of the distortion at (x, y)."""
        q = x * x + y * y
        factor, slope = self.factor(q)
        slope = 2.0 * slope
        ux, uy, vy = factor + slope * x * x, slope * x * y, factor + slope * y * y
        if not self.is_decentred:
            return ux, uy, uy, vy
        if self.after_radial:
            x, y = x * factor, y * factor
            q = x * x + y * y
        p1, p2 = self.tangential
        sx1, sx2, sy1, sy2 = self.prism
        along = 2.0 * (p2 * x + p1 * y)
        gx, gy = 2.0 * (p2 + sx1 + 2.0 * sx2 * q), 2.0 * (p1 + sy1 + 2.0 * sy2 * q)
        a, b = along + (gx + 2.0 * p2) * x, gx * y + 2.0 * p1 * x
        c, d = gy * x + 2.0 * p2 * y, along + (gy + 2.0 * p1) * y
        if self.after_radial:
            a, b, c, d = a * ux + b * uy, a * uy + b * vy, c * ux + d * uy, c * uy + d * vy
        return ux + a, uy + b, uy + c, vy + d


@dataclass(frozen=True, slots=True)
class Division:
    """``flat = bent / (1 + k |bent|^2)`` (COLMAP's DIVISION)."""

    k: float

    def bend(self, flat: Array) -> Array:
        """See `Lens.bend`: the root of a quadratic that is continuous at k = 0."""
        q = np.sum(flat * flat, axis=-1, keepdims=True)
        under = 1.0 - 4.0 * self.k * q
        root = np.sqrt(np.where(under >= 0, under, np.nan))
        return flat * 2.0 / (1.0 + root)

    def unbend(self, bent: Array) -> Array:
        """See `Lens.unbend`."""
        q = np.sum(bent * bent, axis=-1, keepdims=True)
        # Beyond |k| q = 1 the profile turns back (k > 0) or is infinitely far away (k < 0).
        return bent / np.where(np.abs(self.k) * q < 1.0, 1.0 + self.k * q, np.nan)


@dataclass(frozen=True, slots=True)
class FieldOfView:
    """``|bent| = atan(2 |flat| tan(omega / 2)) / omega`` (COLMAP's FOV, Devernay & Faugeras)."""

    omega: float

    def bend(self, flat: Array) -> Array:
        """See `Lens.bend`."""
        if abs(self.omega) < 1e-8:
            return flat
        r = np.sqrt(np.sum(flat * flat, axis=-1, keepdims=True))
        middle = 2.0 * math.tan(self.omega / 2.0) / self.omega
        scale = np.arctan(r * (middle * self.omega)) / self.omega
        return flat * np.where(r > 1e-12, scale / np.maximum(r, 1e-12), middle)

    def unbend(self, bent: Array) -> Array:
        """See `Lens.unbend`."""
        if abs(self.omega) < 1e-8:
            return bent
        r = np.sqrt(np.sum(bent * bent, axis=-1, keepdims=True))
        angle = np.where(np.abs(r * self.omega) < np.pi / 2.0, r * self.omega, np.nan)
        middle = self.omega / (2.0 * math.tan(self.omega / 2.0))
        scale = np.tan(angle) * (middle / self.omega)
        return bent * np.where(r > 1e-12, scale / np.maximum(r, 1e-12), middle)


@dataclass(frozen=True, slots=True)
class Unified:
    """``bent = flat / (alpha sqrt(beta |flat|^2 + 1) + 1 - alpha)`` (COLMAP's EUCM)."""

    alpha: float
    beta: float

    def bend(self, flat: Array) -> Array:
        """See `Lens.bend`."""
        q = np.sum(flat * flat, axis=-1, keepdims=True)
        return flat / (self.alpha * np.sqrt(self.beta * q + 1.0) + 1.0 - self.alpha)

    def unbend(self, bent: Array) -> Array:
        """See `Lens.unbend`."""
        q = np.sum(bent * bent, axis=-1, keepdims=True)
        under = 1.0 - (2.0 * self.alpha - 1.0) * self.beta * q
        root = np.sqrt(np.where(under > 0, under, np.nan))
        z = (1.0 - self.beta * self.alpha**2 * q) / (self.alpha * root + 1.0 - self.alpha)
        return bent / np.where(z > 0, z, np.nan)


def _polynomial(ks: tuple[float, ...], q: Array) -> tuple[Array, Array]:
    """``1 + k1 q + k2 q^2 + ...`` and its derivative by q."""
    value, slope = np.zeros_like(q), np.zeros_like(q)
    for k in reversed(ks):
        slope = slope * q + value
        value = value * q + k
    return 1.0 + q * value, value + q * slope


def _to_angles(flat: Array) -> Array:
    """Scale `flat` so that its length is the angle from the axis, radians."""
    r = np.sqrt(np.sum(flat * flat, axis=-1, keepdims=True))
    return flat * np.where(r > 1e-9, np.arctan(r) / np.maximum(r, 1e-9), 1.0)


def _from_angles(angles: Array) -> Array:
    """Inverse of `_to_angles`; NaN at 90 degrees and beyond."""
    r = np.sqrt(np.sum(angles * angles, axis=-1, keepdims=True))
    scale = np.where(r > 1e-9, np.tan(r) / np.maximum(r, 1e-9), 1.0)
    return angles * np.where(r < np.pi / 2.0, scale, np.nan)


def _invert(lens: Brown, target: Array) -> Array:
    """Solve ``distort(w) = target`` for [n, 2]; NaN where there is no answer near the axis."""
    r = np.hypot(target[:, 0], target[:, 1])
    radius = _radius_before(lens, r)
    scale = np.where(r > 1e-12, radius / np.maximum(r, 1e-12), 1.0)
    x, y = target[:, 0] * scale, target[:, 1] * scale
    if not (lens.radial or lens.below or lens.is_decentred):
        return np.stack([x, y], axis=-1)
    tolerance = _CLOSE_ENOUGH * (1.0 + r)
    limit = one_to_one_radius(lens)
    u, v = lens.distort(x, y)
    du, dv = target[:, 0] - u, target[:, 1] - v
    for _ in range(_MOST_STEPS):
        # Undefined positions compare as False, so they do not keep the loop going.
        if not (np.maximum(np.abs(du), np.abs(dv)) > tolerance).any():
            break
        a, b, c, d = lens.jacobian(x, y)
        determinant = a * d - b * c
        safe = np.where(np.abs(determinant) > 1e-12, determinant, np.inf)
        x_new, y_new = x + (d * du - b * dv) / safe, y + (a * dv - c * du) / safe
        if np.isfinite(limit):
            # A step out of the valid region ends half of the way to its border.
            ahead, now = np.hypot(x_new, y_new), np.hypot(x, y)
            back = np.where(ahead < limit, 1.0, 0.5 * (now + limit) / np.maximum(ahead, 1e-12))
            x_new, y_new = x_new * back, y_new * back
        u, v = lens.distort(x_new, y_new)
        du_new, dv_new = target[:, 0] - u, target[:, 1] - v
        x, y, du, dv = x_new, y_new, du_new, dv_new
    # The last digits may wobble around the answer: what is within 1e-9 counts as found.
    met = np.maximum(np.abs(du), np.abs(dv)) < 1e-9 * (1.0 + r)
    valid = met & (np.hypot(x, y) <= limit)
    return np.stack([np.where(valid, x, np.nan), np.where(valid, y, np.nan)], axis=-1)


def _radius_before(lens: Brown, r: Array) -> Array:
    """Radius that the radial part of `lens` moves to `r`, to about 1e-5; NaN where none is."""
    if not (lens.radial or lens.below):
        return r
    finite = r[np.isfinite(r)]
    # Rounded up to a power of two, so that calls with similar pixels share one table.
    reach = 2.0 ** np.ceil(np.log2(np.clip(finite.max(initial=0.0), 2.0**-6, 2.0**20)))
    radii, bent = _profile(lens, float(reach))
    # Beyond the table there is no answer; tangential parts may reach a little further.
    beyond = r > bent[-1] * (1.05 if lens.is_decentred else 1.0 + 1e-12)
    return np.where(beyond, np.nan, np.interp(r, bent, radii))


@lru_cache(maxsize=512)
def one_to_one_radius(lens: Brown) -> float:
    """Distance from the axis up to which `lens` is one-to-one; infinite when it always is.

    Measured where the polynomials are: in angles for a fisheye.
    """
    a = np.polynomial.Polynomial([1.0, *lens.radial])
    b = np.polynomial.Polynomial([1.0, *lens.below])
    # d/dr of r A(q) / B(q), q = r^2, is zero where A B + 2 q (A' B - A B') is.
    q = np.polynomial.Polynomial([0.0, 1.0])
    turning = a * b + 2.0 * q * (a.deriv() * b - a * b.deriv())
    radius = float(np.sqrt(min(_first_root(turning), _first_root(b))))
    if not lens.is_decentred:
        return radius
    # Tangential parts have no such formula: look at the Jacobian on rings.
    longest = min(radius, np.pi / 2.0 if lens.fisheye else _CHECKED_RADIUS)
    radii = np.linspace(0.0, longest, 400)
    around = np.linspace(0.0, 2.0 * np.pi, 73)
    ux, uy, vx, vy = lens.jacobian(
        np.outer(radii, np.cos(around)),
        np.outer(radii, np.sin(around)),
    )
    folded = (ux * vy - uy * vx <= 0).any(axis=1)
    return float(radii[max(int(np.argmax(folded)) - 1, 0)]) if folded.any() else longest


def _first_root(polynomial: np.polynomial.Polynomial) -> float:
    """Least positive real root, infinite when there is none."""
    # Terms that matter only beyond 89 degrees would spoil the roots that matter.
    roots = np.asarray(polynomial.trim(1e-14).roots(), dtype=np.complex128)
    real = roots.real[(np.abs(roots.imag) < 1e-9 * (1.0 + np.abs(roots))) & (roots.real > 0)]
    return float(real.min()) if len(real) else float("inf")


@lru_cache(maxsize=64)
def _profile(lens: Brown, reach: float) -> tuple[Array, Array]:
    """Table of radii and where the radial part of `lens` puts them, up to `reach` if it can."""
    most = one_to_one_radius(lens)
    if lens.fisheye:
        most = min(most, np.pi / 2.0)

    def bent(r: Array) -> Array:
        return r * lens.factor(r * r)[0]

    top = min(most, 1.0)
    while top < most and float(bent(np.array(top))) < reach:
        top = min(2.0 * top, most)
    radii = np.linspace(0.0, top, _TABLE)
    return radii, np.maximum.accumulate(bent(radii))
