# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine started anew, and what was lost with the old one asked again.

Prompts live in the scene and never depend on an engine: what is asked again is what the scene says.
"""

from __future__ import annotations

import bpy

from mvsam_engine.errors import MvsamError

from . import jobs, loop, objects
from .placement import capture_path
from .session import session


def restart(resume: bool) -> int:
    """Start the engine anew; how many questions were asked again.

    Args:
        resume: ask again what the scenes' prompts and placements still wait for.

    Raises:
        EngineError: it cannot be started.
    """
    state = session()
    if state.client is not None:
        state.client.stop()
        state.client = None
    state.jobs.clear()
    state.pending.clear()
    state.connected()
    return ask_again() if resume else 0


def ask_again() -> int:
    """Ask for every answer that is missing, in all scenes; how many requests that were.

    Raises:
        EngineError: the engine cannot be started.
    """
    state = session()
    lost, state.lost = state.lost, []
    before = len(state.jobs)
    for job in lost:
        jobs.delete_again(job)
    loop.sync()
    for scene in bpy.data.scenes:
        if capture_path(scene) is None:
            continue
        for item in scene.mvsam.objects:
            running = state.job_of(objects.key_of(scene, item.object_id))
            if running is None and item.answered != item.revision and not item.locked:
                _ask(scene, item)
    return len(state.jobs) - before


def _ask(scene: bpy.types.Scene, item: bpy.types.PropertyGroup) -> None:
    try:
        jobs.start_segment(scene, item)
    except MvsamError as error:
        if error.code != "prompt.none":
            raise
