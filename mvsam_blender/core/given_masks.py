# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks that a person gives for a photo: which file is meant, whether it fits, where it is kept.

A mask prompt is kept in the capture under a name made from its content: a mask that is given anew
never changes one that undo may bring back.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.files import inside, write_atomic
from mvsam_engine.errors import SegmentationError

from .png import grey_png

FOLDER = "mask_prompts"
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".exr", ".tga")

# Another size counts as the same shape when it is off by no more pixels than this: programs round
# differently.
_ROUNDING = 1.0


def find_mask(folder: Path, view: str, photo_file: str) -> Path | None:
    """The image of a folder that is a photo's mask, None when there is none.

    Args:
        folder: with masks of many photos.
        view: the photo's name without its ending.
        photo_file: its file name with it.
    """
    names = {view, f"{view}_mask", photo_file, f"{photo_file}.mask", Path(photo_file).stem}
    wanted = {name.lower() for name in names}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in ENDINGS and path.stem.lower() in wanted and path.is_file():
            return path
    return None


def fit_mask(
    values: NDArray[np.floating], size: tuple[int, int], name: str, view: str
) -> tuple[NDArray[np.bool_], str]:
    """A mask at its photo's size, and what was done to it in words ("" when nothing).

    Args:
        values: [h, w] 0..1, first row on top; above one half is object.
        size: width and height of the photo.
        name: of the mask, for people.
        view: of the photo, for people.

    Raises:
        SegmentationError: another shape than the photo's, all object, or none.
    """
    width, height = size
    rows, columns = values.shape
    off = abs(columns * height - rows * width) / height
    if off > _ROUNDING * max(1.0, columns / width):
        raise SegmentationError(
            "mask.shape",
            f"{name} is {columns} x {rows} pixels, the photo {view} is {width} x {height}.",
            "A mask covers the whole upright photo: give one of its size, or of its shape.",
        )
    row = np.minimum((np.arange(height) + 0.5) * rows / height, rows - 1).astype(int)
    column = np.minimum((np.arange(width) + 0.5) * columns / width, columns - 1).astype(int)
    mask = (values > 0.5)[row[:, None], column]
    if not mask.any() or mask.all():
        raise SegmentationError(
            "mask.plain",
            f"{name} marks {'all' if mask.any() else 'nothing'} of the photo {view}.",
            "White is the object, black is everything else.",
        )
    resized = (columns, rows) != (width, height)
    word = f"{name} was brought from {columns} x {rows} to the photo's {width} x {height} pixels."
    return mask, word if resized else ""


def keep_mask(root: Path, mask: NDArray[np.bool_]) -> str:
    """Write a mask into the capture at `root`; its path inside.

    Args:
        root: folder of the capture.
        mask: [h, w] bool, first row on top.

    Raises:
        CaptureError: the folder cannot be written to.
    """
    data = grey_png(mask.astype(np.uint8) * 255)
    relative = f"{FOLDER}/{hashlib.sha256(data).hexdigest()[:16]}.png"
    path = inside(root, relative)
    if not path.is_file():
        write_atomic(path, data)
    return relative
