# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera of another program brought to the pixels of our upright photo, exactly.

Convention: see `mvsam_engine.capture.conventions`. Other programs work on the pixels as the file
stores them (COLMAP, Metashape, RealityScan, OpenSfM and Bundler do not turn photos); our photo was
turned upright by its EXIF orientation. With the stored photo W x H, a position (x, y) moves to
``Q @ (x, y) + shift`` where Q turns by quarters, for the orientations 2, 4, 5, 7 after a mirror.

A lens turns with its camera: ``bend(Q n) = Q bend(n)`` when its tangential and prism vectors are
turned too (`capture.lens`). Then ``Q A bend(n) = (Q A Q^T) bend'(Q n)`` for the pinhole part A, and
the turn goes into the pose. A mirror cannot go there: it becomes a negative fx.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import CAMERA_MODELS, Camera
from mvsam_engine.capture.model import Photo
from mvsam_engine.reconstruct.posed.camera_set import PosedPhoto

Matrix = NDArray[np.float64]

# How each EXIF orientation moves stored positions (x, y): Q, and the shift in (width, height).
# Source: CIPA DC-008 (Exif 2.3), tag 274: where row 0 and column 0 of the stored photo lie.
_TURNS: dict[int, tuple[Matrix, Matrix]] = {
    orientation: (np.array(q, dtype=np.float64), np.array(shift, dtype=np.float64))
    for orientation, (q, shift) in {
        1: ([[1, 0], [0, 1]], [[0, 0], [0, 0]]),
        2: ([[-1, 0], [0, 1]], [[1, 0], [0, 0]]),
        3: ([[-1, 0], [0, -1]], [[1, 0], [0, 1]]),
        4: ([[1, 0], [0, -1]], [[0, 0], [0, 1]]),
        5: ([[0, 1], [1, 0]], [[0, 0], [0, 0]]),
        6: ([[0, -1], [1, 0]], [[0, 1], [0, 0]]),
        7: ([[0, -1], [-1, 0]], [[0, 1], [1, 0]]),
        8: ([[0, 1], [-1, 0]], [[0, 0], [1, 0]]),
    }.items()
}
_MIRROR = np.diag([-1.0, 1.0])

# The same lens with two focal lengths.
_TWO_FOCALS = {
    "SIMPLE_PINHOLE": "PINHOLE",
    "SIMPLE_RADIAL": "OPENCV",
    "RADIAL": "OPENCV",
    "SIMPLE_FISHEYE": "FISHEYE",
    "SIMPLE_RADIAL_FISHEYE": "OPENCV_FISHEYE",
    "RADIAL_FISHEYE": "OPENCV_FISHEYE",
    "SIMPLE_DIVISION": "DIVISION",
}
# Parameters that are vectors on the sensor, (x, y).
_VECTORS = (("p2", "p1"), ("p0", "p1"), ("sx1", "sy1"), ("s0", "s2"), ("s1", "s3"))


def fit(posed: PosedPhoto, photo: Photo) -> Camera | None:
    """The camera of `posed` in the pixels of the upright `photo`; None when the shapes differ."""
    upright = (photo.width, photo.height)
    stored = (photo.height, photo.width) if photo.orientation >= 5 else upright
    camera = posed.camera
    given = (camera.width, camera.height)
    if posed.size in ("long_side", "width", "centre"):
        camera = _on_photo(camera, posed.size, stored)
    elif posed.size == "corner" and _is_about(camera, stored):
        camera = replace(camera, width=stored[0], height=stored[1])
    elif posed.size == "pixels" and same_shape(given, stored):
        camera = scaled(camera, *stored)
    # The other program may have been given photos that somebody had turned already.
    elif posed.size == "corner" and _is_about(camera, upright):
        return replace(camera, width=upright[0], height=upright[1], view=photo.view)
    elif posed.size == "pixels" and same_shape(given, upright):
        return replace(scaled(camera, *upright), view=photo.view)
    else:
        return None
    return replace(turned(camera, photo.orientation), view=photo.view)


