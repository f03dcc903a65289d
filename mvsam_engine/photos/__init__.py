# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door for pixels: reading people's photos, upright and in 8-bit RGB."""

from mvsam_engine.photos.find import find_photos
from mvsam_engine.photos.library import IntakeOptions, add_photos
from mvsam_engine.photos.masks import find_masks, read_used
from mvsam_engine.photos.read import read_photo, read_rgb

__all__ = [
    "IntakeOptions",
    "add_photos",
    "find_masks",
    "find_photos",
    "read_photo",
    "read_rgb",
    "read_used",
]
