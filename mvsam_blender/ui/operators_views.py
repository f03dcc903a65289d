# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on photos: going through them, and checking the active object's masks there."""

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from mvsam_engine.errors import MvsamError

from ..core.views import next_in
from ..scene import build, images, objects, redraw, views
from .operators_object import poll_answered, poll_reconstructed
from .running import CANCELLED, FINISHED, refuse


class MVSAM_OT_next_photo(bpy.types.Operator):
    """Show the next photo, or an earlier one"""

    bl_idname = "mvsam.next_photo"
    bl_label = "Next Photo"

    step: IntProperty(name="Step", default=1)

    @classmethod
    def poll(cls, context):
        return poll_photos(cls, context)

    def execute(self, context):
        settings = context.scene.mvsam
        listed = [photo.view for photo in settings.photos]
        seen = shown_view(context)
        start = listed.index(seen) if seen in listed else settings.active_photo
        settings.active_photo = (start + self.step) % len(listed)
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


class MVSAM_OT_check_next(bpy.types.Operator):
    """Show the photo whose mask of the active object is least sure and not checked yet"""

    bl_idname = "mvsam.check_next"
    bl_label = "Check Next"

    @classmethod
    def poll(cls, context):
        if not poll_answered(cls, context):
            return False
        scene = context.scene
        if not views.queue(scene, objects.active(scene)):
            limit = scene.mvsam.views.check_below
            cls.poll_message_set(f"Nothing is left to check: no other mask is below {limit:.0%}")
            return False
        return True

    def execute(self, context):
        scene = context.scene
        order = views.queue(scene, objects.active(scene))
        seen = shown_view(context)
        view = next_in(order, seen)
        if view is None:
            self.report({"INFO"}, f"{seen} is the only photo left to check.")
            view = seen
        else:
            self.report({"INFO"}, f"{view}: {order.index(view) + 1} of {len(order)} to check.")
        views.show(scene, view)
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_mark_checked(bpy.types.Operator):
    """Say that the active object's mask in the shown photo is right, and go to the next to check"""

    bl_idname = "mvsam.mark_checked"
    bl_label = "Looks Right"
    bl_options = {"UNDO"}

    view: StringProperty(
        name="Photo", description="Its name; the active photo when empty", options={"SKIP_SAVE"}
    )
    checked: BoolProperty(name="Checked", default=True, options={"SKIP_SAVE"})
    go_on: BoolProperty(
        name="Go On", description="Show the next photo to check", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context):
        return poll_answered(cls, context)

    def execute(self, context):
        scene = context.scene
        item = objects.active(scene)
        view = self.view or shown_view(context)
        try:
            views.set_checked(item, view, self.checked)
            order = views.queue(scene, item)
            if self.go_on and order:
                views.show(scene, order[0])
        except MvsamError as error:
            return refuse(self, error)
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_show_view(bpy.types.Operator):
    """Show a photo in the Image Editor"""

    bl_idname = "mvsam.show_view"
    bl_label = "Show Photo"

    view: StringProperty(name="Photo", description="Its name without the ending")

    @classmethod
    def poll(cls, context):
        return poll_photos(cls, context)

    def execute(self, context):
        try:
            views.show(context.scene, self.view)
        except MvsamError as error:
            return refuse(self, error)
        redraw.redraw_all()
        return FINISHED


def poll_photos(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether there are photos; says so when not."""
    if len(context.scene.mvsam.photos):
        return True
    cls.poll_message_set("There are no photos yet")
    return False


def shown_view(context: bpy.types.Context) -> str:
    """The photo that is seen: in this Image Editor, else the active one in the list."""
    space = context.space_data
    if space is not None and space.type == "IMAGE_EDITOR":
        # A person may have chosen it in the editor's own menu.
        seen = images.view_of(context.scene, space.image)
        if seen:
            return seen
    photo = views.active_photo(context.scene)
    return photo.view if photo is not None else ""


CLASSES = (
    MVSAM_OT_next_photo,
    MVSAM_OT_look_through,
    MVSAM_OT_show_view,
    MVSAM_OT_check_next,
    MVSAM_OT_mark_checked,
)
