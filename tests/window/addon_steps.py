# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that scenarios with the add-on share; runs inside Blender, see driver.py."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from driver import Stage, Steps

MODULE = "bl_ext.user_default.mvsam"
TOOL = "mvsam.click_tool"


def part(name: str) -> ModuleType:
    """A module of the installed add-on, e.g. ``"scene.session"``."""
    return importlib.import_module(f"{MODULE}.{name}")


def settings() -> bpy.types.PropertyGroup:
    """The scene's MV-SAM settings, fetched anew because undo replaces them."""
    return bpy.context.scene.mvsam


def active_object() -> bpy.types.PropertyGroup:
    """The object that clicks go to."""
    return settings().objects[settings().active_object]


def message() -> str:
    """What the panel says last."""
    told = part("scene.session").session().message
    return told.text if told else ""


def running() -> list[str]:
    """The kinds of jobs under way."""
    jobs = part("scene.session").session().jobs.values()
    return [job.kind for job in jobs if not job.superseded]


def press(operator: str, **properties: object) -> None:
    """Run one of our operators as its button does: invoked, with an undo step."""
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window):
        getattr(bpy.ops.mvsam, operator)("INVOKE_DEFAULT", True, **properties)


def install(stage: Stage) -> Steps:
    """Install the zip as a person does, and name the engine in the preferences."""
    bpy.ops.extensions.package_install_files(
        filepath=stage.given["zip"], repo="user_default", enable_on_install=True
    )
    yield 0.3
    stage.check(MODULE in bpy.context.preferences.addons, "the extension is not enabled")
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.engine_python = stage.given["engine"]
    yield 0.1


def check_engine(stage: Stage) -> Steps:
    """Press Check Engine and wait for what it says."""
    session = part("scene.session").session()
    press("check_engine")
    yield from stage.wait_until(lambda: session.check, "the engine to answer the check", 60)
    stage.report["check"] = list(session.check)
    stage.report["check_ok"] = session.check_ok


def open_sidebar(stage: Stage, kind: str) -> Steps:
    """Show the MV-SAM tab in the sidebar of an editor."""
    stage.area(kind).spaces.active.show_region_ui = True
    yield 0.5
    stage.region(stage.area(kind), "UI").active_panel_category = "MV-SAM"
    yield 0.3


def clear_scene() -> None:
    """Remove the cube, camera and light that every new file has."""
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)


def take_tool(stage: Stage) -> Steps:
    """Take the click tool in the Image Editor."""
    editor = stage.area("IMAGE_EDITOR")
    editor.spaces.active.show_region_toolbar = True
    with stage.context_of(editor):
        bpy.ops.wm.tool_set_by_id(name=TOOL)
    yield 0.3
    workspace = bpy.context.workspace
    tool = workspace.tools.from_space_image_mode("VIEW")
    stage.check(tool.idname == TOOL, f"the tool is {tool.idname}")


def show_photo(stage: Stage, view: str) -> Steps:
    """Choose a photo in the list, which shows it in the Image Editor, and fit it."""
    views = [photo.view for photo in settings().photos]
    settings().active_photo = views.index(view)
    editor = stage.area("IMAGE_EDITOR")
    image = part("scene.images").photo_image(bpy.context.scene, view)
    yield from stage.wait_until(lambda: editor.spaces.active.image == image, "the photo", 5)
    yield from stage.show_image(image)


def view_all_points(stage: Stage) -> Steps:
    """Fit the points into the 3D Viewport."""
    cloud = points()
    for other in bpy.context.selected_objects:
        other.select_set(False)
    cloud.select_set(True)
    bpy.context.view_layer.objects.active = cloud
    with stage.context_of(stage.area("VIEW_3D")):
        bpy.ops.view3d.view_selected()
    # Selected vertices are drawn orange, over their colors.
    cloud.select_set(False)
    yield 0.5


def points() -> bpy.types.Object:
    """The object that carries the point cloud."""
    return part("scene.points").points_object(bpy.context.scene)


def weights_on_points(item: bpy.types.PropertyGroup) -> dict:
    """What the points know of an object: by attribute, and by vertex group."""
    cloud = points()
    mesh = cloud.data
    attribute = mesh.attributes[f"mvsam_{item.object_id}"]
    values = [0.0] * len(mesh.vertices)
    attribute.data.foreach_get("value", values)
    group = cloud.vertex_groups[item.name]
    inside = outside = 0
    for vertex, value in zip(mesh.vertices, values, strict=True):
        weight = next((g.weight for g in vertex.groups if g.group == group.index), 0.0)
        inside += value > 0.5
        # The group's weights may be rounded to steps, never to another side.
        outside += abs(weight - max(value, 0.0)) > 0.05
    return {
        "points": len(values),
        "in_object": inside,
        "group_differs": outside,
        "lowest": min(values),
        "highest": max(values),
    }


def answered(item_index: int = 0):
    """A condition: the object's answer fits its prompts."""

    def holds() -> bool:
        item = settings().objects[item_index]
        return item.revision > 0 and item.answered == item.revision and not running()

    return holds
