# SPDX-License-Identifier: GPL-3.0-or-later
"""The photos of a capture while some are added."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Photo
from mvsam_engine.capture.files import Transaction, safe_name
from mvsam_engine.errors import PhotoError
from mvsam_engine.photos.ahead import ahead
from mvsam_engine.photos.find import Source
from mvsam_engine.photos.masks import used_png
from mvsam_engine.photos.read import UprightPhoto, read_bytes, read_photo
from mvsam_engine.progress import Progress


class Intake:
    """Stages photos and their masks in a transaction.

    Attributes:
        photos: those of the capture and, after them, the new ones in the order of the sources.
        progress: counts, and hears of every file that is left out.
    """

    def __init__(
        self, photos: Sequence[Photo], transaction: Transaction, progress: Progress
    ) -> None:
        self.photos = list(photos)
        self.progress = progress
        self._transaction = transaction
        self._by_content = {photo.sha256: photo for photo in photos}
        self._taken = {photo.view.casefold() for photo in photos}

    def add_stills(self, sources: Sequence[Source]) -> None:
        """Read photos, several at a time, and add each unless its content is there already."""
        known = frozenset(self._by_content)
        self.progress.stage("Reading photos", len(sources))
        for source, read in ahead(lambda s: _read(s, known), sources):
            try:
                sha256, size, photo = read()
                self._add_still(source, sha256, size, photo)
            except PhotoError as error:
                self.progress.warn(error.code, error.message, error.remedy)
            self.progress.step()

    def holds(self, sha256: str) -> bool:
        """Whether content with this hash is there already."""
        return sha256 in self._by_content

    def put(self, photo: Photo, data: bytes, suffix: str) -> Photo:
        """Stage a new photo; its `file` is made here."""
        photo = replace(photo, file=f"photos/{photo.view}{suffix}")
        self._transaction.write(photo.file, data)
        self.photos.append(photo)
        self._by_content[photo.sha256] = photo
        self._taken.add(photo.view.casefold())
        return photo

    def put_mask(self, photo: Photo, used: NDArray[np.bool_]) -> None:
        """Stage the mask of one of `photos`; one that uses everything is none.

        Args:
            photo: of the capture.
            used: [H, W], True = used.
        """
        mask = "" if used.all() else f"photo_masks/{photo.view}.png"
        if mask:
            self._transaction.write(mask, used_png(used))
        elif photo.mask:
            self._transaction.delete(photo.mask)
        index = next(i for i, p in enumerate(self.photos) if p.view == photo.view)
        self.photos[index] = replace(self.photos[index], mask=mask)

    def unique_view(self, name: str) -> str:
        """A file name without its ending; told apart by the ending or a number when taken.

        Compared without case, since the capture may be opened where file names have none.
        """
        path = Path(name)
        stem, ending = safe_name(path.stem, "photo"), path.suffix.lstrip(".").lower()
        candidates = [stem, f"{stem}_{safe_name(ending, 'photo')}"]
        candidates += [f"{stem}_{n}" for n in range(2, len(self._taken) + 3)]
        return next(c for c in candidates if c.casefold() not in self._taken)

    def _add_still(
        self, source: Source, sha256: str, size: int, photo: UprightPhoto | None
    ) -> None:
        twin = self._by_content.get(sha256)
        if twin is not None or photo is None:
            if twin is not None and twin.original_name != source.name:
                self.progress.warn(
                    "photo.duplicate",
                    f"{source.name} is the same photo as {twin.original_name}; it was left out.",
                )
            return
        entry = Photo(
            view=self.unique_view(source.path.name),
            file="",
            width=photo.width,
            height=photo.height,
            size=size,
            sha256=sha256,
            original_name=source.name,
            focal=photo.focal,
            camera_model=photo.camera_model,
            orientation=photo.orientation,
        )
        added = self.put(entry, photo.data, photo.suffix)
        if photo.used is not None:
            self.put_mask(added, photo.used)
        if photo.invisible:
            self.progress.warn(
                "mask.empty",
                f"{source.name} is transparent all over; its transparency was not used.",
                "Save it again without an alpha channel.",
            )


def _read(source: Source, known: frozenset[str]) -> tuple[str, int, UprightPhoto | None]:
    """Hash, size and content of a photo; no content when the hash is known."""
    data = read_bytes(source.path)
    sha256 = hashlib.sha256(data).hexdigest()
    photo = None if sha256 in known else read_photo(source.path, data)
    return sha256, len(data), photo
