# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene remembers of an object in each photo, and of how photos are listed."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty

from .redraw import redraw_all

# One row per choice: identifier, name, description.
FILTERS = (
    ("ALL", "All Photos", "Every photo"),
    ("CHECK", "To Check", "Photos whose mask is not sure, and that you have not checked yet"),
    ("PRESENT", "With Object", "Photos that show the active object"),
    ("ABSENT", "Without Object", "Photos that do not show the active object"),
    ("PROMPTED", "With Clicks", "Photos that carry clicks of the active object"),
    ("PENDING", "Not Answered", "Photos without an answer to the present clicks"),
    ("UNPLACED", "Not Placed", "Photos whose camera could not be found"),
)


def _redraw(_self: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    redraw_all()


class MVSAM_PG_view(bpy.types.PropertyGroup):
    """The last answer about an object in one photo; ``name`` is the view."""

    presence: FloatProperty(description="0..1, whether the photo shows the object")
    confidence: FloatProperty(description="0..1, how well the mask agrees with the points")
    area: FloatProperty(description="Share of the photo inside the mask")
    checked: BoolProperty(
        name="Checked", description="You have looked at this mask and agree", update=_redraw
    )


class MVSAM_PG_views(bpy.types.PropertyGroup):
    """How the photos are listed for the active object."""

    filter: EnumProperty(name="Show", items=FILTERS, default="ALL", update=_redraw)
    by_confidence: BoolProperty(
        name="Least Sure First",
        description="List the photos by their confidence, the lowest first",
        update=_redraw,
    )
    check_below: FloatProperty(
        name="Check Below",
        description="Photos with a lower confidence are worth a look",
        default=0.8,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_redraw,
    )
    thumbnails: BoolProperty(
        name="Thumbnails", description="Show the photos small, with the object tinted"
    )


CLASSES = (MVSAM_PG_view, MVSAM_PG_views)
