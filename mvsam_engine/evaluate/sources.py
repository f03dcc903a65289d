# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the photos and the truth that a person means by a path."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mvsam_engine.errors import UsageError
from mvsam_engine.evaluate.truth import Truth, read_truth

_PHOTO_FOLDERS = ("photos", "images", "rgb")
_PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".heic", ".bmp")
_TRUTH_PLACES = ("truth", "poses_bounds.npy", "condition.npz", "sparse/0", "sparse")
_TRUTH_FILES = ("transforms.json",)


@dataclass(frozen=True, slots=True, eq=False)
class PhotoSet:
    """Photos with known truth.

    Attributes:
        name: for tables.
        photos: in the order of their names.
        truth: of these photos, perhaps of more.
        capture: a capture that is judged as it stands, instead of reconstructing the photos.
    """

    name: str
    photos: tuple[Path, ...]
    truth: Truth
    capture: Path | None = None


def find_set(source: Path, truth: Path | None) -> PhotoSet:
    """The set at `source`: a folder of photos, a folder that holds one, or a capture.

    Args:
        source: where the photos are.
        truth: where the truth is; None looks beside and in `source`.

    Raises:
        UsageError: no photos, or no truth, with what was looked for.
    """
    if not source.is_dir():
        raise UsageError(
            "evaluate.source", f"{source} is not a folder.", "Name a folder of photos or a capture."
        )
    capture = source if (source / "capture.json").is_file() else None
    folder = source
    if capture is None:
        folder = next((source / n for n in _PHOTO_FOLDERS if (source / n).is_dir()), source)
        photos = sorted(p for p in folder.iterdir() if p.suffix.lower() in _PHOTO_ENDINGS)
    else:
        from mvsam_engine.capture import Capture

        # The truth names photos as the person had them.
        opened = Capture.open(capture)
        photos = [Path(photo.view + ".jpg") for photo in opened.photos()]
    if not photos:
        raise UsageError("evaluate.source", f"{source} holds no photos.", "")
    place = truth or _find_truth(source, folder)
    if place is None:
        raise UsageError(
            "evaluate.truth",
            f"No truth was found in or beside {source}.",
            "Name it with --truth; known layouts: docs/geometry.md.",
        )
    name = source.parent.name if source.name in _PHOTO_FOLDERS else source.name
    return PhotoSet(name, tuple(photos), read_truth(place, photos), capture)


def _find_truth(source: Path, photos: Path) -> Path | None:
    for folder in dict.fromkeys((source, photos.parent)):
        for name in _TRUTH_PLACES:
            if (folder / name).exists():
                return folder / name
        for name in _TRUTH_FILES:
            if (folder / name).is_file():
                return folder / name
        for below in sorted(folder.iterdir()):
            if below.is_dir() and any(below.glob("*.camera")):
                return below
    return None


def subset(photo_set: PhotoSet, count: int | None) -> PhotoSet:
    """`count` of the photos, evenly spaced with the first and the last; all when None.

    Raises:
        UsageError: fewer than two are asked for.
    """
    total = len(photo_set.photos)
    if count is None or count >= total:
        return photo_set
    if count < 2:
        raise UsageError(
            "evaluate.photos", f"{count} photos cannot be compared.", "Take 2 or more."
        )
    chosen = [round(i * (total - 1) / (count - 1)) for i in range(count)]
    return replace(photo_set, photos=tuple(photo_set.photos[i] for i in chosen))


def gather(photos: Sequence[Path], folder: Path) -> Path:
    """A folder with exactly these photos, linked where the system can and copied elsewhere."""
    folder.mkdir(parents=True)
    for photo in photos:
        try:
            (folder / photo.name).symlink_to(photo.resolve())
        except OSError:
            shutil.copyfile(photo, folder / photo.name)
    return folder
