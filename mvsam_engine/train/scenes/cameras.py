# SPDX-License-Identifier: GPL-3.0-or-later
"""Where people stand when they photograph things: around them, in steps, at eye height or above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import look_at
from mvsam_engine.train.scenes.world import World

# Down, where Z is up.
DOWN = np.array([0.0, 0.0, -1.0])


def walk_around(
    world: World, views: int, width: int, height: int, seed: int, step: float | None = None
) -> tuple[Camera, ...]:
    """Cameras on a walk around the things of a world.

    Args:
        world: what is photographed.
        views: how many photos.
        width: of the photos, pixels.
        height: of the photos, pixels.
        seed: decides where the walk starts, how wide it swings, and the lens.
        step: degrees between neighbours; by chance 5 to 25, so from dense to very wide walks.
    """
    rng = np.random.default_rng([seed, 7])
    step = float(rng.uniform(5.0, 25.0)) if step is None else step
    start = rng.uniform(0, 2 * np.pi)
    away = float(rng.uniform(1.6, 2.6)) * world.radius
    rise = rng.uniform(np.radians(12), np.radians(45))
    focal = float(rng.uniform(0.85, 1.5)) * max(width, height)
    cameras = []
    for i in range(views):
        around = start + np.radians(step) * (i + rng.uniform(-0.25, 0.25))
        up = rise + rng.uniform(-0.12, 0.12)
        distance = away * rng.uniform(0.85, 1.15)
        offset = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
        center = world.target + distance * offset
        goal = world.target + rng.normal(0.0, 0.12 * world.radius, 3)
        pose = rolled(look_at(center, goal, DOWN), rng.normal(0.0, 0.03))
        params = (focal, width / 2, height / 2)
        cameras.append(Camera(f"{i:03d}", "SIMPLE_PINHOLE", width, height, params, pose))
    return tuple(cameras)


def rolled(camera_from_world: NDArray[np.float64], roll: float) -> NDArray[np.float64]:
    """A camera-from-world matrix turned by `roll` radians about its viewing direction."""
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]]
    return turn @ camera_from_world
