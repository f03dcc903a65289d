# SPDX-License-Identifier: GPL-3.0-or-later
"""Grey 8-bit PNG (https://www.w3.org/TR/png/), for what the add-on hands to the engine."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Masks are large areas of one value: the quickest compression makes them small already.
_LEVEL = 1


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """An image [h, w] of grey values, first row on top, as the bytes of a PNG."""
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # each row begins with its filter, none
    rows[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), _LEVEL)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
