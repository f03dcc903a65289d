# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling windows that something changed: areas, the status bar, the undo history."""

from __future__ import annotations

import bpy

from . import images

_AREAS = frozenset({"VIEW_3D", "IMAGE_EDITOR", "PREFERENCES"})

# While these run, Blender holds copies of data that we must not change under it.
_BUSY_OPERATORS = ("TRANSFORM_OT_", "PAINT_OT_", "SCULPT_OT_", "MESH_OT_", "VIEW3D_OT_select_")
_BUSY_MODES = ("EDIT", "SCULPT", "PAINT")


def redraw_all() -> None:
    """Redraw everything that shows our data."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in _AREAS:
                area.tag_redraw()


def redraw_photos() -> None:
    """Redraw the Image Editors only: what follows the mouse must not redraw a million points."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                area.tag_redraw()


def show_photo(scene: bpy.types.Scene) -> None:
    """Show the active photo in the Image Editors that show nothing, or one of our images."""
    settings = scene.mvsam
    if not 0 <= settings.active_photo < len(settings.photos):
        return
    image = images.photo_image(scene, settings.photos[settings.active_photo].view)
    if image is None:
        return
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            space = area.spaces.active
            if area.type != "IMAGE_EDITOR" or area.ui_type != "IMAGE_EDITOR":
                continue
            if window.scene == scene and (
                space.image is None or images.view_of(scene, space.image)
            ):
                space.image = image
                area.tag_redraw()


def refresh_status() -> None:
    """Have the status bar drawn anew; it is no area of the screen, so this is the way."""
    for window in bpy.context.window_manager.windows:
        window.workspace.status_text_set(None)


def push_undo(message: str) -> None:
    """Make what was changed outside an operator an undo step of its own."""
    windows = bpy.context.window_manager.windows
    if len(windows) == 0:
        bpy.ops.ed.undo_push(message=message)
        return
    with bpy.context.temp_override(window=windows[0]):
        bpy.ops.ed.undo_push(message=message)


def why_busy() -> str:
    """A sentence when data cannot be changed now, "" when it can."""
    windows = bpy.context.window_manager.windows
    modes = [bpy.context.mode]
    for window in windows:
        with bpy.context.temp_override(window=window):
            modes.append(bpy.context.mode)
    if any(mode.startswith(_BUSY_MODES) for mode in modes):
        return "A result has come; it is shown when you return to Object Mode."
    for window in windows:
        for operator in window.modal_operators:
            if operator.bl_idname.startswith(_BUSY_OPERATORS):
                return "A result has come; it is shown when you have finished what you are doing."
    return ""
