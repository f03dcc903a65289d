# SPDX-License-Identifier: GPL-3.0-or-later
"""Brush strokes over objects, and the brush's size."""

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty

from mvsam_engine.capture import Prompt
from mvsam_engine.errors import MvsamError, SegmentationError

from ..core.strokes import simplified
from ..scene import redraw
from ..scene.stored_prompts import positions
from .dragging import Dragging
from .gesture import Gesture
from .marking import mark
from .operators_object import poll_reconstructed
from .pointing import Spot, inside_photo, markable
from .running import FINISHED, refuse

# A stroke's line may move by this share of its radius when positions are left out.
_TOLERANCE = 0.1


class MVSAM_OT_stroke(Dragging, bpy.types.Operator):
    """Paint over the object, or over what is not part of it, with one stroke"""

    bl_idname = "mvsam.stroke"
    bl_label = "Brush Stroke"
    bl_options = {"UNDO"}

    view: StringProperty(name="View", description="Photo's name")
    path: StringProperty(name="Path", description="Positions in photo pixels: x,y x,y ...")
    radius: FloatProperty(
        name="Radius", description="Half width in photo pixels", default=10.0, min=0.5
    )
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
        places = positions(self.path)
        if not places:
            raise SegmentationError(
                "prompt.stroke",
                "The stroke has no positions.",
                'Give them as "x,y x,y ...", in pixels of the photo.',
            )
        kept = [inside_photo(photo, Spot(photo.view, x, y)) for x, y in places]
        line = simplified([(s.x, s.y) for s in kept], max(0.5, self.radius * _TOLERANCE))
        return Prompt("stroke", photo.view, self.include, line, radius=self.radius)

    def begun(self, spot, screen_per_pixel):
        """See `Dragging`."""
        self.radius = bpy.context.scene.mvsam.marking.brush_radius / screen_per_pixel
        return Gesture("stroke", self.include, [spot], self.radius)

    def moved(self, shape, spot):
        """See `Dragging`."""
        if spot != shape.path[-1]:
            shape.path.append(spot)

    def done(self, context, shape):
        """See `Dragging`."""
        self.view = shape.view
        self.path = " ".join(f"{x:.2f},{y:.2f}" for x, y in shape.xy)
        return self.execute(context)


class MVSAM_OT_scale_brush(bpy.types.Operator):
    """Make the brush larger or smaller"""

    bl_idname = "mvsam.scale_brush"
    bl_label = "Scale Brush"

    factor: FloatProperty(name="Factor", default=1.25, min=0.01, max=100.0)

    def execute(self, context):
        marking = context.scene.mvsam.marking
        old = marking.brush_radius
        step = 1 if self.factor > 1.0 else -1
        # A small brush changes by a pixel at least.
        marking.brush_radius = (
            max(round(old * self.factor), old + step)
            if step > 0
            else min(round(old * self.factor), old + step)
        )
        redraw.redraw_all()
        return FINISHED


CLASSES = (MVSAM_OT_stroke, MVSAM_OT_scale_brush)
