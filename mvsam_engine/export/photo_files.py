# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo files that another program reads: their names, sizes, and how they lie.

Convention: inside the capture everything refers to the upright photo. Programs that read the
person's own files see the pixels as they are stored, without the EXIF orientation (COLMAP: tried
with pycolmap; Metashape, RealityScan, nerfstudio: docs/cameras.md). So what is written for
``original`` files is turned back, masks pixel by pixel and cameras exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Photo
from mvsam_engine.capture.files import is_safe_name, safe_name
from mvsam_engine.progress import Progress

Array = TypeVar("Array", bound=np.generic)

# The orientation that leads back from the upright photo to the stored one.
_BACK = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo as the other program sees it.

    Attributes:
        photo: of the capture.
        name: path of the file with forward slashes, relative to the folder of all photos.
        orientation: EXIF orientation of the file, which its reader ignores; 1 when it is upright.
    """

    photo: Photo
    name: str
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the stored pixels."""
        size = (self.photo.width, self.photo.height)
        return size[::-1] if self.orientation >= 5 else size

    @property
    def stem(self) -> str:
        """`name` without its ending."""
        return str(PurePosixPath(self.name).with_suffix(""))

    def stored(self, upright: NDArray[Array]) -> NDArray[Array]:
        """An array [H, W, ...] over the upright photo, turned as the file's pixels lie."""
        return turn_back(upright, self.orientation)

    def camera(self, camera: Camera) -> Camera:
        """A camera of the upright photo, for the file's pixels."""
        from mvsam_engine.reconstruct.posed.fitting import turned

        return turned(camera, _BACK[self.orientation])


def turn_back(upright: NDArray[Array], orientation: int) -> NDArray[Array]:
    """Upright pixels [H, W, ...] as a file of that EXIF orientation stores them (Exif 2.32)."""
    swap = (1, 0, *range(2, upright.ndim))
    turned = {
        1: lambda: upright,
        2: lambda: upright[:, ::-1],
        3: lambda: upright[::-1, ::-1],
        4: lambda: upright[::-1],
        5: lambda: upright.transpose(swap),
        6: lambda: np.rot90(upright, 1),
        7: lambda: upright[::-1, ::-1].transpose(swap),
        8: lambda: np.rot90(upright, -1),
    }[orientation]()
    return np.ascontiguousarray(turned)


def photo_files(photos: Sequence[Photo], which: str, progress: Progress) -> list[PhotoFile]:
    """The files that an export refers to, in the order of the photos, no two of one name.

    Args:
        photos: of the capture.
        which: ``original`` for the person's own, ``upright`` for the capture's copies.
        progress: hears of names that could not be kept.
    """
    files: list[PhotoFile] = []
    taken: set[str] = set()
    changed: list[str] = []
    for photo in photos:
        suffix = PurePosixPath(photo.file).suffix
        if which == "upright":
            file = PhotoFile(photo, f"{photo.view}{suffix}")
        else:
            name = _safe_path(photo.original_name) or f"{photo.view}{suffix}"
            if name.casefold() in taken:
                name = f"{photo.view}{PurePosixPath(name).suffix}"
            if name != photo.original_name:
                changed.append(photo.original_name)
            file = PhotoFile(photo, name, photo.orientation)
        taken.add(file.name.casefold())
        files.append(file)
    if changed:
        progress.warn(
            "export.renamed",
            f"{len(changed)} photos share their name with another or have one that not every "
            f"system allows, such as {changed[0]}; what belongs to them is named after their view.",
            "Rename the files before they are matched by name.",
        )
    return files


def _safe_path(name: str) -> str:
    """`name` with every part safe as a file name; "" when nothing of it is left."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..", ".")]
    return "/".join(part if is_safe_name(part) else safe_name(part) for part in parts)
