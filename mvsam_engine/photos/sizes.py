# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of photos from their headers, for a forecast: nothing is decoded, nothing is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from mvsam_engine.capture.sources import is_video

# What is assumed of photos whose header Pillow cannot read, of the frames of a video, and of how
# many of them are taken.
USUAL_PHOTO, USUAL_FRAME, USUAL_FRAMES = (4000, 3000), (1920, 1080), 80


def photo_sizes(files: Sequence[Path]) -> list[tuple[int, int]]:
    """Width and height of every photo, and of the frames that a video will give."""
    found: list[tuple[int, int]] = []
    for path in files:
        if is_video(path):
            found += [USUAL_FRAME] * USUAL_FRAMES
            continue
        try:
            with Image.open(path) as image:
                found.append(image.size)
        except (OSError, ValueError, Image.DecompressionBombError):
            found.append(USUAL_PHOTO)
    return found
