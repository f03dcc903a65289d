# SPDX-License-Identifier: GPL-3.0-or-later
"""Mask images: ``OUT/<object>/<view>.png``, 8-bit, 255 = object, size of the photo."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.capture.files import safe_name, write_atomic
from mvsam_engine.errors import SegmentationError
from mvsam_engine.progress import Progress


def export_masks(
    capture: Capture, out: Path, names: Sequence[str], progress: Progress
) -> list[Path]:
    """Write one mask per object and photo; photos without the object get an empty mask.

    Args:
        capture: with segmented objects.
        out: folder, made when missing.
        names: of the objects; empty for all.
        progress: counts images.

    Returns:
        The files, in the order of objects and photos.

    Raises:
        SegmentationError: an object that does not exist or was never segmented.
        CaptureError: a file could not be written.
    """
    items = [_segmented(capture, name) for name in names] if names else _all_segmented(capture)
    photos = capture.photos()
    folders = _folder_names(items)
    progress.stage("Writing masks", len(items) * len(photos))
    written: list[Path] = []
    for item in items:
        if item.answered != item.revision:
            progress.warn(
                "object.stale",
                f"The masks of {item.name!r} are older than its prompts or cameras.",
                "Segment it again before you rely on them.",
            )
        for photo in photos:
            source = capture.mask_path(item.id, photo.view)
            known = source.is_file()
            data = source.read_bytes() if known else _empty_png(photo.width, photo.height)
            target = out / folders[item.id] / f"{photo.view}.png"
            write_atomic(target, data)
            written.append(target)
            progress.step()
    return written


def _segmented(capture: Capture, name: str) -> SceneObject:
    item = capture.find_object(name)
    if item is None:
        known = ", ".join(repr(o.name) for o in capture.objects()) or "none yet"
        raise SegmentationError(
            "object.missing", f"There is no object {name!r}.", f"Objects are: {known}."
        )
    if not item.segmenter:
        raise SegmentationError(
            "object.unsegmented", f"Object {name!r} has no masks yet.", "Run `mvsam segment` first."
        )
    return item


def _all_segmented(capture: Capture) -> list[SceneObject]:
    items = [item for item in capture.objects() if item.segmenter]
    if not items:
        raise SegmentationError(
            "object.none", "This capture has no masks yet.", "Run `mvsam segment` first."
        )
    return items


def _folder_names(items: Sequence[SceneObject]) -> dict[str, str]:
    """Object ids to folder names: the object's name, or its unique id where that is taken."""
    folders: dict[str, str] = {}
    for item in items:
        name = safe_name(item.name, item.id)
        taken = {f.casefold() for f in folders.values()}
        folders[item.id] = item.id if name.casefold() in taken else name
    return folders


def _empty_png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), 0).save(buffer, "PNG")
    return buffer.getvalue()
