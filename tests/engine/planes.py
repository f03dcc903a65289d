# SPDX-License-Identifier: GPL-3.0-or-later
"""Textured planes and their photos, computed exactly: the truth behind the dense tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mvsam_engine.capture import Camera
from mvsam_engine.capture.conventions import grid_pixels


@dataclass(frozen=True)
class Plane:
    """A textured plane, or a square of it.

    `point` lies on it (and in the middle of the square); the texture is chance by `seed`.
    """

    point: tuple[float, float, float]
    normal: tuple[float, float, float]
    seed: int
    half_size: float = np.inf

    @property
    def unit_normal(self):
        return np.array(self.normal) / np.linalg.norm(self.normal)

    def axes(self):
        """Two unit vectors [2, 3] inside the plane."""
        start = np.array([0.0, 1.0, 0.0]) if abs(self.unit_normal[1]) < 0.9 else np.eye(3)[0]
        right = np.cross(start, self.unit_normal)
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(self.unit_normal, right)])

    def texture(self, points):
        """Grey 0..1 at points [..., 3] of the plane: noise in four sizes."""
        place = (points - np.array(self.point)) @ self.axes().T
        total = np.zeros(place.shape[:-1])
        for octave, (cell, strength) in enumerate(
            ((0.4, 0.2), (0.15, 0.3), (0.06, 0.3), (0.03, 0.2))
        ):
            values = np.random.default_rng((self.seed, octave)).random((256, 256))
            total += strength * _sample(values, place / cell)
        return np.clip((total - 0.5) * 2.2 + 0.5, 0.0, 1.0)


def _sample(values, position):
    """Bilinear, periodic."""
    low = np.floor(position).astype(int)
    fx, fy = np.moveaxis(position - low, -1, 0)
    x, y = np.moveaxis(low, -1, 0) % 256
    x1, y1 = (x + 1) % 256, (y + 1) % 256
    upper = values[y, x] * (1 - fx) + values[y, x1] * fx
    lower = values[y1, x] * (1 - fx) + values[y1, x1] * fx
    return upper * (1 - fy) + lower * fy


@dataclass(frozen=True)
class Scene:
    """Planes; the nearest one along a ray is seen."""

    planes: tuple[Plane, ...]

    def trace(self, camera, rays):
        """Depth [...] (inf where nothing is) and grey [...] along camera-frame rays (z = 1)."""
        rotation = camera.camera_from_world[:3, :3]
        directions = rays @ rotation
        depth = np.full(rays.shape[:-1], np.inf)
        grey = np.full(rays.shape[:-1], 0.5)
        for plane in self.planes:
            with np.errstate(divide="ignore", invalid="ignore"):
                z = ((np.array(plane.point) - camera.center) @ plane.unit_normal) / (
                    directions @ plane.unit_normal
                )
                points = camera.center + directions * z[..., None]
                offset = np.abs((points - np.array(plane.point)) @ plane.axes().T).max(axis=-1)
            hit = (z > 0) & (z < depth) & (offset <= plane.half_size)
            depth[hit] = z[hit]
            grey[hit] = plane.texture(points[hit])
        return depth, grey

    def depth(self, camera, rays):
        """Depth [...] along camera-frame rays."""
        return self.trace(camera, rays)[0]


def render(scene, camera: Camera, samples=2):
    """Photo [H, W, 3] uint8 through the camera's own lens, and z-depth [H, W]."""
    fine = grid_pixels(camera.height * samples, camera.width * samples, camera.width, camera.height)
    _, grey = scene.trace(camera, camera.rays(fine))
    grey = grey.reshape(camera.height, samples, camera.width, samples).mean(axis=(1, 3))
    depth = scene.depth(
        camera, camera.rays(grid_pixels(camera.height, camera.width, camera.width, camera.height))
    )
    photo = np.round(grey[..., None] * np.array([255.0, 245.0, 230.0])).astype(np.uint8)
    return photo, depth


def look_at(center, target, up=(0.0, -1.0, 0.0)):
    """Camera-from-world [4, 4] of a camera at `center` that looks at `target`."""
    forward = np.asarray(target, float) - center
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, np.asarray(up, float))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ center
    return matrix
