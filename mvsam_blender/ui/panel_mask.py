# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Mask as Hint: masks that a person has or paints, refined by clicks."""

from ..scene import objects
from .panel_part import Part


class Masks(Part):
    """Masks that a person gives."""

    bl_label = "Mask as Hint"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 2
    parent = "objects"

    def draw(self, context):
        """Bring one in, paint one, use it."""
        layout = self.layout
        settings = context.scene.mvsam
        row = layout.row(align=True)
        row.operator("mvsam.import_mask", icon="IMPORT")
        row.operator("mvsam.paint_mask", icon="BRUSH_DATA")
        layout.template_ID(settings.marking, "mask_image", open="image.open")
        row = layout.row(align=True)
        row.operator("mvsam.use_image_as_mask", icon="CHECKMARK").image = ""
        item = objects.active(context.scene)
        given = [p.view for p in item.prompts if p.kind == "mask"] if item is not None else []
        if given:
            row.operator("mvsam.remove_mask", text="", icon="X")
            count = f"{len(given)} photos" if len(given) > 1 else given[0]
            layout.label(text=f"Given for {count}", icon="IMAGE_ALPHA")
