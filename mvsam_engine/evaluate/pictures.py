# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of one run: depth and error maps of some views, the cloud from new viewpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import camera_center, look_at, transform_points
from mvsam_engine.evaluate.exchange import read_depth, read_result
from mvsam_engine.evaluate.metrics import MEASURED, pose_errors, sample_depth
from mvsam_engine.evaluate.outcome import Outcome
from mvsam_engine.evaluate.sources import PhotoSet
from mvsam_engine.evaluate.splat import BACKGROUND, Cloud, join, splat
from mvsam_engine.photos import read_rgb

VIEWS = 3
_GAP = 6
# Error maps: within 1 % green, then yellow, orange, red; nothing known is the background.
_STEPS = (0.01, 0.03, 0.10)
_COLORS = ((56, 142, 60), (192, 202, 51), (251, 140, 0), (211, 47, 47))


def draw_run(folder: Path, outcome: Outcome, photo_set: PhotoSet, made: Path) -> list[Path]:
    """Draw what a method made; gives the files, none for a method without depth.

    ``<set>-<photos>-<method>-depth.png`` has a row for each of three views: photo, true depth where
    known, measured depth, full depth, error. ``...-cloud-<n>.png`` are the measured points and the
    full points side by side from new viewpoints.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{outcome.set}-{outcome.photos}-{outcome.method}"
    if outcome.seed:
        stem += f"-seed{outcome.seed}"
    files = []
    if (rows := _depth_rows(outcome, photo_set, made)) is not None:
        files.append(folder / f"{stem}-depth.png")
        Image.fromarray(rows).save(files[-1])
    if (made / "capture.json").is_file():
        for number, image in enumerate(cloud_views(Capture.open(made))):
            files.append(folder / f"{stem}-cloud-{number}.png")
            Image.fromarray(image).save(files[-1])
    return files


def _cameras(made: Path) -> dict[str, NDArray[np.float64]]:
    result = read_result(made)
    if result is not None:
        return dict(result.cameras)
    found = Capture.open(made).require_reconstruction()
    return {c.view: c.camera_from_world for c in found.cameras}


def _depth_rows(outcome: Outcome, photo_set: PhotoSet, made: Path) -> NDArray[np.uint8] | None:
    truth, cameras = photo_set.truth, _cameras(made)
    errors = pose_errors(cameras, truth.cameras, truth.common_rotation)
    scale = 1.0 if errors is None else errors.similarity.scale
    views = list(cameras)
    chosen = dict.fromkeys(
        views[round(i * (len(views) - 1) / max(VIEWS - 1, 1))]
        for i in range(min(VIEWS, len(views)))
    )
    rows = []
    for view in chosen:
        found = read_depth(made, view)
        if found is None:
            continue
        depth, confidence = found[0] * scale, found[1]
        sure = np.isfinite(depth) if confidence is None else confidence > MEASURED
        true = truth.depth(view)
        reference = depth if true is None else sample_depth(true, *depth.shape)
        near, far = _range(reference)
        cells = [_photo(made, photo_set, view, depth.shape)]
        if true is not None:
            cells.append(colored(reference, near, far))
        cells.append(colored(np.where(sure, depth, np.nan), near, far))
        cells.append(colored(depth, near, far))
        if true is not None:
            cells.append(error_map(depth, reference))
        rows.append(_side_by_side(cells))
    if not rows:
        return None
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(r, ((0, _GAP), (0, width - r.shape[1]), (0, 0))) for r in rows]
    return np.concatenate(padded)


def _photo(made: Path, photo_set: PhotoSet, view: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if (made / "capture.json").is_file():
        return Capture.open(made).pointmap(view).colors
    file = next(p for p in photo_set.photos if p.stem == view)
    return np.asarray(Image.fromarray(read_rgb(file)).resize(shape[::-1]))


def _side_by_side(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    gap = np.full((images[0].shape[0], _GAP, 3), 255, np.uint8)
    joined: list[NDArray[np.uint8]] = []
    for image in images:
        joined += [image, gap]
    return np.concatenate(joined[:-1], axis=1)


def _range(depth: NDArray[np.floating]) -> tuple[float, float]:
    known = depth[np.isfinite(depth) & (depth > 0)]
    if not len(known):
        return 1.0, 2.0
    near, far = np.percentile(known, (1, 99))
    return float(near), float(max(far, near * 1.01))


def colored(depth: NDArray[np.floating], near: float, far: float) -> NDArray[np.uint8]:
    """Depth [h, w] as colour, red near and blue far, even in inverse depth."""
    import cv2

    known = np.isfinite(depth) & (depth > 0)
    inverse = 1.0 / np.where(known, depth, far)
    share = np.clip((inverse - 1 / far) / (1 / near - 1 / far), 0, 1)
    picture = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    return np.where(known[..., None], picture[..., ::-1], np.uint8(BACKGROUND))


def error_map(depth: NDArray[np.floating], true: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Relative error as colour: green within 1 %, yellow 3 %, orange 10 %, red beyond."""
    valid = (true > 0) & np.isfinite(depth)
    error = np.abs(depth / np.where(true > 0, true, 1.0) - 1.0)
    step = np.digitize(np.where(valid, error, 0.0), _STEPS)
    return np.where(valid[..., None], np.array(_COLORS, np.uint8)[step], np.uint8(BACKGROUND))


def view_cloud(capture: Capture, view: str, least: float) -> Cloud:
    """The points of one view with at least a confidence."""
    camera = capture.require_reconstruction().camera(view)
    pointmap = capture.pointmap(view)
    points = pointmap.points
    keep = np.isfinite(points[..., 0]) & (pointmap.confidence >= least)
    depth = transform_points(camera.camera_from_world, points.astype(np.float64))[..., 2]
    # What one pixel covers at that depth, half as much again for slanted surfaces.
    pixel = depth / abs(camera.param("fx")) * (camera.width / points.shape[1])
    return Cloud(points[keep], pointmap.colors[keep], (1.5 * pixel[keep]).astype(np.float32))


def cloud_views(capture: Capture, size: tuple[int, int] = (720, 540)) -> list[NDArray[np.uint8]]:
    """The cloud from three new viewpoints: a step left, a step right, from above.

    Each picture shows the measured points at the left and all points at the right.
    """
    reconstruction = capture.require_reconstruction()
    cameras = reconstruction.cameras
    clouds = []
    for least in (MEASURED, 0.02):
        clouds.append(join([view_cloud(capture, c.view, least) for c in cameras]))
    if not len(clouds[0]):
        return []
    middle = cameras[len(cameras) // 2]
    target = np.median(view_cloud(capture, middle.view, MEASURED).points, axis=0).astype(float)
    axes = middle.camera_from_world[:3, :3]  # rows: right, down, forward in the world
    centre = camera_center(middle.camera_from_world)
    reach = float(np.linalg.norm(target - centre))
    images = []
    for sideways, upwards in ((-0.7, 0.1), (0.7, 0.1), (0.15, 0.9)):
        place = target + reach * 1.15 * _turned(axes, sideways, upwards)
        matrix = look_at(place, target, axes[1])
        images.append(_side_by_side([splat(c, matrix, 0.8 * size[0], size) for c in clouds]))
    return images


def _turned(axes: NDArray[np.float64], sideways: float, upwards: float) -> NDArray[np.float64]:
    """Unit vector from the target towards a viewer turned by radians from the middle camera."""
    right, down, forward = axes
    direction = -np.cos(upwards) * (np.cos(sideways) * forward - np.sin(sideways) * right)
    return direction - np.sin(upwards) * down
