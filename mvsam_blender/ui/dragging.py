# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that follow the mouse over a photo from press to release."""

from __future__ import annotations

import bpy

from mvsam_engine.errors import MvsamError

from . import gesture
from .gesture import Gesture
from .pointing import Spot, find_photo, inside_photo, markable, photo_under_mouse, spot_at, zoom
from .running import CANCELLED, refuse


class Dragging:
    """Mix-in: `begun`, `moved` and `done` say what the drag means.

    Started by the press of a button it follows that press; from a menu or a button it waits for
    one. Esc and the right button give up; nothing has changed then.
    """

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Begin, or wait for the button."""
        self._shape: Gesture | None = None
        self._area, self._region = context.area, context.region
        pressed = event.type in {"LEFTMOUSE", "RIGHTMOUSE", "MIDDLEMOUSE"}
        self._button = event.type if pressed and event.value != "RELEASE" else ""
        if self._button:
            begun = self._begin(context, event)
            if begun is not None:
                return begun
        elif not _is_image_editor(context):
            self.report({"WARNING"}, "Put the mouse over a photo in an Image Editor first.")
            return CANCELLED
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Follow the mouse."""
        if event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            return self._given_up()
        if self._shape is None:
            if event.type == "LEFTMOUSE" and event.value == "PRESS":
                self._button = "LEFTMOUSE"
                return self._begin(context, event) or {"RUNNING_MODAL"}
            return {"PASS_THROUGH"}
        if event.type in {"MOUSEMOVE", "INBETWEEN_MOUSEMOVE"}:
            self._follow(context, event)
        elif event.type == self._button and event.value == "RELEASE":
            self._follow(context, event)
            shape = self._shape
            gesture.show(None)
            return self.done(context, shape)
        return {"RUNNING_MODAL"}

    def cancel(self, _context: bpy.types.Context) -> None:
        """Blender ends it: another file, a closed window."""
        gesture.show(None)

    # --- what subclasses say ---------------------------------------------------------------------

    def begun(self, spot: Spot, screen_per_pixel: float) -> Gesture:
        """The shape at the press of the button."""
        raise NotImplementedError

    def moved(self, shape: Gesture, spot: Spot) -> None:
        """Let the shape follow the mouse to a place inside the photo."""
        raise NotImplementedError

    def done(self, context: bpy.types.Context, shape: Gesture) -> set[str]:
        """The button was let go."""
        raise NotImplementedError

    # --- inside ----------------------------------------------------------------------------------

    def _begin(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str] | None:
        """Begin the shape; what to return when that is not possible."""
        spot = photo_under_mouse(context, event)
        if spot is None:
            return {"PASS_THROUGH"}
        try:
            photo = markable(context.scene, spot.view)
        except MvsamError as error:
            return refuse(self, error, "WARNING")
        self._area, self._region = context.area, context.region
        self._shape = self.begun(spot, zoom(photo, context.region))
        gesture.show(self._shape)
        return None

    def _follow(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        photo = find_photo(context.scene, self._shape.view)
        if photo is None:
            return
        region = self._region
        x, y = event.mouse_x - region.x, event.mouse_y - region.y
        self.moved(self._shape, inside_photo(photo, spot_at(photo, region, x, y)))
        self._area.tag_redraw()

    def _given_up(self) -> set[str]:
        gesture.show(None)
        return CANCELLED


def _is_image_editor(context: bpy.types.Context) -> bool:
    space = context.space_data
    return space is not None and space.type == "IMAGE_EDITOR"
