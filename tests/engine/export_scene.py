# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture of photos that lie in their files in every EXIF orientation, through a bent lens.

A square on the plane z = 0 is the object. The photos come in as a person's do, by `add_photos`;
cameras and masks are known exactly for the pixels as the files store them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mvsam_engine.capture import (
    Camera,
    Capture,
    MaskSet,
    Placement,
    Pointmap,
    Prompt,
    Reconstruction,
    SceneObject,
    ViewMask,
    ViewScore,
)
from mvsam_engine.capture.conventions import grid_pixels, look_at
from mvsam_engine.photos import add_photos
from mvsam_engine.photos.decode import turn_upright
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.posed.fitting import turned

WIDTH, HEIGHT, GRID = 120, 80, 4
UNMIRRORED = (1, 3, 6, 8)
PLACEMENT = Placement(
    2.5,
    np.array([[0.0, -1, 0, 4], [1, 0, 0, 5], [0, 0, 1, 6], [0, 0, 0, 1]]),
    metric=True,
    upright=True,
    source="one length",
)


class Record(Progress):
    """Remembers warnings; cancels itself after so many steps."""

    def __init__(self, cancel_after: int | None = None) -> None:
        super().__init__()
        self.warnings: dict[str, str] = {}
        self._left = cancel_after

    def on_change(self) -> None:
        if self._left is not None and self.done:
            self._left -= 1
            if self._left < 0:
                self.cancel()

    def on_warning(self, code: str, message: str, remedy: str) -> None:
        self.warnings[code] = f"{message} {remedy}"


def stored_camera(index: int, model: str = "OPENCV") -> Camera:
    """The camera of a photo, for the pixels as its file stores them."""
    angle = 0.25 * (index - 2)
    center = np.array([2.0 * np.sin(angle), 0.3 * index - 0.5, 3.0])
    pose = look_at(center, np.zeros(3), np.array([0.0, -1.0, 0.0]))
    params = {
        "OPENCV": (100.0, 100.02, 61.0, 38.5, -0.08, 0.02, 0.003, -0.002),
        "MVSAM_BROWN": (
            *(100.0, 100.02, 61.0, 38.5, 0.3, -0.08, 0.02, 0.004, 0.001, 0.003, -0.002),
        ),
        "FOV": (100.0, 101.0, 61.0, 38.5, 0.4),
    }[model]
    return Camera(view_of(index), model, WIDTH, HEIGHT, params, pose)


def view_of(index: int) -> str:
    return f"IMG_{index}"


def plane(camera: Camera, height: int, width: int) -> np.ndarray:
    """Where the rays of a grid over the photo meet z = 0: [height, width, 3]."""
    rays = camera.rays(grid_pixels(height, width, camera.width, camera.height))
    directions = rays @ camera.camera_from_world[:3, :3]
    return camera.center - directions * (camera.center[2] / directions[..., 2:])


def inside(points: np.ndarray) -> np.ndarray:
    """The object: a square with a hole, a little off the middle."""
    x, y = points[..., 0] - 0.2, points[..., 1]
    return (np.maximum(abs(x), abs(y)) < 0.5) & (np.hypot(x, y) > 0.15)


def stored_mask(camera: Camera) -> np.ndarray:
    """[H, W] bool of the object in the pixels as stored."""
    return inside(plane(camera, camera.height, camera.width))


def make(folder: Path, orientations=(1, 3, 6, 8), model="OPENCV") -> Capture:
    """The capture, its photos in ``folder/photos/left``; the last photo has no camera."""
    photos = folder / "photos" / "left"
    photos.mkdir(parents=True)
    cameras: dict[str, Camera] = {}
    masks: dict[str, np.ndarray] = {}
    for index, orientation in enumerate(orientations):
        stored = stored_camera(index, model)
        hit = plane(stored, HEIGHT, WIDTH)
        checker = (np.floor(hit[..., 0] * 4) + np.floor(hit[..., 1] * 4)) % 2
        color = np.where(stored_mask(stored)[..., None], (200, 60, 40), (60, 90, 160))
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = (color * (0.7 + 0.3 * checker[..., None])).astype(np.uint8)
        Image.fromarray(pixels).save(photos / f"{view_of(index)}.JPG", exif=exif, quality=95)
        cameras[stored.view] = turned(stored, orientation)
        upright = turn_upright(Image.fromarray(stored_mask(stored)), orientation)
        masks[stored.view] = np.asarray(upright)
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(photos / "lost.JPG")
    capture = Capture.create(folder / "capture")
    with capture.writing():
        add_photos(capture, [folder / "photos"], Progress(), _recursive())
        with capture.transaction() as transaction:
            for camera in cameras.values():
                capture.put_pointmap(_pointmap(camera), transaction)
            reconstruction = Reconstruction(tuple(cameras.values()), placement=PLACEMENT)
            capture.put_reconstruction(reconstruction, transaction)
        put_object(capture, "mug", "Mug 1", masks)
    return capture


def _recursive():
    from mvsam_engine.photos import IntakeOptions

    return IntakeOptions(recursive=True)


def _pointmap(camera: Camera) -> Pointmap:
    shape = (camera.height // GRID, camera.width // GRID)
    points = plane(camera, *shape)
    colors = np.where(inside(points)[..., None], (200, 60, 40), (60, 90, 160)).astype(np.uint8)
    points[0] = np.nan
    confidence = np.full(shape, 0.9, np.float16)
    confidence[1] = 0.1
    return Pointmap(camera.view, points.astype(np.float32), confidence, colors)


def put_object(capture: Capture, object_id: str, name: str, masks: dict[str, np.ndarray]) -> None:
    """Store an answer from full-size masks [H, W] bool by view; inside `capture.writing()`."""
    import cv2

    answers, images = [], {}
    reconstruction = capture.require_reconstruction()
    for view, mask in masks.items():
        score = ViewScore(view, float(mask.any()), 0.9, float(mask.mean()))
        pointmap = capture.pointmap(view)
        known = np.isfinite(pointmap.points[..., 0])
        fused = np.where(known, inside(pointmap.points) * 1.0, np.nan).astype(np.float16)
        answers.append(ViewMask(score, np.where(mask, 4, -4).astype(np.float16), fused))
        images[view] = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
    prompt = Prompt("point", reconstruction.cameras[0].view, xy=((40.0, 40.0),))
    item = SceneObject(object_id, name, prompts=(prompt,), revision=1)
    with capture.transaction() as transaction:
        capture.put_masks(item, MaskSet(object_id, 1, "exact", tuple(answers)), images, transaction)
