# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras that a person already has, as read from another program's file.

Convention: see `mvsam_engine.capture.conventions`. Every format is brought to it when it is read:
OpenCV axes, camera-from-world, corner-origin pixels. World coordinates stay float64 and exactly as
the file has them, also when they are map coordinates of millions of metres: whoever computes in
float32 moves them near the origin first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera

# What the camera's size means:
#   pixels     the file says the photo's size: intrinsics refer to ``camera.width x height``.
#   long_side  the file counts in long sides of the photo, from its centre, and does not say how
#              many pixels that is. The camera is given for a nominal square, see `fitting`.
#   width      the same, in widths of the photo.
#   centre     the file counts in pixels from the photo's centre, and does not say where that is.
#   corner     the file counts in pixels from the photo's corner, and does not say where it ends.
SizeMeaning = Literal["pixels", "long_side", "width", "centre", "corner"]


@dataclass(frozen=True, slots=True, eq=False)
class PosedPhoto:
    """A photo that the other program placed.

    Attributes:
        name: as the file writes it, with forward slashes; may be a path.
        camera: its camera, with an empty view name.
        size: what the camera's width and height mean.
    """

    name: str
    camera: Camera
    size: SizeMeaning = "pixels"


def _no_points() -> NDArray[np.float64]:
    return np.zeros((0, 3))


def _no_indices() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class CameraSet:
    """What a file says of cameras and sparse points.

    Attributes:
        format: name of the format, for people, e.g. ``COLMAP binary``.
        photos: the placed photos, in the file's order.
        points: [n, 3] float64 sparse points in the file's world frame; may be empty.
        seen_by: [m] int64 index into `photos` of each observation; may be empty.
        seen_point: [m] int64 index into `points` of each observation.
        metric: whether the file says that one unit is one metre.
        upright: whether the file says that +Z is up.
        remarks: sentences on what was left out while reading.
    """

    format: str
    photos: tuple[PosedPhoto, ...]
    points: NDArray[np.float64] = field(default_factory=_no_points)
    seen_by: NDArray[np.int64] = field(default_factory=_no_indices)
    seen_point: NDArray[np.int64] = field(default_factory=_no_indices)
    metric: bool = False
    upright: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhotoWithoutCamera:
    """A photo of the capture that no camera fits, with the reason as a sentence."""

    view: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class MatchedCameras:
    """Which camera belongs to which photo of the capture.

    Attributes:
        cameras: in upright-photo pixels with view names, in the order of the photos.
        indices: of each camera in ``CameraSet.photos``, so that its tracks can be found.
        photos_without: photos that no camera fits.
        cameras_without: names of cameras that no photo fits.
        remarks: a sentence when few photos have a camera.
    """

    cameras: tuple[Camera, ...]
    indices: tuple[int, ...]
    photos_without: tuple[PhotoWithoutCamera, ...] = ()
    cameras_without: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
