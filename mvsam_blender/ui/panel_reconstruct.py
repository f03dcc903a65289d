# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Reconstruct: settings, the forecast, the button."""

from .panel_part import Part


class Reconstruct(Part):
    """From photos to cameras and points."""

    bl_label = "Reconstruct"
    bl_order = 2

    def draw(self, context):
        """Settings and the button."""
        layout = self.layout
        layout.use_property_split = True
        settings = context.scene.mvsam
        layout.prop(settings.given, "preset")
        layout.prop(settings, "max_size")
        column = layout.column(align=True)
        column.prop(settings.points, "min_confidence")
        column.prop(settings.points, "cap")
        row = layout.row(align=True)
        row.operator(
            "mvsam.reconstruct", icon="OUTLINER_OB_POINTCLOUD"
        ).max_size = settings.max_size
        row.operator("mvsam.forecast", text="", icon="TIME").max_size = settings.max_size
        placed = sum(photo.placed for photo in settings.photos)
        if placed:
            layout.label(text=f"{placed} of {len(settings.photos)} photos placed")
