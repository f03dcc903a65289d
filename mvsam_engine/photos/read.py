# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one photo: upright, 8-bit RGB, with what EXIF knows of its lens."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.errors import PhotoError
from mvsam_engine.photos import exif as exif_tags
from mvsam_engine.photos.decode import Decoded, decode

# Files of these kinds are copied byte by byte when they are upright 8-bit photos already.
_COPIED_KINDS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}
# What these hold has lost its exact pixels before; a fine JPEG adds nothing that could be seen.
_LOSSY_KINDS = {"JPEG", "MPO", "HEIF", "AVIF"}


@dataclass(frozen=True, slots=True)
class UprightPhoto:
    """A photo ready for the capture.

    Attributes:
        width: upright, pixels.
        height: upright, pixels.
        data: bytes of an upright 8-bit file.
        suffix: ``.jpg`` or ``.png``.
        focal: focal length in pixels from EXIF, None when unknown.
        camera_model: maker and model from EXIF.
        orientation: EXIF orientation that was applied.
        used: [H, W] bool, False where the photo is transparent; None when it is opaque, and when
            it is transparent all over.
        invisible: whether it is transparent all over.
    """

    width: int
    height: int
    data: bytes
    suffix: str
    focal: float | None
    camera_model: str
    orientation: int = 1
    used: NDArray[np.bool_] | None = None
    invisible: bool = False


def read_rgb(path: Path, at_least: int | None = None) -> NDArray[np.uint8]:
    """Read any photo as RGB, upright.

    Args:
        path: the file.
        at_least: pixels on the long side that are needed; None for all. A JPEG is then decoded at
            1/2, 1/4 or 1/8 where that leaves enough, which takes a fraction of time and memory.

    Returns:
        [H, W, 3] uint8. A smaller image has ``ceil(H / factor)`` rows and covers exactly the whole
        photo, as any grid does by the project's convention.

    Raises:
        PhotoError: unreadable, too large or too small, in a sentence.
    """
    return np.asarray(decode(path.name, read_bytes(path), at_least).image)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        PhotoError: it cannot be opened.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PhotoError(
            "photo.unreadable",
            f"{path.name} cannot be opened: {error.strerror or error}.",
            "Check that it is there and may be read.",
        ) from error


def read_photo(path: Path, data: bytes) -> UprightPhoto:
    """Check a photo's bytes and make the upright file that the capture keeps.

    An upright 8-bit JPEG or PNG is kept as it is; everything else is converted, without loss
    where the original has none.

    Raises:
        PhotoError: unreadable, too large or too small, in a sentence.
    """
    decoded = decode(path.name, data, only_check_plain=True)
    if decoded.plain and decoded.kind in _COPIED_KINDS:
        content, suffix = data, _COPIED_KINDS[decoded.kind]
    else:
        content, suffix = _encode(decoded)
    used, invisible = None, False
    if decoded.alpha is not None:
        used = np.asarray(decoded.alpha) > 0
        invisible = not used.any()
    return UprightPhoto(
        width=decoded.width,
        height=decoded.height,
        data=content,
        suffix=suffix,
        focal=exif_tags.focal_pixels(decoded.exif, decoded.width, decoded.height),
        camera_model=exif_tags.camera_model(decoded.exif),
        orientation=decoded.orientation,
        used=None if invisible else used,
        invisible=invisible,
    )


def encode_jpeg(image: Image.Image, icc: bytes | None = None) -> bytes:
    """A JPEG as fine as photos are kept in: quality 97, colours at full resolution."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=97, subsampling=0, icc_profile=icc)
    return buffer.getvalue()


def _encode(decoded: Decoded) -> tuple[bytes, str]:
    """The upright copy and its suffix."""
    if decoded.kind in _LOSSY_KINDS:
        return encode_jpeg(decoded.image, decoded.icc), ".jpg"
    buffer = io.BytesIO()
    decoded.image.save(buffer, "PNG", compress_level=3, icc_profile=decoded.icc)
    return buffer.getvalue(), ".png"
