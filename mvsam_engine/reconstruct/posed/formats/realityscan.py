# SPDX-License-Identifier: GPL-3.0-or-later
"""RealityScan (RealityCapture): CSV of camera parameters, and XMP files beside the photos.

Convention: rotations are camera-from-world with OpenCV axes, positions are the camera's; focal
lengths are 35 mm equivalents, 36 mm to the LONGER side of the photo, and principal points are
offsets from the photo's centre in longer sides. t1, t2 are OpenCV's p2, p1. Yaw (heading), pitch,
roll turn a body with x to the nose, y to the right wing and z down in north, east, down (ZYX); the
camera looks down on it with the top of the photo to the nose.

Source: M. Hornacek, "On the Coordinate Systems Employed in the Import, Estimation, and Export of
Camera Geometry by RealityScan" (Epic Games 2026), whose division model is x / (1 + k r^2) of the
undistorted r; where its formula (48) for y repeats that of x, OpenCV's is meant (its footnote 6).
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from mvsam_engine.reconstruct.posed.camera_set import CameraSet, PosedPhoto
from mvsam_engine.reconstruct.posed.formats.common import (
    Matrix,
    damaged,
    from_world,
    make_camera,
    number,
    numbers,
    rotation,
    sentence_of,
    slashes,
    unknown_lens,
)

CSV_NAME, XMP_NAME = "RealityScan CSV", "RealityScan XMP"
XCR = "{http://www.capturingreality.com/ns/xcr/1.1#}"

# Columns by their names in the program's versions.
_COLUMNS = {
    "heading": "yaw", "f_35mm": "f", "px_norm": "px", "py_norm": "py",
    "f_pix": "f", "px_pix": "px", "py_pix": "py",
}  # fmt: skip
_BY_ANGLES = {"name", "x", "y", "alt", "yaw", "pitch", "roll", "f"}
_BY_MATRIX = {
    "name",
    "tx",
    "ty",
    "tz",
    "f",
    "px",
    "py",
    *(f"r{i}{j}" for i in "012" for j in "012"),
}
_LENSES = ("none", "perspective", "division", "brown3", "brown4", "brown3t2", "brown4t2")
# Long side of the nominal photo: the files do not say how large photos are.
_NOMINAL = 2000
_FILM = 36.0
# Camera looking down on a body (x nose, y right wing, z down), seen from east, north, up.
_BODY = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


def header_of(text: str) -> list[str] | None:
    """Column names of a CSV that holds whole cameras, None for any other text."""
    for line in text[:20_000].splitlines():
        if not line.strip() or line.startswith("#cameras"):
            continue
        # Some versions add an explanation in brackets after the last column.
        names = [n.strip().casefold() for n in line.lstrip("#").partition("(")[0].split(",")]
        names = [_COLUMNS.get(n, n) for n in names]
        return names if set(names) >= _BY_ANGLES or set(names) >= _BY_MATRIX else None
    return None


def read_csv(path: Path, text: str) -> CameraSet:
    """Read a CSV of "Internal/External camera parameters", usual or OpenCV-compliant.

    Raises:
        ReconstructionError: damaged or empty.
    """
    where = path.name
    names = header_of(text)
    if names is None:
        raise damaged(where, "has no header with the columns of cameras")
    photos: list[PosedPhoto] = []
    try:
        for line in csv.reader(io.StringIO(text)):
            if not line or not "".join(line).strip() or line[0].startswith("#"):
                continue
            if [cell.strip().casefold() for cell in line[:1]] == ["name"]:
                continue
            if len(line) < len(names):
                raise damaged(where, f"has {len(line)} columns instead of {len(names)} in a line")
            photos.append(_row(where, dict(zip(names, line, strict=False))))
    except csv.Error as error:
        raise damaged(where, f"is not CSV: {error}") from error
    if not photos:
        raise damaged(where, "holds no cameras")
    return CameraSet(format=CSV_NAME, photos=tuple(photos))


def _row(where: str, row: Mapping[str, str]) -> PosedPhoto:
    name = slashes(row["name"])
    if not name:
        raise damaged(where, "has a camera without a name")

    def value(key: str) -> float:
        return number(where, row[key], f"{key} of {name}") if key in row else 0.0

    tail = (*(value(f"k{i}") for i in (1, 2, 3, 4)), value("t2"), value("t1"))
    if "r00" not in row:
        turn = _of_angles(value("yaw"), value("pitch"), value("roll"))
        pose = from_world(turn, np.array([value("x"), value("y"), value("alt")]))
        params = _nominal(value("f"), value("px"), value("py"))
        camera = make_camera(
            where, name, "MVSAM_BROWN", (_NOMINAL, _NOMINAL), (*params, 0.0, *tail), pose
        )
        return PosedPhoto(name, camera, "long_side")
    matrix = np.array([[value(f"r{i}{j}") for j in range(3)] for i in range(3)])
    pose = np.eye(4)
    pose[:3, :3] = rotation(where, matrix, name)
    pose[:3, 3] = [value("tx"), value("ty"), value("tz")]
    f, px, py = value("f"), value("px"), value("py")
    size = (max(round(2 * px), 1), max(round(2 * py), 1))
    camera = make_camera(where, name, "MVSAM_BROWN", size, (f, f, px, py, 0.0, *tail), pose)
    return PosedPhoto(name, camera, "corner")


def _of_angles(yaw: float, pitch: float, roll: float) -> Matrix:
    """Camera-from-world rotation of angles in degrees, in a world of east, north, up."""
    psi, phi, theta = (math.radians(a) for a in (yaw, pitch, roll))
    about_z = np.array(
        [[math.cos(psi), -math.sin(psi), 0], [math.sin(psi), math.cos(psi), 0], [0, 0, 1]]
    )
    about_y = np.array(
        [[math.cos(phi), 0, math.sin(phi)], [0, 1, 0], [-math.sin(phi), 0, math.cos(phi)]]
    )
    about_x = np.array(
        [[1, 0, 0], [0, math.cos(theta), -math.sin(theta)], [0, math.sin(theta), math.cos(theta)]]
    )
    north_east_down = about_z @ about_y @ about_x
    # World (east, north, up) from north, east, down, and body from the photogrammetric camera
    # (y up, looks along -z), are the same exchange of axes.
    world_from_camera = _BODY @ north_east_down @ _BODY
    return np.diag([1.0, -1.0, -1.0]) @ world_from_camera.T


def _nominal(focal: float, px: float, py: float) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy of the nominal photo."""
    pixels = focal / _FILM * _NOMINAL
    return pixels, pixels, (0.5 + px) * _NOMINAL, (0.5 + py) * _NOMINAL


