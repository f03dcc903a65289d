# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on objects: make, remove, segment, isolate, and going through the photos."""

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from mvsam_engine.errors import MvsamError

from ..core.prompts import can_segment
from ..scene import build, images, jobs, objects, redraw
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
        return poll_active(cls, context)

    def execute(self, context):
        scene = context.scene
        item = objects.active(scene)
        object_id = item.object_id
        jobs.withdraw(object_id)
        objects.remove(scene, item)
        redraw.redraw_all()
        if not _is_stored(scene, object_id):
            return FINISHED
        # The scene has changed already: undo must know of it even when the engine refuses.
        run_job(self, lambda: jobs.start_delete(scene, object_id), level="WARNING")
        return FINISHED


class MVSAM_OT_segment(bpy.types.Operator):
    """Make the active object's masks in all photos, from its clicks"""

    bl_idname = "mvsam.segment"
    bl_label = "Segment"
    bl_options = {"UNDO"}

    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        if not poll_active(cls, context):
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
        if not poll_active(cls, context):
            return False
        if not objects.active(context.scene).answered:
            cls.poll_message_set("The object has no masks yet: click on it, then wait for them")
            return False
        return True

    def execute(self, context):
        display = context.scene.mvsam.display
        display.isolate = not display.isolate
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_next_photo(bpy.types.Operator):
    """Show the next photo, or an earlier one"""

    bl_idname = "mvsam.next_photo"
    bl_label = "Next Photo"

    step: IntProperty(name="Step", default=1)

    @classmethod
    def poll(cls, context):
        if len(context.scene.mvsam.photos):
            return True
        cls.poll_message_set("There are no photos yet")
        return False

    def execute(self, context):
        settings = context.scene.mvsam
        # From the photo that is seen, which a person may have chosen in the editor's own menu.
        space = context.space_data
        seen = ""
        if space is not None and space.type == "IMAGE_EDITOR":
            seen = images.view_of(context.scene, space.image)
        views = [photo.view for photo in settings.photos]
        start = views.index(seen) if seen in views else settings.active_photo
        settings.active_photo = (start + self.step) % len(views)
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_look_through(bpy.types.Operator):
    """See the points through the active photo's camera, at the photo's size"""

    bl_idname = "mvsam.look_through"
    bl_label = "Look Through Photo"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def execute(self, context):
        from ..scene.cameras import look_through

        scene = context.scene
        settings = scene.mvsam
        try:
            reconstruction = build.open_capture(scene).require_reconstruction()
        except MvsamError as error:
            return refuse(self, error)
        photo = settings.photos[settings.active_photo]
        camera = reconstruction.camera(photo.view)
        if camera is None:
            self.report({"WARNING"}, f"{photo.view} could not be placed. {photo.reason}")
            return CANCELLED
        look_through(scene, camera)
        space = context.space_data
        if space is not None and space.type == "VIEW_3D":
            space.region_3d.view_perspective = "CAMERA"
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
    MVSAM_OT_segment,
    MVSAM_OT_isolate,
    MVSAM_OT_next_photo,
    MVSAM_OT_look_through,
)
