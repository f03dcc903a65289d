# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats of cameras that other programs write: one file each, recognised by content."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.posed.camera_set import CameraSet
from mvsam_engine.reconstruct.posed.formats import (
    bundler,
    colmap,
    metashape,
    opensfm,
    realityscan,
    transforms,
)
from mvsam_engine.reconstruct.posed.formats.common import (
    EXPORT_AGAIN,
    FIELD,
    decode,
    read_bytes,
    read_json,
)
from mvsam_engine.reconstruct.posed.formats.xml import read_xml

FORMATS = (
    "COLMAP (folder, text or binary), Metashape XML, RealityScan CSV or XMP, transforms.json, "
    "Bundler (bundle.out), OpenSfM (reconstruction.json)"
)
# Files that a folder is searched for when it is no COLMAP model.
_SUFFIXES = (".json", ".xml", ".csv", ".out", ".xmp", ".nvm")
# What other files are, and how to get from there to one that is read.
_ELSEWHERE = {
    ".psx": "It is a Metashape project: File > Export > Export Cameras writes the cameras.",
    ".psz": "It is a Metashape project: File > Export > Export Cameras writes the cameras.",
    ".rcproj": "It is a RealityScan project: export the registration as CSV or XMP.",
    ".rsproj": "It is a RealityScan project: export the registration as CSV or XMP.",
    ".db": "It is COLMAP's database of features: name the folder of the model (sparse/0).",
    ".ply": "It holds points; cameras are in another file.",
}


def read(path: Path) -> CameraSet:
    """Read the cameras in `path`; see `posed.cameras.read_cameras`."""
    try:
        # Absurd numbers overflow here and are refused as cameras later.
        with np.errstate(all="ignore"):
            return _checked(_read(path))
    except OSError as error:
        raise ReconstructionError(
            "cameras.unreadable", f"{path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    except ReconstructionError as error:
        if error.code != FIELD:
            raise
        raise ReconstructionError("cameras.damaged", error.message, EXPORT_AGAIN) from error


def _read(path: Path) -> CameraSet:
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return _read_file(path)
    raise ReconstructionError("cameras.missing", f"{path} does not exist.", "Check the path.")


def _read_folder(folder: Path) -> CameraSet:
    model = colmap.model_folder(folder)
    if model is not None:
        return colmap.read(model)
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
    sidecars = [p for p in files if p.suffix.lower() == ".xmp"]
    others = [p for p in files if p not in sidecars and _is_known(p)]
    if len(others) > 1:
        names = ", ".join(p.name for p in others[:5])
        raise ReconstructionError(
            "cameras.several",
            f"{folder} holds several files of cameras: {names}.",
            "Name the one that is meant.",
        )
    if others:
        return _read_file(others[0])
    if sidecars:
        return _read_xmp_folder(sidecars)
    raise ReconstructionError(
        "cameras.unknown",
        f"There are no cameras in {folder} that can be read.",
        f"Read are: {FORMATS}.",
    )


def _read_xmp_folder(files: list[Path]) -> CameraSet:
    """XMP files beside photos; those of other programs are passed over."""
    parsed = [(path, read_xml(path)) for path in files]
    ours = [(path, root) for path, root in parsed if realityscan.is_xmp(root)]
    if not ours:
        raise ReconstructionError(
            "cameras.unknown",
            f"None of {len(files)} XMP files, e.g. {files[0].name}, holds a camera of RealityScan.",
            "Export them with ALIGNMENT > Export > XMP.",
        )
    return realityscan.read_xmp(ours)


def _is_known(path: Path) -> bool:
    """Whether a file in a folder holds cameras; the first words of it tell."""
    with path.open("rb") as file:
        head = file.read(4096)
    text = head.decode("utf-8", "ignore")
    if head.startswith(bundler.HEADER):
        return True
    if path.suffix.lower() == ".csv":
        return realityscan.header_of(text) is not None
    if path.suffix.lower() == ".xml":
        return "<document" in text and "<chunk" in text
    try:
        data = read_json(path) if path.suffix.lower() == ".json" else None
    except ReconstructionError:
        return False
    return transforms.is_transforms(data) or opensfm.is_opensfm(data)


def _read_file(path: Path) -> CameraSet:
    name = path.name.casefold()
    if path.suffix.lower() in (".bin", ".txt") and colmap.model_folder(path.parent) == path.parent:
        return colmap.read(path.parent)
    with path.open("rb") as file:
        head = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(bundler.HEADER):
        return bundler.read(path)
    if head[:1] == b"<" or head[:4] in (b"<\x00?\x00", b"\xff\xfe<\x00", b"\xfe\xff\x00<"):
        return _read_xml(path)
    if head[:1] in (b"{", b"["):
        return _read_json(path)
    if head.startswith(b"NVM_"):
        raise _unknown(path, "In VisualSFM, save as Bundler (bundle.out) instead.")
    remedy = _ELSEWHERE.get(path.suffix.lower())
    if remedy is None and b"\x00" not in head and not name.endswith((".jpg", ".png")):
        text = decode(path, read_bytes(path))
        if realityscan.header_of(text) is not None:
            return realityscan.read_csv(path, text)
    raise _unknown(path, remedy)


def _read_xml(path: Path) -> CameraSet:
    root = read_xml(path)
    if metashape.is_metashape(root):
        return metashape.read(path, root)
    if realityscan.is_xmp(root):
        return realityscan.read_xmp([(path, root)])
    raise _unknown(path, None, f"It is XML with the root element {root.tag[-60:]!r}.")


def _read_json(path: Path) -> CameraSet:
    data = read_json(path)
    if transforms.is_transforms(data):
        return transforms.read(path, data)
    if opensfm.is_opensfm(data):
        return opensfm.read(path, data)
    raise _unknown(path, None, "It is JSON without frames (transforms.json) or shots (OpenSfM).")


def _unknown(path: Path, remedy: str | None, hint: str = "") -> ReconstructionError:
    message = f"{path.name} is not a file of cameras that can be read. {hint}".strip()
    return ReconstructionError("cameras.unknown", message, remedy or f"Read are: {FORMATS}.")


def _checked(cameras: CameraSet) -> CameraSet:
    """Refuse an empty set; leave out points that are nowhere, with their observations."""
    if not cameras.photos:
        raise ReconstructionError(
            "cameras.empty",
            f"The {cameras.format} file places no photo.",
            "Align the photos first, then export the cameras.",
        )
    good = np.array(np.isfinite(cameras.points).all(axis=1))
    if good.all():
        return cameras
    index, kept = np.cumsum(good) - 1, good[cameras.seen_point]
    return dataclasses.replace(
        cameras,
        points=cameras.points[good],
        seen_by=cameras.seen_by[kept],
        seen_point=index[cameras.seen_point[kept]],
    )


__all__ = ["FORMATS", "read"]
