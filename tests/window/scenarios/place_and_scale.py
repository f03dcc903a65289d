# SPDX-License-Identifier: GPL-3.0-or-later
"""Two marks by mouse, their true distance, up, and undo, on a capture that lies askew."""

from __future__ import annotations

import addon_steps as steps
import bpy

TOOL = "mvsam.measure_tool"


def parent() -> bpy.types.Object:
    """The one parent of points and cameras."""
    return next(o for o in bpy.context.scene.objects if o.get("mvsam_kind") == "parent")


def matrix() -> list[list[float]]:
    """Where it stands."""
    return [list(row) for row in parent().matrix_basis]


def marks() -> list[list[float]]:
    """Positions of the marks that are set."""
    place = steps.settings().place
    return [[m.x, m.y] for m in (place.first, place.second) if m.view]


def idle() -> bool:
    """Whether the engine has answered."""
    return "place" not in steps.running()


def scenario(stage):
    """See the module."""
    yield from steps.install(stage)
    yield from stage.split_for_image()
    steps.clear_scene()
    bpy.ops.mvsam.open_capture("EXEC_DEFAULT", True, directory=stage.given["capture"])
    yield 0.5
    yield from steps.open_sidebar(stage, "VIEW_3D")
    yield from steps.view_all_points(stage)
    yield from steps.show_photo(stage, stage.given["view"])
    yield from steps.take_tool(stage)
    yield from stage.shot("askew")

    # The button in the panel takes the tool in the Image Editor.
    steps.press("measure_tool")
    yield 0.3
    editor = stage.area("IMAGE_EDITOR")
    with stage.context_of(editor):
        tool = bpy.context.workspace.tools.from_space_image_mode("VIEW")
        stage.report["tool"] = tool.idname
    for name in ("left", "right"):
        yield from stage.click(*stage.over_image(*stage.given[name]))
    stage.report["marks"] = marks()
    yield from stage.shot("marks")
    yield from stage.key("Z", ctrl=True)
    yield 0.5
    stage.report["marks_undone"] = len(marks())
    yield from stage.click(*stage.over_image(*stage.given["right"]))
    stage.report["marks_again"] = marks()

    steps.settings().place.distance = stage.given["distance"]
    steps.press("set_scale")
    yield from stage.wait_until(idle, "the scale", 60)
    yield 0.3
    stage.report["scaled"] = matrix()
    steps.press("set_upright")
    yield from stage.wait_until(idle, "up", 60)
    yield 0.5
    stage.report["upright"] = matrix()
    stage.report["message"] = steps.message()
    yield from steps.view_all_points(stage)
    with stage.context_of(stage.area("VIEW_3D")):
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
    yield from stage.shot("upright_and_scaled")

    # Ctrl+Z over the photo; the capture follows by itself.
    yield from stage.move(*stage.middle(stage.area("IMAGE_EDITOR")))
    presses = 0
    while matrix() == stage.report["upright"] and presses < 4:
        yield from stage.key("Z", ctrl=True)
        yield 0.6
        presses += 1
    yield from stage.wait_until(idle, "the capture to follow", 60)
    yield 0.5
    stage.report["undone"] = matrix()
    stage.report["undo_presses"] = presses
    yield from stage.shot("undone")
