# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures that can be judged by eye, files of every kind, and a progress that listens."""

import struct

import numpy as np
from PIL import Image

from mvsam_engine.capture import Capture
from mvsam_engine.photos import IntakeOptions, add_photos
from mvsam_engine.progress import Progress

WIDTH, HEIGHT = 80, 60


class Collecting(Progress):
    """Keeps the warnings."""

    def __init__(self):
        super().__init__()
        self.codes = []
        self.messages = []

    def on_warning(self, code, message, remedy):
        assert message.endswith(".")
        self.codes.append(code)
        self.messages.append(message)


def picture(shift=0, width=WIDTH, height=HEIGHT):
    """Red left half, blue right half, green top row; `shift` makes contents differ."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (200, 20, 20)
    pixels[:, width // 2 :] = (20, 20, 200)
    pixels[: height // 4] = (20, 200, 20 + shift)
    return Image.fromarray(pixels)


def is_upright(rgb):
    """Whether green is at the top, red at the left, blue at the right."""
    width = rgb.shape[1]
    top, left, right = rgb[3, width // 2], rgb[-5, 5], rgb[-5, -5]
    return top.argmax() == 1 and left.argmax() == 0 and right.argmax() == 2


def saved(path, image, **options):
    image.save(path, **options)
    return path


# EXIF orientation: how the stored pixels were turned away from upright.
STORED = {
    1: lambda im: im,
    2: lambda im: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda im: im.transpose(Image.Transpose.ROTATE_180),
    4: lambda im: im.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda im: im.transpose(Image.Transpose.TRANSPOSE),
    6: lambda im: im.transpose(Image.Transpose.ROTATE_90),
    7: lambda im: im.transpose(Image.Transpose.TRANSVERSE),
    8: lambda im: im.transpose(Image.Transpose.ROTATE_270),
}


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def tiff_bytes(pixels, orientation=1, big_endian=False):
    """An uncompressed TIFF of [H, W, C] of any type, with an orientation (TIFF 6.0)."""
    order, kind = (">", b"MM") if big_endian else ("<", b"II")
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    height, width, channels = pixels.shape
    bits, is_float = pixels.dtype.itemsize * 8, pixels.dtype.kind == "f"
    bits_at = 8 + len(data)
    formats_at = bits_at + 2 * channels
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits_at), (259, 3, 1, 1),
        (262, 3, 1, 2), (273, 4, 1, 8), (274, 3, 1, orientation), (277, 3, 1, channels),
        (278, 4, 1, height), (279, 4, 1, len(data)),
    ]  # fmt: skip
    if channels == 4:
        entries.append((338, 3, 1, 2))  # unassociated alpha
    entries.append((339, 3, channels, formats_at))
    out = kind + struct.pack(f"{order}HI", 42, formats_at + 2 * channels) + data
    out += struct.pack(f"{order}{channels}H", *[bits] * channels)
    out += struct.pack(f"{order}{channels}H", *[3 if is_float else 1] * channels)
    out += struct.pack(f"{order}H", len(entries))
    for tag, field, count, value in entries:
        out += struct.pack(f"{order}HHI", tag, field, count)
        short = field == 3 and count == 1
        out += struct.pack(
            f"{order}HH" if short else f"{order}I", *((value, 0) if short else (value,))
        )
    return out + struct.pack(f"{order}I", 0)


def brought_in(root, *sources, **options):
    """Make or open the capture at `root` and add sources; the capture and what was told."""
    capture, progress = Capture.create(root), Collecting()
    with capture.writing():
        add_photos(capture, sources, progress, IntakeOptions(**options))
    return capture, progress
