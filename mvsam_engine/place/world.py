# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's wish to a placement: turn upright, set on the ground, scale; each only when asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, Placement, Reconstruction
from mvsam_engine.errors import PlacementError, UsageError
from mvsam_engine.place.ground import GroundPlane, find_ground
from mvsam_engine.place.samples import Samples, sample_capture
from mvsam_engine.place.scale import (
    WORTH_TELLING,
    Baseline,
    Distance,
    Measure,
    Residual,
    measure_baseline,
    measure_distance,
    measure_height,
    residuals,
    solve_scale,
)
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.normalise import CameraUp, camera_up

# Without a plane, this percentile of the points' heights counts as the ground.
_LOWEST = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for; what is not asked for stays as it is.

    Attributes:
        upright: turn so that +Z is up.
        ground: move along z so that the ground lies at z = 0.
        distances: scale so that these places are so far apart.
        baselines: scale so that these photos were taken so far apart.
        camera_height: scale so that the cameras are so many metres above the ground.
        reset: forget the earlier placement first.
        start: begin from this placement instead of the stored one.
    """

    upright: bool = False
    ground: bool = False
    distances: tuple[Distance, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    camera_height: float | None = None
    reset: bool = False
    start: Placement | None = None

    @property
    def scaled(self) -> bool:
        """Whether a scale is asked for."""
        return bool(self.distances or self.baselines) or self.camera_height is not None

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        asked = self.upright or self.ground or self.scaled or self.reset
        return not asked and self.start is None


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a wish.

    Attributes:
        placement: the new placement.
        up_from: ``plane`` or ``cameras``, "" when up was not asked for.
        up_degrees: expected error of up in degrees; 0 when not asked for.
        ground: the plane that was found, None when none was, or none was looked for.
        residuals: of every measured length.
        sentences: what changed, for people.
    """

    placement: Placement
    up_from: str = ""
    up_degrees: float = 0.0
    ground: GroundPlane | None = None
    residuals: tuple[Residual, ...] = ()
    sentences: tuple[str, ...] = field(default=())


def place(capture: Capture, wish: Wish, progress: Progress) -> Placed:
    """Find the placement that a person wishes for, and store it.

    The caller holds ``capture.writing()``. All or nothing: what cannot be done changes nothing.

    Raises:
        MvsamError: no reconstruction, nothing asked for, or a wish that the points cannot fulfil.
        Cancelled: the person cancelled.
    """
    if wish.empty:
        raise UsageError(
            "place.nothing",
            "Nothing was asked for.",
            "Ask for upright, ground, a distance or a height of the camera.",
        )
    reconstruction = capture.require_reconstruction()
    placed = _Placing(capture, reconstruction, wish, progress).run()
    progress.check()
    with capture.transaction() as transaction:
        capture.put_placement(placed.placement, transaction)
    return placed


