# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundler (``bundle.out``), as VisualSFM, OpenMVG, COLMAP and Metashape write it too.

Convention: cameras look along -z with y up, ``X_camera = R @ X + t``; pixels count from the
photo's centre, with y up; radial distortion k1, k2. The file holds no photo names and no sizes:
names come from a list beside it, sizes from the photos.
Format: Bundler v0.4 User's Manual, "Output format and scene representation".
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.posed.camera_set import CameraSet, PosedPhoto
from mvsam_engine.reconstruct.posed.formats.common import (
    OPENGL_FLIP,
    damaged,
    decode,
    make_camera,
    read_bytes,
    rotation,
    sentence_of,
    slashes,
)

NAME = "Bundler"

HEADER = b"# Bundle file"
# The photo's size is not in the file: the camera is given for a nominal square with its centre.
_NOMINAL = 2000
_MOST_CAMERAS = 1_000_000


class _Tokens:
    """The numbers of a file, one after the other."""

    def __init__(self, where: str, text: str) -> None:
        self._where, self._at = where, 0
        try:
            with warnings.catch_warnings():
                # Older numpy only warns where it meets something that is no number.
                warnings.simplefilter("error")
                self._values = np.fromstring(text.partition("\n")[2], dtype=np.float64, sep=" ")
        except (ValueError, DeprecationWarning) as error:
            raise damaged(where, "holds something that is no number") from error

    def take(self, count: int) -> np.ndarray:
        """The next `count` numbers."""
        if count < 0 or self._at + count > len(self._values):
            raise damaged(self._where, "is cut short")
        self._at += count
        return self._values[self._at - count : self._at]

    def whole(self, most: int) -> int:
        """The next number, which is whole and at most `most`."""
        value = float(self.take(1)[0])
        if not (0 <= value <= most) or value != int(value):
            raise damaged(self._where, f"has {value:g} where a count was expected")
        return int(value)


def read(path: Path) -> CameraSet:
    """Read a bundle file and the list of photos beside it.

    Raises:
        ReconstructionError: damaged, empty, or without its list.
    """
    where = path.name
    tokens = _Tokens(where, decode(path, read_bytes(path)))
    count, points = tokens.whole(_MOST_CAMERAS), tokens.whole(1 << 40)
    names = _names(path, count)
    photos: list[PosedPhoto] = []
    unplaced: list[str] = []
    index_of: dict[int, int] = {}
    for i in range(count):
        values = tokens.take(15)
        if values[0] == 0.0:
            unplaced.append(names[i])
            continue
        index_of[i] = len(photos)
        photos.append(_photo(where, names[i], values))
    if not photos:
        raise damaged(where, f"places none of its {count} photos")
    positions, seen_by, seen_point = _points(tokens, points, index_of)
    return CameraSet(
        format=NAME,
        photos=tuple(photos),
        points=positions,
        seen_by=seen_by,
        seen_point=seen_point,
        remarks=sentence_of(unplaced, "not placed by the file"),
    )


def _photo(where: str, name: str, values: np.ndarray) -> PosedPhoto:
    focal, k1, k2 = values[:3]
    pose = np.eye(4)
    pose[:3, :3] = OPENGL_FLIP @ rotation(where, values[3:12].reshape(3, 3), name)
    pose[:3, 3] = OPENGL_FLIP @ values[12:15]
    params = (focal, _NOMINAL / 2, _NOMINAL / 2, k1, k2)
    camera = make_camera(where, name, "RADIAL", (_NOMINAL, _NOMINAL), params, pose)
    return PosedPhoto(name, camera, "centre")


def _points(
    tokens: _Tokens, count: int, index_of: dict[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions [n, 3] and the observations of them by placed photos."""
    positions: list[np.ndarray] = []
    seen_by: list[int] = []
    seen_point: list[int] = []
    for _ in range(count):
        position = tokens.take(6)[:3]
        views = tokens.take(4 * tokens.whole(_MOST_CAMERAS)).reshape(-1, 4)[:, 0]
        if not np.isfinite(position).all():
            continue
        for view in views:
            photo = index_of.get(int(view)) if np.isfinite(view) else None
            if photo is not None:
                seen_by.append(photo)
                seen_point.append(len(positions))
        positions.append(position)
    return (
        np.array(positions, dtype=np.float64).reshape(-1, 3),
        np.array(seen_by, dtype=np.int64),
        np.array(seen_point, dtype=np.int64),
    )


def _names(path: Path, count: int) -> list[str]:
    """Names from the list of photos, one a line; a focal length may follow each."""
    candidates = [
        path.with_name(path.name + ".list.txt"),
        path.with_name(path.stem + ".list.txt"),
        path.with_name("list.txt"),
        path.parent.parent / "list.txt",
    ]
    found = next((c for c in candidates if c.is_file()), None)
    if found is None:
        raise ReconstructionError(
            "cameras.names",
            f"{path.name} holds no names of photos, and there is no list of them beside it.",
            f"Put Bundler's list.txt (one photo a line, in its order) beside {path.name}.",
        )
    lines = [line for line in decode(found, read_bytes(found)).splitlines() if line.strip()]
    if len(lines) != count:
        raise ReconstructionError(
            "cameras.names",
            f"{found.name} names {len(lines)} photos, {path.name} holds {count} cameras.",
            "Both must come from the same run.",
        )
    return [slashes(_without_focal(line)) for line in lines]


def _without_focal(line: str) -> str:
    """The name in a line such as ``images/a b.jpg 0 1234.5``."""
    parts = line.strip().rsplit(maxsplit=2)
    is_focal = len(parts) == 3 and parts[1] == "0" and parts[2].replace(".", "", 1).isdigit()
    return parts[0] if is_focal else line.strip()
