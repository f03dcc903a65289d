# SPDX-License-Identifier: GPL-3.0-or-later
"""A placement that was made for one reconstruction, carried onto the next one.

Photos that both placed tell how the two worlds lie to each other: their rotations give the turn
(chordal mean: Hartley, Trumpf, Dai and Li, IJCV 2013), their centres the scale and the shift. Used
robustly: some cameras may have been wrong before, or may be now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import Reconstruction
from mvsam_engine.progress import Progress

# Two cameras that lie apart fix a similarity; with three a wrong one can be noticed.
_FEWEST = 3
# Disagreement up to which two reconstructions are of the same scene.
_MOST_DEGREES, _MOST_SHIFT = 2.0, 0.05
_ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How a new world lies to an old one: ``X_old = matrix @ (scale * X_new)``.

    Attributes:
        scale: positive factor.
        matrix: [4, 4] rigid.
        shared: number of cameras that both have.
        degrees: median disagreement of their rotations.
        shift: median disagreement of their centres, as a share of the cameras' extent.
    """

    scale: float
    matrix: NDArray[np.float64]
    shared: int
    degrees: float
    shift: float

    @property
    def good(self) -> bool:
        """Whether both are of the same scene."""
        return self.degrees <= _MOST_DEGREES and self.shift <= _MOST_SHIFT


def carry_placement(
    old: Reconstruction | None, new: Reconstruction, progress: Progress
) -> Reconstruction:
    """`new` with the placement of `old`, where the photos that both placed allow it.

    What was done is told as a warning; without an earlier placement nothing is done or told.
    """
    if old is None or old.placement.is_default or not new.placement.is_default:
        return new
    found = compare_cameras(old.cameras, new.cameras)
    if found is None or not found.good:
        progress.warn(
            "place.dropped",
            "The placement (up, scale) of the earlier reconstruction was dropped: "
            + (
                "too few photos were placed by both."
                if found is None
                else "the new cameras lie differently to each other."
            ),
            "Set it again: `mvsam place`, or Scale & Up in Blender.",
        )
        return new
    progress.warn(
        "place.carried",
        "The placement (up, scale) of the earlier reconstruction was kept: "
        f"{found.shared} photos that both placed agree within {found.degrees:.2f} degrees and "
        f"{100 * found.shift:.2g} % of the cameras' extent.",
    )
    return replace(new, placement=old.placement.after(found.scale, found.matrix))


def compare_cameras(old: tuple[Camera, ...], new: tuple[Camera, ...]) -> Agreement | None:
    """How the new cameras' world lies to the old ones'; None with too few in common."""
    before = {c.view: c for c in old}
    pairs = [(before[c.view], c) for c in new if c.view in before]
    if len(pairs) < _FEWEST:
        return None
    turns = np.array(
        [a.camera_from_world[:3, :3].T @ b.camera_from_world[:3, :3] for a, b in pairs]
    )
    target = np.array([a.center for a, _ in pairs])
    source = np.array([b.center for _, b in pairs])
    weights = np.ones(len(pairs))
    for _ in range(_ROUNDS):
        rotation = _mean_rotation(turns, weights)
        scale, shift = _scale_and_shift(source @ rotation.T, target, weights)
        if not scale > 0:
            return None
        extent = np.sqrt(np.mean(np.sum((target - np.median(target, axis=0)) ** 2, axis=1)))
        missed = np.linalg.norm(scale * source @ rotation.T + shift - target, axis=1) / extent
        cosine = (np.einsum("nij,ij->n", turns, rotation) - 1.0) / 2.0
        degrees = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        # Cameras that are off by more than a few times the usual error count for little.
        weights = _trust(missed) * _trust(degrees)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, shift
    return Agreement(
        float(scale), matrix, len(pairs), float(np.median(degrees)), float(np.median(missed))
    )


def _trust(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    usual = max(float(np.median(errors)), 1e-9)
    return 1.0 / (1.0 + (errors / (3.0 * usual)) ** 4)


def _mean_rotation(
    rotations: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The rotation [3, 3] nearest to all of [n, 3, 3] in the chordal sense."""
    u, _, vt = np.linalg.svd(np.einsum("n,nij->ij", weights, rotations))
    return u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt


def _scale_and_shift(
    source: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Least-squares ``target = scale * source + shift``; scale 0 when all lie in one place."""
    total = weights.sum()
    from_middle, to_middle = weights @ source / total, weights @ target / total
    centred = source - from_middle
    spread = float(weights @ np.sum(centred**2, axis=1))
    if spread <= 0:
        return 0.0, to_middle
    scale = float(weights @ np.sum(centred * (target - to_middle), axis=1)) / spread
    return scale, to_middle - scale * from_middle
