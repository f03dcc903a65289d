# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture of a room with a table, ray cast exactly, in a world turned and scaled at will.

Truth: metres, Z up, floor at z = 0, table top at 0.7, a wall at y = 2.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvsam_engine.capture import Camera, Capture, Photo, Placement, Pointmap, Reconstruction
from mvsam_engine.capture.conventions import grid_pixels

WIDTH, HEIGHT, GRID = 320, 240, 4
# Rectangles: corner, two edges.
FLOOR = ((-4, -4, 0), (8, 0, 0), (0, 8, 0))
WALL = ((-4, 2.5, 0), (8, 0, 0), (0, 0, 4))
TABLE = ((-0.6, -0.4, 0.7), (1.2, 0, 0), (0, 0.8, 0))


@dataclass(frozen=True)
class World:
    """The reconstruction's world: ``X_world = turn @ (scale * X_truth) + shift``."""

    turn: np.ndarray
    scale: float = 1.0
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def of(self, points: np.ndarray) -> np.ndarray:
        """Truth points [..., 3] in the world."""
        return self.scale * np.asarray(points) @ self.turn.T + np.array(self.shift)

    def camera(self, camera: Camera) -> Camera:
        """A truth camera in the world."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.turn, self.shift
        return Placement(self.scale, matrix).place_camera(camera)

    def person(self, placement: Placement, points: np.ndarray) -> np.ndarray:
        """Truth points where `placement` puts them."""
        return placement.apply(self.of(points))


def rotation(seed: int) -> np.ndarray:
    """Any rotation [3, 3]."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def ring(count: int = 10, height: float = 1.6, radius: float = 2.0, roll: float = 1.0):
    """Cameras around the table, in truth; held level up to `roll` degrees."""
    random = np.random.default_rng(5)
    cameras = []
    for i, angle in enumerate(np.radians(np.linspace(200, 340, count))):
        center = np.array([radius * np.cos(angle), radius * np.sin(angle), height])
        forward = np.array([0.0, 0.3, 0.5]) - center
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(forward, right), forward])
        a = np.radians(random.normal(0, roll))
        axes = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ axes
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = axes, -axes @ center
        cameras.append(
            Camera(f"v{i:02}", "SIMPLE_PINHOLE", WIDTH, HEIGHT, (230.0, 160.0, 120.0), matrix)
        )
    return tuple(cameras)


def cast(camera: Camera, rectangles, grid: int = GRID) -> np.ndarray:
    """First hits [h, w, 3] of the rays of every `grid` pixels; NaN where there is none."""
    rays = camera.rays(grid_pixels(HEIGHT // grid, WIDTH // grid, WIDTH, HEIGHT))
    directions = rays @ camera.camera_from_world[:3, :3]
    nearest = np.full(directions.shape[:2], np.inf)
    for corner, one, other in (np.array(r, float) for r in rectangles):
        normal = np.cross(one, other)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = ((corner - camera.center) @ normal) / (directions @ normal)
        local = camera.center + directions * t[..., None] - corner
        inside = (t > 0) & np.isfinite(t)
        for edge in (one, other):
            along = local @ edge / (edge @ edge)
            inside &= (along >= 0) & (along <= 1)
        nearest = np.where(inside & (t < nearest), t, nearest)
    points = camera.center + directions * nearest[..., None]
    return np.where(np.isfinite(points), points, np.nan)


def make(
    root: Path,
    world: World,
    cameras=None,
    rectangles=(FLOOR, WALL, TABLE),
    noise: float = 0.002,
    confidence: float = 0.9,
) -> Capture:
    """A capture of the scene; depths have relative `noise`."""
    capture = Capture.create(root)
    fill(capture, world, ring() if cameras is None else cameras, rectangles, noise, confidence)
    return capture


def fill(
    capture: Capture, world: World, cameras, rectangles, noise=0.002, confidence=0.9, keep=False
) -> None:
    """Put photos, cameras and pointmaps into a capture."""
    random = np.random.default_rng(1)
    photos = tuple(
        Photo(c.view, f"photos/{c.view}.png", WIDTH, HEIGHT, 1, "0" * 64, f"{c.view}.png")
        for c in cameras
    )
    with capture.writing(), capture.transaction() as transaction:
        capture.put_photos(photos, transaction)
        placed = tuple(world.camera(c) for c in cameras)
        capture.put_reconstruction(Reconstruction(placed, method="exact"), transaction)
        for camera in cameras:
            points = cast(camera, rectangles)
            scatter = 1 + noise * random.normal(size=(*points.shape[:2], 1))
            points = camera.center + (points - camera.center) * scatter
            shape = points.shape[:2]
            capture.put_pointmap(
                Pointmap(
                    camera.view,
                    world.of(points).astype(np.float32),
                    np.where(np.isfinite(points[..., 0]), confidence, 0).astype(np.float16),
                    np.zeros((*shape, 3), np.uint8),
                ),
                transaction,
            )
