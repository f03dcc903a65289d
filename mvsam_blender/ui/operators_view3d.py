# SPDX-License-Identifier: GPL-3.0-or-later
"""Clicks on points in the 3D Viewport: they prompt in the photo that the point was seen in."""

import bpy
from bpy.props import BoolProperty, IntProperty

from mvsam_engine.errors import MvsamError

from ..scene.picking import photo_pixel
from .operators_object import poll_reconstructed
from .running import CANCELLED, refuse
from .view3d import is_view3d, point_under_mouse


class MVSAM_OT_click_point(bpy.types.Operator):
    """Click on a point of the object; the photo that shows it is marked there"""

    bl_idname = "mvsam.click_point"
    bl_label = "Click on Point"
    # No undo step of its own: what it calls makes one.

    index: IntProperty(name="Point", description="Number of the point", default=-1)
    include: BoolProperty(name="Include", default=True, options={"SKIP_SAVE"})
    new_object: BoolProperty(name="New Object", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def invoke(self, context, event):
        if not is_view3d(context):
            return {"PASS_THROUGH"}
        found = point_under_mouse(context, event)
        if found is None:
            self.report({"INFO"}, "There is no point here: click on the points, or nearer to them.")
            return CANCELLED
        self.index = found
        return self.execute(context)

    def execute(self, context):
        try:
            view, x, y = photo_pixel(context.scene, self.index)
        except MvsamError as error:
            return refuse(self, error)
        try:
            result = bpy.ops.mvsam.click(
                "EXEC_DEFAULT",
                True,
                view=view,
                x=x,
                y=y,
                include=self.include,
                new_object=self.new_object,
            )
        except RuntimeError as error:
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return CANCELLED
        self.report({"INFO"}, f"Marked in {view}.")
        return result


CLASSES = (MVSAM_OT_click_point,)
