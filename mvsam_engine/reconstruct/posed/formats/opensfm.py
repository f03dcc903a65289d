# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenSfM and OpenDroneMap: ``reconstruction.json``.

Convention: OpenCV axes; a shot's rotation is the angle-axis vector of camera-from-world. Lens
parameters are in units of the longer side of the photo, from the photo's centre.
Format and formulas: https://opensfm.org/docs/dataset.html, https://opensfm.org/docs/geometry.html.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.fields import Fields
from mvsam_engine.reconstruct.posed.camera_set import CameraSet, PosedPhoto
from mvsam_engine.reconstruct.posed.formats.common import (
    Matrix,
    damaged,
    fields,
    make_camera,
    sentence_of,
    slashes,
    unknown_lens,
)

NAME = "OpenSfM"

# Names of the lens parameters after the focal lengths and the principal point, by their own names.
_LENSES = {
    "perspective": ("OPENCV", ("k1", "k2")),
    "simple_radial": ("OPENCV", ("k1",)),
    "radial": ("OPENCV", ("k1", "k2")),
    "brown": ("MVSAM_BROWN", ("k1", "k2", "k3", "p1", "p2")),
    "fisheye": ("OPENCV_FISHEYE", ("k1", "k2")),
    "fisheye_opencv": ("OPENCV_FISHEYE", ("k1", "k2", "k3", "k4")),
}


def is_opensfm(data: object) -> bool:
    """Whether `data` (parsed JSON) is a list of OpenSfM reconstructions."""
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(item, dict) and {"cameras", "shots"} <= set(item) for item in data)
    )


def read(path: Path, data: list) -> CameraSet:
    """Read the reconstruction with the most shots.

    Raises:
        ReconstructionError: damaged, empty, or a lens that is not read.
    """
    where = path.name
    parts = [fields(item, where) for item in data]
    parts.sort(key=lambda part: -len(part.mapping("shots")))
    best = parts[0]
    cameras, shots = best.mapping("cameras"), best.mapping("shots")
    if not shots:
        raise damaged(where, "places no photo")
    photos = tuple(_photo(where, name, shot, cameras) for name, shot in shots.items())
    left_out = [name for part in parts[1:] for name in part.mapping("shots")]
    placed = _is_georeferenced(best)
    seen_by, seen_point = _tracks(path, list(shots), list(best.mapping("points", {})))
    return CameraSet(
        format=NAME,
        photos=photos,
        points=_points(where, best),
        seen_by=seen_by,
        seen_point=seen_point,
        metric=placed,
        upright=placed,
        remarks=sentence_of(left_out, "in parts that are not joined to the largest"),
    )


def _photo(where: str, name: str, shot: object, cameras: dict) -> PosedPhoto:
    entry = fields(shot, f"{where}: {name}")
    key = entry.text("camera")
    if key not in cameras:
        raise damaged(where, f"names the camera {key!r} for {name}, which it does not hold")
    lens = fields(cameras[key], f"{where}: camera {key}")
    width, height = lens.integer("width"), lens.integer("height")
    model, params = _lens(where, name, lens, width, height)
    pose = np.eye(4)
    pose[:3, :3] = _rotation(np.array(entry.numbers("rotation", 3)))
    pose[:3, 3] = entry.numbers("translation", 3)
    return PosedPhoto(slashes(name), make_camera(where, name, model, (width, height), params, pose))


def _lens(
    where: str, name: str, lens: Fields, width: int, height: int
) -> tuple[str, tuple[float, ...]]:
    kind = lens.text("projection_type", "perspective")
    if kind not in _LENSES:
        raise unknown_lens(where, name, kind, tuple(_LENSES))
    model, names = _LENSES[kind]
    longest = max(width, height)
    if kind in ("perspective", "fisheye"):
        fx = fy = lens.number("focal") * longest
        centre = (width / 2.0, height / 2.0)
    else:
        fx, fy = lens.number("focal_x") * longest, lens.number("focal_y") * longest
        centre = (
            lens.number("c_x", 0.0) * longest + width / 2.0,
            lens.number("c_y", 0.0) * longest + height / 2.0,
        )
    k = {n: lens.number(n, 0.0) for n in names}
    k1, k2, k3, k4 = (k.get(n, 0.0) for n in ("k1", "k2", "k3", "k4"))
    if model == "OPENCV_FISHEYE":
        return model, (fx, fy, *centre, k1, k2, k3, k4)
    if model == "OPENCV":
        return model, (fx, fy, *centre, k1, k2, 0.0, 0.0)
    return model, (fx, fy, *centre, 0.0, k1, k2, k3, 0.0, k["p1"], k["p2"])


def _rotation(vector: Matrix) -> Matrix:
    """Rotation [3, 3] about `vector` by its length in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle if angle > 0 else vector
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


def _points(where: str, part: Fields) -> Matrix:
    points = part.mapping("points", {})
    found = [
        fields(point, f"{where}: point {key}").numbers("coordinates", 3)
        for key, point in points.items()
    ]
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _tracks(
    path: Path, shots: list[str], points: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which photo sees which point, from ``tracks.csv`` beside the file; empty without it.

    A line holds photo, track and more, with tabs between; a point has the name of its track.
    """
    photo_of = {name: i for i, name in enumerate(shots)}
    point_of = {name: i for i, name in enumerate(points)}
    found: list[tuple[int, int]] = []
    tracks = path.with_name("tracks.csv")
    if tracks.is_file():
        with tracks.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                photo, _, rest = line.partition("\t")
                point = point_of.get(rest.partition("\t")[0])
                if point is not None and photo in photo_of:
                    found.append((photo_of[photo], point))
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _is_georeferenced(part: Fields) -> bool:
    """Whether the world is east, north, up in metres around a real place."""
    place = part.mapping("reference_lla", {})
    return any(isinstance(v, int | float) and v != 0 for v in place.values())
