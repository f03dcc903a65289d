# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Photos: bring photos in, see which could be placed, go through them."""

import bpy

from .panel_part import Part


class MVSAM_UL_photos(bpy.types.UIList):
    """Photos, with those that could not be placed marked."""

    bl_idname = "MVSAM_UL_photos"

    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        """One photo."""
        icon = "CAMERA_DATA" if item.placed else "ERROR" if item.reason else "IMAGE_DATA"
        layout.label(text=item.view, icon=icon)


class Photos(Part):
    """Photos and videos of one scene."""

    bl_label = "Photos"
    bl_order = 1

    def draw(self, context):
        """List of photos."""
        layout = self.layout
        settings = context.scene.mvsam
        row = layout.row(align=True)
        row.operator("mvsam.import_photos", icon="ADD")
        row.operator("mvsam.open_capture", icon="FILE_FOLDER")
        if not settings.photos:
            return
        layout.template_list(
            MVSAM_UL_photos.bl_idname, "", settings, "photos", settings, "active_photo", rows=4
        )
        row = layout.row(align=True)
        row.operator("mvsam.next_photo", text="", icon="TRIA_LEFT").step = -1
        row.operator("mvsam.look_through", icon="CAMERA_DATA")
        row.operator("mvsam.next_photo", text="", icon="TRIA_RIGHT").step = 1


CLASSES = (MVSAM_UL_photos,)
