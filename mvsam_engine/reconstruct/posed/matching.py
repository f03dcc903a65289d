# SPDX-License-Identifier: GPL-3.0-or-later
"""Which camera of a file belongs to which photo of the capture.

The file names without their endings must be the same (without case). Among several such cameras
the one wins that shares most folders with the photo, counted from the file up, then the one with
the same ending, then the one in the same case. Several that fit equally well are no match.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import Photo
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.posed.camera_set import (
    CameraSet,
    MatchedCameras,
    PhotoWithoutCamera,
)
from mvsam_engine.reconstruct.posed.fitting import fit

# Below this share of the photos with a camera, the person is told in one sentence.
FEW = 0.5
# Endings that a name may have; other dots belong to the name ("scan.0001").
_ENDINGS = {
    ".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".webp", ".bmp", ".mpo", ".heic", ".heif",
    ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".rw2", ".orf", ".exr",
}  # fmt: skip

# How well a name fits: folders in common, same ending, same case.
_Score = tuple[int, bool, bool]


def match_cameras(photos: tuple[Photo, ...], cameras: CameraSet) -> MatchedCameras:
    """Give each photo its camera, by name, in pixels of the upright photo.

    Args:
        photos: of the capture.
        cameras: as read from the file.

    Returns:
        The cameras, and with reasons what has no partner.

    Raises:
        ReconstructionError: no photo has a camera.
    """
    claims, reasons = _claims(photos, cameras)
    found: dict[str, tuple[int, Camera]] = {}
    for photo in photos:
        if photo.view in reasons:
            continue
        index = claims[photo.view]
        camera = fit(cameras.photos[index], photo)
        if camera is None:
            reasons[photo.view] = _shape_reason(photo, cameras, index)
        else:
            found[photo.view] = (index, camera)
    if not found:
        raise ReconstructionError(
            "cameras.no_match",
            f"None of {_summary(photos, cameras)} "
            + next(iter(reasons.values()), "There are no photos."),
            "Take the cameras that were computed from these photos, under the same names.",
        )
    used = {index for index, _ in found.values()}
    few = len(found) < FEW * len(photos)
    return MatchedCameras(
        cameras=tuple(camera for _, camera in found.values()),
        indices=tuple(index for index, _ in found.values()),
        photos_without=tuple(
            PhotoWithoutCamera(p.view, reasons[p.view]) for p in photos if p.view in reasons
        ),
        cameras_without=tuple(c.name for i, c in enumerate(cameras.photos) if i not in used),
        remarks=(f"Only {len(found)} of {_summary(photos, cameras)}",) if few else (),
    )


def _summary(photos: tuple[Photo, ...], cameras: CameraSet) -> str:
    """``12 photos (e.g. a.jpg) has one of the 40 cameras (e.g. b.jpg) of the X file.``."""
    photo = f" (e.g. {photos[0].original_name})" if photos else ""
    return (
        f"{len(photos)} photos{photo} could be given one of the {len(cameras.photos)} cameras "
        f"(e.g. {cameras.photos[0].name}) of the {cameras.format} file."
    )


def _shape_reason(photo: Photo, cameras: CameraSet, index: int) -> str:
    posed = cameras.photos[index]
    width, height = posed.camera.width, posed.camera.height
    return (
        f"Its camera {posed.name} is for a photo of {width} x {height} pixels, but "
        f"{photo.original_name} has {photo.width} x {photo.height}: it was cropped, or is another "
        "photo of the same name."
    )


def _claims(photos: tuple[Photo, ...], cameras: CameraSet) -> tuple[dict[str, int], dict[str, str]]:
    """Camera index of each view, and the reasons of the views that get none."""
    by_stem: defaultdict[str, list[int]] = defaultdict(list)
    for i, posed in enumerate(cameras.photos):
        by_stem[_stem(posed.name)].append(i)
    reasons: dict[str, str] = {}
    claims: dict[str, tuple[int, _Score]] = {}
    for photo in photos:
        candidates = by_stem.get(_stem(photo.original_name), [])
        scores = {i: _score(photo.original_name, cameras.photos[i].name) for i in candidates}
        if not scores:
            reasons[photo.view] = f"The {cameras.format} file has no camera for it."
            continue
        best = max(scores.values())
        winners = [i for i, score in scores.items() if score == best]
        if len(winners) > 1:
            names = " and ".join(cameras.photos[i].name for i in winners[:2])
            reasons[photo.view] = (
                f"{len(winners)} cameras fit its name {photo.original_name} equally well, "
                f"e.g. {names}."
            )
            continue
        claims[photo.view] = (winners[0], best)
    return _settled(claims, photos, cameras, reasons)


def _settled(
    claims: dict[str, tuple[int, _Score]],
    photos: Iterable[Photo],
    cameras: CameraSet,
    reasons: dict[str, str],
) -> tuple[dict[str, int], dict[str, str]]:
    """One photo for each camera: the one whose name fits best, none when two fit as well."""
    names = {photo.view: photo.original_name for photo in photos}
    wanted: defaultdict[int, list[str]] = defaultdict(list)
    for view, (index, _) in claims.items():
        wanted[index].append(view)
    settled: dict[str, int] = {}
    for index, views in wanted.items():
        best = max(claims[view][1] for view in views)
        winners = [view for view in views if claims[view][1] == best]
        for view in views:
            if winners == [view]:
                settled[view] = index
                continue
            other = next(v for v in winners if v != view)
            reasons[view] = (
                f"The camera {cameras.photos[index].name} fits {names[other]} "
                f"{'as well' if view in winners else 'better'}."
            )
    return settled, reasons


def _stem(name: str) -> str:
    """File name without folders and without a photo's ending, without case."""
    path = PurePosixPath(_plain(name))
    return path.name.removesuffix(path.suffix) if path.suffix in _ENDINGS else path.name


def _plain(name: str) -> str:
    """Without case, and with accents written in one way: file systems differ in both."""
    return unicodedata.normalize("NFC", name).casefold()


def _score(photo: str, camera: str) -> _Score:
    """How well two names with the same stem fit; greater is better."""
    ours, theirs = PurePosixPath(photo), PurePosixPath(camera)
    common = 0
    for a, b in zip(reversed(ours.parts[:-1]), reversed(theirs.parts[:-1]), strict=False):
        if _plain(a) != _plain(b):
            break
        common += 1
    same_ending = _plain(ours.name) == _plain(theirs.name)
    return common, same_ending, ours.name == theirs.name
