# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that real pointmaps have, put into exact ones.

Pointmaps of a person's photos are never exact, and a network that was trained on exact ones falls
apart on them (52 to 33 mIoU in the paper's own test). Each scene is drawn with errors of its own:

    scale of the error  grain that is smooth over some pixels, in shares of the depth
    edges               depth of the foreground reaches over its border (matching windows do this),
                        or a ramp hangs between foreground and background
    holes               plain areas without points, or with a wrong, smooth guess at low confidence
    whole views         one view's pose is a little, sometimes very, wrong
    confidence          right points that are called doubtful, and wrong ones that are not

After them the whole scene is turned, moved and scaled at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.segment.scene import SceneView


@dataclass(frozen=True, slots=True)
class NoiseOptions:
    """How bad it gets; each number is the most, drawn anew for every scene.

    Attributes:
        grain: deviation of the smooth error, share of the depth.
        edge: cells that edges are fattened by.
        holes: share of the photo that is lost to holes.
        guessed: chance that a hole is filled by a guess instead.
        pose: deviation of a view's turn, radians; of its shift, share of the scene's depth.
        broken: chance that a view's pose is ten times as wrong.
    """

    grain: float = 0.02
    edge: int = 2
    holes: float = 0.3
    guessed: float = 0.7
    pose: float = 0.004
    broken: float = 0.03


EXACT = NoiseOptions(0.0, 0, 0.0, 0.0, 0.0, 0.0)


def disturb(
    views: Sequence[SceneView], rng: np.random.Generator, options: NoiseOptions
) -> list[SceneView]:
    """Views with errors of one kind and size, in a world turned, moved and scaled at random."""
    quality = rng.uniform(0.0, 1.0) ** 1.5  # mostly good, sometimes bad
    change = _random_similarity(rng)
    return [_moved(_disturbed(view, rng, options, quality), change) for view in views]


def _disturbed(
    view: SceneView, rng: np.random.Generator, options: NoiseOptions, quality: float
) -> SceneView:
    rows, columns = view.shape
    depth = np.where(np.isfinite(view.depth), view.depth, 0.0).reshape(rows, columns)
    confidence = view.confidence.reshape(rows, columns).copy()
    depth = _fatten(depth, int(rng.integers(options.edge + 1)), ramp=rng.random() < 0.3)
    grain = _smooth_noise(rng, (rows, columns), cells=int(rng.integers(8, 40)))
    error = options.grain * quality * grain
    depth = depth * (1.0 + error)
    lost = _holes(rng, (rows, columns), options.holes * quality)
    if rng.random() < options.guessed:
        depth = np.where(lost, _guess(depth, lost), depth)
        confidence[lost] *= rng.uniform(0.05, 0.4)
    else:
        depth = np.where(lost, 0.0, depth)
    confidence *= np.exp(-np.abs(error) / 0.01)
    confidence *= np.clip(1.0 + 0.3 * _smooth_noise(rng, (rows, columns), 12), 0.1, 1.0)
    pose = _shaken_pose(view, rng, options, quality)
    return _with_depth(view, depth.ravel(), confidence.ravel(), pose)


def _with_depth(
    view: SceneView,
    depth: NDArray[np.floating],
    confidence: NDArray[np.floating],
    pose: NDArray[np.float64],
) -> SceneView:
    """The view with other depths [cells] (0 unknown), seen from another pose."""
    rows, columns = view.shape
    camera = replace(view.camera, camera_from_world=pose)
    pixels = grid_pixels(rows, columns, view.photo.width, view.photo.height).reshape(-1, 2)
    known = depth > 0
    points = camera.unproject(pixels, np.where(known, depth, np.nan)).astype(np.float32)
    return replace(
        view,
        camera=camera,
        points=points,
        depth=np.where(known, depth, np.nan).astype(np.float32),
        confidence=np.where(known, np.clip(confidence, 0, 1), 0).astype(np.float32),
    )


def _smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cells: int
) -> NDArray[np.float32]:
    """Noise [h, w] of deviation one that changes over about `cells` cells."""
    rows, columns = shape
    small = rng.normal(size=(max(2, rows // cells + 1), max(2, columns // cells + 1)))
    return cv2.resize(
        small.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC
    ).astype(np.float32)


def _fatten(depth: NDArray[np.floating], reach: int, ramp: bool) -> NDArray[np.float32]:
    """Depth [h, w] whose foreground reaches `reach` cells over its border."""
    depth = depth.astype(np.float32)
    if reach == 0:
        return depth
    far = float(depth.max()) + 1.0
    nearest = np.where(depth > 0, depth, far).astype(np.float32)
    if ramp:
        side = 2 * reach + 1
        blurred = cv2.blur(nearest, (side, side)).astype(np.float32)
        return np.where(depth > 0, blurred, 0.0).astype(np.float32)
    grown = cv2.erode(nearest, np.ones((reach + 1, reach + 1), np.uint8)).astype(np.float32)
    return np.where(depth > 0, grown, 0.0).astype(np.float32)


def _holes(rng: np.random.Generator, shape: tuple[int, int], share: float) -> NDArray[np.bool_]:
    """Blobs [h, w] that cover about `share` of all cells."""
    if share <= 0:
        return np.zeros(shape, bool)
    field = _smooth_noise(rng, shape, int(rng.integers(10, 50)))
    return field > np.quantile(field, 1.0 - share * rng.uniform(0.0, 1.0))


def _guess(depth: NDArray[np.float32], lost: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Depth [h, w] in holes as a smooth continuation of what is around."""
    known = ((depth > 0) & ~lost).astype(np.float32)
    weight = cv2.blur(known, (41, 41)) + 1e-6
    inverse = cv2.blur(known / np.maximum(depth, 1e-6), (41, 41)) / weight
    return np.where(weight > 1e-4, 1.0 / np.maximum(inverse, 1e-6), 0.0).astype(np.float32)


def _shaken_pose(
    view: SceneView, rng: np.random.Generator, options: NoiseOptions, quality: float
) -> NDArray[np.float64]:
    """Camera-from-world 4x4 of a camera placed a little wrong."""
    size = options.pose * quality * (10.0 if rng.random() < options.broken else 1.0)
    known = view.depth[np.isfinite(view.depth)]
    reach = float(np.median(known)) if len(known) else 1.0
    turn, _ = cv2.Rodrigues(rng.normal(0.0, 1.0, 3) * size)
    pose = view.camera.camera_from_world.copy()
    pose[:3, :3] = turn @ pose[:3, :3]
    pose[:3, 3] = turn @ pose[:3, 3] + rng.normal(0.0, 1.0, 3) * size * reach
    return pose


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """``X_new = scale * rotation @ X + shift``."""

    scale: float
    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]


def _random_similarity(rng: np.random.Generator) -> _Change:
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return _Change(float(np.exp(rng.normal(0.0, 1.0))), q, rng.normal(0.0, 3.0, 3))


def _moved(view: SceneView, change: _Change) -> SceneView:
    """A view in another world frame."""
    camera: Camera = view.camera
    pose = np.eye(4)
    pose[:3, :3] = camera.camera_from_world[:3, :3] @ change.rotation.T
    pose[:3, 3] = change.scale * camera.camera_from_world[:3, 3] - pose[:3, :3] @ change.shift
    points = change.scale * view.points @ change.rotation.T + change.shift
    return replace(
        view,
        camera=replace(camera, camera_from_world=pose),
        points=points.astype(np.float32),
        depth=view.depth * np.float32(change.scale),
    )
