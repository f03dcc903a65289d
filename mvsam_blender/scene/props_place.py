# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene remembers for placing the world: two measure marks and what is known of them."""

import bpy
from bpy.props import EnumProperty, FloatProperty, PointerProperty, StringProperty


def _redraw(_self: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    from . import redraw

    redraw.redraw_all()


class MVSAM_PG_mark(bpy.types.PropertyGroup):
    """A measure mark: a place in a photo, in pixels of the upright photo; no view: not set."""

    view: StringProperty(name="View")
    x: FloatProperty(name="X", description="Pixels from the photo's left side")
    y: FloatProperty(name="Y", description="Pixels from the photo's top")


class MVSAM_PG_place(bpy.types.PropertyGroup):
    """How the world is scaled."""

    first: PointerProperty(type=MVSAM_PG_mark)
    second: PointerProperty(type=MVSAM_PG_mark)
    scale_from: EnumProperty(
        name="Scale From",
        items=[
            ("MARKS", "Two Marks", "The true distance of two places in the photos"),
            ("HEIGHT", "Camera Height", "How high above the ground the photos were taken"),
        ],
        default="MARKS",
        update=_redraw,
    )
    distance: FloatProperty(
        name="True Distance",
        description="Between the two measure marks, in reality",
        subtype="DISTANCE",
        unit="LENGTH",
        default=1.0,
        min=1e-6,
        soft_max=100.0,
    )
    height: FloatProperty(
        name="Camera Height",
        description="Above the ground, of most photos: for a standing person about 1.6 m",
        subtype="DISTANCE",
        unit="LENGTH",
        default=1.6,
        min=1e-6,
        soft_max=100.0,
    )


CLASSES = (MVSAM_PG_mark, MVSAM_PG_place)
