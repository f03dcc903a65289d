# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene made by numpy, with exact cameras and pointmaps, for tests of segmenters.

A checkered red square (the object) at z = 3 before a grey wall at z = 5, and a wall at z = -5
behind the cameras. `left` and `right` see the object; `away` looks the other way; `hidden` looks at
it from behind the grey wall, where the object projects into the photo but cannot be seen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mvsam_engine.capture import (
    Camera,
    Capture,
    MaskSet,
    Pointmap,
    Prompt,
    Reconstruction,
    SceneObject,
    ViewMask,
)
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.segment import load_segmenter
from mvsam_engine.segment.base import Segmenter
from mvsam_engine.segment.masks import full_size_mask

WIDTH, HEIGHT = 320, 240
SIZE = 0.6  # half the side of the square


def look(center: tuple[float, float, float], yaw: float) -> np.ndarray:
    """Camera-from-world 4x4 of a camera turned by `yaw` degrees around y (0 looks along +z)."""
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    matrix[:3, 3] = -matrix[:3, :3] @ np.array(center)
    return matrix


POSES = {
    "left": look((-0.7, 0.1, 0.0), 8),
    "right": look((0.8, -0.1, 0.2), -12),
    "away": look((0.0, 0.0, 0.0), 180),
    "hidden": look((0.0, 0.0, 9.0), 180),
}


def camera(view: str) -> Camera:
    return Camera(view, "SIMPLE_PINHOLE", WIDTH, HEIGHT, (300.0, 160.0, 120.0), POSES[view])


def render(view: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours [h, w, 3] uint8, points [h, w, 3] and object mask [h, w], by casting rays."""
    one = camera(view)
    directions = one.rays(grid_pixels(height, width, WIDTH, HEIGHT))
    world = directions @ one.camera_from_world[:3, :3]
    best = np.full((height, width), np.inf)
    mask = np.zeros((height, width), dtype=bool)
    for z, limit in ((3.0, SIZE), (5.0, np.inf), (-5.0, np.inf)):
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (z - one.center[2]) / world[..., 2]
        hit = one.center + t[..., None] * world
        inside = (t > 0) & (t < best) & (np.abs(hit[..., :2]) < limit).all(axis=-1)
        best = np.where(inside, t, best)
        mask = np.where(inside, limit == SIZE, mask)
    points = one.center + best[..., None] * world
    x, y, z = np.moveaxis(points, -1, 0)
    checker = (np.floor(x * 5) + np.floor(y * 5)) % 2
    red = np.stack([190 + 25 * checker, 30 + 35 * checker, 30 + 0 * x], axis=-1)
    grey = 120 + 20 * np.sin(3 * x) * np.cos(4 * y) + 10 * np.sign(z)
    colors = np.where(mask[..., None], red, grey[..., None])
    return colors.clip(0, 255).astype(np.uint8), points, mask


def make_capture(folder: Path) -> Capture:
    """Photos, exact cameras and pointmaps of the scene as a capture in `folder`."""
    for view in POSES:
        Image.fromarray(render(view, HEIGHT, WIDTH)[0]).save(folder / f"{view}.png")
    capture = Capture.create(folder / "capture")
    with capture.writing():
        add_photos(capture, [folder], Progress())
        with capture.transaction() as transaction:
            for view in POSES:
                colors, points, _ = render(view, 150, 200)
                confidence = np.full((150, 200), 0.9, dtype=np.float16)
                pointmap = Pointmap(view, points.astype(np.float32), confidence, colors)
                capture.put_pointmap(pointmap, transaction)
            cameras = tuple(camera(p.view) for p in capture.photos())
            capture.put_reconstruction(Reconstruction(cameras), transaction)
    return capture


def prepared(name: str, capture: Capture) -> Segmenter:
    segmenter = load_segmenter(name, "cpu")
    segmenter.prepare(capture, Progress())
    return segmenter


def item(*prompts: Prompt) -> SceneObject:
    return SceneObject("square", "square", prompts=prompts, revision=7)


def click(view: str = "left", include: bool = True, at: tuple[float, ...] = (0, 0, 3)) -> Prompt:
    (pixel,), _ = camera(view).project(np.array([at], dtype=np.float64))
    return Prompt("point", view, include, ((float(pixel[0]), float(pixel[1])),))


def iou(mask: ViewMask) -> float:
    truth = render(mask.view, HEIGHT, WIDTH)[2]
    found = full_size_mask(mask.logits, WIDTH, HEIGHT)
    return float((found & truth).sum() / (found | truth).sum())


def check_square(answer: MaskSet) -> None:
    """The object is found where it is seen, and nowhere else."""
    masks = {m.view: m for m in answer.masks}
    assert set(masks) == set(POSES)
    for view in ("left", "right"):
        assert iou(masks[view]) > 0.9, view
        assert masks[view].score.presence > 0.8
        assert masks[view].score.confidence > 0.7
    for view in ("away", "hidden"):
        assert not (masks[view].logits > 0).any(), view
        assert masks[view].score.area == 0
        assert masks[view].score.presence < 0.3