class _Placing:
    """One wish, worked through in the order up, ground, scale."""

    def __init__(
        self, capture: Capture, reconstruction: Reconstruction, wish: Wish, progress: Progress
    ) -> None:
        self._capture, self._reconstruction = capture, reconstruction
        self._wish, self._progress = wish, progress
        unplaced = Placement(metric=reconstruction.metric, upright=reconstruction.upright)
        start = reconstruction.placement if wish.start is None else wish.start
        if wish.reset or start.is_default:
            start = unplaced
        self._placement = start
        self._said = _parts(start.source)
        self._sentences: list[str] = []
        self._samples: Samples | None = None
        self._ground: GroundPlane | None = None

    def run(self) -> Placed:
        """Do what is asked for."""
        wish = self._wish
        if wish.reset:
            self._sentences.append("The earlier placement was cleared.")
        elif wish.start is not None:
            self._sentences.append("The world was put where it was set.")
        measures, spread = [], 0.0
        if wish.distances or wish.baselines:  # refuses before anything slow
            measures = self._measure()
        if wish.upright or wish.ground or wish.camera_height is not None:
            self._look_for_ground()
        if wish.camera_height is not None:
            height, spread = measure_height(self._reconstruction, self._ground, wish.camera_height)
            measures.append(height)
        up_from, degrees = self._turn() if wish.upright else ("", 0.0)
        if wish.ground:
            self._set_down()
        found = self._scale(measures, spread) if measures else ()
        source = "; ".join(
            f"{key} from {text}" if text else key for key, text in self._said.items()
        )
        self._placement = replace(self._placement, source=source)
        return Placed(
            self._placement, up_from, degrees, self._ground, found, tuple(self._sentences)
        )

    # --- up and ground -------------------------------------------------------------------------

    def _look_for_ground(self) -> None:
        cameras = self._reconstruction.cameras
        self._samples = sample_capture(self._capture, cameras, self._progress)
        sideways = np.array([c.camera_from_world[0, :3] for c in cameras])
        found = find_ground(self._samples, camera_up(cameras), sideways)
        self._ground = found if found is not None and found.convincing else None

    def _turn(self) -> tuple[str, float]:
        """Turn up to +Z by the shortest way, about the frame's origin."""
        held = camera_up(self._reconstruction.cameras)
        world_up, source, degrees = self._which_up(held)
        up = self._placement.matrix[:3, :3] @ world_up
        turn = _shortest_turn(up)
        angle = float(np.degrees(np.arccos(np.clip(up[2], -1.0, 1.0))))
        matrix = turn @ self._placement.matrix
        self._placement = replace(self._placement, matrix=matrix, upright=True)
        if self._ground is not None:
            text = (
                f"from a plane that {100 * self._ground.support:.0f} % of the trusted points "
                f"lie on, known to {degrees:.2f} degrees"
            )
            self._said["up"] = f"a plane ({degrees:.2f} degrees)"
        else:
            text = f"from how the cameras were held, known to about {degrees:.1f} degrees"
            self._said["up"] = f"the cameras ({degrees:.1f} degrees)"
        self._sentences.append(f"Turned upright by {angle:.2f} degrees, {text}.")
        return source, degrees

    def _which_up(self, held: CameraUp) -> tuple[NDArray[np.float64], str, float]:
        if self._ground is not None:
            return self._ground.normal, "plane", self._ground.degrees
        if held.trusted:
            return held.direction, "cameras", held.degrees
        raise PlacementError(
            "place.no_up",
            "Which way is up cannot be told: no plane in the points looks like the ground, and "
            "the photos were not held level from enough sides.",
            "Turn the parent empty in Blender by hand, or add photos that show more of the ground.",
        )

    def _set_down(self) -> None:
        """Move along z until the ground is at zero."""
        if self._ground is not None:
            level, what = float(self._placement.apply(self._ground.center)[2]), "the plane"
        else:
            points = self._samples.points if self._samples is not None else np.zeros((0, 3))
            if len(points) == 0:
                raise PlacementError(
                    "place.no_points",
                    "There are no trusted points that could be the ground.",
                    "Reconstruct again with more photos.",
                )
            heights = self._placement.apply(points)[:, 2]
            level, what = float(np.percentile(heights, _LOWEST)), "the lowest trusted points"
        matrix = self._placement.matrix.copy()
        matrix[2, 3] -= level
        self._placement = replace(self._placement, matrix=matrix)
        self._said["ground"] = what
        self._sentences.append(f"The ground, {what}, lies at z = 0 (moved by {-level:.3g}).")

    # --- scale ---------------------------------------------------------------------------------

    def _measure(self) -> list[Measure]:
        return [
            measure_distance(self._capture, self._reconstruction, d) for d in self._wish.distances
        ] + [measure_baseline(self._reconstruction, b) for b in self._wish.baselines]

    def _scale(self, measures: list[Measure], spread: float) -> tuple[Residual, ...]:
        """Scale about the frame's origin, so that what lies on the ground stays on it."""
        metres_per_unit = solve_scale(measures)
        factor = metres_per_unit / self._placement.scale
        matrix = self._placement.matrix.copy()
        matrix[:3, 3] *= factor
        self._placement = replace(
            self._placement, scale=metres_per_unit, matrix=matrix, metric=True
        )
        count = len(measures)
        self._said["scale"] = "one length" if count == 1 else f"{count} lengths"
        self._sentences.append(f"Scaled by {factor:.4g}: one unit is one metre.")
        if self._wish.camera_height is not None:
            self._sentences.append(
                f"The cameras' heights differ by {100 * spread:.0f} % among each other, so the "
                "scale is hardly better than that."
            )
        found = residuals(measures, metres_per_unit)
        if count > 1:
            self._tell_residuals(found)
        return found

    def _tell_residuals(self, found: tuple[Residual, ...]) -> None:
        for item in found:
            self._sentences.append(
                f"{item.label}: {item.found:.4g} m, given {item.metres:.4g} m "
                f"({100 * item.share:+.1f} %)."
            )
        worst = max(found, key=lambda r: abs(r.share))
        if abs(worst.share) > WORTH_TELLING:
            self._progress.warn(
                "place.residual",
                f"The lengths disagree: {worst.label} is {100 * worst.share:+.1f} % off.",
                "Check it and the other lengths.",
            )


def _shortest_turn(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rigid [4, 4] without a shift that turns unit vector `up` to +Z, and nothing else."""
    matrix = np.eye(4)
    axis = np.cross(up, [0.0, 0.0, 1.0])
    sine, cosine = float(np.linalg.norm(axis)), float(up[2])
    if sine < 1e-12:
        if cosine < 0:
            matrix[:3, :3] = np.diag([1.0, -1.0, -1.0])
        return matrix
    x, y, z = axis / sine
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    matrix[:3, :3] = np.eye(3) + sine * cross + (1.0 - cosine) * cross @ cross
    return matrix


def _parts(source: str) -> dict[str, str]:
    """The parts of a placement's source, ``"up from a plane; scale from 2 lengths"``, by name."""
    pairs = (part.partition(" from ") for part in source.split("; ") if part)
    return {name: text for name, _, text in pairs}
