# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools; their keys count only while they are active, and people may change them."""

from __future__ import annotations

import bpy

from .tool_cursor import brush_cursor, hover_cursor

_PRESS = {"value": "PRESS"}


def _key(name: str, **more: object) -> dict[str, object]:
    return {"type": name, **_PRESS, **more}


def _with(**properties: object) -> dict[str, list[tuple[str, object]]]:
    return {"properties": list(properties.items())}


def _marks(operator: str) -> tuple[tuple, ...]:
    """The left button: include; with Ctrl exclude; with Shift a new object."""
    return (
        (operator, _key("LEFTMOUSE"), _with(include=True, new_object=False)),
        (operator, _key("LEFTMOUSE", ctrl=True), _with(include=False, new_object=False)),
        (operator, _key("LEFTMOUSE", shift=True), _with(include=True, new_object=True)),
    )


_PHOTOS = (
    ("mvsam.next_photo", _key("PAGE_DOWN"), _with(step=1)),
    ("mvsam.next_photo", _key("PAGE_UP"), _with(step=-1)),
)
_SEGMENT = (
    ("mvsam.segment", _key("RET"), None),
    ("mvsam.segment", _key("NUMPAD_ENTER"), None),
)
# Alt Q is Blender's own key for going to the object under the mouse.
_PICK = (("mvsam.pick_object", _key("Q", alt=True), None),)
_OVERLAY = (("wm.context_toggle", _key("O"), _with(data_path="scene.mvsam.display.show_masks")),)
_COLORS = (("wm.context_toggle", _key("O"), _with(data_path="scene.mvsam.display.tint_objects")),)
_REMOVE = (("mvsam.remove_prompt", _key("DEL"), None),)
_BRUSH = (
    ("mvsam.scale_brush", _key("LEFT_BRACKET", repeat=True), _with(factor=0.8)),
    ("mvsam.scale_brush", _key("RIGHT_BRACKET", repeat=True), _with(factor=1.25)),
    (
        "wm.radial_control",
        _key("F"),
        _with(data_path_primary="scene.mvsam.marking.brush_radius"),
    ),
)


class MVSAM_WT_click(bpy.types.WorkSpaceTool):
    """Click on objects in photos."""

    bl_space_type = "IMAGE_EDITOR"
    bl_context_mode = "VIEW"
    bl_idname = "mvsam.click_tool"
    bl_label = "MV-SAM Click"
    bl_description = (
        "Click on an object to mark it in all photos, or drag a box around it.\n"
        "Ctrl: this is not part of it. Shift: a new object. Del: remove the nearest.\n"
        "O: overlay. Page Up, Page Down: photo. Alt Q: pick the object. Enter: segment"
    )
    bl_icon = "ops.generic.cursor"
    bl_keymap = (
        *_marks("mvsam.click_or_box"),
        *_REMOVE,
        *_OVERLAY,
        *_PHOTOS,
        *_PICK,
        *_SEGMENT,
    )
    draw_cursor = hover_cursor

    def draw_settings(context, layout, _tool):  # noqa: N805 - Blender calls it without self
        """Show what matters while clicking in the tool's header."""
        settings = context.scene.mvsam
        layout.prop(settings, "auto")
        layout.prop(settings.display, "show_masks")
        layout.prop(settings.marking, "preview")


class MVSAM_WT_brush(bpy.types.WorkSpaceTool):
    """Paint over objects in photos."""

    bl_space_type = "IMAGE_EDITOR"
    bl_context_mode = "VIEW"
    bl_idname = "mvsam.brush_tool"
    bl_label = "MV-SAM Brush"
    bl_description = (
        "Paint over an object to mark it in all photos.\n"
        "Ctrl: this is not part of it. Shift: a new object. [ ] or F: size.\n"
        "Del: remove the nearest. O: overlay. Page Up, Page Down: photo. Enter: segment"
    )
    bl_icon = "brush.gpencil_draw.draw"
    bl_keymap = (
        *_marks("mvsam.stroke"),
        *_BRUSH,
        *_REMOVE,
        *_OVERLAY,
        *_PHOTOS,
        *_PICK,
        *_SEGMENT,
    )
    draw_cursor = brush_cursor

    def draw_settings(context, layout, _tool):  # noqa: N805 - Blender calls it without self
        """The brush's size."""
        settings = context.scene.mvsam
        layout.prop(settings.marking, "brush_radius")
        layout.prop(settings, "auto")
        layout.prop(settings.display, "show_masks")


