# SPDX-License-Identifier: GPL-3.0-or-later
"""Hearing the engine: now and then from a timer, or until a request is done."""

from __future__ import annotations

import bpy

from mvsam_engine.capture.schema import placement_to_json
from mvsam_engine.errors import MvsamError
from mvsam_engine.protocol import PlaceParams

from ..core.events import EngineError
from ..core.prompts import can_segment
from . import answers, hovering, jobs, objects, redraw, world
from .placement import capture_path
from .props import MVSAM_PG_object
from .session import session

_BUSY_SECONDS = 0.05
_IDLE_SECONDS = 0.1


def finish(request: int) -> None:
    """Block until a request is done and its answer is in the scene (background mode, scripts).

    Raises:
        Cancelled: it was cancelled.
        MvsamError: it failed; the sentence says why.
    """
    client = session().client
    if client is None:
        raise EngineError("engine.request", "There is no engine that could finish anything.")
    client.wait(request, on_event=lambda event: answers.handle(event, undo_step=False))


def pump() -> float:
    """Take everything that the engine said since; seconds until this should run again."""
    state = session()
    if state.sync_needed:
        state.sync_needed = False
        sync()
    if state.client is not None:
        for event in state.client.drain():
            if hovering.takes(event):
                continue
            answers.handle(event, undo_step=True)
            redraw.redraw_all()
    if state.deferred and not redraw.why_busy():
        waiting, state.deferred = state.deferred, []
        for job, event in waiting:
            answers.apply(job, event, undo_step=True)
        redraw.redraw_all()
    busy = [hovering.watch(), *(watcher() for watcher in state.watchers)]
    if any(job.cancelled for job in state.jobs.values()):
        redraw.redraw_all()  # the button changes when it takes too long
    return _BUSY_SECONDS if state.jobs or state.deferred or any(busy) else _IDLE_SECONDS


def sync() -> None:
    """After undo, redo: withdraw answers that no longer fit, ask again where one is missing."""
    state = session()
    state.stamp += 1
    if state.client is None:
        return
    free = {
        objects.key_of(scene, o.object_id)
        for scene in bpy.data.scenes
        for o in scene.mvsam.objects
        if not o.locked
    }
    for job in list(state.jobs.values()):
        if job.kind == "segment" and job.key not in free:
            jobs.withdraw(job.key)
    for scene in bpy.data.scenes:
        if capture_path(scene) is None:
            continue
        _store_placement(scene)
        for item in scene.mvsam.objects if scene.mvsam.auto else ():
            _ask_again(scene, item)


def _store_placement(scene: bpy.types.Scene) -> None:
    """Let the capture follow a placement that undo or redo brought back into the scene."""
    root = capture_path(scene)
    known = session().placed.get(str(root))
    if known is None or world.recorded_world(scene) != known[0]:
        return  # nothing was placed, or the scene shows points of another reconstruction
    placement = world.recorded(scene)
    if world.as_text(placement) == known[1] or any(
        job.kind == "place" for job in session().jobs.values()
    ):
        return
    asked = PlaceParams("", placement=placement_to_json(placement), reset=placement.is_default)
    try:
        jobs.start_place(scene, asked, quiet=True)
    except MvsamError as error:
        session().tell_error(error)


def _ask_again(scene: bpy.types.Scene, item: MVSAM_PG_object) -> None:
    """Bring points or stored masks up to date with an object's prompts after undo and redo.

    Prompts whose answer was just undone are left alone, or undo could never get past it.
    """
    if item.locked:
        return
    state = session()
    key = objects.key_of(scene, item.object_id)
    running = state.job_of(key)
    if running is not None and running[1].revision != item.revision:
        jobs.withdraw(key)
        running = None
    stored_fits = state.stored.get(key) == item.revision
    if running is not None or stored_fits or not can_segment(objects.to_scene_object(item)):
        return
    try:
        jobs.start_segment(scene, item, quiet=item.answered == item.revision)
    except MvsamError as error:
        state.tell_error(error)
