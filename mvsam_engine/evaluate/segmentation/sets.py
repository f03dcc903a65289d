# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene with true masks, whatever layout it came in: what every later step works on.

Convention: photos are called by their file names without ending; which view of a capture that is,
`PhotoIndex` knows. True masks are read when they are needed, in the frame of the upright photo.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Photo
from mvsam_engine.errors import PhotoError

# Width to height of a mask and its photo may differ by this share: public sets round differently.
_SHAPE_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Scribbles:
    """Images of what a person painted on the reference photo, at any scale; not black = painted."""

    positive: Path
    negative: Path


@dataclass(frozen=True, slots=True)
class Task:
    """One object of a scene.

    Attributes:
        name: of the object.
        masks: photo to the file of its true mask.
        reference: photo that prompts are given in; never scored.
        scored: photos that are scored, all of them in `masks`.
        scribbles: on the reference photo, where the layout has them.
    """

    name: str
    masks: Mapping[str, Path]
    reference: str
    scored: tuple[str, ...]
    scribbles: Scribbles | None = None


@dataclass(frozen=True, slots=True)
class SegmentationSet:
    """A scene.

    Attributes:
        name: for tables.
        benchmark: name of the public benchmark that it is part of, "" for none.
        tasks: its objects.
        photos: files, when there is no capture.
        capture: a reconstructed capture to use as it stands.
        scene: name of the photos; sets of one scene share one reconstruction.
    """

    name: str
    benchmark: str
    tasks: tuple[Task, ...]
    photos: tuple[Path, ...] = ()
    capture: Path | None = None
    scene: str = ""

    @property
    def capture_name(self) -> str:
        """Name of the folder that its reconstruction is kept in."""
        scene = self.scene or self.name
        return f"{self.benchmark.casefold()}-{scene}" if self.benchmark else scene


class PhotoIndex:
    """The photos of a capture by the names that masks call them.

    Args:
        photos: of the capture.
    """

    def __init__(self, photos: Iterable[Photo]) -> None:
        self._by_name: dict[str, Photo] = {}
        for photo in photos:
            stem = PurePosixPath(photo.original_name).stem
            for name in (photo.view, stem):
                self._by_name.setdefault(name.casefold(), photo)

    def find(self, name: str) -> Photo | None:
        """The photo of that name, in any case of letters; None when there is none."""
        return self._by_name.get(name.casefold())


@dataclass(slots=True)
class TrueMasks:
    """True masks of a task, read once and kept at one bit a pixel.

    Attributes:
        task: whose.
        index: finds the photos, whose orientation the masks follow.
    """

    task: Task
    index: PhotoIndex
    _packed: dict[str, tuple[NDArray[np.uint8], tuple[int, int]]] = field(default_factory=dict)

    def photo(self, name: str) -> Photo:
        """The photo of that name.

        Raises:
            PhotoError: the capture has none.
        """
        found = self.index.find(name)
        if found is None:
            raise PhotoError("evaluate.photo", f"The capture has no photo {name!r}.", "")
        return found

    def read(self, name: str) -> NDArray[np.bool_]:
        """The true mask [H, W] of a photo, at its own resolution.

        Raises:
            PhotoError: it cannot be read, or has another shape than the photo.
        """
        if name not in self._packed:
            mask = read_true_mask(self.task.masks[name], self.index.find(name))
            self._packed[name] = np.packbits(mask), mask.shape
        bits, (height, width) = self._packed[name]
        return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)


def read_true_mask(path: Path, photo: Photo | None) -> NDArray[np.bool_]:
    """Read a mask image and turn it as its photo was turned.

    The mask belongs to the photo **as its file has it**: the photo's EXIF orientation is applied,
    unless the mask states one of its own or fits only the upright photo (as in `photos.masks`).

    Args:
        path: image of any kind; its brightest channel counts, above the middle is object. Where
            nothing is brighter than 1, as in label images, 1 is object.
        photo: that it belongs to, None when it is not in the capture.

    Returns:
        [H, W] bool at the image's own resolution; may be empty.

    Raises:
        PhotoError: unreadable, or of another shape than the photo.
    """
    values = _turned_values(path, photo)
    return values > (127 if values.max() > 1 else 0)


def read_scribble(path: Path, photo: Photo | None) -> NDArray[np.bool_]:
    """Pixels [h, w] that are painted, at the image's own scale, turned as the photo was.

    Raises:
        PhotoError: unreadable, or of another shape than the photo.
    """
    return _turned_values(path, photo) > 0


def _turned_values(path: Path, photo: Photo | None) -> NDArray[np.uint8]:
    """[h, w] uint8, brightest channel, in the frame of the upright photo."""
    from mvsam_engine.photos.decode import open_any, turn_upright
    from mvsam_engine.photos.masks import mask_values
    from mvsam_engine.photos.read import read_bytes

    image, turned = open_any(path.name, read_bytes(path))
    if photo is None:
        return mask_values(image)
    upright = (photo.width, photo.height)
    stored = upright[::-1] if photo.orientation >= 5 else upright
    if not turned and _same_shape(image.size, stored):
        image = turn_upright(image, photo.orientation)
    if not _same_shape(image.size, upright):
        raise PhotoError(
            "evaluate.mask",
            f"The mask {path.name} has {image.width} x {image.height} pixels, its photo "
            f"{photo.original_name} {upright[0]} x {upright[1]}.",
            "A true mask covers the whole photo, at any scale.",
        )
    return mask_values(image)


def _same_shape(size: tuple[int, int], full: tuple[int, int]) -> bool:
    (w, h), (W, H) = size, full
    return abs(w * H - h * W) <= max(_SHAPE_TOLERANCE * w * H, W, H, w, h)
