# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where frames and pixels are converted (docs/conventions.md is its page).

Convention:
    camera frame   OpenCV: x right, y down, z forward.
    extrinsics     camera-from-world, 4x4, ``X_camera = T @ X_world``.
    pixels         x right, y down; the top-left CORNER of the upright photo is (0, 0), so the
                   centre of the first pixel is (0.5, 0.5). Same as COLMAP.
    grid           an h x w array over a W x H photo: row i, column j lies at photo position
                   ((j + 0.5) * W / w, (i + 0.5) * H / h).
    uv             Blender's image space: 0..1, origin at the LOWER left corner.
    Blender camera x right, y up, z backward; matrix_world is world-from-camera.

All functions take and give numpy arrays in float64 unless they say otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

# Turns OpenCV camera axes into Blender camera axes and back (it is its own inverse).
OPENCV_BLENDER_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def transform_points(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Apply a 4x4 affine `matrix` to `points` [..., 3]; gives [..., 3]."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def invert_rigid(matrix: FloatArray) -> FloatArray:
    """Invert a 4x4 rotation-and-translation matrix."""
    rotation = matrix[:3, :3].T
    inverse = np.eye(4)
    inverse[:3, :3] = rotation
    inverse[:3, 3] = -rotation @ matrix[:3, 3]
    return inverse


def camera_center(camera_from_world: FloatArray) -> FloatArray:
    """World position [3] of the camera's centre."""
    return -camera_from_world[:3, :3].T @ camera_from_world[:3, 3]


def look_at(center: FloatArray, target: FloatArray, down: FloatArray) -> FloatArray:
    """Camera-from-world 4x4 of a camera at `center` [3] that sees `target` [3] in its middle.

    Args:
        center: world position of the camera.
        target: world position, not straight above or below.
        down: world direction [3] that points down in the photo.
    """
    forward = target - center
    forward = forward / np.linalg.norm(forward)
    right = np.cross(down, forward)
    right = right / np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ center
    return matrix


def blender_world_from_camera(camera_from_world: FloatArray) -> FloatArray:
    """Blender's `matrix_world` 4x4 for an OpenCV camera-from-world matrix."""
    return invert_rigid(camera_from_world) @ OPENCV_BLENDER_FLIP


def camera_from_world_of_blender(matrix_world: FloatArray) -> FloatArray:
    """OpenCV camera-from-world 4x4 for an unscaled Blender camera's `matrix_world`."""
    return invert_rigid(np.asarray(matrix_world, dtype=np.float64) @ OPENCV_BLENDER_FLIP)


def pixels_to_uv(pixels: FloatArray, width: int, height: int) -> FloatArray:
    """Photo pixels [..., 2] (corner origin, y down) to Blender uv [..., 2] (y up)."""
    pixels = np.asarray(pixels, dtype=np.float64)
    return np.stack([pixels[..., 0] / width, 1.0 - pixels[..., 1] / height], axis=-1)


def uv_to_pixels(uv: FloatArray, width: int, height: int) -> FloatArray:
    """Blender uv [..., 2] to photo pixels [..., 2]; inverse of `pixels_to_uv`."""
    uv = np.asarray(uv, dtype=np.float64)
    return np.stack([uv[..., 0] * width, (1.0 - uv[..., 1]) * height], axis=-1)


def grid_pixels(grid_height: int, grid_width: int, width: int, height: int) -> FloatArray:
    """Photo positions [h, w, 2] (x, y) of the centres of an h x w grid over a W x H photo."""
    x = (np.arange(grid_width) + 0.5) * (width / grid_width)
    y = (np.arange(grid_height) + 0.5) * (height / grid_height)
    return np.stack(np.meshgrid(x, y), axis=-1)


def pixels_to_grid(
    pixels: FloatArray, grid_height: int, grid_width: int, width: int, height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Grid cells that photo positions fall into.

    Args:
        pixels: [..., 2] photo positions (x, y).
        grid_height: rows of the grid.
        grid_width: columns of the grid.
        width: photo width in pixels.
        height: photo height in pixels.

    Returns:
        rows [...], columns [...] (clipped to the grid) and inside [...], False where the position
        lies outside the photo or is not finite.
    """
    pixels = np.asarray(pixels, dtype=np.float64)
    finite = np.isfinite(pixels).all(axis=-1)
    # Far-away and undefined positions become -1, so that the integer cast below is defined.
    x = np.where(finite, pixels[..., 0], -1.0)
    y = np.where(finite, pixels[..., 1], -1.0)
    inside = finite & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    columns = np.minimum((x * (grid_width / width)).astype(np.int64), grid_width - 1)
    rows = np.minimum((y * (grid_height / height)).astype(np.int64), grid_height - 1)
    return rows, columns, inside


def fit_size(width: int, height: int, long_side: int, multiple: int = 1) -> tuple[int, int]:
    """Width and height of a photo shrunk so that its long side is at most `long_side`.

    Never enlarges; each side is rounded to a `multiple` and is at least one multiple.
    """
    scale = min(1.0, long_side / max(width, height))

    def rounded(side: int) -> int:
        return max(multiple, round(side * scale / multiple) * multiple)

    return rounded(width), rounded(height)


def blender_lens(fx: float, width: int, height: int, sensor: float = 36.0) -> float:
    """Focal length in mm of a Blender camera with ``sensor_fit = 'AUTO'``.

    Blender's AUTO fit lays the sensor width along the LONGER side of the render.
    """
    return fx * sensor / max(width, height)


def blender_shift(cx: float, cy: float, width: int, height: int) -> tuple[float, float]:
    """Blender camera shift_x, shift_y of a principal point, in units of the longer side."""
    longest = max(width, height)
    return (width / 2 - cx) / longest, (cy - height / 2) / longest
