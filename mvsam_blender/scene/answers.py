# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine says, and what becomes of it.

Every answer is written into Blender here and nowhere else: on the main thread, when Blender can
take it, with an undo step of its own, and only when it answers the prompts as they are now.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from mvsam_engine.capture import Capture
from mvsam_engine.errors import MvsamError
from mvsam_engine.protocol import (
    ForecastResult,
    PlaceResult,
    ProgressNote,
    ReconstructResult,
    SegmentResult,
    ViewAnsweredNote,
    WarningNote,
)

from ..core.events import CANCELLED, EngineDied, Event, Failed, Finished
from ..core.prompts import is_stale
from ..core.report import read_report
from . import build, hovering, images, jobs, objects, recovery, redraw, world
from .placement import capture_path, parent_empty
from .props import MVSAM_PG_object
from .session import Job, PendingMask, session


def handle(event: Event, undo_step: bool) -> None:
    """Take one event from the engine.

    Args:
        event: what the engine said.
        undo_step: whether results make their own undo step; an operator that waits makes its own.
    """
    state = session()
    if hovering.takes(event):
        return
    if isinstance(event, ProgressNote):
        job = state.jobs.get(event.request)
        if job is not None:
            job.stage, job.done, job.total = event.stage, event.done, event.total
    elif isinstance(event, WarningNote):
        text = f"{event.message} {event.remedy}".strip()
        state.tell(text, "WARNING", event.code)
        job = state.jobs.get(event.request)
        if job is not None and event.code.startswith("place."):
            job.standing = text
    elif isinstance(event, ViewAnsweredNote):
        _first_answer(event)
    elif isinstance(event, Finished):
        _finished(event, undo_step)
    elif isinstance(event, Failed):
        _failed(event)
    elif isinstance(event, EngineDied):
        _died(event)
    jobs.show_progress()


def _finished(event: Finished, undo_step: bool) -> None:
    job = session().jobs.pop(event.request, None)
    if job is None:
        return
    waits = undo_step and job.kind in {"reconstruct", "segment", "place"} and redraw.why_busy()
    if waits:
        session().tell(waits)
        session().deferred.append((job, event))
        return
    apply(job, event, undo_step)


def _died(event: EngineDied) -> None:
    state = session()
    state.pending.clear()
    wanted, state.stopping = state.stopping, False
    if wanted:
        state.tell("The engine was stopped. What was complete is kept, and so are your clicks.")
        return
    state.tell(f"{event.error.message} {event.error.remedy}", "ERROR", event.error.code)


def _failed(event: Failed) -> None:
    job = session().jobs.pop(event.request, None)
    _drop_pending(job)
    if job is not None:
        recovery.note_failure(job, event.error)
    if job is not None and job.superseded:
        return
    if event.error.code == CANCELLED:
        session().tell("Cancelled. What was there before is unchanged.")
    else:
        session().tell(
            f"{event.error.message} {event.error.remedy}".strip(), "ERROR", event.error.code
        )


def apply(job: Job, event: Finished, undo_step: bool) -> None:
    """Write an answer into Blender; a failure is told and leaves the capture as it is."""
    try:
        if job.kind == "reconstruct":
            _reconstructed(job, ReconstructResult.from_json(event.result), undo_step)
        elif job.kind == "segment":
            _segmented(job, SegmentResult.from_json(event.result), undo_step)
        elif job.kind == "place":
            _placed(job, PlaceResult.from_json(event.result), undo_step)
        elif job.kind == "forecast":
            expected = ForecastResult.from_json(event.result)
            session().tell(expected.sentence, "INFO" if expected.fits else "WARNING")
        elif job.kind == "doctor":
            _checked(event)
        elif job.kind == "delete":
            session().stored.pop(job.key, None)
    except MvsamError as error:
        session().tell_error(error)


