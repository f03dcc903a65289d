# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether COLMAP's binary files are whole, before its reader sees them.

pycolmap does not look whether a file ends early: it goes on with what happens to be in memory, or
ends the process. Here the counts and lengths in a file are followed to its end, which must be the
end of the file. Layout: https://colmap.github.io/format.html#binary-file-format.
"""

from __future__ import annotations

import struct
from pathlib import Path

from mvsam_engine.reconstruct.posed.formats.common import damaged

# Number of parameters of each model, by COLMAP's numbers for them.
PARAMETERS = (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12, 16, 4, 5, 3, 4, 6, 2)

_CAMERA = struct.Struct("<IiQQ")  # id, model, width, height; then the parameters
_POSE = 4 + 7 * 8 + 4  # id, quaternion, translation, camera; then the name
_POINT2D = 2 * 8 + 8  # x, y, point
_POINT3D = 8 + 3 * 8 + 3 + 8  # id, position, colour, error; then the track
_TRACK = 2 * 4  # image, index
_COUNT = struct.Struct("<Q")
_RIG = struct.Struct("<II")  # id, number of sensors
_SENSOR = 4 + 4  # kind, id; the reference sensor has no more
_SENSOR_POSE = 7 * 8  # quaternion, translation; after a byte that says whether they follow
_FRAME = 4 + 4 + 7 * 8  # id, rig, quaternion, translation
_FRAME_COUNT = struct.Struct("<I")
_DATA = 4 + 4 + 8  # kind, sensor, image


def check_binary(folder: Path) -> None:
    """Refuse binary models that are cut short or have wrong counts.

    Raises:
        ReconstructionError: which file, in a sentence.
    """
    for name, walk in (
        ("rigs.bin", _walk_rigs),
        ("cameras.bin", _walk_cameras),
        ("frames.bin", _walk_frames),
        ("images.bin", _walk_images),
        ("points3D.bin", _walk_points),
    ):
        path = folder / name
        if not path.is_file():
            continue
        data = path.read_bytes()
        try:
            end = walk(data)
        except (struct.error, ValueError, IndexError, OverflowError):
            end = -1
        if end != len(data):
            raise damaged(path.name, "is damaged or cut short")


def _walk_rigs(data: bytes) -> int:
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    for _ in range(count):
        _, sensors = _RIG.unpack_from(data, at)
        at += _RIG.size + min(sensors, 1) * _SENSOR
        for _ in range(sensors - 1):
            at += _SENSOR
            at += 1 + (_SENSOR_POSE if data[at] else 0)
    return at


def _walk_frames(data: bytes) -> int:
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    for _ in range(count):
        (images,) = _FRAME_COUNT.unpack_from(data, at + _FRAME)
        at += _FRAME + _FRAME_COUNT.size + images * _DATA
    return at


def _walk_cameras(data: bytes) -> int:
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    for _ in range(count):
        _, model, _, _ = _CAMERA.unpack_from(data, at)
        if not 0 <= model < len(PARAMETERS):
            return -1
        at += _CAMERA.size + 8 * PARAMETERS[model]
    return at


def _walk_images(data: bytes) -> int:
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    for _ in range(count):
        at = data.index(b"\x00", at + _POSE) + 1
        (points,) = _COUNT.unpack_from(data, at)
        at += _COUNT.size + points * _POINT2D
    return at


def _walk_points(data: bytes) -> int:
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    for _ in range(count):
        (track,) = _COUNT.unpack_from(data, at + _POINT3D)
        at += _POINT3D + _COUNT.size + track * _TRACK
    return at
