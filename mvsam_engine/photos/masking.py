# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving the photos of a capture their masks from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Photo
from mvsam_engine.errors import PhotoError
from mvsam_engine.photos.ahead import ahead
from mvsam_engine.photos.intake import Intake
from mvsam_engine.photos.masks import match_masks, read_mask
from mvsam_engine.progress import Progress

_NAMED = "A mask of IMG_1.jpg is named IMG_1.png, IMG_1.jpg.png or IMG_1_mask.png."


def add_masks(intake: Intake, folder: Path, masks: Sequence[Path], invert: bool) -> None:
    """Give every photo its mask, in place of one that it had; what does not fit is told.

    Args:
        intake: the photos, those of the capture too.
        folder: of the masks.
        masks: files below it (`find_masks`).
        invert: whether white means ignored rather than used.

    Raises:
        PhotoError: not one mask could be used.
    """
    progress = intake.progress
    matched = match_masks(folder, masks, intake.photos)
    refused: list[PhotoError] = []
    chosen = [photo for photo in intake.photos if photo.view in matched.files]
    if not chosen:
        text = f"None of the {len(masks)} masks in {folder} has the name of a photo."
        raise PhotoError("mask.unmatched", text, _NAMED)
    progress.stage("Reading masks", len(chosen))

    def read(photo: Photo) -> NDArray[np.bool_]:
        return read_mask(matched.files[photo.view], photo, invert)

    for photo, result in ahead(read, chosen):
        try:
            intake.put_mask(photo, result())
        except PhotoError as error:
            refused.append(error)
        progress.step()
    if len(refused) == len(chosen):
        first = refused[0]
        text = f"None of the {len(masks)} masks in {folder} can be used. {first.message}"
        raise PhotoError(first.code, text, first.remedy)
    if matched.spare:
        progress.warn(
            "mask.unmatched",
            f"{len(matched.spare)} of {len(masks)} masks fit no photo by their name: "
            f"{_some([mask.name for mask in matched.spare])}.",
            _NAMED,
        )
    _tell_refused(refused, len(chosen), progress)
    bare = [p for p in intake.photos if p.view not in matched.files and not p.mask]
    if bare:
        progress.warn(
            "mask.missing",
            f"{len(bare)} of {len(intake.photos)} photos have no mask and are used whole: "
            f"{_some([p.original_name for p in bare])}.",
        )


def _tell_refused(refused: Sequence[PhotoError], total: int, progress: Progress) -> None:
    """One warning for each kind of refusal, with how many there are."""
    for code in dict.fromkeys(error.code for error in refused):
        same = [error for error in refused if error.code == code]
        count = f"{len(same)} of {total} masks were not used. " if len(same) > 1 else ""
        progress.warn(code, f"{count}{same[0].message}", same[0].remedy)


def _some(names: Sequence[str]) -> str:
    """The first names, and how many there are besides."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
