# SPDX-License-Identifier: GPL-3.0-or-later
"""The reconstructed capture that a set is measured on, made on the spot where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mvsam_engine import jobs
from mvsam_engine.capture import Capture, Reconstruction
from mvsam_engine.capture.files import safe_name
from mvsam_engine.errors import SegmentationError, UsageError
from mvsam_engine.evaluate.segmentation.sets import PhotoIndex, SegmentationSet
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions, method_for


@dataclass(frozen=True, slots=True)
class GeometryPlan:
    """How photos without a capture are reconstructed.

    Attributes:
        name: of the reconstructor, "" for the one that fits.
        preset: "" for the usual one; a capture that exists may then have any.
        max_size: long side of the pointmaps, None for the preset's.
        device: where depth is matched.
        cameras: that the person has; a relative path is looked for in the set's own folder first.
        only_annotated: whether photos without a true mask, or scribbles, are left out.
    """

    name: str = ""
    preset: str = ""
    max_size: int | None = None
    device: str = "auto"
    cameras: Path | None = None
    only_annotated: bool = False

    def options(self, folder: Path) -> ReconstructOptions:
        """For photos in `folder`.

        Raises:
            UsageError: an unknown preset or size.
        """
        return ReconstructOptions(
            preset=self.preset or "normal",
            max_size=self.max_size,
            device=self.device,
            cameras=self._cameras(folder),
        )

    def _cameras(self, folder: Path) -> Path | None:
        if self.cameras is None or self.cameras.is_absolute():
            return self.cameras
        own = (folder / self.cameras, folder.parent / self.cameras)
        return next((path for path in own if path.exists()), self.cameras)


def placed_capture(
    one: SegmentationSet, plan: GeometryPlan, captures: Path, progress: Progress
) -> Capture:
    """The capture of a set, with a reconstruction.

    Args:
        one: the set.
        plan: how its photos are reconstructed when it has no capture.
        captures: folder that reconstructions are kept in; one that is there is used.
        progress: of the reconstruction.

    Raises:
        MvsamError: no trustworthy reconstruction, a kept one that was made otherwise than now
            asked for, or bad photos.
        Cancelled: the person cancelled.
    """
    if one.capture is not None:
        capture = Capture.open(one.capture)
        capture.require_reconstruction()
        return capture
    root = captures / safe_name(one.capture_name)
    photos = _chosen(one) if plan.only_annotated else one.photos
    options = plan.options(photos[0].parent)
    method = method_for(plan.name, options)
    kept = _kept(root, one, plan, method)
    if kept is not None:
        return kept
    capture, _ = jobs.reconstruct_photos(root, photos, method, options, progress)
    return capture


def _chosen(one: SegmentationSet) -> tuple[Path, ...]:
    """Photos that a task names."""
    named = {name.casefold() for task in one.tasks for name in (*task.masks, task.reference)}
    return tuple(photo for photo in one.photos if photo.stem.casefold() in named)


def _kept(root: Path, one: SegmentationSet, plan: GeometryPlan, method: str) -> Capture | None:
    """The capture at `root` when it is a reconstruction that does for the set; None when new.

    Raises:
        UsageError: it is of other photos, or was reconstructed otherwise.
    """
    if not (root / "capture.json").is_file():
        return None
    capture = Capture.open(root)
    reconstruction = capture.reconstruction()
    if reconstruction is None:
        return None
    index = PhotoIndex(capture.photos())
    named = {name for task in one.tasks for name in (*task.scored, task.reference)}
    missing = sorted(name for name in named if index.find(name) is None)
    if missing:
        raise UsageError(
            "evaluate.captures",
            f"The capture {root} has no photo {missing[0]!r}; it is not of {one.name}.",
            "Name another folder with --captures.",
        )
    asked_named = bool(plan.name or plan.cameras)
    differs = [
        f"{what} {has!r} instead of {wanted!r}"
        for what, wanted, has in (
            ("method", method if asked_named else None, reconstruction.method),
            ("preset", plan.preset or None, reconstruction.settings.get("preset")),
            ("size", plan.max_size, reconstruction.settings.get("max_size")),
        )
        if wanted is not None and wanted != has
    ]
    if differs:
        raise UsageError(
            "evaluate.captures",
            f"The capture {root} was reconstructed otherwise: {', '.join(differs)}.",
            "Name another folder with --captures, or leave the choice out to use it as it is.",
        )
    return capture


def describe(capture: Capture) -> str:
    """The geometry of a capture in a phrase, for reports."""
    reconstruction = capture.require_reconstruction()
    settings = reconstruction.settings
    details = [str(settings[key]) for key in ("preset", "cameras") if settings.get(key)]
    if reconstruction.cameras:
        height, width = capture.pointmap(reconstruction.cameras[0].view).points.shape[:2]
        details.append(f"pointmaps {width} x {height}")
    method = reconstruction.method or "unknown"
    placed, total = len(reconstruction.cameras), len(capture.photos())
    return f"{method} ({', '.join(details)}), {placed} of {total} photos placed"


def unplaced_photos(
    one: SegmentationSet, capture: Capture, count_unplaced: bool
) -> dict[str, tuple[str, ...]]:
    """Scored photos without a camera, by task.

    Args:
        one: the set.
        capture: its capture.
        count_unplaced: whether such photos are scored as empty answers instead of refused.

    Raises:
        SegmentationError: a reference has no camera, or a scored photo has none and that is not
            to be counted.
    """
    reconstruction = capture.require_reconstruction()
    index = PhotoIndex(capture.photos())

    def placed(name: str) -> bool:
        photo = index.find(name)
        return photo is not None and reconstruction.camera(photo.view) is not None

    unplaced: dict[str, tuple[str, ...]] = {}
    for task in one.tasks:
        missing = tuple(name for name in task.scored if not placed(name))
        remedy = "Give cameras with --cameras, or a capture that a stronger method reconstructed"
        if not placed(task.reference):
            raise SegmentationError(
                "evaluate.unplaced",
                f"The reference photo {task.reference} has no camera ({describe(capture)}): "
                f"{_reason(reconstruction, index, task.reference)}",
                f"{remedy}.",
            )
        if missing and (not count_unplaced or len(missing) == len(task.scored)):
            raise SegmentationError(
                "evaluate.unplaced",
                f"{len(missing)} of the {len(task.scored)} scored photos have no camera, such as "
                f"{missing[0]} ({describe(capture)}).",
                f"{remedy}; or count them as empty answers with --count-unplaced.",
            )
        unplaced[task.name] = missing
    return unplaced


def _reason(reconstruction: Reconstruction, index: PhotoIndex, name: str) -> str:
    photo = index.find(name)
    if photo is None:
        return "it is not among the photos of the capture."
    known = (u.reason for u in reconstruction.unplaced if u.view == photo.view)
    return next(known, "the reconstruction does not say why.")
