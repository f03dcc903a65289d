# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks over a photo: the active object's prompts, the one being made, and measure marks."""

from __future__ import annotations

import bpy

from mvsam_engine.capture import Prompt
from mvsam_engine.capture.conventions import pixels_to_uv

from ..core.prompts import is_pending
from ..scene import objects
from ..scene.props import MVSAM_PG_photo
from .gesture import Gesture
from .marks import draw_box, draw_mark, draw_measure, draw_stroke
from .mask_drawing import ToRegion

Point = tuple[float, float]


def draw_prompts(
    scene: bpy.types.Scene, photo: MVSAM_PG_photo, to_region: ToRegion, scale: float
) -> None:
    """Draw what was said about the active object in the shown photo."""
    item = objects.active(scene)
    if item is None or not item.visible:
        return
    pending = is_pending(objects.to_scene_object(item))
    zoom = _zoom(photo, to_region)
    prompts = [p for p in objects.prompts_of(item) if p.view == photo.view]
    # Strokes first: signs of clicks stay seen.
    for prompt in sorted(prompts, key=lambda p: p.kind != "stroke"):
        places = _placed(photo, prompt.xy, to_region)
        draw_mark(prompt, places, pending, scale, prompt.radius * zoom)


def draw_gesture(shape: Gesture, photo: MVSAM_PG_photo, to_region: ToRegion, scale: float) -> None:
    """Draw what the mouse is about to mark."""
    if shape.view != photo.view:
        return
    places = _placed(photo, shape.xy, to_region)
    if shape.kind == "box":
        draw_box(places[0], places[1], shape.include, True, scale)
    elif shape.kind == "stroke":
        radius = shape.radius * _zoom(photo, to_region)
        draw_stroke(places, radius, shape.include, True, scale)
    else:
        mark = Prompt("point", shape.view, shape.include, shape.xy)
        draw_mark(mark, places, True, scale)


def draw_measures(
    scene: bpy.types.Scene, photo: MVSAM_PG_photo, to_region: ToRegion, scale: float
) -> None:
    """Draw the measure marks that are in the shown photo."""
    place = scene.mvsam.place
    shown = [(n, m) for n, m in (("A", place.first), ("B", place.second)) if m.view == photo.view]
    if shown:
        ends = _placed(photo, tuple((m.x, m.y) for _, m in shown), to_region)
        draw_measure(ends, "".join(name for name, _ in shown), scale)


def _placed(photo: MVSAM_PG_photo, xy: tuple[Point, ...], to_region: ToRegion) -> list[Point]:
    """Photo pixels in the region.

    From two corners, since Blender rounds every position to whole pixels.
    """
    (left, low), (right, high) = to_region(0.0, 0.0), to_region(1.0, 1.0)
    uv = [pixels_to_uv(place, photo.width, photo.height) for place in xy]
    return [(left + (right - left) * float(u), low + (high - low) * float(v)) for u, v in uv]


def _zoom(photo: MVSAM_PG_photo, to_region: ToRegion) -> float:
    """Pixels of the region per pixel of the photo."""
    return max(1e-3, (to_region(1.0, 0.0)[0] - to_region(0.0, 0.0)[0]) / photo.width)
