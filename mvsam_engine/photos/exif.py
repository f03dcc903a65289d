# SPDX-License-Identifier: GPL-3.0-or-later
"""What EXIF knows of a photo: how it was held, through which lens, by which camera.

Everything here survives broken EXIF: what cannot be understood counts as absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

# Diagonal of a 36 x 24 mm frame: what a "35 mm equivalent" focal length refers to (CIPA DCG-001).
_FULL_FRAME_DIAGONAL = math.hypot(36.0, 24.0)

# Millimetres in EXIF's FocalPlaneResolutionUnit (Exif 2.32; 4 and 5 are common extensions).
_UNIT_MM = {1: 25.4, 2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}

# A focal length outside these, in long sides of the photo, is a mistake: 173 to 0.7 degrees.
_FOCAL_RANGE = (0.2, 80.0)
# A longer photo than this was stitched, and no single focal length describes it.
_LONGEST_ASPECT = 2.6
# Aspect ratios that differ by more than rounding: the photo was cropped after EXIF was written.
_SAME_ASPECT = 0.02


def orientation(exif: Image.Exif) -> int:
    """EXIF orientation, 1..8; 1 when absent or not one of them."""
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def focal_pixels(exif: Image.Exif, width: int, height: int) -> float | None:
    """Focal length in pixels of a photo that is `width` x `height`, None when absent or absurd.

    Taken from FocalLengthIn35mmFilm, which refers to the diagonal of the frame as it was
    recorded; where that is absent, from FocalLength and FocalPlaneXResolution, times the digital
    zoom. Both hold for the uncropped frame. A photo of the recorded shape but another size counts
    as resized; one of another shape than EXIF's own PixelXDimension x PixelYDimension was
    cropped by an unknown amount, so its focal length is unknown.

    Args:
        exif: of the photo.
        width: pixels, upright or not.
        height: pixels.
    """
    tags = _details(exif)
    long, short = max(width, height), min(width, height)
    recorded = sorted(
        _number(tags, tag) for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
    )
    if long > _LONGEST_ASPECT * short:
        return None
    resized = 1.0
    if recorded[0] > 0:
        if abs(recorded[1] / recorded[0] * short / long - 1.0) > _SAME_ASPECT:
            return None
        resized = long / recorded[1]
    equivalent = _number(tags, ExifTags.Base.FocalLengthIn35mmFilm)
    if equivalent > 0:
        focal = equivalent * math.hypot(width, height) / _FULL_FRAME_DIAGONAL
    else:
        focal = _focal_on_sensor(tags) * resized
    least, most = _FOCAL_RANGE
    return focal if least < focal / long < most else None


def camera_model(exif: Image.Exif) -> str:
    """Maker and model, printable, short; "" when unknown."""
    words = [str(exif.get(tag, "")) for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    return printable(" ".join(words))


def printable(text: str) -> str:
    """One short line without control characters."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:120]


def _focal_on_sensor(tags: Mapping[int, Any]) -> float:
    """Focal length in pixels of the recorded frame, from the sensor's resolution; 0 if unknown."""
    unit = _UNIT_MM.get(int(_number(tags, ExifTags.Base.FocalPlaneResolutionUnit, 2.0)), 0.0)
    per_unit = _number(tags, ExifTags.Base.FocalPlaneXResolution)
    zoom = _number(tags, ExifTags.Base.DigitalZoomRatio) or 1.0
    millimetres = _number(tags, ExifTags.Base.FocalLength)
    return millimetres * zoom * per_unit / unit if unit else 0.0


def _details(exif: Image.Exif) -> Mapping[int, Any]:
    """The tags of the camera's own directory; empty when it is broken."""
    try:
        return exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # pillow raises whatever the damaged bytes lead to
        return {}


def _number(tags: Mapping[int, Any], tag: int, default: float = 0.0) -> float:
    """A finite, non-negative number, `default` when it is none."""
    try:
        value = float(tags.get(tag, default))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return default
    return value if math.isfinite(value) and value >= 0 else default
