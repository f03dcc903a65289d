# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that put the world upright, on the ground and to scale, and measure marks."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, StringProperty

from mvsam_engine.errors import MvsamError
from mvsam_engine.protocol import PlaceParams

from ..scene import jobs, measure, redraw, world
from ..scene.session import session
from .operators_object import poll_reconstructed
from .pointing import clickable, photo_under_mouse
from .running import FINISHED, refuse, run_job


def _poll_placing(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether the world can be placed now; says so when not."""
    if not poll_reconstructed(cls, context):
        return False
    if any(job.kind in {"place", "reconstruct"} for job in session().jobs.values()):
        cls.poll_message_set("The engine is at work on the points; wait, or cancel it")
        return False
    return True


class MVSAM_OT_set_upright(bpy.types.Operator):
    """Turn the points so that up is Z: from the floor or table in them, and from the cameras"""

    bl_idname = "mvsam.set_upright"
    bl_label = "Set Upright"
    bl_options = {"UNDO"}

    ground: BoolProperty(
        name="Ground at Zero", description="Also move the ground to height zero", default=True
    )
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        return _poll_placing(cls, context)

    def execute(self, context):
        wish = PlaceParams("", upright=True, ground=self.ground)
        return run_job(self, lambda: jobs.start_place(context.scene, wish))


class MVSAM_OT_set_scale(bpy.types.Operator):
    """Scale the points so that the two measure marks are as far apart as in reality"""

    bl_idname = "mvsam.set_scale"
    bl_label = "Set Scale"
    bl_options = {"UNDO"}

    distance: FloatProperty(
        name="True Distance",
        description="Between the two measure marks; the one of the panel when not given",
        subtype="DISTANCE",
        unit="LENGTH",
        default=0.0,
        min=0.0,
        options={"SKIP_SAVE"},
    )
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        if not _poll_placing(cls, context):
            return False
        if len(measure.marks(context.scene)) < 2:
            cls.poll_message_set("Set two measure marks in the photos first")
            return False
        return True

    def execute(self, context):
        scene = context.scene
        distance = self.distance or scene.mvsam.place.distance
        known = measure.known_distance(scene, distance * world.meters_per_unit(scene))
        wish = PlaceParams("", distances=(known,))
        return run_job(self, lambda: jobs.start_place(scene, wish))


class MVSAM_OT_set_scale_by_height(bpy.types.Operator):
    """Scale the points so that the cameras are as high above the ground as in reality"""

    bl_idname = "mvsam.set_scale_by_height"
    bl_label = "Set Scale by Camera Height"
    bl_options = {"UNDO"}

    height: FloatProperty(
        name="Camera Height",
        description="Above the ground; the one of the panel when not given",
        subtype="DISTANCE",
        unit="LENGTH",
        default=0.0,
        min=0.0,
        options={"SKIP_SAVE"},
    )
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        return _poll_placing(cls, context)

    def execute(self, context):
        scene = context.scene
        height = self.height or scene.mvsam.place.height
        wish = PlaceParams("", camera_height=height * world.meters_per_unit(scene))
        return run_job(self, lambda: jobs.start_place(scene, wish))


class MVSAM_OT_clear_placement(bpy.types.Operator):
    """Put the points back to where the reconstruction had them"""

    bl_idname = "mvsam.clear_placement"
    bl_label = "Clear Placement"
    bl_options = {"UNDO"}

    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        if not _poll_placing(cls, context):
            return False
        if not world.is_moved(context.scene):
            cls.poll_message_set("The points stand where the reconstruction had them")
            return False
        return True

    def execute(self, context):
        wish = PlaceParams("", reset=True)
        return run_job(self, lambda: jobs.start_place(context.scene, wish))


class MVSAM_OT_measure_mark(bpy.types.Operator):
    """Set a measure mark at a place in a photo: the first, then the second"""

    bl_idname = "mvsam.measure_mark"
    bl_label = "Set Measure Mark"
    bl_options = {"UNDO"}

    view: StringProperty(name="View", description="Photo's name; the one in the editor when empty")
    x: FloatProperty(name="X", description="Pixels from the photo's left side")
    y: FloatProperty(name="Y", description="Pixels from the photo's top")
    mark: EnumProperty(
        name="Mark",
        items=[
            ("NEXT", "Next", "The one that is missing; with both there, begin anew"),
            ("FIRST", "First", "The first mark"),
            ("SECOND", "Second", "The second mark"),
        ],
        default="NEXT",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def invoke(self, context, event):
        if not self.properties.is_property_set("view") or not self.view:
            spot = photo_under_mouse(context, event)
            if spot is None:
                return {"PASS_THROUGH"}
            self.view, self.x, self.y = spot.view, spot.x, spot.y
        return self.execute(context)

    def execute(self, context):
        scene = context.scene
        try:
            photo = clickable(scene, self.view, self.x, self.y)
            measure.set_mark(scene, photo.view, self.x, self.y, self.mark)
        except MvsamError as error:
            return refuse(self, error)
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_clear_measure_marks(bpy.types.Operator):
    """Take both measure marks away"""

    bl_idname = "mvsam.clear_measure_marks"
    bl_label = "Clear Measure Marks"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context):
        if measure.marks(context.scene):
            return True
        cls.poll_message_set("There are no measure marks")
        return False

    def execute(self, context):
        measure.clear_marks(context.scene)
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_measure_tool(bpy.types.Operator):
    """Choose the tool that sets measure marks, in all Image Editors that show a photo"""

    bl_idname = "mvsam.measure_tool"
    bl_label = "Set Marks in Photos"

    @classmethod
    def poll(cls, context):
        if bpy.app.background:
            cls.poll_message_set("There is no window to set them in")
            return False
        return poll_reconstructed(cls, context)

    def execute(self, context):
        found = 0
        for window in context.window_manager.windows:
            for area in window.screen.areas:
                if area.type != "IMAGE_EDITOR" or area.ui_type != "IMAGE_EDITOR":
                    continue
                with context.temp_override(window=window, area=area):
                    bpy.ops.wm.tool_set_by_id(name="mvsam.measure_tool")
                found += 1
        if not found:
            self.report({"WARNING"}, "Open an Image Editor first: the marks are set in photos.")
        return FINISHED


CLASSES = (
    MVSAM_OT_set_upright,
    MVSAM_OT_set_scale,
    MVSAM_OT_set_scale_by_height,
    MVSAM_OT_clear_placement,
    MVSAM_OT_measure_mark,
    MVSAM_OT_clear_measure_marks,
    MVSAM_OT_measure_tool,
)
