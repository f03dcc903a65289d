# SPDX-License-Identifier: GPL-3.0-or-later
"""How each program wants its masks: where they lie, how they are called, what white means.

Sources stand in docs/exports.md. "Used" is what the other program shall look at.
"""

from __future__ import annotations

from dataclasses import dataclass

from mvsam_engine.export.options import known


@dataclass(frozen=True, slots=True)
class MaskPreset:
    """The masks of one program.

    Attributes:
        name: as people choose it.
        label: the program's name.
        pattern: path of a mask below the output folder. ``{name}`` is the photo's path with its
            ending, ``{stem}`` without, ``{view}`` its name in the capture, ``{object}`` the
            object's.
        white_is_used: False where white means that a pixel is ignored.
        photos: which photos the program reads, unless the person says otherwise.
        each_object: one mask for each object, not one for all together.
        whole: every photo needs a mask, or the program reads none.
        hint: a sentence: what to do with the files.
    """

    name: str
    label: str
    pattern: str
    hint: str
    white_is_used: bool = True
    photos: str = "original"
    each_object: bool = False
    whole: bool = False


PRESETS: dict[str, MaskPreset] = {
    preset.name: preset
    for preset in (
        MaskPreset(
            "generic",
            "any program",
            "{object}/{view}.png",
            "White is the object; one folder for each object, masks of the upright photos.",
            photos="upright",
            each_object=True,
        ),
        MaskPreset(
            "colmap",
            "COLMAP",
            "{name}.png",
            "colmap feature_extractor --image_path PHOTOS --ImageReader.mask_path OUT",
        ),
        MaskPreset(
            "metashape",
            "Metashape",
            "{stem}_mask.png",
            "File > Import > Import Masks, method From File, template OUT/{filename}_mask.png",
        ),
        MaskPreset(
            "realityscan",
            "RealityScan 2",
            "{name}.mask.png",
            "Put them beside the photos and import both together; enable masks in Image Layers.",
        ),
        MaskPreset(
            "realitycapture",
            "RealityCapture",
            "{name}.mask.png",
            "Put them beside the photos and import both together.",
            white_is_used=False,
        ),
        MaskPreset(
            "nerfstudio",
            "nerfstudio",
            "masks/{stem}.png",
            "ns-train ... colmap --masks-path masks, or mask_path in transforms.json.",
            whole=True,
        ),
        MaskPreset(
            "splat",
            "3DGS trainers (LichtFeld Studio, OpenSplat)",
            "masks/{stem}.png",
            "Put the folder masks beside images; OpenSplat: --mask-dir OUT/masks.",
            whole=True,
        ),
    )
}


def find_preset(name: str) -> MaskPreset:
    """The preset called `name`; the generic one for "".

    Raises:
        UsageError: there is none; the sentence lists them.
    """
    known("preset", name, PRESETS)
    return PRESETS[name or "generic"]
