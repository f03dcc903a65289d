# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured lengths to one factor on the world, with what each of them contradicts."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from mvsam_engine.capture import Capture, Reconstruction
from mvsam_engine.capture.lifting import LiftedPoint, lift
from mvsam_engine.errors import PlacementError, UsageError
from mvsam_engine.place.confirm import other_views_agree
from mvsam_engine.place.ground import GroundPlane

# Lengths that differ by more than this factor cannot both be right.
CONTRADICTION = 1.5
# Beyond this share a person should look at them again.
WORTH_TELLING = 0.05
# Relative error of a length that a person gives, at best, and of a guessed height of the camera.
_TAPE, _HELD = 0.003, 0.03

_UNITS = {"": 1.0, "m": 1.0, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048, "in": 0.0254}
_LENGTH = re.compile(r"\s*(?P<number>[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(?P<unit>[a-z]*)\s*")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a photo: view, and position in pixels of the upright photo."""

    view: str
    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.view}:{self.x:g},{self.y:g}"


@dataclass(frozen=True, slots=True)
class Distance:
    """A person knows that two places are `metres` apart."""

    first: Spot
    second: Spot
    metres: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """A person knows that two photos were taken `metres` apart."""

    first: str
    second: str
    metres: float


@dataclass(frozen=True, slots=True)
class Measure:
    """A length that is known in metres and in world units.

    Attributes:
        label: what was measured, for people.
        metres: true length.
        units: the same in the world of the reconstruction.
        error: relative standard error of the two together, 0..1.
    """

    label: str
    metres: float
    units: float
    error: float


@dataclass(frozen=True, slots=True)
class Residual:
    """A measured length after scaling.

    Attributes:
        label: what was measured.
        metres: as the person gave it.
        found: in metres, by the scale that was chosen.
    """

    label: str
    metres: float
    found: float

    @property
    def share(self) -> float:
        """Relative deviation, 0.02 = 2 % too long."""
        return self.found / self.metres - 1.0


def parse_length(text: str) -> float:
    """Metres of ``1.2``, ``120cm``, ``4ft``; no unit means metres.

    Raises:
        UsageError: it is no length above zero.
    """
    match = _LENGTH.fullmatch(text.lower())
    factor = _UNITS.get(match["unit"]) if match else None
    try:
        metres = float(match["number"]) * factor if match and factor else 0.0
    except ValueError:
        metres = 0.0
    return check_length(metres, text)


def check_length(metres: float, given: object = "") -> float:
    """Refuse lengths that nothing can be scaled by.

    Raises:
        UsageError: not a finite number above zero.
    """
    if not (np.isfinite(metres) and 0 < metres < 1e7):
        raise UsageError(
            "place.length",
            f"{given or metres!r} is not a length.",
            "Write metres above zero, or a number with m, cm, mm, ft or in.",
        )
    return metres


def measure_distance(
    capture: Capture, reconstruction: Reconstruction, distance: Distance
) -> Measure:
    """A distance in world units, from the pointmaps around its two places.

    Raises:
        MvsamError: a place is outside its photo, not placed, or too uncertain to measure from.
    """
    ends = [lift_spot(capture, reconstruction, s) for s in (distance.first, distance.second)]
    units = float(np.linalg.norm(ends[0].point - ends[1].point))
    spread = float(np.hypot(ends[0].spread, ends[1].spread))
    if units <= 2 * spread or units <= 0:
        raise PlacementError(
            "place.short",
            f"{distance.first} and {distance.second} are too close together to measure: their "
            "depths are less certain than they are apart.",
            "Choose two places that are farther apart.",
        )
    label = f"{distance.first} to {distance.second}"
    error = float(np.hypot(_TAPE, spread / units))
    return Measure(label, check_length(distance.metres), units, error)


def measure_baseline(reconstruction: Reconstruction, baseline: Baseline) -> Measure:
    """The distance of two cameras in world units.

    Raises:
        PlacementError: one was not placed, or both are in one place.
    """
    ends = [_camera(reconstruction, view).center for view in (baseline.first, baseline.second)]
    units = float(np.linalg.norm(ends[0] - ends[1]))
    if units <= 1e-9:
        raise PlacementError(
            "place.short",
            f"Photos {baseline.first!r} and {baseline.second!r} were taken from the same place.",
            "Name two photos that were taken apart.",
        )
    label = f"cameras {baseline.first} and {baseline.second}"
    return Measure(label, check_length(baseline.metres), units, _TAPE)


def measure_height(
    reconstruction: Reconstruction, ground: GroundPlane | None, metres: float
) -> tuple[Measure, float]:
    """Height of the cameras above the ground in world units, and its relative spread.

    Raises:
        PlacementError: there is no plane to measure from, or the cameras are not above it.
    """
    if ground is None or not ground.convincing:
        raise PlacementError(
            "place.no_ground",
            "No ground was found in the points, so the cameras' height above it is not known.",
            "Give a distance between two places instead, or take photos that show more of the "
            "ground.",
        )
    heights = ground.height(np.array([c.center for c in reconstruction.cameras]))
    middle = float(np.median(heights))
    if middle <= 0:
        raise PlacementError(
            "place.below_ground", "The cameras lie below the plane that looks like the ground."
        )
    spread = float(np.median(np.abs(heights - middle)) * 1.4826 / middle)
    label = "height of the cameras above the ground"
    return Measure(label, check_length(metres), middle, float(np.hypot(_HELD, spread))), spread


def solve_scale(measures: list[Measure]) -> float:
    """Metres per world unit: the mean of all measures' logarithms, the sure ones counting more.

    Raises:
        PlacementError: two of them cannot both be right.
    """
    ratios = np.log([m.metres / m.units for m in measures])
    least, most = int(np.argmin(ratios)), int(np.argmax(ratios))
    if ratios[most] - ratios[least] > np.log(CONTRADICTION):
        factor = float(np.exp(ratios[most] - ratios[least]))
        one, other = measures[least], measures[most]
        raise PlacementError(
            "place.contradiction",
            f"The lengths contradict each other by a factor of {factor:.2f}: {one.label} "
            f"({one.metres:g} m) and {other.label} ({other.metres:g} m).",
            "Check both lengths and their units, and what was clicked.",
        )
    weights = np.array([1.0 / m.error**2 for m in measures])
    return float(np.exp(weights @ ratios / weights.sum()))


def residuals(measures: list[Measure], metres_per_unit: float) -> tuple[Residual, ...]:
    """How long each measured thing is by the chosen scale."""
    return tuple(Residual(m.label, m.metres, m.units * metres_per_unit) for m in measures)


def lift_spot(capture: Capture, reconstruction: Reconstruction, spot: Spot) -> LiftedPoint:
    """The 3D point that a place in a photo shows.

    Raises:
        MvsamError: no such photo, not placed, outside of it, too uncertain, or contradicted by
            other photos.
    """
    camera = _camera(reconstruction, spot.view, capture)
    found = lift(camera, capture.pointmap(spot.view), spot.x, spot.y)
    if not other_views_agree(capture, reconstruction, camera, found.point):
        raise PlacementError(
            "place.contradicted",
            f"Other photos do not confirm the 3D point at {spot}, though its confidence is "
            f"{found.confidence:.2f}.",
            "Choose a place with texture that several photos see.",
        )
    return found


def _camera(reconstruction: Reconstruction, view: str, capture: Capture | None = None):
    camera = reconstruction.camera(view)
    if camera is None:
        if capture is not None:
            capture.photo(view)  # says which photos there are
        raise PlacementError(
            "place.unplaced",
            f"Photo {view!r} has no camera, so nothing can be measured in it.",
            "Choose a photo that was placed.",
        )
    return camera
