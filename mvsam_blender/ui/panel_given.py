# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the panel Reconstruct that asks for what the person already has."""

from .panel_part import Part


class Given(Part):
    """Cameras, mesh and masks of the person's own."""

    bl_label = "What You Have"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 0
    parent = "reconstruct"

    def draw(self, context):
        """Cameras, mesh, masks."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        given = context.scene.mvsam.given
        layout.prop(given, "cameras")
        layout.prop(given, "mesh")
        row = layout.row()
        row.active = given.mesh is not None
        row.prop(given, "mesh_frame")
        layout.prop(given, "masks")
        row = layout.row()
        row.active = bool(given.masks)
        row.prop(given, "masks_invert")
