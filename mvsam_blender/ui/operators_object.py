# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on objects: make, remove, move, select, segment, isolate."""

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from mvsam_engine.errors import MvsamError

from ..core.prompts import can_segment
from ..scene import jobs, objects, redraw, selection
from ..scene.placement import capture_path
from .running import CANCELLED, FINISHED, refuse, run_job


def poll_reconstructed(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there are placed photos to click in; says so when not."""
    if any(photo.placed for photo in context.scene.mvsam.photos):
        return True
    cls.poll_message_set("Reconstruct the photos first, or open a capture")
    return False


def poll_active(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there is an active object; says so when not."""
    if objects.active(context.scene) is not None:
        return True
    cls.poll_message_set("There is no object yet: click on one in a photo")
    return False


def poll_unlocked(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there is an active object that may be changed; says so when not."""
    if not poll_active(cls, context):
        return False
    item = objects.active(context.scene)
    if item.locked:
        cls.poll_message_set(f"{objects.why_locked(item)} Unlock it in the list first")
        return False
    return True


def poll_answered(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the active object has weights on the points; says so when not."""
    if not poll_active(cls, context):
        return False
    if not objects.active(context.scene).answered:
        cls.poll_message_set("The object has no masks yet: click on it, then wait for them")
        return False
    return True


class MVSAM_OT_new_object(bpy.types.Operator):
    """Begin a new object; the next clicks belong to it"""

    bl_idname = "mvsam.new_object"
    bl_label = "New Object"
    bl_options = {"UNDO"}

    name: StringProperty(name="Name", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def execute(self, context):
        add_object(context.scene, self.name)
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_remove_object(bpy.types.Operator):
    """Remove the active object with its prompts, weights and masks"""

    bl_idname = "mvsam.remove_object"
    bl_label = "Remove Object"
    bl_options = {"UNDO"}

    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        return poll_unlocked(cls, context)

    def execute(self, context):
        scene = context.scene
        item = objects.active(scene)
        object_id = item.object_id
        jobs.withdraw(objects.key_of(scene, object_id))
        objects.remove(scene, item)
        redraw.redraw_all()
        if not _is_stored(scene, object_id):
            return FINISHED
        # The scene has changed already: undo must know of it even when the engine refuses.
        run_job(self, lambda: jobs.start_delete(scene, object_id), level="WARNING")
        return FINISHED


class MVSAM_OT_move_object(bpy.types.Operator):
    """Move the active object up or down in the list"""

    bl_idname = "mvsam.move_object"
    bl_label = "Move Object"
    bl_options = {"UNDO"}

    direction: EnumProperty(
        name="Direction",
        items=[("UP", "Up", "Towards the top"), ("DOWN", "Down", "Towards the end")],
    )

    @classmethod
    def poll(cls, context):
        if not poll_active(cls, context):
            return False
        if len(context.scene.mvsam.objects) < 2:
            cls.poll_message_set("There is only one object")
            return False
        return True

    def execute(self, context):
        item = objects.active(context.scene)
        if not objects.move(context.scene, item, -1 if self.direction == "UP" else 1):
            return CANCELLED
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_select_points(bpy.types.Operator):
    """Select the active object's points in Edit Mode"""

    bl_idname = "mvsam.select_points"
    bl_label = "Select Points"
    bl_options = {"REGISTER", "UNDO"}

    action: EnumProperty(
        name="Action",
        items=[
            ("SET", "Select", "Select these points and no others"),
            ("ADD", "Add", "Select these points too"),
            ("REMOVE", "Deselect", "Deselect these points"),
        ],
    )

    @classmethod
    def poll(cls, context):
        return poll_answered(cls, context)

    @classmethod
    def description(cls, _context, properties):
        return {
            "SET": "Select the object's points, and no others, in Edit Mode",
            "ADD": "Select the object's points too, in Edit Mode",
            "REMOVE": "Deselect the object's points, in Edit Mode",
        }[properties.action]

    def execute(self, context):
        try:
            count = selection.select_object(context, objects.active(context.scene), self.action)
        except MvsamError as error:
            return refuse(self, error)
        self.report({"INFO"}, f"{count:,} points selected.")
        return FINISHED


class MVSAM_OT_segment(bpy.types.Operator):
    """Make the active object's masks in all photos, from its clicks"""

    bl_idname = "mvsam.segment"
    bl_label = "Segment"
    bl_options = {"UNDO"}

    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        if not poll_unlocked(cls, context):
            return False
        if not can_segment(objects.to_scene_object(objects.active(context.scene))):
            cls.poll_message_set("Click on the object in a photo first")
            return False
        return True

    def execute(self, context):
        item = objects.active(context.scene)
        return run_job(self, lambda: jobs.start_segment(context.scene, item))


class MVSAM_OT_isolate(bpy.types.Operator):
    """Show only the active object's points, or all again; nothing is deleted"""

    bl_idname = "mvsam.isolate"
    bl_label = "Isolate"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context):
        return poll_answered(cls, context)

    def execute(self, context):
        display = context.scene.mvsam.display
        display.isolate = not display.isolate
        redraw.redraw_all()
        return FINISHED


def add_object(scene: bpy.types.Scene, name: str = "") -> objects.MVSAM_PG_object:
    """A new object whose id is not that of one in the capture."""
    root = capture_path(scene)
    folder = root / "objects" if root is not None else None
    taken = tuple(p.name for p in folder.iterdir()) if folder and folder.is_dir() else ()
    return objects.add(scene, name, taken)


def _is_stored(scene: bpy.types.Scene, object_id: str) -> bool:
    root = capture_path(scene)
    return root is not None and (root / "objects" / object_id / "object.json").is_file()


CLASSES = (
    MVSAM_OT_new_object,
    MVSAM_OT_remove_object,
    MVSAM_OT_move_object,
    MVSAM_OT_select_points,
    MVSAM_OT_segment,
    MVSAM_OT_isolate,
)
