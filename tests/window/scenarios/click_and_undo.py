# SPDX-License-Identifier: GPL-3.0-or-later
"""Clicks, corrections and undo on a capture that is ready."""

from __future__ import annotations

import addon_steps as steps
import bpy


def state() -> dict:
    """What a person sees of the objects."""
    return {
        "objects": [item.name for item in steps.settings().objects],
        "prompts": [len(item.prompts) for item in steps.settings().objects],
        "points": [item.point_count for item in steps.settings().objects],
        "current": [item.answered == item.revision for item in steps.settings().objects],
    }


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
    yield from stage.shot("opened")
    stage.report["empty"] = state()

    yield from stage.click(*stage.over_image(*stage.given["first"]))
    yield from stage.shot("one_click")
    yield from stage.wait_until(steps.answered(), "the first answer", 120)
    yield from stage.shot("one_answer")
    stage.report["one"] = state()
    stage.report["object_id"] = steps.active_object().object_id
    stage.report["weights"] = steps.weights_on_points(steps.active_object())

    # A click that says: not this.
    yield from stage.click(*stage.over_image(*stage.given["not_this"]), ctrl=True)
    yield from stage.wait_until(steps.answered(), "the corrected answer", 120)
    stage.report["two"] = state()
    stage.report["included"] = [p.include for p in steps.active_object().prompts]
    yield from stage.shot("corrected")

    # Ctrl+Z with the mouse over the photo, as often as it takes to be back at one click.
    yield from undo_until(stage, lambda: state()["prompts"] == [1], "one click")
    yield from stage.wait_until(lambda: not steps.running(), "the engine to be idle", 60)
    yield 1.0
    stage.report["undone"] = state()
    stage.report["undone_weights"] = steps.weights_on_points(steps.active_object())
    yield from stage.shot("undone")

    # Redo brings the second click back, and its answer.
    with stage.context_of(stage.area("IMAGE_EDITOR")):
        bpy.ops.ed.redo()
    yield 0.5
    yield from stage.wait_until(lambda: not steps.running(), "the engine to be idle", 60)
    stage.report["redone"] = state()

    # Another object, by Shift+click.
    yield from stage.click(*stage.over_image(*stage.given["second"]), shift=True)
    yield from stage.wait_until(steps.answered(1), "the second object", 120)
    stage.report["second_object"] = state()
    stage.report["second_id"] = steps.settings().objects[1].object_id
    yield from stage.shot("two_objects")

    # The next photo, by key.
    yield from stage.move(*stage.middle(stage.area("IMAGE_EDITOR")))
    yield from stage.key("PAGE_DOWN")
    yield from stage.shot("next_photo")
    image = stage.area("IMAGE_EDITOR").spaces.active.image
    stage.report["next_photo"] = image.name

    # Undo down to nothing: the clicks go, the points stay.
    yield from undo_until(stage, lambda: not state()["objects"], "no object", most=20)
    yield from stage.wait_until(lambda: not steps.running(), "the engine to be idle", 60)
    stage.report["emptied"] = state()
    stage.report["points_left"] = len(steps.points().data.vertices)
    yield from stage.shot("emptied")


def undo_until(stage, condition, what, most=8):
    """Ctrl+Z with the mouse over the photo, one at a time, until ``condition()`` holds."""
    presses = 0
    yield from stage.move(*stage.middle(stage.area("IMAGE_EDITOR")))
    while not condition():
        stage.check(presses < most, f"{presses} times Ctrl+Z did not lead to {what}: {state()}")
        yield from stage.key("Z", ctrl=True)
        yield 0.3
        presses += 1
    stage.report.setdefault("undo_presses", {})[what] = presses
