# SPDX-License-Identifier: GPL-3.0-or-later
"""Clicks in photos: one click, one operator, one undo step."""

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty

from mvsam_engine.capture import Prompt
from mvsam_engine.errors import MvsamError

from ..core.prompts import nearest_prompt
from ..scene import objects
from .marking import mark, segment_if_wanted
from .operators_object import poll_reconstructed, poll_unlocked
from .pointing import clickable, find_photo, photo_under_mouse, zoom
from .running import CANCELLED, FINISHED, refuse

# How far from a prompt, in pixels of the screen, Delete still finds it.
_REACH = 24.0

_WORDS = {"point": "click", "box": "box", "stroke": "stroke"}


class MVSAM_OT_click(bpy.types.Operator):
    """Say what belongs to the object, at a place in a photo"""

    bl_idname = "mvsam.click"
    bl_label = "Click on Object"
    bl_options = {"UNDO"}

    view: StringProperty(name="View", description="Photo's name; the one in the editor when empty")
    x: FloatProperty(name="X", description="Pixels from the photo's left side")
    y: FloatProperty(name="Y", description="Pixels from the photo's top")
    include: BoolProperty(name="Include", default=True, options={"SKIP_SAVE"})
    new_object: BoolProperty(name="New Object", options={"SKIP_SAVE"})
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

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
        try:
            photo = clickable(context.scene, self.view, self.x, self.y)
        except MvsamError as error:
            return refuse(self, error)
        prompt = Prompt("point", photo.view, self.include, ((self.x, self.y),))
        return mark(self, context.scene, prompt, self.new_object)


class MVSAM_OT_remove_prompt(bpy.types.Operator):
    """Remove the active object's click, box or stroke that is nearest to the mouse"""

    bl_idname = "mvsam.remove_prompt"
    bl_label = "Remove Nearest Click"
    bl_options = {"UNDO"}

    view: StringProperty(name="View")
    x: FloatProperty(name="X")
    y: FloatProperty(name="Y")
    reach: FloatProperty(name="Reach", description="In pixels of the photo", default=50.0, min=0.0)
    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        return poll_unlocked(cls, context)

    def invoke(self, context, event):
        spot = photo_under_mouse(context, event)
        if spot is None:
            return {"PASS_THROUGH"}
        self.view, self.x, self.y = spot.view, spot.x, spot.y
        self.reach = _REACH / zoom(find_photo(context.scene, spot.view), context.region)
        return self.execute(context)

    def execute(self, context):
        scene = context.scene
        item = objects.active(scene)
        prompts = objects.prompts_of(item)
        index = nearest_prompt(prompts, self.view, (self.x, self.y), self.reach)
        if index is None:
            self.report({"INFO"}, f"{item.name} has no click, box or stroke there.")
            return CANCELLED
        objects.remove_prompt(item, index)
        self.report({"INFO"}, f"{item.name}: a {_WORDS[prompts[index].kind]} is removed.")
        segment_if_wanted(self, scene, item)
        return FINISHED


CLASSES = (MVSAM_OT_click, MVSAM_OT_remove_prompt)
