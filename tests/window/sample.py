# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample capture for scenarios: its photos, where to click, and how right an answer is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from mvsam_engine.capture import Camera, Capture, Pointmap, Reconstruction
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tabletop"
TRUTH = SAMPLE / "truth"


def photo(view: str) -> Path:
    """The photo of a view."""
    return SAMPLE / "photos" / f"{view}.jpg"


def true_mask(name: str, view: str) -> np.ndarray:
    """Where an object is in a photo, bool [height, width]."""
    with Image.open(TRUTH / "masks" / name / f"{view}.png") as image:
        return np.asarray(image) > 127


def best_view(name: str, views: list[str]) -> str:
    """The view that shows most of an object, where a person would click."""
    return max(views, key=lambda view: true_mask(name, view).sum())


def inside(name: str, view: str) -> tuple[float, float]:
    """The photo position (x, y) that lies deepest inside an object, where a person would click."""
    depth = ndimage.distance_transform_edt(true_mask(name, view))
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return float(column) + 0.5, float(row) + 0.5


def true_capture(root: Path, views: list[str]) -> Capture:
    """A capture whose cameras and pointmaps are the truth, so that only segmenting is left.

    Args:
        root: where to make it; whatever lies there is removed.
        views: names of the views to take.
    """
    shutil.rmtree(root, ignore_errors=True)
    truth = json.loads((TRUTH / "cameras.json").read_text(encoding="utf-8"))
    capture = Capture.create(root)
    cameras = {view: _camera(view, truth) for view in views}
    with capture.writing():
        add_photos(capture, [photo(view) for view in views], Progress())
        with capture.transaction() as transaction:
            reconstruction = Reconstruction(
                tuple(cameras.values()), method="truth", metric=True, upright=True
            )
            capture.put_reconstruction(reconstruction, transaction)
            for view, camera in cameras.items():
                capture.put_pointmap(_pointmap(view, camera), transaction)
    return capture


def _camera(view: str, truth: dict) -> Camera:
    entry = truth["views"][view]
    k = np.array(entry["K"])
    return Camera(
        view=view,
        model="PINHOLE",
        width=truth["width"],
        height=truth["height"],
        params=(k[0, 0], k[1, 1], k[0, 2], k[1, 2]),
        camera_from_world=np.array(entry["camera_from_world"]),
    )


def _pointmap(view: str, camera: Camera) -> Pointmap:
    """The true depth, seen through the true camera."""
    with np.load(TRUTH / "depth" / f"{view}.npz") as archive:
        depth = archive["depth"].astype(np.float64)  # [h, w] metres along z
    rows, columns = depth.shape
    fx, fy, cx, cy = camera.params
    x = (np.arange(columns) + 0.5) * camera.width / columns
    y = (np.arange(rows) + 0.5) * camera.height / rows
    rays = np.stack(np.meshgrid((x - cx) / fx, (y - cy) / fy), axis=-1)
    in_camera = np.concatenate([rays * depth[..., None], depth[..., None]], axis=-1)
    world_from_camera = np.linalg.inv(camera.camera_from_world)
    points = in_camera @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
    with Image.open(photo(view)) as image:
        colors = np.asarray(image.convert("RGB").resize((columns, rows), Image.Resampling.BOX))
    return Pointmap(
        view=view,
        points=points.astype(np.float32),
        confidence=np.ones((rows, columns), np.float16),
        colors=colors,
    )


def overlaps(capture_dir: Path, object_id: str, name: str) -> dict[str, float]:
    """Intersection over union of an answer with the truth, per view that shows the object.

    Views that show less than a thousandth of the photo of it are left out: there, a border of one
    pixel decides.
    """
    capture = Capture.open(capture_dir)
    result = {}
    for camera in capture.require_reconstruction().cameras:
        with Image.open(capture.mask_path(object_id, camera.view)) as image:
            assert image.mode == "L"
            answer = np.asarray(image)
        assert set(np.unique(answer)) <= {0, 255}
        truth = true_mask(name, camera.view)
        if truth.mean() < 0.001:
            continue
        common = ((answer > 0) & truth).sum()
        result[camera.view] = float(common / ((answer > 0) | truth).sum())
    return result
