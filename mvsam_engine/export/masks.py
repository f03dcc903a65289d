# SPDX-License-Identifier: GPL-3.0-or-later
"""Mask images, in the naming and polarity of the program that will read them (`presets`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.capture.files import safe_name
from mvsam_engine.export.folder import OutputFolder
from mvsam_engine.export.mask_images import grown, mask_png, object_mask, used_pixels
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.photo_files import PhotoFile, photo_files
from mvsam_engine.export.presets import MaskPreset, find_preset
from mvsam_engine.export.selecting import some_objects
from mvsam_engine.photos.ahead import ahead
from mvsam_engine.progress import Progress

# Name of the folder of masks that show all objects together.
UNION = "union"


def export_masks(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write a mask for every photo.

    Args:
        capture: with segmented objects.
        out: folder, made when missing.
        options: objects, preset, polarity and margin.
        progress: counts images.

    Returns:
        The files, in the order of objects and photos.

    Raises:
        SegmentationError: an object that does not exist or was never segmented.
        UsageError: an unknown preset, or a folder that holds something else.
        CaptureError: a file could not be read or written.
    """
    preset = find_preset(options.preset)
    items = some_objects(capture, options.objects, progress)
    files = photo_files(capture.photos(), options.photos or preset.photos, progress)
    with OutputFolder(out, f"masks {preset.name}", options.overwrite) as folder:
        return stage_masks(
            capture, folder, items, files, replace(options, preset=preset.name), progress
        )


def stage_masks(
    capture: Capture,
    folder: OutputFolder,
    items: Sequence[SceneObject],
    files: Sequence[PhotoFile],
    options: ExportOptions,
    progress: Progress,
) -> list[Path]:
    """Stage the masks of `files` in an export's folder; `options` names the preset."""
    preset = find_preset(options.preset)
    _tell_unplaced(capture, files, options, progress)
    if preset.whole and options.absent == "skip" and not options.remove:
        progress.warn(
            "export.whole",
            f"{preset.label} wants a mask for every photo; photos without the object have none.",
            "Choose --absent blank or --absent full.",
        )
    groups = _groups(items, options, preset)
    progress.stage("Writing masks", len(groups) * len(files))
    written: list[Path] = []
    for name, members in groups.items():

        def made(file: PhotoFile, members: Sequence[SceneObject] = members) -> bytes | None:
            return _mask(capture, members, file, options, preset)

        for file, result in ahead(made, files):
            data = result()
            if data is not None:
                path = preset.pattern.format(
                    name=file.name, stem=file.stem, view=file.photo.view, object=name
                )
                written.append(folder.write(path, data, name))
            progress.step()
    return written


def _groups(
    items: Sequence[SceneObject], options: ExportOptions, preset: MaskPreset
) -> dict[str, list[SceneObject]]:
    """Folder name to the objects that its masks show."""
    if not preset.each_object or options.union:
        return {UNION: list(items)}
    groups: dict[str, list[SceneObject]] = {}
    for item in items:
        name = safe_name(item.name, item.id)
        taken = {g.casefold() for g in groups}
        groups[item.id if name.casefold() in taken else name] = [item]
    return groups


def _mask(
    capture: Capture,
    items: Sequence[SceneObject],
    file: PhotoFile,
    options: ExportOptions,
    preset: MaskPreset,
) -> bytes | None:
    """The PNG of one mask, None when there shall be none."""
    if preset.each_object and not options.union:
        # The object itself, whatever the photo's own mask says.
        mask = object_mask(capture, items[0], file.photo)
        if mask is None or not mask.any():
            if options.absent == "skip":
                return None
            full = options.absent == "full" and not options.remove
            mask = np.full((file.photo.height, file.photo.width), full)
        white = grown(mask, options.dilate) != options.remove
    else:
        used = used_pixels(capture, items, file.photo, options)
        if used is None:
            return None
        white = used == preset.white_is_used
    return mask_png(file.stored(white != options.invert))


def _tell_unplaced(
    capture: Capture, files: Sequence[PhotoFile], options: ExportOptions, progress: Progress
) -> None:
    """Masks of photos that were never placed say nothing about the object."""
    reconstruction = capture.reconstruction()
    placed = {c.view for c in reconstruction.cameras} if reconstruction else set[str]()
    lost = [file.name for file in files if file.photo.view not in placed]
    if not lost:
        return
    effect = {
        "blank": "their masks use nothing of them",
        "full": "their masks use all of them",
        "skip": "they get no mask",
    }[options.absent]
    if options.remove:
        effect = "their masks hide nothing"
    progress.warn(
        "export.unplaced",
        f"{len(lost)} photos have no camera, such as {lost[0]}: whether they show the object is "
        f"not known, and {effect}.",
        "Leave these photos out of the other program, or mask them by hand.",
    )
