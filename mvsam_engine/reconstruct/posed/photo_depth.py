# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth for photos whose cameras are given: points first, then the dense step of the classical way.

The cameras are not moved. They are checked against the photos' own matches before any depth is
measured, and views are left out that contradict the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mvsam_engine.capture.model import Pointmap
from mvsam_engine.capture.store import Capture
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.warmup import WarmUp
from mvsam_engine.reconstruct.posed import reasons
from mvsam_engine.reconstruct.posed.check_job import EXACT_ENOUGH, Verdict
from mvsam_engine.reconstruct.posed.checking import Checked, check_cameras
from mvsam_engine.reconstruct.posed.neighbours import pose_neighbours, spot_checks

if TYPE_CHECKING:
    from mvsam_engine.reconstruct.classical.dense import ReadPhoto

# Points that every camera must have seen for the file's own points to be enough.
ENOUGH_POINTS = 40
# Cameras that lie closer than this, as a share of their coordinates, differ by rounding only.
SAME_PLACE = 1e-9
# Points that a view needs to be measured: its depth range and its neighbours come from them.
LEAST_POINTS = 8
# Matches that a spot check needs to say anything.
TELLING = 100
# Share of a view's pixels, and mean share over the views, that other views must confirm. Given
# cameras that passed the check are right, so plain surfaces are no reason to doubt them.
LEAST_AGREEMENT = 0.02
LEAST_MEAN_AGREEMENT = 0.08


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What came of the photos.

    Attributes:
        model: the cameras that have pointmaps, with the points that they saw.
        left_out: view to the reason, of cameras that have none.
        verdict: what the matches said of the cameras.
        agreement: view to the share of its pixels that other views confirm.
    """

    model: SparseModel
    left_out: dict[str, str]
    verdict: Verdict
    agreement: dict[str, float]


def measure_depth(
    capture: Capture,
    given: SparseModel,
    read_photo: ReadPhoto,
    options: ReconstructOptions,
    progress: Progress,
    put: Callable[[Pointmap], None],
) -> Measured:
    """Check cameras, find points, and measure the depth of every view.

    Args:
        capture: holds the photos.
        given: cameras, and points with tracks where the file had them.
        read_photo: gives the photo of a camera and which of its pixels are used.
        options: what the person chose.
        progress: told every stage.
        put: called with every pointmap.

    Raises:
        ReconstructionError: the cameras contradict the photos, or the photos show no depth.
    """
    if len(given.cameras) < 2:
        raise reasons.one_camera(len(capture.photos()))
    centers = np.array([camera.center for camera in given.cameras])
    if np.ptp(centers, axis=0).max() <= SAME_PLACE * max(1.0, float(np.abs(centers).max())):
        raise reasons.same_place(len(centers))
    warm_up = WarmUp()
    model, left_out, verdict = _points(capture, given, options, progress)
    model, poor = _well_seen(model)
    left_out |= {view: reasons.unmatched_view() for view in poor}
    if len(model.cameras) < 2:
        raise reasons.too_few_points(len(model.points), verdict.matches)
    warm_up.wait(progress)
    from mvsam_engine.reconstruct.classical.dense import densify

    shares: list[float] = []

    def trust(found: list[float]) -> list[int]:
        shares.extend(found)
        trusted = [i for i, share in enumerate(found) if share >= LEAST_AGREEMENT]
        mean = float(np.mean(found))
        if len(trusted) < 2 or mean < LEAST_MEAN_AGREEMENT:
            raise reasons.no_agreement(mean)
        return trusted

    agreement = densify(model, read_photo, options, progress, put, trust)
    kept = [i for i, share in enumerate(shares) if share >= LEAST_AGREEMENT]
    for camera, share in zip(model.cameras, shares, strict=True):
        if share < LEAST_AGREEMENT:
            left_out[camera.view] = reasons.unconfirmed_view(share)
    return Measured(model.keep(kept), left_out, verdict, agreement)


def _points(
    capture: Capture, given: SparseModel, options: ReconstructOptions, progress: Progress
) -> tuple[SparseModel, dict[str, str], Verdict]:
    """Cameras that fit the photos, with points; which were left out and why; the verdict."""
    if has_enough_points(given):
        spot = check_cameras(
            capture, given.cameras, spot_checks(given), options, progress, triangulate=False
        )
        if spot.verdict.matches < TELLING or not spot.verdict.contradicting:
            return given, {}, spot.verdict
    checked = check_all(capture, given, options, progress, triangulate=True)
    if checked.model is None:
        raise reasons.too_few_points(0, checked.verdict.matches)
    wrong = checked.verdict.contradicting
    left_out = {view: reasons.contradicting_view(share) for view, share in wrong.items()}
    unseen = {c.view for c in given.cameras} - {c.view for c in checked.model.cameras} - set(wrong)
    left_out |= {view: reasons.unmatched_view() for view in unseen}
    return checked.model, left_out, checked.verdict


def check_all(
    capture: Capture,
    given: SparseModel,
    options: ReconstructOptions,
    progress: Progress,
    *,
    triangulate: bool,
) -> Checked:
    """Check all cameras against their neighbours.

    Raises:
        ReconstructionError: most of them contradict the photos.
    """
    pairs = pose_neighbours(given.cameras)
    checked = check_cameras(
        capture, given.cameras, pairs, options, progress, triangulate=triangulate
    )
    if not checked.verdict.fits:
        raise reasons.contradicted(checked.verdict)
    if checked.verdict.exact < EXACT_ENOUGH:
        progress.warn("cameras.inexact", *reasons.told(reasons.INEXACT, checked.verdict.exact))
    return checked


def has_enough_points(given: SparseModel) -> bool:
    """Whether the file's own points reach for all of its cameras."""
    seen = np.bincount(given.seen_by, minlength=len(given.cameras))
    return bool(seen.min() >= ENOUGH_POINTS)


def _well_seen(model: SparseModel) -> tuple[SparseModel, list[str]]:
    """The model without the views that see too few points, and their names."""
    poor: list[str] = []
    while len(model.cameras):
        # Points that only one of the views left sees say nothing of depth any more.
        often = np.bincount(model.seen_point, minlength=len(model.points)) >= 2
        seen = np.bincount(model.seen_by[often[model.seen_point]], minlength=len(model.cameras))
        keep = np.flatnonzero(seen >= LEAST_POINTS)
        if len(keep) == len(model.cameras):
            break
        poor += [c.view for i, c in enumerate(model.cameras) if seen[i] < LEAST_POINTS]
        model = model.keep([int(i) for i in keep])
    return model, poor
