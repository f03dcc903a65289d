# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the engine what a click would mark. Nothing here touches the scene, undo or the capture.

It is asked only while nothing else is to be done, and never started for it.
"""

from __future__ import annotations

import time
from dataclasses import replace

import bpy

from mvsam_engine.capture import Prompt, SceneObject
from mvsam_engine.capture.schema import object_to_json
from mvsam_engine.errors import MvsamError
from mvsam_engine.protocol import PreviewParams, PreviewResult

from ..core.events import EngineDied, Event, Failed, Finished
from ..core.hover import Question
from . import objects, redraw
from .placement import capture_path
from .session import session

# How soon an answer is looked for.
WAITING_SECONDS = 0.02


def follow(scene: bpy.types.Scene, view: str, x: float, y: float) -> None:
    """The mouse is at a place of a photo; "" when it is at none."""
    photo = next((p for p in scene.mvsam.photos if view and p.view == view), None)
    question, size = None, (1, 1)
    if photo is not None and photo.placed and scene.mvsam.marking.preview:
        item = objects.active(scene)
        root = str(capture_path(scene) or "")
        who = (item.object_id, item.revision) if item is not None else ("", 0)
        question, size = Question(root, *who, view, x, y), (photo.width, photo.height)
    if session().hover.follow(question, size, time.monotonic()):
        redraw.redraw_photos()


def watch() -> bool:
    """Ask what is to be asked, at every turn of the timer; whether an answer is to come."""
    scene = bpy.context.scene
    state, hover, now = session(), session().hover, time.monotonic()
    if not scene.mvsam.marking.preview:
        if hover.clear():
            redraw.redraw_photos()
        return False
    if hover.fade(now):
        redraw.redraw_photos()
    client = state.client
    if client is None or not client.running:
        return False
    busy = any(not job.superseded for job in state.jobs.values())
    question = None if busy else hover.wanted(now)
    if question is not None and question.capture == str(capture_path(scene) or ""):
        item = objects.find(scene, question.object_id)
        if item is None or not item.locked:
            request = client.request(_params(question, item))
            hover.asked(request, question)
    return hover.waits


def takes(event: Event) -> bool:
    """Take an event that is about a preview; whether it was."""
    hover = session().hover
    if isinstance(event, EngineDied):
        hover.failed()
        return False
    if not isinstance(event, Finished | Failed) or event.method != PreviewParams.METHOD:
        return False
    if not hover.is_open(event.request):
        return True
    if isinstance(event, Failed):
        hover.failed()
        return True
    try:
        shown = hover.answered(PreviewResult.from_json(event.result), time.monotonic())
    except MvsamError:
        hover.failed()
        return True
    if shown:
        redraw.redraw_photos()
    return True


def _params(question: Question, item: objects.MVSAM_PG_object | None) -> PreviewParams:
    """The object as it would be after the click, as far as this photo is concerned."""
    asked = SceneObject("preview", "Preview") if item is None else objects.to_scene_object(item)
    here = tuple(p for p in asked.prompts if p.view == question.view)
    click = Prompt("point", question.view, xy=((question.x, question.y),))
    asked = replace(asked, prompts=(*here, click))
    return PreviewParams(question.capture, question.view, object_to_json(asked))
