# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools of the Image Editor; their keys count only while they are active."""

import bpy


class MVSAM_WT_click(bpy.types.WorkSpaceTool):
    """Click on objects in photos."""

    bl_space_type = "IMAGE_EDITOR"
    bl_context_mode = "VIEW"
    bl_idname = "mvsam.click_tool"
    bl_label = "MV-SAM Click"
    bl_description = (
        "Click on an object to mark it in all photos.\n"
        "Ctrl: this is not part of it. Shift: a new object"
    )
    bl_icon = "ops.generic.cursor"
    bl_keymap = (
        (
            "mvsam.click",
            {"type": "LEFTMOUSE", "value": "PRESS"},
            {"properties": [("include", True), ("new_object", False)]},
        ),
        (
            "mvsam.click",
            {"type": "LEFTMOUSE", "value": "PRESS", "ctrl": True},
            {"properties": [("include", False), ("new_object", False)]},
        ),
        (
            "mvsam.click",
            {"type": "LEFTMOUSE", "value": "PRESS", "shift": True},
            {"properties": [("include", True), ("new_object", True)]},
        ),
        ("mvsam.remove_prompt", {"type": "DEL", "value": "PRESS"}, None),
        (
            "mvsam.next_photo",
            {"type": "PAGE_DOWN", "value": "PRESS"},
            {"properties": [("step", 1)]},
        ),
        (
            "mvsam.next_photo",
            {"type": "PAGE_UP", "value": "PRESS"},
            {"properties": [("step", -1)]},
        ),
        ("mvsam.segment", {"type": "RET", "value": "PRESS"}, None),
        ("mvsam.segment", {"type": "NUMPAD_ENTER", "value": "PRESS"}, None),
    )

    def draw_settings(context, layout, _tool):  # noqa: N805 - Blender calls it without self
        """Show what matters while clicking in the tool's header."""
        settings = context.scene.mvsam
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
        ("mvsam.measure_mark", {"type": "LEFTMOUSE", "value": "PRESS"}, None),
        ("mvsam.clear_measure_marks", {"type": "DEL", "value": "PRESS"}, None),
        ("mvsam.set_scale", {"type": "RET", "value": "PRESS"}, None),
        ("mvsam.set_scale", {"type": "NUMPAD_ENTER", "value": "PRESS"}, None),
        (
            "mvsam.next_photo",
            {"type": "PAGE_DOWN", "value": "PRESS"},
            {"properties": [("step", 1)]},
        ),
        (
            "mvsam.next_photo",
            {"type": "PAGE_UP", "value": "PRESS"},
            {"properties": [("step", -1)]},
        ),
    )

    def draw_settings(context, layout, _tool):  # noqa: N805 - Blender calls it without self
        """The distance that counts."""
        layout.prop(context.scene.mvsam.place, "distance")


def register() -> None:
    """Put the tools into the toolbar."""
    bpy.utils.register_tool(MVSAM_WT_click, separator=True)
    bpy.utils.register_tool(MVSAM_WT_measure, after={MVSAM_WT_click.bl_idname})


def unregister() -> None:
    """Take them out."""
    bpy.utils.unregister_tool(MVSAM_WT_measure)
    bpy.utils.unregister_tool(MVSAM_WT_click)
