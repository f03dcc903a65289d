# SPDX-License-Identifier: GPL-3.0-or-later
"""SPIn-NeRF's multi-view segmentation set (MVSeg), not its inpainting set.

Mirzaei et al., "SPIn-NeRF", CVPR 2023; https://spinnerf3d.github.io, archive
``Multiview-Segmentation-Data.zip``. Layout, from its own ``README_MVSeg.txt`` and from the
inventory of the archive in the open evaluation RADIO-GS:

    <scene> (<data set>)/<frame>.png, <frame>_pseudo.png, <frame>_cutout.png, annotations.json

with ten scenes: ``orchids (llff)``, ``leaves (llff)``, ``fern (llff)``, ``room (llff)``,
``horns (llff)``, ``fortress (llff)``, ``fork (nerf_supervision)``,
``pinecone (nerf_real_360)``, ``Truck (Tanks & Temples)``, ``lego_real_night_radial``. The photos
come from those data sets. A frame is called as its photo, or ``imageNNN`` after the photo's place
in the order of names (orchids has no ``image014``), or has ``0_`` or ``1_`` before the name.
Files with "cutout" or "pseudo" in their names are pictures for people, no truth.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mvsam_engine.errors import UsageError
from mvsam_engine.evaluate.segmentation.photo_folders import photos_of_scene
from mvsam_engine.evaluate.segmentation.sets import SegmentationSet, Task

NAME = "SPIn-NeRF"
TASKS = (
    "fern",
    "fork",
    "fortress",
    "horns",
    "lego_real_night_radial",
    "leaves",
    "orchids",
    "pinecone",
    "room",
    "truck",
)
_SKIPPED = ("cutout", "pseudo")
_INDEXED = re.compile(r"image(\d+)", re.IGNORECASE)
_SPLIT = re.compile(r"[01]_(.+)")


def find_scenes(source: Path) -> list[Path]:
    """Folders of scenes: `source` itself or those in it; empty when it is another layout."""
    if _is_scene(source):
        return [source]
    return sorted(p for p in source.iterdir() if p.is_dir() and _is_scene(p))


def _is_scene(folder: Path) -> bool:
    pictures = [p for p in folder.glob("*.png") if any(w in p.stem.casefold() for w in _SKIPPED)]
    return bool(pictures) and bool(_frames(folder))


def _frames(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.glob("*.png")
        if not path.name.startswith(".") and not any(w in path.stem.casefold() for w in _SKIPPED)
    )


def scene_name(folder: Path) -> str:
    """``orchids (llff)`` is orchids, ``Truck (Tanks & Temples)`` truck."""
    return folder.name.partition(" (")[0].casefold()


def read_set(folder: Path, photos: Path | None) -> SegmentationSet:
    """The set of one scene: its first frame is the reference, all others are scored.

    Args:
        folder: of the scene.
        photos: folder with the folders of the scenes; None looks beside `folder`.

    Raises:
        UsageError: fewer than two frames, or photos that are not found.
    """
    name, frames = scene_name(folder), _frames(folder)
    if len(frames) < 2:
        raise UsageError(
            "evaluate.spin",
            f"{folder} has {len(frames)} true mask; it takes one to prompt and one to score.",
            "",
        )
    beside = folder.resolve().parent
    around = [photos] if photos else [beside, beside.parent]
    files = photos_of_scene(name, around, not_in=folder.resolve())
    stems = [path.stem for path in files]
    masks = {photo_of_frame(frame.stem, stems, name): frame for frame in frames}
    names = list(masks)
    task = Task(name, masks, reference=names[0], scored=tuple(names[1:]))
    return SegmentationSet(name, NAME, (task,), photos=files, scene=name)


def photo_of_frame(frame: str, photos: Sequence[str], scene: str) -> str:
    """The photo that a frame's name means.

    Args:
        frame: name of a mask without its ending.
        photos: names of the scene's photos in order, without endings.
        scene: for the error.

    Raises:
        UsageError: there is none.
    """
    by_name = {photo.casefold(): photo for photo in photos}
    split = _SPLIT.fullmatch(frame)
    for name in (frame, split[1] if split else frame):
        if name.casefold() in by_name:
            return by_name[name.casefold()]
    indexed = _INDEXED.fullmatch(frame)
    if indexed and int(indexed[1]) < len(photos):
        return photos[int(indexed[1])]
    raise UsageError(
        "evaluate.spin",
        f"SPIn-NeRF scene {scene}: no photo belongs to the mask {frame!r}; there are "
        f"{len(photos)} photos, such as {photos[0]!r}.",
        "Name the folder that holds the scenes' photos with --photos.",
    )
