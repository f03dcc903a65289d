# SPDX-License-Identifier: GPL-3.0-or-later
"""A world frame for people: upright, centred, of a sensible size.

Convention of the new frame: +Z is up as well as the cameras tell, the ground (2nd percentile of
the points) lies near z = 0, the median point is above the origin, the first camera looks towards
+Y (as Blender's front view does), and the median distance from a camera to what it sees is
`VIEWING_DISTANCE` units: photos know no scale, and people photograph things from a few steps off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera

VIEWING_DISTANCE = 2.0
# People hold a camera level to a few degrees; more tilt than this says they did not.
LEVEL_DEGREES = 6.0
# Photos that are held farther from level than this count less and less: an ordinary hold reaches
# 10 degrees (the kitchen photos), a camera on its side 90.
HELD_DEGREES = 12.0
# Expected error of the up direction, in degrees, that is still called upright.
TRUSTED_DEGREES = 5.0
_ROUNDS = 10


@dataclass(frozen=True, slots=True, eq=False)
class WorldChange:
    """From the old frame to the new: ``X_new = matrix @ (scale * X_old)``.

    Attributes:
        scale: factor on all lengths.
        matrix: rigid 4x4.
        upright: whether up is trustworthy.
    """

    scale: float
    matrix: NDArray[np.float64]
    upright: bool


@dataclass(frozen=True, slots=True, eq=False)
class CameraUp:
    """What the way the cameras were held says about up.

    Attributes:
        direction: [3] unit vector, world frame.
        degrees: expected error of `direction`; 90 when the cameras leave it open.
        trusted: whether the cameras alone are enough to call a world upright.
    """

    direction: NDArray[np.float64]
    degrees: float
    trusted: bool


def camera_up(cameras: tuple[Camera, ...]) -> CameraUp:
    """Up, from how level the cameras were held.

    Photographers hold the camera level, so the cameras' x axes all lie in the horizontal plane:
    up is perpendicular to them. Photos that were taken at a slant, or on their side, must not
    turn the world: the fit weighs each axis by how well it agrees (Cauchy weights). When all
    cameras look the same way this leaves up open, and the mean of the cameras' own up axes is
    taken, which is tilted when all look down.
    """
    rotations = np.array([c.camera_from_world[:3, :3] for c in cameras])
    sideways, mean_up = rotations[:, 0], -rotations[:, 1].mean(axis=0)
    norm = np.linalg.norm(mean_up)
    mean_up = mean_up / norm if norm > 1e-6 else np.array([0.0, 0.0, 1.0])
    weights = np.ones(len(cameras))
    for _ in range(_ROUNDS):
        values, vectors = np.linalg.eigh((weights[:, None] * sideways).T @ sideways)
        up = vectors[:, 0] * (1.0 if vectors[:, 0] @ mean_up >= 0 else -1.0)
        tilt = np.degrees(np.arcsin(np.clip(np.abs(sideways @ up), 0.0, 1.0)))
        weights = 1.0 / (1.0 + (tilt / HELD_DEGREES) ** 2)
    level = float(np.median(tilt)) < LEVEL_DEGREES
    # The error of a fitted plane: the usual tilt (at least a degree) over the spread of the axes
    # (the other eigenvalues), about both horizontal directions.
    noise = max(1.0, 1.4826 * float(np.median(tilt)))
    error = noise * np.sqrt((1.0 / np.maximum(values[1:], 1e-12)).sum())
    # Both ways of asking must roughly say the same: otherwise many photos lie on their side.
    trusted = len(cameras) >= 3 and level and error < TRUSTED_DEGREES and up @ mean_up > 0.5
    return CameraUp(up, float(error), True) if trusted else CameraUp(mean_up, 90.0, False)


def up_direction(cameras: tuple[Camera, ...]) -> tuple[NDArray[np.float64], bool]:
    """Unit vector [3] that points up in the world of `cameras`, and whether to trust it."""
    found = camera_up(cameras)
    return found.direction, found.trusted


def world_change(
    cameras: tuple[Camera, ...], points: NDArray[np.float64], distance: float
) -> WorldChange:
    """How to get from an arbitrary frame to the convention of this module.

    Args:
        cameras: in the old frame.
        points: [n, 3] scene points, old frame.
        distance: median distance from a camera to the points that it sees, old units.
    """
    up, trusted = up_direction(cameras)
    forward = cameras[0].camera_from_world[2, :3]
    forward = forward - (forward @ up) * up
    if np.linalg.norm(forward) < 1e-3:  # it looks straight down: its own up leads forward
        forward = -cameras[0].camera_from_world[1, :3]
        forward = forward - (forward @ up) * up
    forward = forward / np.linalg.norm(forward)
    rotation = np.stack([np.cross(forward, up), forward, up])
    scale = VIEWING_DISTANCE / max(distance, 1e-12)
    turned = scale * points @ rotation.T
    middle = np.median(turned, axis=0)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -np.array([middle[0], middle[1], np.percentile(turned[:, 2], 2)])
    return WorldChange(scale=scale, matrix=matrix, upright=trusted)
