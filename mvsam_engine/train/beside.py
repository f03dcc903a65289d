# SPDX-License-Identifier: GPL-3.0-or-later
"""A pointmap given beside a single photo, as any geometry network can write it.

``<photo>.npz`` (not compressed more than it must be, never pickled) holds

    points       [h, w, 3] float, one 3D point per pixel, OpenCV axes of the photo's own camera
                 (x right, y down, z forward), NaN where nothing is known; h x w is any grid over
                 the whole photo
    confidence   [h, w] float, larger is surer; 0..1 as it is, other ranges as c / (1 + c), which
                 keeps the order, and the order is all that the network looks at
    intrinsics   optional [3, 3] pinhole matrix in pixels of the photo; else the focal length is
                 fitted to the points
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Photo, Pointmap
from mvsam_engine.capture.conventions import grid_pixels, pixels_to_grid
from mvsam_engine.errors import TrainingError

# Points must come back to within this share of the photo's long side of their pixel, in the median.
WORST_FIT = 0.02
# Points that are needed to tell a focal length.
LEAST_POINTS = 100


def read_beside(path: Path, photo: Photo, colors: NDArray[np.uint8]) -> tuple[Camera, Pointmap]:
    """Camera (at the origin) and pointmap of a single photo.

    Args:
        path: the ``.npz`` file.
        photo: that it belongs to.
        colors: [H, W, 3] RGB of the photo.

    Raises:
        TrainingError: missing, damaged, too large, or its points fit no camera.
    """
    arrays = _read(path, photo)
    points = arrays["points"].astype(np.float32)
    confidence = arrays["confidence"].astype(np.float32)
    rows, columns = points.shape[:2]
    known = np.isfinite(points).all(axis=-1) & (points[..., 2] > 0) & np.isfinite(confidence)
    points[~known] = np.nan
    confidence = np.where(known, np.maximum(confidence, 0.0), 0.0)
    if confidence.max() > 1.0:
        confidence = confidence / (1.0 + confidence)
    pixels = grid_pixels(rows, columns, photo.width, photo.height)
    if "intrinsics" in arrays:
        k = arrays["intrinsics"].astype(float)
        model, params = "PINHOLE", (k[0, 0], k[1, 1], k[0, 2], k[1, 2])
    else:
        focal = fit_focal(path.name, points[known], pixels[known], photo)
        model, params = "SIMPLE_PINHOLE", (focal, photo.width / 2, photo.height / 2)
    camera = Camera(photo.view, model, photo.width, photo.height, params, np.eye(4))
    _check_fit(path.name, camera, points[known], pixels[known])
    row, column, _ = pixels_to_grid(pixels, *colors.shape[:2], photo.width, photo.height)
    small = np.ascontiguousarray(colors[row, column])
    return camera, Pointmap(photo.view, points, confidence.astype(np.float16), small)


def fit_focal(
    name: str, points: NDArray[np.floating], pixels: NDArray[np.floating], photo: Photo
) -> float:
    """Focal length, pixels, of a pinhole with its principal point in the photo's middle.

    Every point asks for a focal length of its own, the ratio of its pixel's distance from the
    middle to ``|(x, y)| / z``; their median, weighted with that distance, is hardly moved by
    points that are wrong.

    Args:
        name: of the file, for the error.
        points: [n, 3] in the camera's frame, z > 0.
        pixels: [n, 2] where the photo shows them.
        photo: the photo.

    Raises:
        TrainingError: there are too few points.
    """
    away = np.linalg.norm(pixels - [photo.width / 2, photo.height / 2], axis=-1)
    slope = np.linalg.norm(points[:, :2], axis=-1).astype(float) / points[:, 2]
    useful = slope > 0
    if useful.sum() < LEAST_POINTS:
        raise TrainingError(
            "train.points",
            f"{name} has only {int(useful.sum())} points that are known.",
            "A pointmap of single photos has a point for nearly every pixel.",
        )
    focal = away[useful] / slope[useful]
    order = np.argsort(focal)
    weight = np.cumsum(away[useful][order])
    return float(focal[order][np.searchsorted(weight, weight[-1] / 2)])


def _check_fit(
    name: str, camera: Camera, points: NDArray[np.floating], pixels: NDArray[np.floating]
) -> None:
    """Refuse points that are not where the photo shows them, as in another frame."""
    shown, _ = camera.project(points.astype(float))
    error = np.linalg.norm(shown - pixels, axis=-1)
    worst = WORST_FIT * max(camera.width, camera.height)
    if not len(error) or not np.nanmedian(error) <= worst:
        found = f"{np.nanmedian(error):.0f}" if len(error) else "no"
        raise TrainingError(
            "train.points",
            f"The points of {name} are not where its photo shows them ({found} pixels off).",
            "They must be in the photo's own camera: x right, y down, z forward.",
        )


def _read(path: Path, photo: Photo) -> dict[str, NDArray[np.floating]]:
    """The arrays of a file, checked."""
    try:
        # What a small file unpacks to is known before it is unpacked.
        with zipfile.ZipFile(path) as archive:
            largest = max((entry.file_size for entry in archive.infolist()), default=0)
        if largest > 24 * photo.width * photo.height + 4096:  # three doubles for each pixel
            raise TrainingError(
                "train.points", f"{path.name} holds more points than its photo has pixels."
            )
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name in _SHAPES}
    except FileNotFoundError as error:
        raise TrainingError(
            "train.points",
            f"{path.name} is missing: a single photo has no points without it.",
            "Write points [h, w, 3] and confidence [h, w] into it with any geometry network.",
        ) from error
    except _DAMAGED as error:
        raise TrainingError("train.points", f"{path.name} cannot be read: {error}.") from error
    for name in ("points", "confidence"):
        if name not in arrays:
            raise TrainingError("train.points", f"{path.name} has no array {name!r}.")
    shape = arrays["points"].shape[:2]
    for name, array in arrays.items():
        expected = tuple(shape[i] if n is None else n for i, n in enumerate(_SHAPES[name]))
        if array.shape != expected or not np.issubdtype(array.dtype, np.floating):
            raise TrainingError(
                "train.points",
                f"{name} in {path.name} is {array.dtype} of shape {array.shape}, "
                f"not float of shape {expected}.",
            )
    return arrays


# What reading a damaged file ends in; MemoryError where a header claims too much.
_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)

# None: rows and columns of the points' grid.
_SHAPES: dict[str, tuple[int | None, ...]] = {
    "points": (None, None, 3),
    "confidence": (None, None),
    "intrinsics": (3, 3),
}
