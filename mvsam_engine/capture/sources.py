# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are photos and videos, by their names; the add-on and the engine agree here.

Only names are looked at: what can really be read, the engine finds out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

PHOTO_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".webp", ".bmp", ".mpo",
        ".heic", ".heif", ".hif", ".avif",
    }
)  # fmt: skip
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm"})

# Folders that hold no photos of their own: masks beside photos, and what viewers leave behind.
_PASSED_OVER = frozenset({"mask", "masks", "thumbnails", "thumbs", "@eadir"})


def is_photo(path: Path) -> bool:
    """Whether the name is that of a photo."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def is_video(path: Path) -> bool:
    """Whether the name is that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts ``IMG_9`` before ``IMG_10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts]


def media_in(folder: Path, recursive: bool = False) -> list[Path]:
    """Photos and videos in a folder, in the natural order of their names.

    Hidden files are passed over, and so are masks that lie beside their photo (``IMG_1_mask.png``
    or ``IMG_1.jpg.png`` beside ``IMG_1.jpg``).

    Args:
        folder: where to look.
        recursive: also below it, except in hidden folders, in folders named ``masks`` or
            ``thumbnails``, and behind links; a folder's own files come before those below it.
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted((f for f in folders if _is_searched(f)), key=natural_order)
        here = Path(parent)
        media = [n for n in names if n[0] != "." and (is_photo(Path(n)) or is_video(Path(n)))]
        masks = masks_beside(media)
        chosen = sorted((n for n in media if n not in masks), key=natural_order)
        found += [here / n for n in chosen if (here / n).is_file()]
        if not recursive:
            break
    return found


def _is_searched(folder: str) -> bool:
    return folder[0] != "." and folder.casefold() not in _PASSED_OVER


def masks_beside(names: Iterable[str]) -> set[str]:
    """Those of a folder's file names that are the name of another with ``_mask`` or an ending."""
    whole = {n.casefold() for n in names}
    stems = {Path(n).stem for n in whole}
    return {
        n
        for n in names
        if (stem := Path(n).stem.casefold()) in whole
        or (stem.endswith("_mask") and stem.removesuffix("_mask") in stems)
    }
