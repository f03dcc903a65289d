# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing people's photos into a capture, each as an upright copy with a unique view name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.capture import Capture, Photo
from mvsam_engine.errors import PhotoError, UsageError
from mvsam_engine.photos.find import Source, find_photos
from mvsam_engine.photos.intake import Intake
from mvsam_engine.photos.masking import add_masks
from mvsam_engine.photos.masks import find_masks
from mvsam_engine.progress import Progress


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How photos come in.

    Attributes:
        masks: folder of photo masks, None for none.
        masks_invert: whether white in a mask means ignored rather than used.
        every: of a video, the sharpest of every so many frames; None for about 80 in all.
        recursive: whether folders are searched below too.
    """

    masks: Path | None = None
    masks_invert: bool = False
    every: int | None = None
    recursive: bool = False

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise UsageError(
                "usage.every", f"Every {self.every} frames is no choice.", "It is at least 1."
            )


def add_photos(
    capture: Capture,
    sources: Iterable[Path],
    progress: Progress,
    options: IntakeOptions = IntakeOptions(),
) -> tuple[Photo, ...]:
    """Copy photos and frames of videos into the capture; call inside `capture.writing()`.

    Photos that the capture already has (same content) are left as they are. A file that cannot
    be read is named in a warning and left out. Masks apply to all photos of the capture.

    Args:
        capture: where to.
        sources: files and folders.
        progress: counts photos, and frames of each video.
        options: masks, frames, folders.

    Returns:
        All photos of the capture.

    Raises:
        PhotoError: a source is missing, no photo could be read at all, or no mask could be used.
        CaptureError: writing failed; the capture is as it was.
    """
    found = find_photos(sources, options.recursive)
    masks = find_masks(options.masks) if options.masks else []
    before = capture.photos()
    with capture.transaction() as transaction:
        intake = Intake(before, transaction, progress)
        intake.add_stills([source for source in found if not source.is_video])
        _add_videos(intake, [source for source in found if source.is_video], options.every)
        if not intake.photos:
            raise PhotoError(
                "photo.none",
                f"None of the {len(found)} files could be read as a photo.",
                "The warnings above say why for each.",
            )
        if options.masks:
            add_masks(intake, options.masks, masks, options.masks_invert)
        if tuple(intake.photos) != before:
            capture.put_photos(tuple(intake.photos), transaction)
    return tuple(intake.photos)


def _add_videos(intake: Intake, videos: Sequence[Source], every: int | None) -> None:
    """Add the frames of videos; one that cannot be read is named and left out."""
    if not videos:
        return
    from mvsam_engine.photos.frames import add_video  # FFmpeg: photos alone do not wait for it

    for video in videos:
        try:
            add_video(intake, video, every)
        except PhotoError as error:
            intake.progress.warn(error.code, error.message, error.remedy)
