# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras from pointmaps, for models that give none.

Convention: pixels are photo pixels (corner origin), the principal point is the middle of the
photo, and pixels are square: what a photo that nobody cropped shows, and all that one pointmap
can tell reliably. The focal length is the robust one of Weiszfeld's iteration that DUSt3R
(section 3.3 of its paper) describes; poses are found by RANSAC and refined on a robust error.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

ROUNDS = 12
# Points that a fit looks at; more change nothing but the time.
SAMPLE = 4000
# Focal lengths that are tried, as shares of the photo's long side: from a very wide lens to a
# long one.
TRIED_FOCALS = np.geomspace(0.4, 3.5, 10)
# A pose is believed when this share of the points falls within `GOOD` of its pixel.
LEAST_INLIERS = 0.3
GOOD = 0.01  # of the long side


@dataclass(frozen=True, slots=True, eq=False)
class FittedCamera:
    """What a pointmap says of the camera that took it.

    Attributes:
        focal: photo pixels.
        camera_from_world: [4, 4]; the identity for camera-frame points.
        error: median distance, in photo pixels, of the points from where they should be seen.
    """

    focal: float
    camera_from_world: NDArray[np.float64]
    error: float


def fit_focal(
    points: NDArray[np.floating],
    pixels: NDArray[np.floating],
    center: tuple[float, float],
    weights: NDArray[np.floating],
) -> FittedCamera | None:
    """Focal length from camera-frame points; None when too few lie in front of the camera.

    Args:
        points: [n, 3] camera frame.
        pixels: [n, 2] where each is seen, photo pixels.
        center: principal point.
        weights: [n] trust, not negative.
    """
    ahead = (points[:, 2] > 1e-6) & np.isfinite(points).all(axis=1) & (weights > 0)
    if ahead.sum() < 20:
        return None
    rays = points[ahead, :2] / points[ahead, 2:]
    aim, trust = pixels[ahead] - center, weights[ahead]
    focal = float((trust * (rays * aim).sum(1)).sum() / (trust * (rays**2).sum(1)).sum())
    for _ in range(ROUNDS):
        off = np.linalg.norm(aim - focal * rays, axis=1)
        robust = trust / np.maximum(off, 1e-3)
        focal = float((robust * (rays * aim).sum(1)).sum() / (robust * (rays**2).sum(1)).sum())
    if not np.isfinite(focal) or focal <= 0:
        return None
    off = np.linalg.norm(aim - focal * rays, axis=1)
    return FittedCamera(focal, np.eye(4), float(np.median(off)))


def fit_pose(
    points: NDArray[np.floating],
    pixels: NDArray[np.floating],
    size: tuple[int, int],
    weights: NDArray[np.floating],
    focal: float | None = None,
) -> FittedCamera | None:
    """Pose, and the focal length unless it is known, from world points seen in a photo.

    Args:
        points: [n, 3] world.
        pixels: [n, 2] where each is seen.
        size: width and height of the photo; its middle is the principal point.
        weights: [n] trust, not negative; the points of least trust are left out.
        focal: photo pixels, None to find it.

    Returns:
        None when no camera sees enough of the points where they are.
    """
    chosen = _sample(points, weights)
    if len(chosen) < 20:
        return None
    world = np.ascontiguousarray(points[chosen], np.float64)
    seen = np.ascontiguousarray(pixels[chosen], np.float64)
    middle = world.mean(axis=0)  # far from the origin, PnP loses digits
    spread = float(np.sqrt(((world - middle) ** 2).sum(1).mean())) or 1.0
    world = (world - middle) / spread
    long_side = max(size)
    focals = [focal] if focal else list(TRIED_FOCALS * long_side)
    best: tuple[int, float, NDArray[np.float64]] | None = None
    for tried in focals:
        found = _ransac(world, seen, size, float(tried), GOOD * long_side)
        if found is not None and (best is None or found[0] > best[0]):
            best = (found[0], float(tried), found[1])
    if best is None or best[0] < LEAST_INLIERS * len(world):
        return None
    parameters, error = _refine(world, seen, size, best[1], best[2], focal is None)
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(parameters[1:4])[0]
    pose[:3, 3] = parameters[4:] * spread - pose[:3, :3] @ middle
    return FittedCamera(float(np.exp(parameters[0])), pose, error)


def _sample(points: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.int64]:
    """Indices of usable points, evenly spread over them, without the least trusted third."""
    usable = np.flatnonzero(np.isfinite(points).all(axis=1) & (weights > 0))
    if len(usable) == 0:
        return usable
    usable = usable[weights[usable] >= np.quantile(weights[usable], 1 / 3)]
    return usable[:: max(1, len(usable) // SAMPLE)]


def _matrix(focal: float, size: tuple[int, int]) -> NDArray[np.float64]:
    return np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])


def _ransac(
    world: NDArray[np.float64],
    seen: NDArray[np.float64],
    size: tuple[int, int],
    focal: float,
    good: float,
) -> tuple[int, NDArray[np.float64]] | None:
    """Number of points that fit, and rotation vector with translation [6], at a focal length."""
    cv2.setRNGSeed(0)  # the same answer every time
    found, turn, move, inliers = cv2.solvePnPRansac(
        world, seen, _matrix(focal, size), None,
        iterationsCount=60, reprojectionError=good, flags=cv2.SOLVEPNP_SQPNP,
    )  # fmt: skip
    if not found or inliers is None:
        return None
    return len(inliers), np.concatenate([turn.ravel(), move.ravel()])


def _refine(
    world: NDArray[np.float64],
    seen: NDArray[np.float64],
    size: tuple[int, int],
    focal: float,
    pose: NDArray[np.float64],
    free_focal: bool,
) -> tuple[NDArray[np.float64], float]:
    """Log focal, rotation vector and translation [7] of least robust error; median error."""
    middle = np.array(size) / 2
    start = np.concatenate([[np.log(focal)], pose])

    def off(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        full = parameters if free_focal else np.concatenate([start[:1], parameters])
        local = world @ cv2.Rodrigues(full[1:4])[0].T + full[4:]
        depth = np.where(local[:, 2] > 1e-6, local[:, 2], 1e-6)
        return (np.exp(full[0]) * local[:, :2] / depth[:, None] + middle - seen).ravel()

    begin = start if free_focal else start[1:]
    scale = max(0.5, 1.4826 * float(np.median(np.abs(off(begin)))))
    done = least_squares(off, begin, loss="cauchy", f_scale=scale, max_nfev=40)
    full = done.x if free_focal else np.concatenate([start[:1], done.x])
    errors = np.linalg.norm(off(done.x).reshape(-1, 2), axis=1)
    return full, float(np.median(errors))
