# SPDX-License-Identifier: GPL-3.0-or-later
"""What clicks, boxes, strokes and masks have in common: one prompt, one answer to wait for."""

from __future__ import annotations

import bpy

from mvsam_engine.capture import Prompt
from mvsam_engine.errors import MvsamError

from ..core.prompts import can_segment
from ..scene import jobs, objects, redraw
from ..scene.session import session
from .operators_object import add_object
from .running import FINISHED, refuse, run_job


def mark(
    operator: bpy.types.Operator, scene: bpy.types.Scene, prompt: Prompt, new_object: bool
) -> set[str]:
    """Give a prompt to the active object, or to a new one, and ask the engine.

    Args:
        operator: reports what is refused; its ``wait`` decides whether to wait for the answer.
        scene: its object is marked.
        prompt: what is said, already checked.
        new_object: whether it begins another object.
    """
    item = objects.active(scene)
    if item is not None and not new_object:
        try:
            objects.require_unlocked(item)
        except MvsamError as error:
            return refuse(operator, error)
    else:
        item = add_object(scene)
    objects.add_prompt(item, prompt)
    segment_if_wanted(operator, scene, item)
    return FINISHED


def segment_if_wanted(
    operator: bpy.types.Operator, scene: bpy.types.Scene, item: objects.MVSAM_PG_object
) -> None:
    """Start segmenting after the prompts changed; they stay whatever the engine says."""
    if not can_segment(objects.to_scene_object(item)):
        jobs.withdraw(objects.key_of(scene, item.object_id))
        session().tell(f"{item.name}: click on the object first, then on what is not part of it.")
    elif scene.mvsam.auto:
        run_job(operator, lambda: jobs.start_segment(scene, item), level="WARNING")
    redraw.redraw_all()
