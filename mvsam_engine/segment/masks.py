# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks from logits: full photo size, and without specks. Pure functions on numpy arrays."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import SegmentationError

# Regions smaller than this share of all pixels are dropped (MV-SAM, arXiv 2601.17866).
SMALLEST_REGION = 0.001


def full_size_mask(logits: NDArray[np.floating], width: int, height: int) -> NDArray[np.bool_]:
    """The mask of a photo from low-resolution logits.

    Args:
        logits: [h, w] over the whole photo, > 0 is object.
        width: of the photo, pixels.
        height: of the photo, pixels.

    Returns:
        [height, width] bool: the logits interpolated bilinearly, where above 0.
    """
    # OpenCV's bilinear resize puts cell centres at (i + 0.5) * scale, as our convention does.
    fine = cv2.resize(
        np.asarray(logits, dtype=np.float32), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return fine > 0


def mask_image(logits: NDArray[np.floating], width: int, height: int) -> NDArray[np.uint8]:
    """`full_size_mask` as [height, width] uint8 with 255 for object."""
    return full_size_mask(logits, width, height).astype(np.uint8) * 255


def drop_specks(logits: NDArray[np.float32], share: float = SMALLEST_REGION) -> NDArray[np.float32]:
    """Remove small regions and fill small holes.

    Args:
        logits: [h, w], > 0 is object.
        share: regions below this share of all cells are dropped.

    Returns:
        [h, w] logits whose sign is turned in the dropped regions.
    """
    smallest = share * logits.size
    inside = logits > 0
    flip = _small_regions(inside, smallest) | _small_regions(~inside, smallest)
    # Just beyond zero, so that interpolation does not bring the speck's border back.
    return np.where(flip, np.where(inside, -0.1, 0.1), logits).astype(np.float32)


def _small_regions(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    """Cells of connected regions (8 neighbours) of `mask` with fewer than `smallest` cells."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < smallest
    small[0] = False
    return small[labels]


def mask_png(logits: NDArray[np.floating], width: int, height: int) -> bytes:
    """`mask_image` as the bytes of an 8-bit grey PNG."""
    done, data = cv2.imencode(".png", mask_image(logits, width, height))
    if not done:
        raise SegmentationError("mask.png", f"A mask of {width} x {height} could not be written.")
    return data.tobytes()
