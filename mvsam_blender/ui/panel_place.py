# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Scale & Up, below Reconstruct."""

import bpy

from ..scene import measure, world
from .panel_part import Part


class Place(Part):
    """Up, ground and scale."""

    bl_label = "Scale & Up"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 1
    parent = "reconstruct"

    def draw(self, context):
        """Buttons for up and scale, and how the world stands now."""
        layout = self.layout
        scene = context.scene
        place = scene.mvsam.place
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_state(layout, scene)
        layout.operator("mvsam.set_upright", icon="EMPTY_SINGLE_ARROW")
        layout.separator()
        layout.row().prop(place, "scale_from", expand=True)
        if place.scale_from == "MARKS":
            _draw_marks(layout, context)
        else:
            layout.prop(place, "height")
            layout.operator("mvsam.set_scale_by_height", icon="FIXED_SIZE")
        layout.separator()
        layout.operator("mvsam.clear_placement", icon="LOOP_BACK")


def _draw_state(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    column = layout.column(align=True)
    if world.is_moved_by_hand(scene):
        column.label(text="Moved by hand", icon="CON_TRANSFORM")
        return
    placement = world.recorded(scene)
    if placement.is_default:
        column.label(text="As reconstructed: no true scale", icon="INFO")
        return
    for part in placement.source.split("; "):
        column.label(text=part[:1].upper() + part[1:], icon="CHECKMARK")


def _draw_marks(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    scene = context.scene
    place = scene.mvsam.place
    row = layout.row(align=True)
    row.operator("mvsam.measure_tool", icon="DRIVER_DISTANCE")
    row.operator("mvsam.clear_measure_marks", text="", icon="X")
    column = layout.column(align=True)
    for name, mark in (("A", place.first), ("B", place.second)):
        text = f"{mark.view}  ({mark.x:.0f}, {mark.y:.0f})" if mark.view else "not set"
        column.label(text=f"{name}: {text}")
    measured = measure.measure(scene)
    if measured.reason and len(measure.marks(scene)) == 2:
        column.label(text=measured.reason, icon="ERROR")
    elif not measured.reason:
        column.label(text=f"Distance now: {_length(scene, measured.distance)}")
    layout.prop(place, "distance")
    layout.operator("mvsam.set_scale", icon="FIXED_SIZE")


def _length(scene: bpy.types.Scene, distance: float) -> str:
    """A length as the scene's units show it."""
    units = scene.unit_settings
    if units.system == "NONE":
        return f"{distance:.4g}"
    return bpy.utils.units.to_string(
        units.system, "LENGTH", distance * units.scale_length, precision=4
    )