class MVSAM_WT_measure(bpy.types.WorkSpaceTool):
    """Set measure marks in photos."""

    bl_space_type = "IMAGE_EDITOR"
    bl_context_mode = "VIEW"
    bl_idname = "mvsam.measure_tool"
    bl_label = "MV-SAM Measure"
    bl_description = (
        "Set two marks, in one photo or in two, whose distance is known.\n"
        "Then set the scale in Scale & Up of the tab MV-SAM"
    )
    bl_icon = "ops.view3d.ruler"
    bl_keymap = (
        ("mvsam.measure_mark", _key("LEFTMOUSE"), None),
        ("mvsam.clear_measure_marks", _key("DEL"), None),
        ("mvsam.set_scale", _key("RET"), None),
        ("mvsam.set_scale", _key("NUMPAD_ENTER"), None),
        *_PHOTOS,
    )

    def draw_settings(context, layout, _tool):  # noqa: N805 - Blender calls it without self
        """The distance that counts."""
        layout.prop(context.scene.mvsam.place, "distance")


class MVSAM_WT_points(bpy.types.WorkSpaceTool):
    """Click on objects in the 3D Viewport."""

    bl_space_type = "VIEW_3D"
    bl_context_mode = "OBJECT"
    bl_idname = "mvsam.points_tool"
    bl_label = "MV-SAM Click"
    bl_description = (
        "Click on a point of an object to mark it in all photos.\n"
        "Ctrl: this is not part of it. Shift: a new object.\n"
        "O: the photos' own colors. Alt Q: pick the object. Enter: segment"
    )
    bl_icon = "ops.generic.cursor"
    bl_keymap = (*_marks("mvsam.click_point"), *_COLORS, *_PICK, *_SEGMENT)

    def draw_settings(context, layout, _tool):  # noqa: N805 - Blender calls it without self
        """Show what matters while clicking in the tool's header."""
        settings = context.scene.mvsam
        layout.prop(settings, "auto")
        layout.prop(settings.display, "tint_objects")


# Each with the tool that it comes after in the toolbar.
_TOOLS = (
    (MVSAM_WT_click, None),
    (MVSAM_WT_brush, MVSAM_WT_click),
    (MVSAM_WT_measure, MVSAM_WT_brush),
    (MVSAM_WT_points, None),
)
_FALLBACK = {"IMAGE_EDITOR": "builtin.sample", "VIEW_3D": "builtin.select_box"}


def register() -> None:
    """Put the tools into the toolbars."""
    for tool, before in _TOOLS:
        if before is None:
            bpy.utils.register_tool(tool, separator=True)
        else:
            bpy.utils.register_tool(tool, after={before.bl_idname})


def unregister() -> None:
    """Take them out; where one is active, its cursor must not stay behind."""
    _leave()
    for tool, _before in reversed(_TOOLS):
        bpy.utils.unregister_tool(tool)


def _leave() -> None:
    ours = {tool.bl_idname for tool, _ in _TOOLS}
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            fallback = _FALLBACK.get(area.type)
            if fallback is None:
                continue
            with bpy.context.temp_override(window=window, area=area):
                active = window.workspace.tools.from_space_image_mode("VIEW")
                if area.type == "VIEW_3D":
                    active = window.workspace.tools.from_space_view3d_mode("OBJECT")
                if active is not None and active.idname in ours:
                    bpy.ops.wm.tool_set_by_id(name=fallback)
