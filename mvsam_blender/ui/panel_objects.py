# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Objects: the list, and what to do with the active object."""

import bpy

from ..core.prompts import is_pending
from ..scene import objects
from .panel_part import Part


class MVSAM_UL_objects(bpy.types.UIList):
    """Objects: colour, name, points, lowest confidence, eye, lock."""

    bl_idname = "MVSAM_UL_objects"

    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        """One object."""
        row = layout.row(align=True)
        color = row.row()
        color.ui_units_x = 1.0
        color.prop(item, "color", text="")
        name = row.row()
        name.enabled = not item.locked
        name.prop(item, "name", text="", emboss=False)
        count = row.row()
        count.alignment = "RIGHT"
        if is_pending(objects.to_scene_object(item)):
            count.label(text="pending", icon="SORTTIME")
        elif item.answered:
            count.label(text=f"{_short(item.point_count)}  {item.lowest_confidence:.0%}")
        icon = "HIDE_OFF" if item.visible else "HIDE_ON"
        row.prop(item, "visible", text="", icon=icon, emboss=False)
        icon = "LOCKED" if item.locked else "UNLOCKED"
        row.prop(item, "locked", text="", icon=icon, emboss=False)


class Objects(Part):
    """What was clicked on."""

    bl_label = "Objects"
    bl_order = 3

    def draw(self, context):
        """List of objects and what to do with the active one."""
        layout = self.layout
        settings = context.scene.mvsam
        row = layout.row()
        several = len(settings.objects) > 1
        row.template_list(
            MVSAM_UL_objects.bl_idname,
            "",
            settings,
            "objects",
            settings,
            "active_object",
            rows=5 if several else 3,
        )
        side = row.column(align=True)
        side.operator("mvsam.new_object", text="", icon="ADD")
        side.operator("mvsam.remove_object", text="", icon="REMOVE")
        if several:
            side.separator()
            side.operator("mvsam.move_object", text="", icon="TRIA_UP").direction = "UP"
            side.operator("mvsam.move_object", text="", icon="TRIA_DOWN").direction = "DOWN"
            layout.prop(settings, "independent")
        layout.operator("mvsam.segment", icon="SHADERFX")
        layout.prop(settings, "auto")
        row = layout.row(align=True)
        row.operator("mvsam.isolate", depress=settings.display.isolate, icon="RESTRICT_VIEW_OFF")
        row.prop(settings.display, "threshold", text="")
        row = layout.row(align=True)
        for text, action in (("Select", "SET"), ("Add", "ADD"), ("Deselect", "REMOVE")):
            row.operator("mvsam.select_points", text=text).action = action


def _short(count: int) -> str:
    """A number of points in few characters."""
    return f"{count / 1000:.0f}k" if count >= 10_000 else str(count)


CLASSES = (MVSAM_UL_objects,)
