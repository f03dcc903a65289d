# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a person named to the photos and videos that are meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.capture.sources import is_video, media_in
from mvsam_engine.errors import PhotoError


@dataclass(frozen=True, slots=True)
class Source:
    """A photo or video to bring in.

    Attributes:
        path: the file.
        name: its path below the folder that was named, with forward slashes; else its file name.
    """

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether its name is that of a video."""
        return is_video(self.path)


def find_photos(sources: Iterable[Path], recursive: bool = False) -> list[Source]:
    """Photos and videos among `sources`: files as named, folders searched.

    Args:
        sources: files and folders.
        recursive: whether folders are searched below too (`media_in` says which are passed over).

    Raises:
        PhotoError: a source does not exist, or a folder holds no photo.
    """
    found: list[Source] = []
    for source in sources:
        if source.is_dir():
            inside = media_in(source, recursive)
            if not inside:
                raise _no_photos(source, recursive)
            found += [Source(p, _text(p.relative_to(source).as_posix())) for p in inside]
        elif source.is_file():
            found.append(Source(source, _text(source.name)))
        else:
            raise PhotoError("photo.missing", f"{source} does not exist.", "Check the path.")
    return found


def _no_photos(folder: Path, recursive: bool) -> PhotoError:
    below = [] if recursive else media_in(folder, recursive=True)
    if below:
        parts = {p.relative_to(folder).parts[0] for p in below}
        text = f"There are no photos in {folder} itself, but {len(below)} in folders below it."
        return PhotoError(
            "photo.below",
            text,
            f"Use `--recursive`, or name the folders ({sorted(parts)[0]}, ...).",
        )
    return PhotoError(
        "photo.none",
        f"There are no photos in {folder}.",
        "Photos are files ending in .jpg, .png, .tif, .heic or .webp; videos in .mp4 or .mov.",
    )


def _text(name: str) -> str:
    """A name that UTF-8 can hold, whatever bytes the file system has."""
    return name.encode("utf-8", "replace").decode("utf-8")
