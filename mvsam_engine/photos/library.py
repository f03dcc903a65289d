# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing people's photos into a capture, each as an upright copy with a unique view name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from mvsam_engine.capture import Capture, Photo
from mvsam_engine.capture.files import Transaction, safe_name
from mvsam_engine.errors import PhotoError
from mvsam_engine.photos.read import read_photo
from mvsam_engine.progress import Progress

PHOTO_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".webp", ".bmp", ".mpo", ".heic", ".heif",
}  # fmt: skip


def find_photos(sources: Iterable[Path]) -> list[Path]:
    """Photo files among `sources`: files as named, folders searched (not below them).

    Raises:
        PhotoError: a source does not exist, or a folder holds no photo.
    """
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            inside = [
                p
                for p in source.iterdir()
                if p.suffix.lower() in PHOTO_SUFFIXES and p.is_file() and p.name[0] != "."
            ]
            if not inside:
                raise PhotoError(
                    "photo.none",
                    f"There are no photos in {source}.",
                    "Photos are files ending in .jpg, .png, .tif or .webp.",
                )
            found += sorted(inside, key=lambda p: natural_order(p.name))
        elif source.is_file():
            found.append(source)
        else:
            raise PhotoError("photo.missing", f"{source} does not exist.", "Check the path.")
    return found


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key that puts ``IMG_9`` before ``IMG_10``."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts]


def add_photos(capture: Capture, sources: Iterable[Path], progress: Progress) -> tuple[Photo, ...]:
    """Copy photos into the capture; call inside `capture.writing()`.

    Photos that the capture already has (same content) are left as they are. A photo that cannot
    be read is named in a warning and left out.

    Args:
        capture: where to.
        sources: files and folders.
        progress: counts photos.

    Returns:
        All photos of the capture.

    Raises:
        PhotoError: a source is missing, or no photo could be read at all.
        CaptureError: writing failed; the capture is as it was.
    """
    paths = find_photos(sources)
    photos = list(capture.photos())
    progress.stage("Reading photos", len(paths))
    with capture.transaction() as transaction:
        before = len(photos)
        for path in paths:
            try:
                _add(path, photos, transaction, progress)
            except PhotoError as error:
                progress.warn(error.code, error.message, error.remedy)
            progress.step()
        if not photos:
            raise PhotoError(
                "photo.none",
                f"None of the {len(paths)} files could be read as a photo.",
                "The warnings above say why for each.",
            )
        if len(photos) > before:
            capture.put_photos(tuple(photos), transaction)
    return tuple(photos)


def _add(path: Path, photos: list[Photo], transaction: Transaction, progress: Progress) -> None:
    """Read one photo and append it, unless its content is there already."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PhotoError(
            "photo.unreadable", f"{path.name} cannot be opened: {error.strerror}."
        ) from error
    sha256 = hashlib.sha256(data).hexdigest()
    twin = next((p for p in photos if p.sha256 == sha256), None)
    if twin is not None:
        if twin.original_name != path.name:
            progress.warn(
                "photo.duplicate",
                f"{path.name} is the same photo as {twin.original_name}; it was left out.",
            )
        return
    upright = read_photo(path, data)
    view = _unique_view(path, photos)
    file = f"photos/{view}{upright.suffix}"
    transaction.write(file, upright.data)
    photos.append(
        Photo(
            view=view,
            file=file,
            width=upright.width,
            height=upright.height,
            size=len(data),
            sha256=sha256,
            original_name=path.name,
            focal=upright.focal,
            camera_model=upright.camera_model,
        )
    )


def _unique_view(path: Path, photos: list[Photo]) -> str:
    """The file name without its ending; told apart by the ending or a number when taken.

    Compared without case, since the capture may be opened where file names have none.
    """
    taken = {p.view.casefold() for p in photos}
    stem, ending = safe_name(path.stem, "photo"), path.suffix.lstrip(".").lower()
    candidates = [stem, f"{stem}_{ending}"] + [f"{stem}_{n}" for n in range(2, len(taken) + 3)]
    return next(c for c in candidates if c.casefold() not in taken)
