# SPDX-License-Identifier: GPL-3.0-or-later
"""Clicks in photos: one click, one operator, one undo step."""

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty

from mvsam_engine.capture import Prompt
from mvsam_engine.capture.conventions import pixels_to_uv, uv_to_pixels
from mvsam_engine.errors import MvsamError, SegmentationError

from ..core.prompts import can_segment, nearest_prompt
from ..scene import images, jobs, objects, redraw
from ..scene.props import MVSAM_PG_photo
from ..scene.session import session
from .operators_object import add_object, poll_reconstructed, poll_unlocked
from .running import CANCELLED, FINISHED, refuse, run_job

# How far from a prompt, in pixels of the screen, Delete still finds it.
_REACH = 24.0


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
            place = photo_under_mouse(context, event)
            if place is None:
                return {"PASS_THROUGH"}
            self.view, self.x, self.y = place
        return self.execute(context)

    def execute(self, context):
        scene = context.scene
        item = objects.active(scene)
        try:
            photo = clickable(scene, self.view, self.x, self.y)
            if item is not None and not self.new_object:
                objects.require_unlocked(item)
        except MvsamError as error:
            return refuse(self, error)
        if item is None or self.new_object:
            item = add_object(scene)
        prompt = Prompt("point", photo.view, self.include, ((self.x, self.y),))
        objects.add_prompt(item, prompt)
        segment_if_wanted(self, scene, item)
        return FINISHED


class MVSAM_OT_remove_prompt(bpy.types.Operator):
    """Remove the active object's click that is nearest to the mouse"""

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
        place = photo_under_mouse(context, event)
        if place is None:
            return {"PASS_THROUGH"}
        self.view, self.x, self.y = place
        self.reach = _REACH / _zoom(context, self.view)
        return self.execute(context)

    def execute(self, context):
        scene = context.scene
        item = objects.active(scene)
        prompts = objects.prompts_of(item)
        index = nearest_prompt(prompts, self.view, (self.x, self.y), self.reach)
        if index is None:
            self.report({"INFO"}, f"{item.name} has no click there.")
            return CANCELLED
        objects.remove_prompt(item, index)
        segment_if_wanted(self, scene, item)
        return FINISHED


def segment_if_wanted(
    operator: bpy.types.Operator, scene: bpy.types.Scene, item: objects.MVSAM_PG_object
) -> None:
    """Start segmenting after the prompts changed; they stay whatever the engine says."""
    if not can_segment(objects.to_scene_object(item)):
        jobs.withdraw(item.object_id)
        session().tell(f"{item.name}: click on the object first, then on what is not part of it.")
    elif scene.mvsam.auto:
        run_job(operator, lambda: jobs.start_segment(scene, item), level="WARNING")
    redraw.redraw_all()


def photo_under_mouse(
    context: bpy.types.Context, event: bpy.types.Event
) -> tuple[str, float, float] | None:
    """View and photo pixel under the mouse in an Image Editor; None outside of a photo."""
    space, region = context.space_data, context.region
    if space is None or space.type != "IMAGE_EDITOR" or region.type != "WINDOW":
        return None
    view = images.view_of(context.scene, space.image)
    photo = find_photo(context.scene, view)
    if photo is None:
        return None
    uv = region.view2d.region_to_view(event.mouse_region_x, event.mouse_region_y)
    x, y = (float(v) for v in uv_to_pixels(uv, photo.width, photo.height))
    return (view, x, y) if 0 <= x < photo.width and 0 <= y < photo.height else None


def find_photo(scene: bpy.types.Scene, view: str) -> MVSAM_PG_photo | None:
    """The photo of a view, None when there is none or it is not brought in yet."""
    return next((p for p in scene.mvsam.photos if view and p.view == view and p.width), None)


def clickable(scene: bpy.types.Scene, view: str, x: float, y: float) -> MVSAM_PG_photo:
    """The photo that can be clicked in at (x, y).

    Raises:
        SegmentationError: no such photo, not placed, or beside it.
    """
    photo = find_photo(scene, view)
    if photo is None:
        raise SegmentationError(
            "prompt.view",
            f"There is no photo {view!r} to click in." if view else "No photo was clicked in.",
            "Show one of the photos in an Image Editor and click there.",
        )
    if not photo.placed:
        raise SegmentationError(
            "prompt.unplaced",
            f"{view} could not be placed, so a click there says nothing about other photos.",
            "Click in another photo.",
        )
    if not (0 <= x < photo.width and 0 <= y < photo.height):
        raise SegmentationError(
            "prompt.outside",
            f"({x:.0f}, {y:.0f}) lies outside of {view}, which is "
            f"{photo.width} x {photo.height} pixels.",
            "Click inside the photo.",
        )
    return photo


def _zoom(context: bpy.types.Context, view: str) -> float:
    """Pixels of the screen per pixel of the photo."""
    photo = find_photo(context.scene, view)
    to_region = context.region.view2d.view_to_region
    left, _ = to_region(*pixels_to_uv((0, 0), photo.width, photo.height), clip=False)
    right, _ = to_region(*pixels_to_uv((photo.width, 0), photo.width, photo.height), clip=False)
    return max(1e-3, (right - left) / photo.width)


CLASSES = (MVSAM_OT_click, MVSAM_OT_remove_prompt)
