# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows the mouse while a tool is active: the brush's circle, and the place of the preview.

Blender calls these when the mouse has moved in the editor; positions are pixels of the window.
"""

from __future__ import annotations

import bpy
import gpu

from ..scene import hovering, images
from .marks import draw_brush
from .pointing import find_photo, spot_at


def hover_cursor(_context: bpy.types.Context, _tool: object, xy: tuple[int, int]) -> None:
    """Remember where the mouse is in which photo; draws nothing."""
    context = bpy.context
    scene, region, space = context.scene, context.region, context.space_data
    if region is None or space is None or space.type != "IMAGE_EDITOR":
        return
    photo = find_photo(scene, images.view_of(scene, space.image))
    if photo is None:
        hovering.follow(scene, "", 0.0, 0.0)
        return
    spot = spot_at(photo, region, xy[0] - region.x, xy[1] - region.y)
    inside = 0 <= spot.x < photo.width and 0 <= spot.y < photo.height
    hovering.follow(scene, photo.view if inside else "", spot.x, spot.y)


def brush_cursor(_context: bpy.types.Context, _tool: object, xy: tuple[int, int]) -> None:
    """Draw the brush's circle."""
    context = bpy.context
    radius = context.scene.mvsam.marking.brush_radius
    gpu.state.blend_set("ALPHA")
    draw_brush(
        (float(xy[0]), float(xy[1])), float(radius), True, context.preferences.system.ui_scale
    )
    gpu.state.blend_set("NONE")
