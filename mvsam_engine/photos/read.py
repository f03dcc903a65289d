# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one photo: upright, 8-bit RGB, with what EXIF knows of its lens."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from mvsam_engine.errors import PhotoError

# Photos above this are refused before a pixel is decoded (a stitched panorama, or a bomb).
MAX_PIXELS = 400_000_000
MIN_SIDE = 32

# Files of these kinds are copied byte by byte when they are upright 8-bit photos already.
_COPIED_FORMATS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png"}
_COPIED_MODES = {"RGB", "L"}

# Diagonal of a 36 x 24 mm frame: what a "35 mm equivalent" focal length refers to (CIPA DCG-001).
_FULL_FRAME_DIAGONAL = math.hypot(36.0, 24.0)

# Our own limit above replaces pillow's, which refuses photos that real cameras take.
Image.MAX_IMAGE_PIXELS = None


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
    """

    width: int
    height: int
    data: bytes
    suffix: str
    focal: float | None
    camera_model: str


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read any photo as [H, W, 3] uint8 RGB, upright.

    Raises:
        PhotoError: unreadable, too large or too small, in a sentence.
    """
    return np.asarray(_to_rgb(_open(path, path.read_bytes)))


def read_photo(path: Path, data: bytes) -> UprightPhoto:
    """Check a photo's bytes and make the upright file that the capture keeps.

    An upright 8-bit JPEG or PNG is kept as it is; everything else is converted.

    Raises:
        PhotoError: unreadable, too large or too small, in a sentence.
    """
    image = _open(path, lambda: data)
    exif = image.getexif()
    kind, mode = image.format or "", image.mode
    as_it_is = (
        kind in _COPIED_FORMATS
        and mode in _COPIED_MODES
        and exif.get(ExifTags.Base.Orientation, 1) == 1
        and "transparency" not in image.info
    )
    upright = _to_rgb(image)
    width, height = upright.size
    focal = _focal_pixels(exif, width, height)
    model = _camera_model(exif)
    if as_it_is:
        return UprightPhoto(width, height, data, _COPIED_FORMATS[kind], focal, model)
    buffer = io.BytesIO()
    if kind in ("JPEG", "MPO"):
        upright.save(buffer, "JPEG", quality=97, subsampling=0)
        return UprightPhoto(width, height, buffer.getvalue(), ".jpg", focal, model)
    upright.save(buffer, "PNG", compress_level=3)
    return UprightPhoto(width, height, buffer.getvalue(), ".png", focal, model)


def _open(path: Path, read: Any) -> Image.Image:
    """Open and fully decode a photo, or say why not."""
    try:
        image = Image.open(io.BytesIO(read()))
        if image.width * image.height > MAX_PIXELS:
            raise PhotoError(
                "photo.huge",
                f"{path.name} has {image.width} x {image.height} pixels, more than "
                f"{MAX_PIXELS // 1_000_000} million.",
                "Make a smaller copy of it.",
            )
        if min(image.size) < MIN_SIDE:
            raise PhotoError(
                "photo.tiny",
                f"{path.name} is only {image.width} x {image.height} pixels.",
                f"Photos need at least {MIN_SIDE} pixels on each side.",
            )
        image.load()
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        heic = path.suffix.lower() in (".heic", ".heif")
        raise PhotoError(
            "photo.unreadable",
            f"{path.name} is not a photo that can be read.",
            "Convert it from HEIC to JPEG first." if heic else "Remove it, or save it as JPEG.",
        ) from error
    # Decoders raise many kinds of errors on damaged data; all mean the same to a person.
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        MemoryError,
        Image.DecompressionBombError,
    ) as error:
        raise PhotoError(
            "photo.damaged",
            f"{path.name} is damaged or cut short: {error}.",
            "Copy it again from the camera, or remove it.",
        ) from error
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Upright 8-bit RGB of any mode that pillow decodes."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit and float grey: stretch the type's range, which `convert` would clip.
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode.startswith("I") else max(float(np.nanmax(values)), 1e-9)
        grey = np.clip(np.nan_to_num(values) * (255.0 / top), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        # Transparent pixels often hide arbitrary colours: flat grey gives no false features.
        flat = Image.new("RGBA", rgba.size, (128, 128, 128, 255))
        return Image.alpha_composite(flat, rgba).convert("RGB")
    return image.convert("RGB")


def _focal_pixels(exif: Image.Exif, width: int, height: int) -> float | None:
    """Focal length in pixels from EXIF's 35 mm equivalent, None when absent or absurd."""
    details = exif.get_ifd(ExifTags.IFD.Exif)
    try:
        equivalent = float(details.get(ExifTags.Base.FocalLengthIn35mmFilm, 0) or 0)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    focal = equivalent * math.hypot(width, height) / _FULL_FRAME_DIAGONAL
    return focal if 0.2 < focal / max(width, height) < 50.0 else None


def _camera_model(exif: Image.Exif) -> str:
    """Maker and model, printable, short."""
    words = [str(exif.get(tag, "")) for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    text = " ".join(" ".join(words).split())
    return "".join(c for c in text if c.isprintable())[:120]
