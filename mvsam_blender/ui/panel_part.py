# SPDX-License-Identifier: GPL-3.0-or-later
"""A part of the sidebar tab: written once, shown in the 3D Viewport and in the Image Editor.

A new sub-panel is one file with a subclass of `Part`, and one line in ``panels._PARTS``::

    class Stencil(Part):
        bl_label = "Stencil"
        bl_options = {"DEFAULT_CLOSED"}
        bl_order = 2
        parent = "output"

        def draw(self, context):
            self.layout.operator("mvsam.stencil")

Lists and menus that the part needs go into its module's ``CLASSES``.
"""

import bpy

CATEGORY = "MV-SAM"
_SPACES = (("VIEW_3D", "view3d"), ("IMAGE_EDITOR", "image"))


class Part:
    """What the panels of both editors share; subclasses add label, order and `draw`.

    Attributes:
        bl_order: among the parts of the same parent, lowest first.
        parent: name of the part that it stands in, in small letters; "" for the tab itself.
    """

    bl_region_type = "UI"
    bl_category = CATEGORY
    parent = ""


def panels_of(part: type[Part]) -> tuple[type[bpy.types.Panel], ...]:
    """The part as a panel of each editor."""
    return tuple(_panel(part, space_type, space) for space_type, space in _SPACES)


def _panel(part: type[Part], space_type: str, space: str) -> type[bpy.types.Panel]:
    members = {"bl_space_type": space_type, "__doc__": part.__doc__}
    if part.parent:
        members["bl_parent_id"] = f"MVSAM_PT_{space}_{part.parent}"
    name = f"MVSAM_PT_{space}_{part.__name__.lower()}"
    return type(name, (part, bpy.types.Panel), members)
