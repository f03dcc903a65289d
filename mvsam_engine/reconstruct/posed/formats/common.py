# SPDX-License-Identifier: GPL-3.0-or-later
"""What all readers of camera formats share: bounded reading, refusing in words, making cameras."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.errors import CaptureError, ReconstructionError
from mvsam_engine.fields import Fields

Matrix = NDArray[np.float64]

# Files above this are refused unread: a thousand photos with their points need a tenth of it.
MAX_BYTES = 512 << 20
# No camera takes longer photos than this.
MAX_SIDE = 1_000_000
# Rotations are written with few digits; what is further from a rotation than this is none.
ROTATION_TOLERANCE = 1e-2
# OpenGL and Blender cameras look along -z with y up.
OPENGL_FLIP = np.diag([1.0, -1.0, -1.0])

# Code of refused JSON fields until the reader of the format gives them its remedy.
FIELD = "cameras.field"
EXPORT_AGAIN = "Export the cameras again, and see docs/cameras.md for what is read."


def damaged(where: str, what: str, remedy: str = EXPORT_AGAIN) -> ReconstructionError:
    """The error for a file of a known format that cannot be used, e.g. ``a.xml has no cameras``."""
    return ReconstructionError("cameras.damaged", f"{where} {what}.", remedy)


def unknown_lens(where: str, name: str, lens: object, known: Sequence[str]) -> ReconstructionError:
    """The error for a lens model that has no exact equivalent here."""
    return ReconstructionError(
        "cameras.lens",
        f"{where} gives {name} the lens model {lens!r}, which is not read.",
        f"Read are: {', '.join(known)}. Export undistorted photos with their cameras instead.",
    )


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The whole file, refused above `limit` bytes.

    Raises:
        ReconstructionError: cannot be opened, or too large.
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise ReconstructionError(
                "cameras.huge",
                f"{path.name} has {size >> 20} MiB; files of cameras are read up to "
                f"{limit >> 20} MiB.",
                "Export the cameras without dense points.",
            )
        return path.read_bytes()
    except OSError as error:
        raise ReconstructionError(
            "cameras.unreadable", f"{path} cannot be opened: {error.strerror}.", "Check the path."
        ) from error


def decode(path: Path, data: bytes) -> str:
    """Text of a file in UTF-8 or UTF-16 (with its mark), as the programs write it."""
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise damaged(path.name, f"is not text: byte {error.start} is no UTF-8") from error


def read_json(path: Path) -> Any:
    """Parsed JSON without infinities, and with whole numbers that fit a float.

    Raises:
        ReconstructionError: not JSON.
    """

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is no number")

    def whole(digits: str) -> int | float:
        return int(digits) if len(digits) < 18 else float(digits)

    text = decode(path, read_bytes(path))
    try:
        return json.loads(text, parse_constant=refuse, parse_int=whole)
    except (ValueError, RecursionError) as error:
        raise damaged(path.name, f"is not JSON: {error}") from error


def fields(data: object, where: str) -> Fields:
    """Typed access to a JSON object; refusals carry the name of the file."""
    return Fields(data, where, ReconstructionError, FIELD)


def number(where: str, text: str | None, what: str) -> float:
    """A finite number from text.

    Raises:
        ReconstructionError: it is none.
    """
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        shown = "nothing" if text is None else repr(text.strip()[:40])
        raise damaged(where, f"has {shown} for {what}, which is not a number")
    return value


def numbers(where: str, text: str | None, count: int, what: str) -> Matrix:
    """`count` finite numbers separated by white space."""
    parts = (text or "").split()
    if len(parts) != count:
        raise damaged(where, f"has {len(parts)} numbers for {what}, {count} were expected")
    return np.array([number(where, part, what) for part in parts])


def rotation(where: str, matrix: Matrix, name: str) -> Matrix:
    """The rotation [3, 3] nearest to `matrix`.

    Raises:
        ReconstructionError: it is far from a rotation; a mirrored one is told apart.
    """
    far = not np.isfinite(matrix).all() or np.abs(matrix).max(initial=0.0) > 1e6
    if far or not np.allclose(matrix @ matrix.T, np.eye(3), atol=ROTATION_TOLERANCE):
        raise damaged(where, f"gives {name} a rotation matrix that is not a rotation")
    left, _, right = np.linalg.svd(matrix)
    nearest = left @ right
    if np.linalg.det(nearest) < 0:
        raise damaged(
            where,
            f"gives {name} a mirrored rotation",
            "Its coordinate system has the other handedness: export in a right-handed one.",
        )
    return nearest


def from_world(rotation_from_world: Matrix, center: Matrix) -> Matrix:
    """Camera-from-world 4x4 of a rotation [3, 3] and the camera's position [3]."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_world
    matrix[:3, 3] = -rotation_from_world @ center
    return matrix


def make_camera(
    where: str,
    name: str,
    model: str,
    size: tuple[int, int],
    params: Sequence[float],
    camera_from_world: Matrix,
) -> Camera:
    """A camera with an empty view name; what is none is refused with the file's and photo's name.

    Args:
        where: file, for messages.
        name: photo, for messages.
        model: key of `CAMERA_MODELS`.
        size: width and height in pixels.
        params: of the model.
        camera_from_world: [4, 4] rigid.
    """
    width, height = size
    if max(width, height) > MAX_SIDE:
        raise damaged(where, f"says that {name} has {width:.4g} x {height:.4g} pixels")
    model, values = simplest(model, tuple(float(p) for p in params))
    try:
        Camera(name, model, width, height, values, camera_from_world)
        return Camera("", model, width, height, values, camera_from_world)
    except CaptureError as error:
        raise ReconstructionError(
            "cameras.damaged", f"{where}: {error.message}", EXPORT_AGAIN
        ) from error


def simplest(model: str, params: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """The same lens as one of COLMAP's models where it is one; other programs know those."""
    if not model.startswith("MVSAM") or params[4] != 0.0:
        return model, params
    k1, k2, k3, k4, p1, p2 = params[5:]
    if model == "MVSAM_BROWN_FISHEYE":
        return "THIN_PRISM_FISHEYE", (*params[:4], k1, k2, p1, p2, k3, k4, 0.0, 0.0)
    if not any(params[5:]):
        return "PINHOLE", params[:4]
    if k3 == k4 == 0.0:
        return "OPENCV", (*params[:4], k1, k2, p1, p2)
    if k4 == 0.0:
        return "FULL_OPENCV", (*params[:4], k1, k2, p1, p2, k3, 0.0, 0.0, 0.0)
    return model, params


def slashes(name: str) -> str:
    """A file name with forward slashes and without a leading ``./``."""
    name = name.strip().replace("\\", "/")
    while name.startswith("./"):
        name = name[2:]
    return name


def sentence_of(names: Sequence[str], what: str) -> tuple[str, ...]:
    """A remark such as ``3 photos are not aligned, e.g. IMG_1.``; none when there are none."""
    if not names:
        return ()
    one = len(names) == 1
    example = names[0] if one else f"e.g. {names[0]}"
    return (f"{len(names)} {'photo' if one else 'photos'} left out: {what} ({example}).",)
