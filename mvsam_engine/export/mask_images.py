# SPDX-License-Identifier: GPL-3.0-or-later
"""The mask of one photo from its objects' masks: joined, grown, turned round, in any polarity."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, Photo, SceneObject
from mvsam_engine.errors import CaptureError, PhotoError
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.photos.decode import open_any
from mvsam_engine.photos.masks import read_used
from mvsam_engine.photos.read import read_bytes

Mask = NDArray[np.bool_]


def object_mask(capture: Capture, item: SceneObject, photo: Photo) -> Mask | None:
    """[H, W] of the upright photo, True where the object is; None for a photo without an answer.

    Raises:
        CaptureError: the stored mask is damaged or of another size.
    """
    path = capture.mask_path(item.id, photo.view)
    if not path.is_file():
        return None
    try:
        mask = np.asarray(open_any(path.name, read_bytes(path))[0].convert("L"))
    except PhotoError as error:
        raise _damaged(item, photo) from error
    if mask.shape != (photo.height, photo.width):
        raise _damaged(item, photo)
    return mask > 127


def _damaged(item: SceneObject, photo: Photo) -> CaptureError:
    return CaptureError(
        "mask.damaged",
        f"The mask of {item.name!r} in {photo.view!r} is damaged or of another size.",
        "Segment the object again.",
    )


def joined(capture: Capture, items: Sequence[SceneObject], photo: Photo, dilate: int) -> Mask:
    """[H, W], True where any of the objects is, grown by `dilate` pixels."""
    union = np.zeros((photo.height, photo.width), dtype=bool)
    for item in items:
        mask = object_mask(capture, item, photo)
        if mask is not None:
            union |= mask
    return grown(union, dilate)


def grown(mask: Mask, pixels: int) -> Mask:
    """`mask` grown by so many pixels in every direction; shrunk when negative.

    By the exact distance: a pixel belongs to it when the mask is at most `pixels` away. The
    border of the photo is no border of the object: shrinking does not eat in from there.
    """
    if pixels == 0 or not mask.any() or mask.all():
        return mask
    outside = (~mask if pixels > 0 else mask).astype(np.uint8)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= pixels if pixels > 0 else distance > -pixels


def used_pixels(
    capture: Capture, items: Sequence[SceneObject], photo: Photo, options: ExportOptions
) -> Mask | None:
    """[H, W], True where the other program shall look; None when there shall be no mask.

    Pixels that the photo's own mask ignores stay ignored.
    """
    union = joined(capture, items, photo, options.dilate)
    if options.remove:
        used = ~union
    elif union.any() or options.absent == "blank":
        used = union
    elif options.absent == "skip":
        return None
    else:
        used = np.ones_like(union)
    path = capture.photo_mask_path(photo)
    if path is not None:
        used = used & read_used(path, photo.width, photo.height)
    return used


def mask_png(white: Mask) -> bytes:
    """8-bit grey PNG, 255 where `white`."""
    done, data = cv2.imencode(
        ".png", white.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_COMPRESSION, 2]
    )
    if not done:
        raise CaptureError("mask.png", "A mask could not be written as PNG.")
    return data.tobytes()
