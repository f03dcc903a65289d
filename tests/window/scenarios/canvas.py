# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage itself, without the add-on: clicks and drags land where they are meant to."""

from __future__ import annotations

import bpy

SIZE = (640, 480)
PLACES = ((160.0, 120.0), (480.0, 120.0), (320.0, 400.0))


class Watch(bpy.types.Operator):
    """Notes where in the image the mouse goes down and up, until Esc."""

    bl_idname = "wm.mvsam_test_watch"
    bl_label = "Watch the Mouse"

    def invoke(self, context, event):
        context.window_manager["watched"] = []
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type == "ESC":
            return {"FINISHED"}
        if event.type == "LEFTMOUSE":
            area = next(a for a in context.window.screen.areas if a.type == "IMAGE_EDITOR")
            region = next(r for r in area.regions if r.type == "WINDOW")
            u, v = region.view2d.region_to_view(event.mouse_x - region.x, event.mouse_y - region.y)
            note = [event.value, u * SIZE[0], (1 - v) * SIZE[1], event.ctrl]
            context.window_manager["watched"] = [*context.window_manager["watched"], str(note)]
            return {"RUNNING_MODAL"}
        return {"PASS_THROUGH"}


def scenario(stage):
    """Split the window, show an image, click, drag, undo."""
    import gpu

    stage.report["renderer"] = gpu.platform.renderer_get()
    bpy.utils.register_class(Watch)
    yield from stage.split_for_image()
    image = bpy.data.images.new("grid", *SIZE)
    image.generated_type = "COLOR_GRID"
    yield from stage.show_image(image)
    yield from stage.shot("image")

    with stage.context_of(stage.area("IMAGE_EDITOR")):
        bpy.ops.wm.mvsam_test_watch("INVOKE_DEFAULT")
    for place in PLACES:
        yield from stage.click(*stage.over_image(*place), ctrl=place == PLACES[1])
    yield from stage.drag(stage.over_image(*PLACES[0]), stage.over_image(*PLACES[2]))
    yield from stage.key("ESC")
    stage.report["modal_left"] = [o.bl_idname for o in stage.window.modal_operators]
    stage.report["events"] = list(bpy.context.window_manager["watched"])

    # A key that Blender itself understands, over the 3D Viewport: X deletes, Ctrl+Z brings back.
    cube = bpy.context.object.name
    yield from stage.move(*stage.middle(stage.area("VIEW_3D")))
    yield from stage.key("DEL")
    stage.report["after_delete"] = cube in bpy.data.objects
    yield from stage.key("Z", ctrl=True)
    yield from stage.wait_until(lambda: cube in bpy.data.objects, "the cube to come back", 5)
    yield from stage.shot("end")
