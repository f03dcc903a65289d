# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlays' draw handlers, kept on Blender's window manager type while the add-on is on."""

from __future__ import annotations

import bpy

from .overlay_image import ImageOverlay
from .overlay_points import PointsOverlay


class Overlays:
    """Both overlays with their handlers; there are none in background mode."""

    def __init__(self) -> None:
        self.image = ImageOverlay()
        self.points = PointsOverlay()
        self._handles: list[tuple[type[bpy.types.Space], object]] = []

    def attach(self) -> None:
        """Begin to draw."""
        for space, draw, when in (
            (bpy.types.SpaceImageEditor, self.image.draw_region, "POST_PIXEL"),
            (bpy.types.SpaceView3D, self.points.draw_region, "POST_VIEW"),
        ):
            self._handles.append((space, space.draw_handler_add(draw, (), "WINDOW", when)))

    def detach(self) -> None:
        """Stop drawing."""
        for space, handle in self._handles:
            space.draw_handler_remove(handle, "WINDOW")
        self._handles.clear()


def register() -> None:
    """Begin to draw where there are windows."""
    made = Overlays()
    bpy.types.WindowManager.mvsam_overlays = made
    if not bpy.app.background:
        made.attach()


def unregister() -> None:
    """Stop drawing."""
    bpy.types.WindowManager.mvsam_overlays.detach()
    del bpy.types.WindowManager.mvsam_overlays