def _reconstructed(job: Job, result: ReconstructResult, undo_step: bool) -> None:
    scene = _scene_of(job.capture)
    if scene is None:
        session().tell(f"The reconstruction is complete in {job.capture}. Open it to see it.")
        return
    with bpy.context.temp_override(scene=scene):
        build.load_capture(bpy.context, job.capture)
    redraw.show_photo(scene)
    count = len(result.views) + len(result.unplaced)
    text = f"{len(result.views)} of {count} photos placed in {result.seconds:.0f} s."
    if not world.is_untouched(parent_empty(scene)):
        text += " The parent stands as you put it by hand."
    elif job.standing:
        text += f" {job.standing}"
    if result.unplaced:
        view, reason = result.unplaced[0]
        session().tell(f"{text} {view}: {reason}", "WARNING")
    else:
        session().tell(text)
    if undo_step:
        redraw.push_undo("MV-SAM: Reconstruct")
        jobs.start_prepare(scene)


def _placed(job: Job, result: PlaceResult, undo_step: bool) -> None:
    scene = _scene_of(job.capture)
    text = " ".join(result.sentences)
    if scene is None:
        session().tell(f"{text} Open {job.capture} to see it.")
        return
    root = Path(job.capture)
    reconstruction = Capture.open(root).require_reconstruction()
    build.place_world(scene, root, reconstruction, force=not job.quiet)
    if job.quiet:
        return
    session().tell(text)
    if undo_step:
        redraw.push_undo("MV-SAM: Place")
        jobs.start_prepare(scene)


def _segmented(job: Job, result: SegmentResult, undo_step: bool) -> None:
    scene = _scene_of(job.capture)
    if scene is None:
        session().tell(f"The masks are stored in {job.capture}. Open it to see them.")
        return
    _drop_pending(job)
    session().stored[job.key] = result.revision
    item = objects.find(scene, result.object_id)
    current = objects.to_scene_object(item) if item is not None else None
    if is_stale(result.revision, current):
        return
    if item.locked:
        session().tell(f"{objects.why_locked(item)} Its new masks are shown when it is unlocked.")
        return
    capture = Capture.open(Path(job.capture))
    if job.quiet:
        images.place_masks(scene, capture, item.object_id, item.name)
        return
    stored = capture.object(item.object_id)
    build.place_answer(scene, capture, item, stored)
    session().tell(_summary(item, len(stored.scores), result.seconds))
    if undo_step:
        redraw.push_undo(f"MV-SAM: Masks of {item.name}")


def _summary(item: MVSAM_PG_object, views: int, seconds: float) -> str:
    text = f"{item.name}: {item.point_count:,} points, masks in {views} photos, {seconds:.1f} s."
    if item.lowest_view:
        text += f" Least sure in {item.lowest_view} ({item.lowest_confidence:.0%})."
    return text


def _checked(event: Finished) -> None:
    report = event.result
    session().report = read_report(report)
    problems = [str(p) for p in report.get("problems", [])]
    lines = [
        f"Engine {report.get('engine')} answers, with Python {report.get('python')}.",
        f"It computes on: {report.get('device_name') or report.get('device')}.",
        f"Memory {report.get('memory_gb')} GB, free on disk {report.get('disk_free_gb')} GB.",
    ]
    lines += [
        f"Weights {entry.get('name')}: {entry.get('state')} ({entry.get('licence')})."
        for entry in report.get("weights", [])
    ]
    session().check = (*lines, *problems)
    session().check_ok = not problems
    session().tell(problems[0] if problems else lines[0], "WARNING" if problems else "INFO")


def _first_answer(note: ViewAnsweredNote) -> None:
    """Read a view's first answer for the overlay, unless the prompts have changed since."""
    job = session().jobs.get(note.request)
    if job is None or job.superseded or job.revision != note.revision:
        return
    try:
        logits = Capture.open(Path(job.capture)).pending(note.object_id, note.view)
    except MvsamError as error:
        session().tell_error(error)
        return
    mask = PendingMask(note.revision, logits.astype(np.float32))
    session().pending[(job.key, note.view)] = mask


def _drop_pending(job: Job | None) -> None:
    if job is None:
        return
    pending = session().pending
    for key in [k for k, v in pending.items() if k[0] == job.key]:
        if pending[key].revision <= job.revision:
            del pending[key]


def _scene_of(capture: str) -> bpy.types.Scene | None:
    """The scene that shows a capture, None when the file that had it was closed."""
    return next((s for s in bpy.data.scenes if capture_path(s) == Path(capture)), None)
