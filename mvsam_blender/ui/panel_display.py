# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Display: how points and masks are shown."""

from .panel_part import Part


class Display(Part):
    """How points and masks are shown."""

    bl_label = "Display"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 1
    parent = "objects"

    def draw(self, context):
        """How points and masks are shown."""
        layout = self.layout
        layout.use_property_split = True
        display = context.scene.mvsam.display
        layout.prop(display, "show_masks")
        layout.prop(display, "show_points")
        column = layout.column()
        column.active = display.show_points
        column.prop(display, "tint_objects")
        column.prop(display, "point_size")
