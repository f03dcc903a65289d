# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when Blender loads, saves, undoes and redoes, and the timer for the engine."""

from __future__ import annotations

import os
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from mvsam_engine.capture import Capture
from mvsam_engine.errors import MvsamError

from . import images, loop, objects
from .placement import capture_path
from .session import session


@persistent
def on_undo_redo(*_args: object) -> None:
    """Prompts and weights came back with the file's state; overlays and jobs follow."""
    session().stamp += 1
    session().sync_needed = True


@persistent
def on_load(*_args: object) -> None:
    """Find the captures of a file that was opened, also when it was moved with them."""
    session().forget_file()
    for scene in bpy.data.scenes:
        if not scene.mvsam.capture_dir:
            continue
        try:
            _reconnect(scene)
        except MvsamError as error:
            session().tell_error(error)


@persistent
def on_save(*args: object) -> None:
    """Remember where captures lie as seen from the file, so that both can be moved together."""
    target = args[0] if args and isinstance(args[0], str) else bpy.data.filepath
    if not target:
        return
    for scene in bpy.data.scenes:
        root = capture_path(scene)
        if root is not None:
            scene.mvsam.capture_hint = _seen_from(Path(target).parent, root)


@persistent
def on_timer() -> float:
    """Hear the engine."""
    return loop.pump()


_HANDLERS = (
    ("undo_post", on_undo_redo),
    ("redo_post", on_undo_redo),
    ("load_post", on_load),
    ("save_pre", on_save),
)


def register() -> None:
    """Add the handlers, and the timer where timers run."""
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    if not bpy.app.background:
        bpy.app.timers.register(on_timer, first_interval=0.1, persistent=True)


def unregister() -> None:
    """Remove them."""
    if bpy.app.timers.is_registered(on_timer):
        bpy.app.timers.unregister(on_timer)
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)


def _reconnect(scene: bpy.types.Scene) -> None:
    settings = scene.mvsam
    root = Path(bpy.path.abspath(settings.capture_dir))
    beside = Path(bpy.data.filepath).parent / settings.capture_hint
    moved = not (root / "capture.json").is_file() and settings.capture_hint
    if moved and (beside / "capture.json").is_file():
        root = beside.resolve()
        settings.capture_dir = str(root)
    if not (root / "capture.json").is_file() and not len(settings.objects):
        # Photos were listed but nothing was made yet.
        return
    capture = Capture.open(root)
    if moved:
        images.relink(scene, capture)
    for stored in capture.objects():
        session().stored[objects.key_of(scene, stored.id)] = stored.answered
        session().revisions.observe(stored.id, stored.revision)


def _seen_from(folder: Path, root: Path) -> str:
    try:
        return os.path.relpath(root, folder)
    except ValueError:
        # Windows: the capture lies on another drive and cannot be moved together with the file.
        return ""
