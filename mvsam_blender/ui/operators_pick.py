# SPDX-License-Identifier: GPL-3.0-or-later
"""Making the object under the mouse the active one, in photos and on the points."""

import bpy
from bpy.props import FloatProperty, IntProperty, StringProperty

from mvsam_engine.errors import MvsamError

from ..scene import objects, picking, redraw
from .operators_object import poll_active
from .pointing import photo_under_mouse
from .running import CANCELLED, FINISHED, refuse
from .view3d import is_view3d, point_under_mouse


class MVSAM_OT_pick_object(bpy.types.Operator):
    """Make the object under the mouse active; where several lie, the next one each time"""

    bl_idname = "mvsam.pick_object"
    bl_label = "Pick Object"
    bl_options = {"UNDO"}

    view: StringProperty(name="View", description="Photo's name", options={"SKIP_SAVE"})
    x: FloatProperty(name="X", description="Pixels from the photo's left side")
    y: FloatProperty(name="Y", description="Pixels from the photo's top")
    point: IntProperty(
        name="Point",
        description="Number of a point, instead of a place in a photo",
        default=-1,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        return poll_active(cls, context)

    def invoke(self, context, event):
        if is_view3d(context):
            found = point_under_mouse(context, event)
            if found is None:
                self.report({"INFO"}, "There is no point here.")
                return CANCELLED
            self.point = found
            return self.execute(context)
        spot = photo_under_mouse(context, event)
        if spot is None:
            return {"PASS_THROUGH"}
        self.view, self.x, self.y = spot.view, spot.x, spot.y
        return self.execute(context)

    def execute(self, context):
        scene = context.scene
        try:
            if self.point >= 0:
                found = picking.objects_on_point(scene, self.point)
            else:
                found = picking.objects_at(scene, self.view, self.x, self.y)
        except MvsamError as error:
            return refuse(self, error)
        if not found:
            self.report({"INFO"}, "No object with masks lies here.")
            return CANCELLED
        ids = [item.object_id for item in found]
        active = objects.active(scene).object_id
        following = ids[(ids.index(active) + 1) % len(ids)] if active in ids else ids[0]
        scene.mvsam.active_object = objects.index_of(scene, following)
        redraw.redraw_all()
        return FINISHED


CLASSES = (MVSAM_OT_pick_object,)
