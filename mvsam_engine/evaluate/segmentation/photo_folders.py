# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the photos of a scene lie: in its own folder, or in ``images`` or ``photos`` there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mvsam_engine.capture.sources import is_video, media_in
from mvsam_engine.errors import UsageError

# The photos at full size come first: masks are called by the names that those have.
INSIDE = ("photos", "images", "rgb", "images_2", "images_4", "images_8")
_DEEPEST = 3
_UNDISTORTED = "_undistort"


def photos_in(folder: Path) -> tuple[Path, ...]:
    """Photos of a scene's folder in the order of names; empty when it has none.

    A folder inside it that is called as `INSIDE` goes before photos of its own.
    """
    for place in [*(folder / name for name in INSIDE), folder]:
        if place.is_dir() and (photos := [p for p in media_in(place) if not is_video(p)]):
            return tuple(sorted(photos, key=lambda p: p.name))
    return ()


def photos_of_scene(
    scene: str,
    around: Iterable[Path],
    needed: Sequence[str] = (),
    not_in: Path | None = None,
) -> tuple[Path, ...]:
    """Photos of the folder that is called like the scene, at most three levels down.

    Args:
        scene: name, in any case of letters; ``<scene>_undistort`` counts too.
        around: folders to search, the first that has it is taken.
        needed: names, without ending, that must be among the photos.
        not_in: a folder that is not looked into.

    Raises:
        UsageError: none has all needed photos, or several folders of one place do.
    """
    for root in dict.fromkeys(around):
        found = [
            photos
            for folder in _named(root, scene)
            if folder != not_in and (photos := photos_in(folder)) and _holds(photos, needed)
        ]
        if len(found) > 1:
            places = " and ".join(str(photos[0].parent) for photos in found[:2])
            raise UsageError(
                "evaluate.photos",
                f"Photos of {scene} are in {places}; which are meant is not clear.",
                "Name a folder that holds one of them with --photos.",
            )
        if found:
            return found[0]
    raise UsageError(
        "evaluate.photos",
        f"The photos of {scene} were not found"
        + (f" (with {' and '.join(needed)} among them)." if needed else "."),
        f"Name the folder that holds a folder {scene!r} with photos, with --photos.",
    )


def _holds(photos: Sequence[Path], needed: Sequence[str]) -> bool:
    return {name.casefold() for name in needed} <= {p.stem.casefold() for p in photos}


def _named(root: Path, scene: str, depth: int = 0) -> list[Path]:
    """Folders called like the scene, `root` itself included; not those inside such a folder."""
    if not root.is_dir():
        return []
    if root.name.casefold() in (scene.casefold(), scene.casefold() + _UNDISTORTED):
        return [root]
    if depth == _DEEPEST:
        return []
    below = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [found for folder in below for found in _named(folder, scene, depth + 1)]
