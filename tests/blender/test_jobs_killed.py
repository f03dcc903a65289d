# SPDX-License-Identifier: GPL-3.0-or-later
"""The real engine, killed at every stage: prompts and results are safe, and it goes on."""

# ruff: noqa: F401, F811 - fixtures come from real_engine
from __future__ import annotations

import os
import signal
import sys
import time

import bpy
import pytest
from real_engine import addon, answered_capture, engine, opened, pump_until

from mvsam_engine.capture import Capture
from mvsam_engine.protocol import PlaceParams

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by a POSIX signal")


def scene():
    return bpy.context.scene


def kept(root):
    """All that a capture says: everything but caches and locks."""
    folders = ("objects/half", "pointmaps", "confidence", "colors")
    files = [root / "capture.json", root / "cameras.json"]
    files += [p for folder in folders for p in (root / folder).rglob("*") if p.is_file()]
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


def prompts():
    return [
        (o.object_id, o.revision, o.answered, [(p.view, p.x, p.y, p.include) for p in o.prompts])
        for o in scene().mvsam.objects
    ]


def start(addon, kind):
    """Begin a job of one kind, as its button does."""
    jobs = addon("scene.jobs")
    if kind == "doctor":
        return jobs.start_doctor()
    if kind == "prepare":
        return jobs.start_prepare(scene())
    if kind == "segment":
        return jobs.start_segment(scene(), scene().mvsam.objects[1])
    if kind == "delete":
        return jobs.start_delete(scene(), "other")
    if kind == "place":
        return jobs.start_place(scene(), PlaceParams("", upright=True, ground=True))
    return jobs.start_reconstruct(scene(), (), 64)


def test_killed_while_it_starts_it_is_told_and_started_anew(engine, opened, addon):
    start(addon, "doctor")
    os.kill(engine.client.pid, signal.SIGKILL)
    pump_until(addon, lambda: not engine.jobs and not engine.client.running)
    assert engine.message.code == "engine.died" and "before it answered" in engine.message.text
    assert bpy.ops.mvsam.restart_engine() == {"FINISHED"}
    pump_until(addon, lambda: engine.client.hello is not None)


def test_killed_while_it_rests_it_is_told_and_the_next_question_starts_it(engine, opened, addon):
    bpy.ops.mvsam.check_engine()
    first = engine.client.pid
    os.kill(first, signal.SIGKILL)
    pump_until(addon, lambda: not engine.client.running)
    assert engine.message.code == "engine.died" and "signal 9" in engine.message.text
    bpy.ops.mvsam.check_engine()
    assert engine.check_ok and engine.client.pid != first


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("prepare", "at work"),
        ("segment", "sent"),
        ("segment", "at work"),
        ("delete", "sent"),
        ("delete", "at work"),
        ("place", "sent"),
        ("place", "at work"),
        ("reconstruct", "at work"),
    ],
)
def test_killed_at_work_it_loses_nothing(engine, opened, addon, kind, moment):
    bpy.ops.mvsam.click(view="wide", x=30, y=60, new_object=True)
    before, told = kept(opened.root), prompts()
    request = start(addon, kind)
    if moment == "at work":
        job = engine.jobs[request]
        # Removing and placing are done before one can look.
        end = time.monotonic() + (20 if kind in ("prepare", "segment", "reconstruct") else 0.3)
        while request in engine.jobs and not job.stage and time.monotonic() < end:
            addon("scene.loop").pump()
    os.kill(engine.client.pid, signal.SIGKILL)
    pump_until(addon, lambda: not engine.client.running and not engine.deferred)
    assert not engine.jobs and not engine.pending
    assert engine.message.code == "engine.died" and engine.message.level == "ERROR"
    assert prompts() == told
    if kind != "place" or moment == "sent":  # a placement may be complete when it dies
        assert kept(opened.root) == before
    capture = Capture.open(opened.root)
    assert capture.object("half").answered == 1 and len(capture.reconstruction().cameras) == 3
    with capture.writing():
        pass  # nobody holds it any more
    assert (engine.setback is not None) == (kind == "reconstruct")


def test_restart_asks_again_what_waits_for_an_answer(engine, opened, addon):
    bpy.ops.mvsam.click(view="wide", x=130, y=60, new_object=True)
    item = scene().mvsam.objects[1]
    start(addon, "segment")
    os.kill(engine.client.pid, signal.SIGKILL)
    pump_until(addon, lambda: not engine.client.running)
    assert bpy.ops.mvsam.restart_engine() == {"FINISHED"}
    assert "One question is asked again" in engine.message.text
    assert [(job.kind, job.object_id) for job in engine.jobs.values()] == [
        ("segment", item.object_id)
    ]
    pump_until(addon, lambda: not engine.jobs, 120)
    assert scene().mvsam.objects[1].answered == scene().mvsam.objects[1].revision > 0
    assert Capture.open(opened.root).object(item.object_id).answered > 0


def test_restart_can_leave_them_alone_and_needs_an_engine(engine, opened, addon, extension):
    bpy.ops.mvsam.click(view="wide", x=130, y=60, new_object=True)
    bpy.ops.mvsam.restart_engine(resume=False)
    assert not engine.jobs and engine.client.running
    bpy.context.preferences.addons[extension.__name__].preferences.engine_python = ""
    with pytest.raises(RuntimeError, match="No engine is set"):
        bpy.ops.mvsam.restart_engine()


def test_a_removal_that_died_with_the_engine_is_made_up_for(engine, opened, addon):
    bpy.ops.mvsam.check_engine()
    os.kill(engine.client.pid, signal.SIGSTOP)  # it cannot have done it before it dies
    addon("scene.jobs").start_delete(scene(), "half")
    scene().mvsam.objects.remove(0)
    os.kill(engine.client.pid, signal.SIGKILL)
    pump_until(addon, lambda: not engine.client.running)
    assert (opened.root / "objects" / "half").is_dir()
    bpy.ops.mvsam.restart_engine()
    pump_until(addon, lambda: not engine.jobs)
    assert not (opened.root / "objects" / "half").exists() and not engine.lost


def test_an_engine_that_does_not_listen_can_be_stopped(engine, opened, addon, monkeypatch):
    recovery = addon("scene.recovery")
    monkeypatch.setattr(recovery, "CANCEL_PATIENCE", 0.2)
    bpy.ops.mvsam.check_engine()
    os.kill(engine.client.pid, signal.SIGSTOP)
    bpy.ops.mvsam.click(view="wide", x=130, y=60, new_object=True)
    start(addon, "segment")
    bpy.ops.mvsam.cancel()
    assert engine.leading_job().title.startswith("Cancelling")
    assert not recovery.is_stuck()
    pump_until(addon, recovery.is_stuck, 5)
    began = time.monotonic()
    bpy.ops.mvsam.stop_engine()
    pump_until(addon, lambda: not engine.client.running)
    assert time.monotonic() - began < 2
    assert engine.message.level == "INFO" and "was stopped" in engine.message.text
    assert not engine.jobs and len(scene().mvsam.objects[1].prompts) == 1
