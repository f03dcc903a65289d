# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts as they are saved in the file and covered by undo, and how they are made."""

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)


def _redraw(_self: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    from . import redraw

    redraw.redraw_all()


class MVSAM_PG_prompt(bpy.types.PropertyGroup):
    """A hint of what belongs to an object, in photo pixels (x right, y down, corner origin)."""

    kind: EnumProperty(
        items=[
            ("point", "Point", "One position"),
            ("box", "Box", "Two corners"),
            ("stroke", "Stroke", "A brush stroke"),
            ("mask", "Mask", "An image of what belongs to the object"),
        ],
        default="point",
    )
    view: StringProperty(name="View")
    include: BoolProperty(name="Include", default=True)
    x: FloatProperty()
    y: FloatProperty()
    x2: FloatProperty()
    y2: FloatProperty()
    path: StringProperty(description="Positions of a stroke: x,y x,y ...")
    radius: FloatProperty(description="Half width of a stroke in photo pixels")
    mask: StringProperty(description="Path of a mask inside the capture")


class MVSAM_PG_marking(bpy.types.PropertyGroup):
    """How the tools mark objects."""

    brush_radius: IntProperty(
        name="Radius",
        description="Of the brush, in pixels of the screen",
        default=20,
        min=1,
        soft_max=200,
        max=1000,
        subtype="PIXEL",
    )
    preview: BoolProperty(
        name="Preview",
        description="Show what a click would mark while the mouse rests on a photo",
        default=True,
        update=_redraw,
    )
    mask_image: PointerProperty(
        name="Image",
        description="Image in this file, also painted and not saved, that marks the object white",
        type=bpy.types.Image,
    )


CLASSES = (MVSAM_PG_prompt, MVSAM_PG_marking)
