# SPDX-License-Identifier: GPL-3.0-or-later
"""The click tool of the Image Editor; its keys count only while it is active."""

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


def register() -> None:
    """Put the tool into the toolbar."""
    bpy.utils.register_tool(MVSAM_WT_click, separator=True)


def unregister() -> None:
    """Take it out."""
    bpy.utils.unregister_tool(MVSAM_WT_click)
