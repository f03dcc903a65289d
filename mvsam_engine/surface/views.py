# SPDX-License-Identifier: GPL-3.0-or-later
"""What each view contributes to a surface: depth, confidence, and how much of it is the object.

Convention: everything is in the person's frame, where the capture's placement puts the world.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Capture, SceneObject
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.errors import SurfaceError
from mvsam_engine.progress import Progress

# Views whose mask agrees less than this with the object's points would cut holes into it.
LEAST_TRUST = 0.25
# A point that is right half of the time misleads more than it helps: this power of the confidence
# is its weight (docs/surface.md has the measurement).
_CONFIDENCE_POWER = 2
# Depth at the mask's edge is as often that of what is behind; it keeps this share of its weight.
_EDGE_WEIGHT = 0.1
_FLATTEST = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceView:
    """One view's grid.

    Attributes:
        camera: in the person's frame.
        depth: [h, w] float32 z-depth in the person's units, 0 where nothing is known.
        confidence: [h, w] float32 0..1, weight of the depth.
        share: [h, w] float32 0..1, how much of each cell is object; 1 for a whole scene.
        trust: 0..1 of the view's mask.
    """

    camera: Camera
    depth: NDArray[np.float32]
    confidence: NDArray[np.float32]
    share: NDArray[np.float32]
    trust: float

    def object_points(self, least: float) -> NDArray[np.float64]:
        """Points [n, 3] of the object whose weight is at least `least`."""
        rows, columns = np.nonzero(
            (self.depth > 0) & (self.share > 0.5) & (self.confidence >= least)
        )
        height, width = self.depth.shape
        scale = (self.camera.width / width, self.camera.height / height)
        pixels = (np.stack([columns, rows], axis=1) + 0.5) * scale
        return self.camera.unproject(pixels, self.depth[rows, columns])


def read_views(
    capture: Capture, item: SceneObject | None, progress: Progress
) -> tuple[SurfaceView, ...]:
    """Read the grids of all views that know something of the object.

    Args:
        capture: with a reconstruction.
        item: an object with masks; None for the whole scene.
        progress: counts views.

    Raises:
        SurfaceError: no view shows the object.
    """
    reconstruction = capture.require_reconstruction()
    scores = {} if item is None else {score.view: score for score in item.scores}
    progress.stage("Reading views", len(reconstruction.cameras))
    views: list[SurfaceView] = []
    for camera in reconstruction.cameras:
        score = scores.get(camera.view)
        if item is None or (score is not None and score.area > 0):
            trust = 1.0 if score is None else score.confidence
            if trust >= LEAST_TRUST:
                views.append(_read_view(capture, camera, item, trust))
        progress.step()
    if not views:
        name = "The scene" if item is None else f"Object {item.name!r}"
        raise SurfaceError(
            "surface.unseen",
            f"{name} is in none of the photos for sure.",
            "Click on it in one more photo, then segment it again.",
        )
    return tuple(views)


def _read_view(
    capture: Capture, camera: Camera, item: SceneObject | None, trust: float
) -> SurfaceView:
    placement = capture.require_reconstruction().placement
    pointmap = capture.pointmap(camera.view)
    height, width = pointmap.points.shape[:2]
    to_camera = camera.camera_from_world
    depth = pointmap.points @ to_camera[2, :3].astype(np.float32) + np.float32(to_camera[2, 3])
    known = np.isfinite(depth) & (depth > 0)
    confidence = np.where(known, pointmap.confidence, 0).astype(np.float32)
    share = np.ones((height, width), np.float32)
    if item is not None:
        share = cv2.resize(
            read_mask(capture, camera, item).astype(np.float32),
            (width, height),
            interpolation=cv2.INTER_AREA,
        )
    weight = confidence**_CONFIDENCE_POWER * _facing(camera, depth)
    if item is not None:
        weight[_edge(share > 0.5)] *= _EDGE_WEIGHT
    return SurfaceView(
        camera=placement.place_camera(camera),
        depth=np.where(known, depth * placement.scale, 0).astype(np.float32),
        confidence=np.ascontiguousarray(weight),
        share=np.ascontiguousarray(share),
        trust=trust,
    )


def _facing(camera: Camera, depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine [h, w] between line of sight and surface: a flat look errs far; see `_FLATTEST`."""
    rows, columns = depth.shape
    rays = camera.rays(grid_pixels(rows, columns, camera.width, camera.height)).astype(np.float32)
    points = rays * np.where(depth > 0, depth, np.nan)[..., None]
    normal = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    lengths = np.linalg.norm(normal, axis=-1) * np.linalg.norm(rays, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.abs((normal * rays).sum(axis=-1)) / lengths
    return np.maximum(np.nan_to_num(cosine), _FLATTEST).astype(np.float32)


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells [h, w] on either side of the mask's edge."""
    around = np.ones((3, 3), np.uint8)
    grey = mask.astype(np.uint8)
    return cv2.dilate(grey, around) != cv2.erode(grey, around)


def read_mask(capture: Capture, camera: Camera, item: SceneObject | None) -> NDArray[np.uint8]:
    """Which pixels [H, W] of a photo show the object, 1 or 0; of a scene, which are used."""
    if item is None:
        path = capture.photo_mask_path(capture.photo(camera.view))
    else:
        path = capture.mask_path(item.id, camera.view)
    size = (camera.height, camera.width)
    if path is None:
        return np.ones(size, np.uint8)
    # Through memory, because OpenCV opens no file with letters of other scripts on Windows.
    data = np.frombuffer(path.read_bytes(), np.uint8) if path.is_file() else np.empty(0, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    if image is None or image.shape != size:
        raise SurfaceError(
            "surface.mask",
            f"The mask of view {camera.view!r} is missing or damaged.",
            "Segment the object again.",
        )
    return (image > 127).astype(np.uint8)
