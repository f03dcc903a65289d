# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos of more than 8 bits a channel, to 8 bits.

Pillow holds 16-bit and float grey, but cuts 16-bit colour to its upper byte and refuses float
colour; those are decoded by OpenCV.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

# What OpenCV prints about damaged files is for programmers; people get a sentence.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\x00", b"MM\x00*")
# TIFF 6.0 tags.
_WIDTH, _HEIGHT, _BITS, _ORIENTATION, _SAMPLES = 256, 257, 258, 274, 277


@dataclass(frozen=True, slots=True)
class DeepHeader:
    """Size and EXIF orientation of a file that only OpenCV decodes at its full depth."""

    width: int
    height: int
    orientation: int


def deep_header(data: bytes) -> DeepHeader | None:
    """The header of a PNG or TIFF with colour of more than 8 bits, None for every other file."""
    if data.startswith(_PNG) and len(data) > 29:
        width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
        return DeepHeader(width, height, 1) if bits == 16 and kind in (2, 4, 6) else None
    if data.startswith(_TIFF):
        tags = _tiff_tags(data)
        bits = tags.get(_BITS, (1,))
        deep = max(bits if isinstance(bits, tuple) else (bits,)) > 8
        if deep and tags.get(_SAMPLES, 1) > 1:
            turn = tags.get(_ORIENTATION, 1)
            turn = turn if turn in range(1, 9) else 1
            return DeepHeader(int(tags.get(_WIDTH, 0)), int(tags.get(_HEIGHT, 0)), turn)
    return None


def read_deep(data: bytes) -> NDArray[np.generic]:
    """The stored pixels of a deep file, not turned.

    Returns:
        [H, W, 3] or [H, W, 4] (RGB or RGBA) of the file's own type.

    Raises:
        ValueError: damaged, or of a kind that OpenCV does not know.
    """
    if data.startswith(_TIFF):
        data = _without_orientation(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ValueError("it cannot be decoded") from error
    if pixels is None:
        raise ValueError("it cannot be decoded")
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    order = [2, 1, 0, 3][: pixels.shape[2]] if pixels.shape[2] >= 3 else [0, 0, 0, 1]
    return pixels[..., order]


def to_8_bit(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Deep values to 0..255, the same way for all channels.

    Integers are stretched from the bit depth that their largest value needs (8, 10, 12, 14, 16 or
    32), since cameras put 10 to 14 bits into 16. Floats are linear light, as programs that write
    them agree: values above 1 are scaled so that all but the brightest thousandth fits, and the
    sRGB curve (IEC 61966-2-1) is applied.
    """
    if np.issubdtype(values.dtype, np.floating):
        linear = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        top = float(linear.max(initial=0.0))
        if top > 1.0:
            linear = linear / max(float(np.quantile(linear, 0.999)), 1e-12)
        linear = np.clip(linear, 0.0, 1.0)
        curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        return np.round(curve * 255.0).astype(np.uint8)
    top = int(values.max(initial=0))
    bits = next(b for b in (8, 10, 12, 14, 16, 32, 64) if top < 1 << b)
    scaled = np.clip(values, 0, None) * np.float32(255.0 / ((1 << bits) - 1))
    return np.round(scaled).astype(np.uint8)


def _tiff_tags(data: bytes) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The first directory of a TIFF; empty when it is damaged."""
    tags = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    try:
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
    except Exception:  # damaged in any way; the decoder says so later
        return TiffImagePlugin.ImageFileDirectory_v2(data[:8])
    return tags


def _without_orientation(data: bytes) -> bytes:
    """The TIFF with orientation 1, because OpenCV turns some of the orientations and not others."""
    order = "<" if data[:2] == b"II" else ">"
    (offset,) = struct.unpack_from(f"{order}I", data, 4)
    try:
        (count,) = struct.unpack_from(f"{order}H", data, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            if struct.unpack_from(f"{order}H", data, entry)[0] == _ORIENTATION:
                plain = struct.pack(f"{order}H", 1)
                return data[: entry + 8] + plain + data[entry + 10 :]
    except struct.error:
        pass  # cut short: the decoder says so
    return data