def same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes (width, height) can be the same photo, resized and rounded to pixels."""
    (w, h), (width, height) = one, other
    least = max((width - 1) / w, (height - 1) / h)
    most = min((width + 1) / w, (height + 1) / h)
    return least <= most


def scaled(camera: Camera, width: int, height: int) -> Camera:
    """`camera` for its photo resized to `width` x `height`."""
    sx, sy = width / camera.width, height / camera.height
    if sx == sy == 1.0:
        return camera
    values = _values(camera)
    if "f" in values and sx != sy:
        values = _with_two_focals(values)
        camera = _rebuilt(camera, _TWO_FOCALS[camera.model], values)
    for name, factor in (("f", sx), ("fx", sx), ("skew", sx), ("cx", sx), ("fy", sy), ("cy", sy)):
        if name in values:
            values[name] *= factor
    return replace(_rebuilt(camera, camera.model, values), width=width, height=height)


def turned(camera: Camera, orientation: int) -> Camera:
    """`camera` of a stored photo, for the photo turned upright by its EXIF `orientation` (1-8)."""
    if orientation == 1:
        return camera
    q, shift = _TURNS[orientation]
    size = np.array([camera.width, camera.height], dtype=np.float64)
    values, model = _values(camera), camera.model
    mirrored = np.linalg.det(q) < 0
    if "f" in values and mirrored:
        values, model = _with_two_focals(values), _TWO_FOCALS[model]
    centre = q @ np.array([values["cx"], values["cy"]]) + shift @ size
    values["cx"], values["cy"] = centre
    if "f" not in values:
        pinhole = np.array([[values["fx"], values.get("skew", 0.0)], [0.0, values["fy"]]])
        if mirrored:
            q, pinhole = q @ _MIRROR, _MIRROR @ pinhole
        pinhole = q @ pinhole @ q.T
        # Skew of a photo turned by a quarter lies below the diagonal: a little more turning
        # brings it above again.
        rest = _upright_turn(pinhole[1])
        pinhole, q = pinhole @ rest.T, rest @ q
        values["fx"], values["fy"] = pinhole[0, 0], pinhole[1, 1]
        if "skew" in values:
            values["skew"] = pinhole[0, 1]
    for x, y in _VECTORS:
        if x in values and y in values:
            values[x], values[y] = q @ np.array([values[x], values[y]])
    pose = np.eye(4)
    pose[:2, :2] = q
    made = _rebuilt(camera, model, values)
    width, height = (made.height, made.width) if orientation >= 5 else (made.width, made.height)
    return replace(
        made, width=width, height=height, camera_from_world=pose @ camera.camera_from_world
    )


def _upright_turn(row: Matrix) -> Matrix:
    """Rotation G [2, 2] with ``row @ G^T = (0, +-length)``, the one that turns least."""
    sign = 1.0 if row[1] >= 0 else -1.0
    sine, cosine = sign * row / np.hypot(*row)
    return np.array([[cosine, -sine], [sine, cosine]])


def _on_photo(camera: Camera, unit: str, size: tuple[int, int]) -> Camera:
    """A camera given for a nominal square, for a photo of `size` in pixels."""
    scale = {
        "long_side": max(size) / camera.width,
        "width": size[0] / camera.width,
        "centre": 1.0,
    }[unit]
    values = _values(camera)
    for name in ("f", "fx", "fy", "skew"):
        if name in values:
            values[name] *= scale
    values["cx"] = size[0] / 2.0 + (values["cx"] - camera.width / 2.0) * scale
    values["cy"] = size[1] / 2.0 + (values["cy"] - camera.height / 2.0) * scale
    made = _rebuilt(camera, camera.model, values)
    return replace(made, width=size[0], height=size[1])


def _is_about(camera: Camera, size: tuple[int, int]) -> bool:
    """Whether the principal point lies near the middle of a photo of `size`."""
    x, y = camera.param("cx") / size[0], camera.param("cy") / size[1]
    return abs(x - 0.5) < 0.1 and abs(y - 0.5) < 0.1


def _values(camera: Camera) -> dict[str, float]:
    return dict(zip(CAMERA_MODELS[camera.model], camera.params, strict=True))


def _with_two_focals(values: dict[str, float]) -> dict[str, float]:
    rest = {name: value for name, value in values.items() if name != "f"}
    return {"fx": values["f"], "fy": values["f"], **rest}


def _rebuilt(camera: Camera, model: str, values: dict[str, float]) -> Camera:
    params = tuple(float(values.get(name, 0.0)) for name in CAMERA_MODELS[model])
    return replace(camera, model=model, params=params)
