# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the engine: each function sends one request and returns its id."""

from __future__ import annotations

import time
from dataclasses import replace

import bpy

from mvsam_engine.capture.schema import placement_to_json
from mvsam_engine.protocol import (
    DeleteParams,
    ForecastParams,
    PlaceParams,
    PrepareParams,
    ReconstructParams,
    RequestParams,
    SegmentParams,
)
from mvsam_engine.protocol.smaller import WorkSetting

from ..core.events import EngineError
from ..core.prompts import can_segment
from . import handover, objects, redraw, world
from .placement import require_capture
from .props import MVSAM_PG_object
from .session import Job, ObjectKey, session

# What the engine is given to use the cameras that the capture already has.
_OWN_CAMERAS = "capture"


def start_reconstruct(
    scene: bpy.types.Scene, photos: tuple[str, ...], max_size: int, careful: bool = False
) -> int:
    """Ask for cameras and points; the request's id.

    What the person already has, cameras, a mesh, masks, is in the scene's settings.

    Args:
        scene: its capture is worked on.
        photos: files and folders to bring in first.
        max_size: long side of the pointmaps in pixels, 0 for the preset's.
        careful: have it refused when memory will not suffice.

    Raises:
        MvsamError: the scene has no capture, the mesh is none, or the engine cannot be started.
    """
    root = require_capture(scene)
    given = scene.mvsam.given
    mesh = ""
    if given.mesh is not None:
        own_cameras = given.cameras in {"", _OWN_CAMERAS}
        path = handover.hand_over_mesh(scene, given.mesh, root, given.mesh_frame, own_cameras)
        mesh = str(path)
    params = ReconstructParams(
        capture=str(root),
        photos=photos,
        preset=given.preset,
        max_size=max_size,
        device=session().settings().device,
        masks=bpy.path.abspath(given.masks),
        masks_invert=given.masks_invert,
        cameras=bpy.path.abspath(given.cameras),
        mesh=mesh,
        careful=careful,
    )
    setting = WorkSetting(params.preset, params.max_size, params.device)
    return _ask(params, Job("reconstruct", str(root), setting=setting))


def start_forecast(scene: bpy.types.Scene, photos: tuple[str, ...], max_size: int) -> int:
    """Ask how long reconstructing would take, and how much memory.

    Args:
        scene: its capture and settings count.
        photos: files and folders that would be brought in.
        max_size: long side of the pointmaps in pixels, 0 for the preset's.

    Raises:
        MvsamError: the scene has no capture, or the engine cannot be started.
    """
    root = require_capture(scene)
    given = scene.mvsam.given
    params = ForecastParams(
        capture=str(root),
        photos=photos,
        preset=given.preset,
        max_size=max_size,
        cameras=bpy.path.abspath(given.cameras),
        mesh=given.mesh.name if given.mesh is not None else "",
    )
    return _ask(params, Job("forecast", str(root)))


def start_segment(scene: bpy.types.Scene, item: MVSAM_PG_object, quiet: bool = False) -> int:
    """Ask for an object's masks in all views; an earlier question about it is withdrawn.

    Raises:
        MvsamError: nothing to segment, no capture, or the engine cannot be started.
    """
    if not can_segment(objects.to_scene_object(item)):
        raise EngineError(
            "prompt.none",
            f"{item.name} has no click that includes anything.",
            "Click on the object in a photo first.",
        )
    root = require_capture(scene)
    withdraw(objects.key_of(scene, item.object_id))
    _interrupt_preparation()
    device = session().settings().device
    params = SegmentParams(str(root), objects.request_json(item), device=device)
    return _ask(params, Job("segment", str(root), item.object_id, item.revision, quiet))


def start_place(scene: bpy.types.Scene, wish: PlaceParams, quiet: bool = False) -> int:
    """Ask for another placement of the world.

    Args:
        scene: its capture is placed; a transform that a person gave the parent is gone on from.
        wish: what is asked for; its capture is filled in.
        quiet: the scene stands right already, only the capture is brought up to date.

    Raises:
        MvsamError: no capture, a parent whose transform is no placement, or no engine.
    """
    root = require_capture(scene)
    if not (quiet or wish.reset):
        start = world.start_of(scene)
        if start is not None:
            wish = replace(wish, placement=placement_to_json(start))
    _interrupt_preparation()
    return _ask(replace(wish, capture=str(root)), Job("place", str(root), quiet=quiet))


def start_delete(scene: bpy.types.Scene, object_id: str) -> int:
    """Ask for an object's removal from the capture."""
    root = require_capture(scene)
    withdraw(objects.key_of(scene, object_id))
    return delete_again(Job("delete", str(root), object_id))


def delete_again(job: Job) -> int:
    """Ask for a removal, whatever scene it came from."""
    return _ask(DeleteParams(*job.key), Job("delete", *job.key))


def start_prepare(scene: bpy.types.Scene) -> int:
    """Let the engine make ready for clicks, so that the first one is answered at once."""
    root = require_capture(scene)
    params = PrepareParams(str(root), device=session().settings().device)
    return _ask(params, Job("prepare", str(root)))


def start_doctor() -> int:
    """Ask the engine what it is and what it lacks."""
    request = session().connected().ask("doctor")
    session().jobs[request] = Job("doctor", "")
    show_progress()
    return request


def withdraw(key: ObjectKey) -> None:
    """Cancel the segmentation of an object whose answer is no longer wanted."""
    running = session().job_of(key)
    client = session().client
    if running is not None and client is not None:
        request, job = running
        job.superseded = True
        client.cancel(request)


def _interrupt_preparation() -> None:
    """Let a click overtake the getting ready: its own photo comes first, the others follow."""
    client = session().client
    for request, job in session().jobs.items():
        if job.kind == "prepare" and not job.superseded and client is not None:
            job.superseded = True
            client.cancel(request)


def cancel_all() -> int:
    """Cancel everything that a person started; how many requests that were."""
    client = session().client
    requests = [r for r, job in session().jobs.items() if not (job.superseded or job.cancelled)]
    if client is not None:
        for request in requests:
            session().jobs[request].cancelled = time.monotonic()
            client.cancel(request)
    return len(requests)


def show_progress() -> None:
    """Have the status bar drawn anew, which shows what runs."""
    redraw.refresh_status()


def _ask(params: RequestParams, job: Job) -> int:
    request = session().connected().request(params)
    session().jobs[request] = job
    show_progress()
    return request
