# SPDX-License-Identifier: GPL-3.0-or-later
"""``transforms.json`` of nerfstudio, instant-ngp, NeRF's synthetic scenes and Blender add-ons.

Convention: ``transform_matrix`` is camera-to-world with OpenGL axes (looks along -z, y up). Pixels
have their origin at the photo's corner. ``applied_transform`` says how the writer turned another
program's world; the world that is read is the file's own, after it.
Format: https://docs.nerf.studio/quickstart/data_conventions.html. Its OPENCV has the radial terms
k1..k4 of r^2..r^8 (no rational part); OPENCV_FISHEYE is OpenCV's fisheye.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.fields import Fields, JsonObject
from mvsam_engine.reconstruct.posed.camera_set import CameraSet, PosedPhoto, SizeMeaning
from mvsam_engine.reconstruct.posed.formats.common import (
    OPENGL_FLIP,
    damaged,
    fields,
    from_world,
    make_camera,
    rotation,
    slashes,
    unknown_lens,
)

NAME = "transforms.json"

_PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
_KNOWN = (*_PERSPECTIVE, "OPENCV_FISHEYE")
# Intrinsics may stand once for all frames, or in each frame.
_INTRINSICS = (
    "camera_model", "is_fisheye", "camera_angle_x", "camera_angle_y", "fl_x", "fl_y", "cx", "cy",
    "w", "h", "k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2",
)  # fmt: skip
# Width of the nominal photo where the file does not say how large the photos are.
_NOMINAL = 2000


def is_transforms(data: object) -> bool:
    """Whether `data` (parsed JSON) is a transforms.json."""
    return isinstance(data, dict) and isinstance(data.get("frames"), list)


def read(path: Path, data: JsonObject) -> CameraSet:
    """Read all frames.

    Raises:
        ReconstructionError: damaged, empty, or a lens that is not read.
    """
    where = path.name
    whole = {key: data[key] for key in _INTRINSICS if data.get(key) is not None}
    frames: list[Any] = data["frames"]
    if not frames:
        raise damaged(where, "has no frames")
    return CameraSet(
        format=NAME,
        photos=tuple(_photo(where, i, frame, whole) for i, frame in enumerate(frames)),
    )


def _photo(where: str, index: int, data: object, whole: JsonObject) -> PosedPhoto:
    frame = fields(data, f"{where}: frame {index}")
    name = slashes(frame.text("file_path"))
    own = data if isinstance(data, dict) else {}
    own = {key: own[key] for key in _INTRINSICS if own.get(key) is not None}
    lens = fields(whole | own, f"{where}: {name}")
    size, meaning = _size(lens, whole | own)
    model, params = _lens(where, name, lens, whole | own, size)
    matrix = _matrix(where, name, frame)
    turn = rotation(where, matrix[:, :3], name) @ OPENGL_FLIP
    pose = from_world(turn.T, matrix[:, 3])
    return PosedPhoto(name, make_camera(where, name, model, size, params, pose), meaning)


def _matrix(where: str, name: str, frame: Fields) -> np.ndarray:
    rows = frame.items("transform_matrix")
    if len(rows) not in (3, 4):
        raise damaged(where, f"has a transform of {name} with {len(rows)} rows instead of 4")
    return np.array(
        [fields({"transform_matrix": row}, f"{where}: {name}").numbers("transform_matrix", 4)
         for row in rows[:3]]
    )  # fmt: skip


def _size(lens: Fields, given: JsonObject) -> tuple[tuple[int, int], SizeMeaning]:
    """Width and height, and what they mean; some writers give none."""
    if "w" in given and "h" in given:
        return (round(lens.number("w")), round(lens.number("h"))), "pixels"
    if "fl_x" not in given:
        return (_NOMINAL, _NOMINAL), "width"
    if "cx" in given and "cy" in given:
        return (
            max(round(2 * lens.number("cx")), 1),
            max(round(2 * lens.number("cy")), 1),
        ), "corner"
    return (_NOMINAL, _NOMINAL), "centre"


def _lens(
    where: str, name: str, lens: Fields, given: JsonObject, size: tuple[int, int]
) -> tuple[str, tuple[float, ...]]:
    kind = lens.text("camera_model", "OPENCV")
    fisheye = kind == "OPENCV_FISHEYE" or lens.flag("is_fisheye", False)
    if kind not in _KNOWN or any(lens.number(k, 0.0) for k in ("k5", "k6")):
        raise unknown_lens(where, name, kind if kind not in _KNOWN else "with k5, k6", _KNOWN)
    fx, fy = _focal(where, name, lens, given, size)
    centre = (lens.number("cx", size[0] / 2.0), lens.number("cy", size[1] / 2.0))
    k = tuple(lens.number(n, 0.0) for n in ("k1", "k2", "k3", "k4"))
    if fisheye:
        return "OPENCV_FISHEYE", (fx, fy, *centre, *k)
    p1, p2 = lens.number("p1", 0.0), lens.number("p2", 0.0)
    return "MVSAM_BROWN", (fx, fy, *centre, 0.0, *k, p1, p2)


def _focal(
    where: str, name: str, lens: Fields, given: JsonObject, size: tuple[int, int]
) -> tuple[float, float]:
    """Focal lengths fx and fy in pixels, from focal lengths or from angles of view."""

    def of(angle: str, side: int) -> float:
        radians = lens.number(angle)
        if not 0.0 < radians < math.pi:
            raise damaged(where, f"gives {name} the angle of view {radians:g}")
        return 0.5 * side / math.tan(0.5 * radians)

    if "fl_x" in given:
        fx = lens.number("fl_x")
    elif "camera_angle_x" in given:
        fx = of("camera_angle_x", size[0])
    else:
        raise ReconstructionError(
            "cameras.focal",
            f"{where} gives {name} neither fl_x nor camera_angle_x.",
            "Without a focal length a camera cannot be used.",
        )
    if "fl_y" in given:
        return fx, lens.number("fl_y")
    # An angle of view in y belongs to a height that is known; pixels are square otherwise.
    known = "w" in given and "h" in given
    return fx, of("camera_angle_y", size[1]) if known and "camera_angle_y" in given else fx
