# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar tab, in the order of work: Photos, Reconstruct, Objects, Output.

The same panels stand in the 3D Viewport and in the Image Editor.
"""

import bpy

from ..core.prompts import is_pending
from ..scene import objects
from ..scene.attributes import weight_spec
from ..scene.session import session
from .messages import draw_message, draw_progress
from .panel_given import draw_given
from .panel_place import draw_place

CATEGORY = "MV-SAM"


class MVSAM_UL_photos(bpy.types.UIList):
    """Photos, with those that could not be placed marked."""

    bl_idname = "MVSAM_UL_photos"

    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        """One photo."""
        icon = "CAMERA_DATA" if item.placed else "ERROR" if item.reason else "IMAGE_DATA"
        layout.label(text=item.view, icon=icon)


class MVSAM_UL_objects(bpy.types.UIList):
    """Objects: colour, name, points, lowest confidence, eye."""

    bl_idname = "MVSAM_UL_objects"

    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        """One object."""
        row = layout.row(align=True)
        color = row.row()
        color.ui_units_x = 1.0
        color.prop(item, "color", text="")
        row.prop(item, "name", text="", emboss=False)
        count = row.row()
        count.alignment = "RIGHT"
        if is_pending(objects.to_scene_object(item)):
            count.label(text="pending", icon="SORTTIME")
        elif item.answered:
            count.label(text=f"{_short(item.point_count)}  {item.lowest_confidence:.0%}")
        icon = "HIDE_OFF" if item.visible else "HIDE_ON"
        row.prop(item, "visible", text="", icon=icon, emboss=False)


class _Status:
    bl_label = "MV-SAM"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_options = {"HIDE_HEADER"}
    bl_order = 0

    @classmethod
    def poll(cls, _context):
        """Only when there is something to tell."""
        return bool(session().jobs) or session().message is not None

    def draw(self, context):
        """Progress and the last message."""
        draw_progress(self.layout)
        draw_message(self.layout, context)


class _Photos:
    bl_label = "Photos"
    bl_region_type = "UI"
    bl_category = CATEGORY
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


class _Reconstruct:
    bl_label = "Reconstruct"
    bl_region_type = "UI"
    bl_category = CATEGORY
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


class _Given:
    bl_label = "What You Have"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 0
    parent = "reconstruct"

    def draw(self, context):
        """Cameras, mesh, masks."""
        draw_given(self.layout, context)


class _Place:
    bl_label = "Scale & Up"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 1
    parent = "reconstruct"

    def draw(self, context):
        """Up, ground and scale."""
        draw_place(self.layout, context)


class _Objects:
    bl_label = "Objects"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_order = 3

    def draw(self, context):
        """List of objects and what to do with the active one."""
        layout = self.layout
        settings = context.scene.mvsam
        row = layout.row()
        row.template_list(
            MVSAM_UL_objects.bl_idname, "", settings, "objects", settings, "active_object", rows=3
        )
        side = row.column(align=True)
        side.operator("mvsam.new_object", text="", icon="ADD")
        side.operator("mvsam.remove_object", text="", icon="REMOVE")
        layout.operator("mvsam.segment", icon="SHADERFX")
        layout.prop(settings, "auto")
        row = layout.row(align=True)
        row.operator("mvsam.isolate", depress=settings.display.isolate, icon="RESTRICT_VIEW_OFF")
        row.prop(settings.display, "threshold", text="")
        item = objects.active(context.scene)
        if item is not None and item.lowest_view and item.answered == item.revision:
            layout.label(
                text=f"Least sure: {item.lowest_view} ({item.lowest_confidence:.0%})",
                icon="QUESTION",
            )


class _Display:
    bl_label = "Display"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 4

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


class _Output:
    bl_label = "Output"
    bl_region_type = "UI"
    bl_category = CATEGORY
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


# A panel comes after the one that it stands in.
_PARTS = (_Status, _Photos, _Reconstruct, _Given, _Place, _Objects, _Display, _Output)
_SPACES = (("VIEW_3D", "view3d"), ("IMAGE_EDITOR", "image"))


def _panels() -> tuple[type[bpy.types.Panel], ...]:
    """Each part as a panel of each editor."""
    return tuple(
        _panel(space_type, space, part) for space_type, space in _SPACES for part in _PARTS
    )


def _panel(space_type: str, space: str, part: type) -> type[bpy.types.Panel]:
    members = {"bl_space_type": space_type, "__doc__": part.bl_label}
    parent = getattr(part, "parent", "")
    if parent:
        members["bl_parent_id"] = f"MVSAM_PT_{space}_{parent}"
    return type(f"MVSAM_PT_{space}{part.__name__.lower()}", (part, bpy.types.Panel), members)


def _short(count: int) -> str:
    """A number of points in few characters."""
    return f"{count / 1000:.0f}k" if count >= 10_000 else str(count)


CLASSES = (MVSAM_UL_photos, MVSAM_UL_objects, *_panels())
