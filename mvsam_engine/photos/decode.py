# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of any still image to upright 8-bit RGB and its used pixels, or a sentence why not."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, UnidentifiedImageError

from mvsam_engine.errors import PhotoError
from mvsam_engine.photos import exif as exif_tags
from mvsam_engine.photos.deep import DeepHeader, deep_header, read_deep, to_8_bit

# Photos above this are refused before a pixel is decoded (a stitched panorama, or a bomb).
MAX_PIXELS = 400_000_000
MIN_SIDE = 32
# Larger photos are decoded one at a time, so that several threads need no more memory than this.
_ALONE_PIXELS = 40_000_000
_alone = threading.Lock()

# Our own limit above replaces pillow's, which refuses photos that real cameras take.
Image.MAX_IMAGE_PIXELS = None
pillow_heif.register_heif_opener()
Image.init()
# Whatever a file is called, nothing else is tried: pillow also knows formats that run programs.
_FORMATS = tuple(
    name
    for name in ("JPEG", "MPO", "PNG", "TIFF", "WEBP", "BMP", "HEIF", "AVIF")
    if name in Image.OPEN
)
# Broken EXIF counts as absent; pillow's remarks on it are for programmers.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# EXIF orientation to what turns the stored pixels upright (Exif 2.32, tag 0x0112).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_WITH_ALPHA = {"RGBA", "LA", "PA", "RGBa", "La"}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded photo.

    Attributes:
        image: upright, 8-bit RGB; smaller than the photo when that was asked for.
        alpha: upright, mode L, 0 = nothing there; None where the photo is wholly opaque.
        width: of the upright photo at its full size, pixels.
        height: of the upright photo at its full size, pixels.
        orientation: EXIF orientation that was applied, 1..8. 1 for HEIF, whose own rotation any
            decoder applies and whose EXIF orientation is informative only (ISO/IEC 23008-12).
        exif: what the file says of camera and lens.
        kind: pillow's name of the format, e.g. ``JPEG``.
        plain: whether the file itself is an upright 8-bit photo without transparency.
        icc: colour profile that the RGB values refer to, None for sRGB.
    """

    image: Image.Image
    alpha: Image.Image | None
    width: int
    height: int
    orientation: int
    exif: Image.Exif
    kind: str
    plain: bool
    icc: bytes | None = None


def decode(
    name: str, data: bytes, at_least: int | None = None, only_check_plain: bool = False
) -> Decoded:
    """Decode a photo.

    Args:
        name: for messages.
        data: content of the file.
        at_least: when given, a JPEG may come out 2, 4 or 8 times smaller as long as its long
            side keeps this many pixels; the smaller image covers exactly the whole photo.
        only_check_plain: whether the pixels of a `Decoded.plain` photo are not needed; a JPEG is
            then decoded as small as possible, which still finds where it is cut or broken.

    Raises:
        PhotoError: unreadable, too large or too small, in a sentence.
    """
    with _told(name):
        deep = deep_header(data)
        if deep is not None:
            _check_size(name, deep.width, deep.height, MIN_SIDE)
            with _memory_for(deep.width * deep.height):
                return _decode_deep(data, deep)
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        width, height = image.size
        _check_size(name, width, height, MIN_SIDE)
        if only_check_plain and _is_plain(image):
            at_least = 1
        if at_least is not None:
            _reduce_while_decoding(image, at_least)
        with _memory_for(image.width * image.height):
            return _decode_opened(image, width, height)


def open_any(name: str, data: bytes) -> tuple[Image.Image, bool]:
    """Open and load an image that need not be a photo (a mask), in its own mode.

    Returns:
        The image, and whether it states an orientation of its own, which was applied.

    Raises:
        PhotoError: unreadable, in a sentence.
    """
    with _told(name):
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        _check_size(name, image.width, image.height, 1)
        orientation = exif_tags.orientation(_exif(image))
        image.load()
        if image.format != "TIFF":  # pillow's reader of TIFF has turned the pixels
            image = turn_upright(image, orientation)
        return image, orientation != 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Stored pixels turned upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _decode_deep(data: bytes, header: DeepHeader) -> Decoded:
    """Colour of more than 8 bits, by OpenCV."""
    values = read_deep(data)
    if values.shape[:2] != (header.height, header.width):
        raise ValueError("its header and its content disagree")
    image = turn_upright(Image.fromarray(to_8_bit(values[..., :3])), header.orientation)
    alpha = None
    if values.shape[2] == 4:
        opaque = np.where(values[..., 3] > 0, 255, 0).astype(np.uint8)
        alpha = turn_upright(Image.fromarray(opaque), header.orientation)
    exif, kind = Image.Exif(), "PNG" if data.startswith(b"\x89PNG") else "TIFF"
    with suppress(Exception):  # pillow knows fewer kinds of TIFF, and broken EXIF raises anything
        exif = Image.open(io.BytesIO(data), formats=_FORMATS).getexif()
    image, alpha = _without_transparent(image, alpha)
    size = image.size
    return Decoded(image, alpha, *size, header.orientation, exif, kind, plain=False)


def _decode_opened(image: Image.Image, width: int, height: int) -> Decoded:
    """What pillow decodes; `width` x `height` is the size that the file states."""
    exif, kind, plain = _exif(image), image.format or "", _is_plain(image)
    orientation = exif_tags.orientation(exif)
    icc = image.info.get("icc_profile") if image.mode == "RGB" else None
    image.load()
    if kind == "TIFF":  # pillow's reader of TIFF has turned the pixels
        width, height = image.size
    else:
        image = turn_upright(_whole(image, width, height), orientation)
        if orientation >= 5:
            width, height = height, width
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        rgba = image.convert("RGBA")
        rgb, alpha = _without_transparent(rgba.convert("RGB"), rgba.getchannel("A"))
    else:
        rgb, alpha = _to_rgb(image), None
    return Decoded(rgb, alpha, width, height, orientation, exif, kind, plain, icc)


def _is_plain(image: Image.Image) -> bool:
    return (
        image.mode in ("RGB", "L")
        and "transparency" not in image.info
        and exif_tags.orientation(_exif(image)) == 1
    )


def _reduce_while_decoding(image: Image.Image, at_least: int) -> None:
    """Let a JPEG's decoder make the image smaller: it then computes only the DCT terms needed."""
    width, height = image.size
    if image.format in ("JPEG", "MPO"):
        factor = next(s for s in (8, 4, 2, 1) if max(width, height) // s >= at_least or s == 1)
        image.draft(None, (max(1, width // factor), max(1, height // factor)))


def _whole(image: Image.Image, width: int, height: int) -> Image.Image:
    """A reduced JPEG resampled to cover exactly the photo.

    The decoder rounds sides up to whole pixels, so that the last ones reach beyond the photo.
    """
    factor = next(
        s for s in (1, 2, 4, 8) if (-(-width // s), -(-height // s)) == image.size or s == 8
    )
    if width % factor == 0 and height % factor == 0:
        return image
    box = (0.0, 0.0, width / factor, height / factor)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


def _to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any mode without transparency."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(to_8_bit(np.asarray(image))).convert("RGB")
    profile = image.info.get("icc_profile") if image.mode == "CMYK" else None
    source = ImageCms.createProfile("LAB") if image.mode == "LAB" else None
    try:
        if profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source is not None:
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
            return converted or image.convert("RGB")
    except (ImageCms.PyCMSError, OSError):
        pass  # a damaged profile: the plain conversion is better than no photo
    return image.convert("RGB")


def _without_transparent(
    rgb: Image.Image, alpha: Image.Image | None
) -> tuple[Image.Image, Image.Image | None]:
    """Colours with grey where nothing is; and the transparency, None when all is opaque.

    Transparent pixels often hide arbitrary colours: flat grey gives no false features. A photo
    that is wholly transparent keeps its colours, since its transparency can only be a mistake.
    """
    least, most = alpha.getextrema() if alpha is not None else (255, 255)
    if least == 255:
        return rgb, None
    if most == 0:
        return rgb, alpha
    return Image.composite(rgb, Image.new("RGB", rgb.size, (128, 128, 128)), alpha), alpha


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # pillow raises whatever the damaged bytes lead to
        return Image.Exif()


def _memory_for(pixels: int) -> AbstractContextManager[object]:
    """Room for decoding: any number of ordinary photos at a time, large ones one by one."""
    return _alone if pixels > _ALONE_PIXELS else nullcontext()


def _check_size(name: str, width: int, height: int, least: int) -> None:
    if width * height > MAX_PIXELS:
        raise PhotoError(
            "photo.huge",
            f"{name} has {width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million.",
            "Make a smaller copy of it.",
        )
    if min(width, height) < least:
        raise PhotoError(
            "photo.tiny",
            f"{name} is only {width} x {height} pixels.",
            f"Photos need at least {least} pixels on each side.",
        )


@contextmanager
def _told(name: str) -> Generator[None]:
    """Turn what decoders raise into a sentence."""
    try:
        yield
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        raise PhotoError(
            "photo.unreadable",
            f"{name} is not a photo that can be read.",
            "Remove it, or save it as JPEG.",
        ) from error
    except MemoryError as error:
        raise PhotoError(
            "photo.memory", f"{name} is too large for this machine's memory.", "Make it smaller."
        ) from error
    except Exception as error:  # decoders raise anything on damaged data, all meaning the same
        raise PhotoError(
            "photo.damaged",
            f"{name} is damaged or cut short: {exif_tags.printable(str(error)).rstrip('. ')}.",
            "Copy it again from the camera, or remove it.",
        ) from error
