# SPDX-License-Identifier: GPL-3.0-or-later
"""One queue of jobs: several scenes, files that come and go, too little memory."""

# ruff: noqa: F401, F811 - fixtures come from real_engine
from __future__ import annotations

import shutil

import bpy
import pytest
import synthetic
from real_engine import ENGINE, addon, answered_capture, engine, opened, preferences, pump_until

from mvsam_engine.capture import Capture
from mvsam_engine.protocol import ErrorBody
from mvsam_engine.protocol.smaller import WorkSetting


def other_scene(root):
    """Another scene in the same file, with another capture."""
    made = bpy.data.scenes.new("Other")
    with bpy.context.temp_override(scene=made):
        bpy.ops.mvsam.open_capture(directory=str(root))
    made.mvsam.auto = False
    return made


def test_two_scenes_with_two_captures_do_not_mix(engine, opened, addon, answered_capture, tmp_path):
    """Both have an object of the same id; each gets its own answer."""
    first = bpy.context.scene
    shutil.copytree(answered_capture, tmp_path / "second")
    second = other_scene(tmp_path / "second")
    jobs = addon("scene.jobs")
    assert first.mvsam.objects[0].object_id == second.mvsam.objects[0].object_id == "half"
    for scene, x in ((first, 130), (second, 30)):
        with bpy.context.temp_override(scene=scene):
            bpy.ops.mvsam.click(view="wide", x=x, y=60)
    for scene in (first, second):
        jobs.start_segment(scene, scene.mvsam.objects[0])
    assert len(engine.jobs) == 2 and not any(job.superseded for job in engine.jobs.values())
    pump_until(addon, lambda: not engine.jobs, 120)
    for scene, root, x in ((first, opened.root, 130), (second, tmp_path / "second", 30)):
        item = scene.mvsam.objects[0]
        assert item.answered == item.revision > 1
        stored = Capture.open(root).object("half")
        assert [p.xy[0][0] for p in stored.prompts][-1] == x and stored.answered == item.revision


def test_a_capture_that_another_program_works_on_is_told_with_its_name(engine, opened, addon):
    bpy.ops.mvsam.click(view="wide", x=130, y=60, new_object=True)
    with (
        opened.writing(),
        pytest.raises(RuntimeError, match=r"\(process \d+, since .*\) is working"),
    ):
        bpy.ops.mvsam.segment()
    assert engine.message.code == "capture.busy"
    assert len(bpy.context.scene.mvsam.objects[1].prompts) == 1


def fail_with(addon, kind, code, setting):
    """What happens when the engine refuses a job with a code."""
    answers, events = addon("scene.answers"), addon("core.events")
    state = addon("scene.session").session()
    capture = str(addon("scene.placement").capture_path(bpy.context.scene))
    state.jobs[7] = addon("scene.session").Job(kind, capture, setting=setting)
    body = ErrorBody(code, "The memory is too little.", "Do less.")
    answers.handle(events.Failed(7, kind, body), undo_step=True)
    return state


def test_the_next_smaller_setting_is_tried_by_a_button(engine, opened, addon):
    settings = bpy.context.scene.mvsam
    settings.given.preset = "fine"
    state = fail_with(addon, "reconstruct", "memory.out", WorkSetting("fine"))
    assert state.message.code == "memory.out"
    assert state.setback.smaller == WorkSetting("normal")
    assert bpy.ops.mvsam.reconstruct_smaller.poll()
    # The synthetic photos cannot be placed; what counts is how it was asked.
    with pytest.raises(RuntimeError):
        bpy.ops.mvsam.reconstruct_smaller()
    assert settings.given.preset == "normal" and settings.max_size == 0


def test_below_the_smallest_preset_come_smaller_sizes_and_then_nothing(engine, opened, addon):
    state = fail_with(addon, "reconstruct", "memory.killed", WorkSetting("draft"))
    assert state.setback.smaller == WorkSetting("draft", 224)
    state = fail_with(addon, "reconstruct", "memory.out", WorkSetting("draft", 160))
    assert state.setback.smaller is None
    with pytest.raises(RuntimeError, match="no smaller setting"):
        bpy.ops.mvsam.reconstruct_smaller()


def test_a_gpu_that_is_too_small_hands_over_to_the_processor(engine, opened, addon, extension):
    preferences(extension).device = "auto"
    bpy.ops.mvsam.click(view="wide", x=130, y=60, new_object=True)
    state = fail_with(addon, "segment", "memory.gpu", None)
    assert state.setback.smaller is None and state.setback.on_processor.device == "cpu"
    bpy.ops.mvsam.use_processor()
    assert preferences(extension).device == "cpu"
    assert [job.kind for job in engine.jobs.values()] == ["segment"], "asked again by itself"
    bpy.ops.mvsam.cancel()
    pump_until(addon, lambda: not engine.jobs)


def test_a_smaller_setting_belongs_to_its_scene(engine, opened, addon, tmp_path):
    fail_with(addon, "reconstruct", "memory.out", WorkSetting("fine"))
    synthetic.make_capture(tmp_path / "second")
    second = other_scene(tmp_path / "second")
    with (
        bpy.context.temp_override(scene=second),
        pytest.raises(RuntimeError, match="in another scene"),
    ):
        bpy.ops.mvsam.reconstruct_smaller()


SMALL_MACHINE = """
import mvsam_engine.reconstruct.forecast as forecast
forecast.free_memory_mb = lambda: 600.0
from mvsam_engine.service import serve
serve()
"""


def test_a_forecast_that_does_not_fit_asks_before_anything_is_done(
    engine, opened, addon, extension, tmp_path
):
    """The real engine, on a machine whose memory is taken."""
    (tmp_path / "small machine.py").write_text(SMALL_MACHINE)
    chosen = preferences(extension)
    chosen.engine_mode = "COMMAND"
    chosen.engine_command = f"{ENGINE} -I -u '{tmp_path / 'small machine.py'}'"
    before = (opened.root / "cameras.json").read_bytes()
    bpy.context.scene.mvsam.given.preset = "fine"
    addon("scene.jobs").start_reconstruct(bpy.context.scene, (), 0, careful=True)
    pump_until(addon, lambda: not engine.jobs)
    assert engine.message.code == "memory.forecast"
    assert "Only 0.6 GB are free" in engine.message.text
    assert engine.setback.smaller == WorkSetting("normal")
    assert (opened.root / "cameras.json").read_bytes() == before