def is_xmp(root: Element) -> bool:
    """Whether an XML document holds a camera of RealityScan."""
    return _description(root) is not None


def _description(root: Element) -> Element | None:
    return next(
        (
            e
            for e in root.iter()
            if any(k.startswith(XCR) for k in e.attrib) or any(c.tag.startswith(XCR) for c in e)
        ),
        None,
    )


def read_xmp(files: list[tuple[Path, Element]]) -> CameraSet:
    """Read the XMP files of a folder; a photo has its file's name without the ending.

    Raises:
        ReconstructionError: damaged, or none holds a pose.
    """
    photos: list[PosedPhoto] = []
    unplaced: list[str] = []
    elements = [(path, e) for path, root in files if (e := _description(root)) is not None]
    # Each component that is not georeferenced has a coordinate system of its own.
    components = Counter(part for _, e in elements if (part := _component(e)))
    largest = components.most_common(1)[0][0] if components else ""
    apart: list[str] = []
    for path, element in elements:
        if _component(element) not in ("", largest):
            apart.append(path.stem)
            continue
        if _value(element, "Rotation") is None or _value(element, "Position") is None:
            unplaced.append(path.stem)
            continue
        photos.append(_xmp(path, element))
    if not photos:
        raise damaged(
            files[0][0].name if files else "The folder",
            f"holds no pose, and neither does another of {len(files)} XMP files",
            "Export them again with camera poses.",
        )
    return CameraSet(
        format=XMP_NAME,
        photos=tuple(photos),
        remarks=(
            *sentence_of(unplaced, "no pose in the XMP file"),
            *sentence_of(apart, "in smaller components, with coordinates of their own"),
        ),
    )


def _component(element: Element) -> str:
    """Name of the component whose own coordinates the pose is in, "" for world coordinates."""
    relative = (_value(element, "Coordinates") or "absolute").strip().casefold() != "absolute"
    return (_value(element, "ComponentId") or "").strip() if relative else ""


def _value(element: Element, name: str) -> str | None:
    """An xcr value, which may be an attribute or a child."""
    if XCR + name in element.attrib:
        return element.attrib[XCR + name]
    child = element.find(XCR + name)
    return None if child is None else (child.text or "")


def _xmp(path: Path, element: Element) -> PosedPhoto:
    where, name = path.name, path.stem

    def value(key: str, default: float) -> float:
        text = _value(element, key)
        return default if text is None else number(where, text, key)

    turn = numbers(where, _value(element, "Rotation"), 9, "Rotation").reshape(3, 3)
    center = numbers(where, _value(element, "Position"), 3, "Position")
    if _value(element, "FocalLength35mm") is None:
        raise damaged(where, "holds no focal length")
    fx, fy, cx, cy = _nominal(
        value("FocalLength35mm", 0.0), value("PrincipalPointU", 0.0), value("PrincipalPointV", 0.0)
    )
    kind = (_value(element, "DistortionModel") or "none").strip().casefold()
    text = _value(element, "DistortionCoeficients") or _value(element, "DistortionCoefficients")
    if kind not in _LENSES:
        raise unknown_lens(where, name, kind, _LENSES)
    if value("Skew", 0.0) != 0.0 or value("AspectRatio", 1.0) != 1.0:
        raise unknown_lens(where, name, f"{kind} with skew or pixels that are not square", _LENSES)
    plain = kind in ("none", "perspective") or text is None
    k = np.zeros(6) if plain else _coefficients(where, text)
    if kind == "division":
        model, params = "FULL_OPENCV", (fx, fy, cx, cy, *([0.0] * 5), k[0], 0.0, 0.0)
    else:
        k4, t1, t2 = k[3] * ("4" in kind), k[4] * ("t2" in kind), k[5] * ("t2" in kind)
        model, params = "MVSAM_BROWN", (fx, fy, cx, cy, 0.0, *k[:3], k4, t2, t1)
    pose = from_world(rotation(where, turn, name), center)
    camera = make_camera(where, name, model, (_NOMINAL, _NOMINAL), params, pose)
    return PosedPhoto(name, camera, "long_side")


def _coefficients(where: str, text: str | None) -> Matrix:
    """k1 k2 k3 k4 t1 t2; older files may hold only the first of them."""
    parts = (text or "").split()
    if not 1 <= len(parts) <= 6:
        raise damaged(where, f"has {len(parts)} distortion coefficients instead of 6")
    return numbers(where, " ".join(parts + ["0"] * (6 - len(parts))), 6, "the distortion")
