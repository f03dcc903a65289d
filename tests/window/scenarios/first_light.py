# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole thread as a person lives it: install, check, photos, reconstruct, click, cancel."""

from __future__ import annotations

import time

import addon_steps as steps
import bpy


def scenario(stage):
    """See the module."""
    yield from steps.install(stage)
    yield from steps.check_engine(stage)
    yield from stage.split_for_image()
    steps.clear_scene()
    for kind in ("IMAGE_EDITOR", "VIEW_3D"):
        yield from steps.open_sidebar(stage, kind)
    yield from stage.shot("installed")

    # Executed, not invoked: that would open the file browser.
    bpy.ops.mvsam.import_photos(
        "EXEC_DEFAULT",
        True,
        directory=stage.given["photos"],
        files=[{"name": name} for name in stage.given["files"]],
        capture_dir=stage.given["capture"],
    )
    yield 0.5
    stage.report["listed"] = len(steps.settings().photos)
    yield from stage.shot("photos")

    yield from reconstruct(stage)
    yield from steps.view_all_points(stage)
    yield from stage.shot("reconstructed")
    stage.report["viewport"] = stage.visible_part(stage.area("VIEW_3D"))
    cloud = steps.points()
    stage.report["points"] = len(cloud.data.vertices)
    stage.report["cameras"] = sorted(o.name for o in bpy.data.objects if o.type == "CAMERA")
    stage.report["placed"] = sorted(p.view for p in steps.settings().photos if p.placed)

    stage.area("IMAGE_EDITOR").spaces.active.show_region_ui = False
    yield from steps.show_photo(stage, stage.given["view"])
    yield from steps.take_tool(stage)
    yield from stage.shot("photo_with_tool")
    started = time.monotonic()
    yield from stage.click(*stage.over_image(*stage.given["click"]))
    stage.report["prompts"] = len(steps.active_object().prompts)
    stage.report["clicked"] = [
        steps.active_object().prompts[0].x,
        steps.active_object().prompts[0].y,
    ]
    yield from stage.shot("clicked")
    yield from stage.wait_until(steps.answered(), "the masks of all photos", 120)
    stage.report["click_to_masks_s"] = round(time.monotonic() - started, 2)
    yield from stage.shot("answered")

    item = steps.active_object()
    stage.report["object_id"] = item.object_id
    stage.report["point_count"] = item.point_count
    stage.report["weights"] = steps.weights_on_points(item)
    stage.report["message"] = steps.message()

    yield from cancel_reconstruction(stage)
    yield from stage.shot("cancelled")
    steps.press("isolate")
    yield from stage.shot("isolated")


def reconstruct(stage):
    """Reconstruct while the window stays awake; a picture half way."""
    started = time.monotonic()
    steps.press("reconstruct", max_size=stage.given["max_size"])
    stage.report["reconstruct_call_s"] = round(time.monotonic() - started, 3)
    longest = 0.0
    stages = []
    shown = False
    while "reconstruct" in steps.running():
        before = time.monotonic()
        yield 0.05
        longest = max(longest, time.monotonic() - before)
        job = steps.part("scene.session").session().leading_job()
        if job is not None and job.stage and job.stage not in stages:
            stages.append(job.stage)
        if len(stages) == 3 and not shown:
            shown = True
            yield from stage.shot("reconstructing")
    stage.report["longest_freeze_s"] = round(longest, 2)
    stage.report["stages"] = stages
    stage.report["reconstruct_s"] = round(time.monotonic() - started, 1)
    stage.report["reconstruct_message"] = steps.message()
    placed = [p for p in steps.settings().photos if p.placed]
    stage.check(placed, f"nothing was placed: {steps.message()}")


def cancel_reconstruction(stage):
    """Begin again and cancel: what was there stays."""
    before = len(steps.points().data.vertices)
    steps.press("reconstruct", max_size=stage.given["max_size"])
    yield from stage.wait_until(
        lambda: any(j.stage for j in steps.part("scene.session").session().jobs.values()),
        "the second reconstruction to begin",
        30,
    )
    started = time.monotonic()
    steps.press("cancel")
    yield from stage.wait_until(
        lambda: "reconstruct" not in steps.running(), "the reconstruction to stop", 30
    )
    stage.report["cancel_s"] = round(time.monotonic() - started, 2)
    stage.report["after_cancel"] = steps.message()
    stage.report["points_kept"] = len(steps.points().data.vertices) == before
