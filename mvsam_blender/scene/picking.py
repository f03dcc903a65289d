# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies at a place: objects by their stored masks, and the photo pixel of a point."""

from __future__ import annotations

import bpy
import numpy as np

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import pixels_to_grid
from mvsam_engine.errors import CaptureError, MvsamError

from . import build, points
from .attributes import PointAttribute, read_attribute
from .props import MVSAM_PG_object


def objects_at(scene: bpy.types.Scene, view: str, x: float, y: float) -> list[MVSAM_PG_object]:
    """The visible objects whose stored masks cover a place in a photo, the surest first.

    Raises:
        CaptureError: the scene has no capture.
    """
    capture = build.open_capture(scene)
    photo = capture.photo(view)
    found: list[tuple[float, MVSAM_PG_object]] = []
    for item in scene.mvsam.objects:
        logit = _logit_at(capture, item, view, (x, y), (photo.width, photo.height))
        if logit > 0:
            found.append((logit, item))
    return [item for _, item in sorted(found, key=lambda pair: -pair[0])]


def objects_on_point(scene: bpy.types.Scene, index: int) -> list[MVSAM_PG_object]:
    """The visible objects that a point belongs to, the surest first."""
    cloud = points.points_object(scene)
    found: list[tuple[float, MVSAM_PG_object]] = []
    for item in scene.mvsam.objects:
        weights = points.shown_weights(scene, cloud, item) if item.visible else None
        if weights is not None and weights[index] > scene.mvsam.display.threshold:
            found.append((float(weights[index]), item))
    return [item for _, item in sorted(found, key=lambda pair: -pair[0])]


def photo_pixel(scene: bpy.types.Scene, index: int) -> tuple[str, float, float]:
    """The photo that a point was seen in, and where in it, in photo pixels.

    Raises:
        CaptureError: no capture, no such point, or points that are no longer tied to photos.
    """
    cloud = points.points_object(scene)
    if cloud is None or not 0 <= index < len(cloud.data.vertices):
        raise CaptureError(
            "points.none", f"There is no point {index}.", "Open or reconstruct a capture first."
        )
    views = points.view_names(cloud.data)
    view = read_attribute(cloud.data, PointAttribute.VIEW.value)
    if view is None or not 0 <= view[index] < len(views):
        raise CaptureError(
            "points.damaged",
            "The points have lost the attributes that tie them to the photos.",
            "Open the capture again.",
        )
    name = views[view[index]]
    reconstruction = build.open_capture(scene).require_reconstruction()
    camera = reconstruction.camera(name)
    position = np.array(cloud.data.attributes["position"].data[index].vector, dtype=np.float64)
    pixel = camera.project(position)[0] if camera is not None else np.full(2, np.nan)
    if not np.isfinite(pixel).all():
        raise CaptureError(
            "points.moved",
            f"The point does not lie where {name} saw it.",
            "Open the capture again.",
        )
    x = float(np.clip(pixel[0], 0.0, camera.width - 0.01))
    return name, round(x, 2), round(float(np.clip(pixel[1], 0.0, camera.height - 0.01)), 2)


def _logit_at(
    capture: Capture,
    item: MVSAM_PG_object,
    view: str,
    xy: tuple[float, float],
    size: tuple[int, int],
) -> float:
    """The stored logit of an object at a photo pixel; negative where it has none."""
    if not (item.visible and item.answered):
        return -1.0
    try:
        logits = capture.logits(item.object_id, view)
    except MvsamError:
        return -1.0  # not answered in this photo
    row, column, inside = pixels_to_grid(np.array(xy), *logits.shape, *size)
    return float(logits[row, column]) if inside else -1.0
