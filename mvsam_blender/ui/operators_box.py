# SPDX-License-Identifier: GPL-3.0-or-later
"""Boxes around objects, drawn by dragging; a drag that goes nowhere is a click."""

import math

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty

from mvsam_engine.capture import Prompt
from mvsam_engine.errors import MvsamError, SegmentationError

from .dragging import Dragging
from .gesture import CLICK_REACH, Gesture
from .marking import mark
from .operators_object import poll_reconstructed
from .pointing import Spot, inside_photo, markable
from .running import CANCELLED, refuse

# A box with a shorter side, in photo pixels, marks nothing.
_LEAST_SIDE = 2.0


class MVSAM_OT_box(Dragging, bpy.types.Operator):
    """Draw a box around the object in a photo"""

    bl_idname = "mvsam.box"
    bl_label = "Draw Box"
    bl_options = {"UNDO"}

    view: StringProperty(name="View", description="Photo's name")
    x: FloatProperty(name="X", description="Of one corner, pixels from the photo's left side")
    y: FloatProperty(name="Y", description="Of one corner, pixels from the photo's top")
    x2: FloatProperty(name="X 2", description="Of the opposite corner")
    y2: FloatProperty(name="Y 2", description="Of the opposite corner")
    include: BoolProperty(name="Include", default=True, options={"SKIP_SAVE"})
    new_object: BoolProperty(name="New Object", options={"SKIP_SAVE"})
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def execute(self, context):
        try:
            prompt = self._prompt(context.scene)
        except MvsamError as error:
            return refuse(self, error)
        return mark(self, context.scene, prompt, self.new_object)

    def _prompt(self, scene):
        photo = markable(scene, self.view)
        first = inside_photo(photo, Spot(photo.view, min(self.x, self.x2), min(self.y, self.y2)))
        last = inside_photo(photo, Spot(photo.view, max(self.x, self.x2), max(self.y, self.y2)))
        if min(last.x - first.x, last.y - first.y) < _LEAST_SIDE:
            raise SegmentationError(
                "prompt.box",
                f"The box covers nothing of {photo.view}.",
                "Drag from one corner of the object to the opposite one.",
            )
        return Prompt("box", photo.view, self.include, ((first.x, first.y), (last.x, last.y)))

    def begun(self, spot, _zoom):
        """See `Dragging`."""
        return Gesture("box", self.include, [spot, spot])

    def moved(self, shape, spot):
        """See `Dragging`."""
        shape.path[1:] = [spot]

    def done(self, context, shape):
        """See `Dragging`."""
        (self.x, self.y), (self.x2, self.y2) = shape.xy
        self.view = shape.view
        return self.execute(context)


class MVSAM_OT_click_or_box(Dragging, bpy.types.Operator):
    """Click on the object, or drag a box around it"""

    bl_idname = "mvsam.click_or_box"
    bl_label = "Click or Draw Box"
    # No undo step of its own: what it calls makes one under its own name.

    include: BoolProperty(name="Include", default=True, options={"SKIP_SAVE"})
    new_object: BoolProperty(name="New Object", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return poll_reconstructed(cls, context)

    def execute(self, context):
        self.report({"ERROR"}, "Use the mouse in an Image Editor, or Click on Object in scripts.")
        return CANCELLED

    def begun(self, spot, screen_per_pixel):
        """See `Dragging`."""
        scale = bpy.context.preferences.system.ui_scale
        self._reach = CLICK_REACH * scale / screen_per_pixel
        return Gesture("point", self.include, [spot, spot])

    def moved(self, shape, spot):
        """See `Dragging`."""
        shape.path[1:] = [spot]
        away = math.dist(*((s.x, s.y) for s in shape.path))
        # Once it is a box it stays one: going back to the corner is no click.
        if away > self._reach:
            shape.kind = "box"

    def done(self, context, shape):
        """See `Dragging`."""
        common = {"view": shape.view, "include": self.include, "new_object": self.new_object}
        # Called as from a button: the step is in the history under the right name.
        if shape.kind == "point":
            ((x, y),) = shape.xy
            return bpy.ops.mvsam.click("EXEC_DEFAULT", True, x=x, y=y, **common)
        (x, y), (x2, y2) = shape.xy
        try:
            return bpy.ops.mvsam.box("EXEC_DEFAULT", True, x=x, y=y, x2=x2, y2=y2, **common)
        except RuntimeError:
            # Refused, and told: scripts get that as an exception.
            return CANCELLED


CLASSES = (MVSAM_OT_box, MVSAM_OT_click_or_box)
