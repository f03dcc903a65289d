# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets to measure on that are told by eye: photos of a wall, each 8 pixels farther to the left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mvsam_engine.capture import (
    Camera,
    Capture,
    MaskSet,
    Pointmap,
    Reconstruction,
    SceneObject,
    ViewMask,
    ViewScore,
)
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.evaluate.segmentation.methods import Method
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress

WIDTH, HEIGHT, FOCAL, DEPTH = 128, 96, 80.0, 2.0
# SAM's cells of such a photo: two by two for each pixel.
CELLS = (192, 256)
SHIFT = 8  # pixels between neighbouring views
# The view that looks at another place of the wall.
AWAY = "d"


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def photo(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def mask_of(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top : top + height, left : left + width] = 255
    return mask


def square(view: str) -> np.ndarray:
    """A 20 x 20 square on the wall as a view shows it, 255 on 0; nothing in `AWAY`."""
    if view == AWAY:
        return np.zeros((HEIGHT, WIDTH), np.uint8)
    return mask_of(40, 60 - SHIFT * "abc".index(view), 20, 20)


def wall_capture(root: Path, views: str = "abc", unplaced: str = "") -> Capture:
    """A capture of `views`, reconstructed but for the unplaced ones."""
    originals = root.parent / f"{root.name}-originals"
    for k, view in enumerate(views):
        save(originals / f"{view}.png", photo(k))
    capture = Capture.create(root)
    pixels = grid_pixels(*CELLS, WIDTH, HEIGHT)
    cameras = []
    with capture.writing():
        add_photos(capture, [originals], Progress())
        with capture.transaction() as transaction:
            for view in views:
                if view in unplaced:
                    continue
                pose = np.eye(4)
                step = SHIFT * DEPTH / FOCAL
                pose[0, 3] = -(50.0 if view == AWAY else step * "abc".index(view))
                params = (FOCAL, WIDTH / 2, HEIGHT / 2)
                camera = Camera(view, "SIMPLE_PINHOLE", WIDTH, HEIGHT, params, pose)
                points = camera.unproject(pixels, np.full(CELLS, DEPTH)).astype(np.float32)
                confidence = np.full(CELLS, 0.9, np.float16)
                colors = np.zeros((*CELLS, 3), np.uint8)
                cameras.append(camera)
                capture.put_pointmap(Pointmap(view, points, confidence, colors), transaction)
            capture.put_reconstruction(Reconstruction(tuple(cameras), method="flat"), transaction)
    return capture


def write_masks(folder: Path, views: str = "abcd") -> Path:
    for view in views:
        save(folder / f"{view}.png", square(view))
    return folder


def make_nvos(
    root: Path,
    tasks: tuple[str, ...] = ("fern", "horns_left"),
    photos: tuple[str, str, str] = ("IMG_0", "IMG_1", "IMG_2"),
) -> Path:
    """NVOS's folders: the first photo is the target, the last the reference."""
    labels = root / "labels" / "llff"
    target, _, reference = photos
    for task in tasks:
        scene = task.partition("_")[0]
        for k, name in enumerate(photos):
            save(root / "scenes" / f"{scene}_undistort" / "images" / f"{name}.JPG", photo(k))
        save(labels / "reference_image" / task / f"{reference}.JPG", photo(2))
        save(labels / "masks" / task / f"{target}.JPG", photo(0))
        save(labels / "masks" / task / f"{target}_mask.png", square("a"))
        small = mask_of(40, 60, 20, 20)[::4, ::4]
        save(labels / "scribbles" / task / f"pos_0_{scene}.png", small)
        save(labels / "scribbles" / task / f"neg_0_{scene}.png", small[::-1].copy())
        save(labels / "scribbles" / task / f"vis_0_{scene}.png", photo(9, 32, 24))
    return root


def answer(masks: Mapping[str, np.ndarray]) -> MaskSet:
    """An answer whose full-size masks are exactly these (nonzero = object)."""
    views = []
    for view, mask in masks.items():
        cells = np.repeat(np.repeat(mask > 0, 2, axis=0), 2, axis=1)
        logits = np.where(cells, 8.0, -8.0).astype(np.float16)
        score = ViewScore(view, 1.0, 1.0, float(cells.mean()))
        views.append(ViewMask(score, logits))
    return MaskSet("evaluation", 1, "scripted", tuple(views))


class Scripted:
    """Answers what it was told to; remembers what it was asked."""

    def __init__(self, masks: Mapping[str, np.ndarray]) -> None:
        self.masks = masks
        self.asked: list[SceneObject] = []
        self.prepared = 0

    def prepare(self, capture: Capture, progress: Progress) -> None:
        self.prepared += 1

    def release(self) -> None:
        self.prepared -= 1

    def predict(self, item: SceneObject, progress: Progress, on_view) -> MaskSet:
        progress.check()
        self.asked.append(item)
        found = answer(self.masks)
        on_view(found.masks[0])
        return found


@dataclass(frozen=True)
class ScriptedMethod(Method):
    """A method that is a `Scripted` segmenter."""

    segmenter: Scripted = None  # type: ignore[assignment]

    def load(self, device: str = "auto") -> Scripted:
        return self.segmenter

    def __hash__(self) -> int:
        return hash(self.label)
