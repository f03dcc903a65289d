# SPDX-License-Identifier: GPL-3.0-or-later
"""From a path to the sets that are meant; the layout is recognised by what is there.

The plain layout, for anybody's own data:

    photos/ (or images/, rgb/, or a capture)
    masks/<object>/<photo>.png, or masks/<photo>.png     (or truth/masks, as rendered sets have it)

The public ones: `nvos`, `spin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from mvsam_engine.capture import Capture
from mvsam_engine.capture.sources import natural_order
from mvsam_engine.errors import UsageError
from mvsam_engine.evaluate.segmentation import nvos, spin
from mvsam_engine.evaluate.segmentation.photo_folders import INSIDE, photos_in
from mvsam_engine.evaluate.segmentation.sets import (
    PhotoIndex,
    SegmentationSet,
    Task,
    read_true_mask,
)

_MASK_PLACES = ("masks", "truth/masks")
_MASK_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, slots=True)
class Choice:
    """What of the sources is meant.

    Attributes:
        masks: folder of true masks, None to look in the source; plain layout only.
        photos: folder that holds the photos of public benchmarks' scenes, None to look around.
        references: name of a set, "" for all, to the photo that prompts are given in; plain layout
            only.
        objects: patterns of object names; those that begin with ``!`` leave objects out.
        anew: whether the photos of a capture are reconstructed anew, whatever it holds.
    """

    masks: Path | None = None
    photos: Path | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    objects: tuple[str, ...] = ()
    anew: bool = False

    def wants(self, name: str) -> bool:
        """Whether an object is meant."""
        refused = [p[1:] for p in self.objects if p.startswith("!")]
        wanted = [p for p in self.objects if not p.startswith("!")] or ["*"]
        return any(fnmatchcase(name, p) for p in wanted) and not any(
            fnmatchcase(name, p) for p in refused
        )


def find_sets(source: Path, choice: Choice) -> list[SegmentationSet]:
    """The sets at a path.

    Raises:
        UsageError: no known layout, photos or masks that are missing, or no object that is meant.
    """
    if not source.is_dir():
        raise UsageError(
            "evaluate.source",
            f"{source} is not a folder.",
            "Name a folder of photos with masks, a capture, or a public benchmark's folder.",
        )
    if (root := nvos.find_root(source)) is not None:
        sets = nvos.read_sets(root, choice.photos)
    elif scenes := spin.find_scenes(source):
        sets = [spin.read_set(folder, choice.photos) for folder in scenes]
    else:
        sets = [read_plain(source, choice)]
    return [kept for one in sets if (kept := _wanted(one, choice)) is not None]


def _wanted(one: SegmentationSet, choice: Choice) -> SegmentationSet | None:
    """The set with the objects that are meant; None when there are none."""
    tasks = tuple(task for task in one.tasks if choice.wants(task.name))
    if not tasks:
        return None
    return SegmentationSet(one.name, one.benchmark, tasks, one.photos, one.capture, one.scene)


def read_plain(source: Path, choice: Choice) -> SegmentationSet:
    """The set of the plain layout at `source`.

    Without a named reference, each object is prompted in the photo in which it is largest.

    Raises:
        UsageError: no photos, no masks, or a reference without a mask.
    """
    capture = next(
        (p for p in (source, source / "capture") if (p / "capture.json").is_file()), None
    )
    photos = () if capture else photos_in(source)
    if capture is not None and choice.anew:
        opened = Capture.open(capture)
        photos, capture = tuple(opened.photo_path(p) for p in opened.photos()), None
    if capture is None and not photos:
        raise UsageError(
            "evaluate.source",
            f"{source} holds no photos.",
            "Photos belong into photos/, true masks into masks/<object>/<photo>.png.",
        )
    name = _name(source)
    masks = _mask_folder(source, choice.masks)
    index = PhotoIndex(Capture.open(capture).photos()) if capture else None
    wanted = choice.references.get(name, choice.references.get("", ""))
    tasks = []
    for folder in _object_folders(masks):
        object_name = name if folder == masks else folder.name
        if choice.wants(object_name):
            tasks.append(_read_task(object_name, folder, wanted, index))
    return SegmentationSet(name, "", tuple(tasks), photos, capture)


def _name(source: Path) -> str:
    whole = source.resolve()
    inner = whole.name in (*INSIDE, "capture")
    return whole.parent.name if inner else whole.name


def _mask_folder(source: Path, given: Path | None) -> Path:
    whole = source.resolve()
    looked = [whole] if whole.name not in (*INSIDE, "capture") else [whole, whole.parent]
    places = [given] if given else [folder / place for folder in looked for place in _MASK_PLACES]
    found = next((p for p in places if p.is_dir()), None)
    if found is None or not _object_folders(found):
        raise UsageError(
            "evaluate.masks",
            f"No true masks were found in {found or source}.",
            "They belong into masks/<object>/<photo>.png; or name their folder with --masks.",
        )
    return found


def _object_folders(masks: Path) -> list[Path]:
    """Folders with mask images: those in `masks`, or itself."""
    inner = [p for p in sorted(masks.iterdir()) if p.is_dir() and _mask_files(p)]
    return inner or ([masks] if _mask_files(masks) else [])


def _mask_files(folder: Path) -> list[Path]:
    files = [
        p
        for p in folder.iterdir()
        if p.suffix.lower() in _MASK_ENDINGS and not p.name.startswith(".")
    ]
    return sorted(files, key=lambda p: natural_order(p.name))


def _read_task(name: str, folder: Path, wanted: str, index: PhotoIndex | None) -> Task:
    masks = {path.stem: path for path in _mask_files(folder)}
    if wanted and wanted not in masks:
        raise UsageError(
            "evaluate.reference",
            f"Object {name!r} has no true mask of the reference photo {wanted!r}.",
            f"It has masks of: {', '.join(list(masks)[:12])}{' ...' if len(masks) > 12 else ''}.",
        )
    if not wanted:

        def area(photo: str) -> float:
            found = index.find(photo) if index else None
            return float(read_true_mask(masks[photo], found).mean())

        wanted = max(masks, key=area)
    return Task(name, masks, wanted, tuple(photo for photo in masks if photo != wanted))
