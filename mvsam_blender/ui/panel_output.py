# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Output: where the results are."""

from ..scene import objects
from ..scene.attributes import weight_spec
from .panel_part import Part


class Output(Part):
    """Where the results are."""

    bl_label = "Output"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 5

    def draw(self, context):
        """Where the results are."""
        layout = self.layout
        settings = context.scene.mvsam
        if not settings.capture_dir:
            layout.label(text="Nothing yet")
            return
        row = layout.row(align=True)
        row.prop(settings, "capture_dir", text="")
        row.operator(
            "wm.path_open", text="", icon="FOLDER_REDIRECT"
        ).filepath = settings.capture_dir
        item = objects.active(context.scene)
        if item is None:
            return
        layout.label(text=f"Vertex group: {item.group}", icon="GROUP_VERTEX")
        layout.label(text=f"Attribute: {weight_spec(item.object_id).name}", icon="SPREADSHEET")
        layout.label(text=f"Masks: objects/{item.object_id}/masks", icon="IMAGE_DATA")
