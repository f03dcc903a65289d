# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators as scripts and background Blender use them, with the real engine where it is set up."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
import synthetic

from mvsam_engine.capture import Capture

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.fixture
def addon(extension):
    """Modules of the extension by their dotted names; no engine is named in the preferences."""
    preferences = bpy.context.preferences.addons[extension.__name__].preferences
    preferences.engine_mode, preferences.engine_python = "PYTHON", ""
    yield lambda name: importlib.import_module(f"{extension.__name__}.{name}")
    session = importlib.import_module(f"{extension.__name__}.scene.session").session()
    assert not session.jobs
    session.message = None


def name_engine(extension):
    """Name the real engine in the preferences."""
    if not ENGINE.is_file():
        pytest.skip(f"the engine's environment {ENGINE} is not set up (scripts/test.py makes it)")
    preferences = bpy.context.preferences.addons[extension.__name__].preferences
    preferences.engine_python = str(ENGINE)


@pytest.fixture
def engine(addon, extension):
    """The session with the real engine, which stays warm from test to test."""
    name_engine(extension)
    return addon("scene.session").session()


@pytest.fixture
def capture(tmp_path):
    return synthetic.make_capture(tmp_path / "capture")


@pytest.fixture(scope="session")
def embedded(extension, tmp_path_factory):
    """A capture whose image embeddings are made, once for all tests with the engine."""
    name_engine(extension)
    made = synthetic.make_capture(tmp_path_factory.mktemp("embedded") / "capture")
    bpy.ops.mvsam.open_capture(directory=str(made.root))
    bpy.ops.mvsam.click(view="wide", x=130, y=60)
    bpy.ops.mvsam.remove_object()
    return made.root


@pytest.fixture
def opened(addon, capture):
    """The exact capture, opened by the operator."""
    assert bpy.ops.mvsam.open_capture(directory=str(capture.root)) == {"FINISHED"}
    return capture


def settings():
    return bpy.context.scene.mvsam


def cloud(addon):
    return addon("scene.points").points_object(bpy.context.scene)


def weights(addon, object_id):
    return addon("scene.points").read_weights(cloud(addon), object_id)


def on_the_right(addon):
    """Whether each point lies where the object is (x > 0), and is not at its border."""
    data = cloud(addon).data.attributes["position"].data
    position = np.empty(len(data) * 3, dtype=np.float32)
    data.foreach_get("vector", position)
    x = position.reshape(-1, 3)[:, 0]
    return x > 0, np.abs(x) > 0.05


def why_not(operator):
    """The sentence that a greyed-out button shows."""
    with pytest.raises(RuntimeError) as raised:
        operator()
    return str(raised.value)


def test_buttons_say_why_they_cannot_be_pressed(addon):
    assert "Import at least two photos" in why_not(bpy.ops.mvsam.reconstruct)
    assert "Reconstruct the photos first" in why_not(bpy.ops.mvsam.new_object)
    assert "Reconstruct the photos first" in why_not(bpy.ops.mvsam.click)
    assert "no object yet" in why_not(bpy.ops.mvsam.segment)
    assert "no object yet" in why_not(bpy.ops.mvsam.remove_object)
    assert "Nothing is running" in why_not(bpy.ops.mvsam.cancel)


def test_photos_are_listed_from_a_folder_and_from_files(addon, capture, tmp_path):
    photos = capture.root / "photos"
    (photos / "notes.txt").write_text("not a photo")
    bpy.ops.mvsam.import_photos(directory=str(photos), capture_dir=str(tmp_path / "made"))
    assert [p.view for p in settings().photos] == ["shifted", "tall", "wide"]
    assert settings().capture_dir == str(tmp_path / "made")
    # Again, by name: nothing is listed twice.
    bpy.ops.mvsam.import_photos(directory=str(photos), files=[{"name": "tall.png"}])
    assert len(settings().photos) == 3
    assert not (tmp_path / "made").exists()


def test_a_video_alone_is_enough_and_folders_below_are_searched_when_asked(addon, tmp_path):
    below = tmp_path / "shots" / "left"
    below.mkdir(parents=True)
    (below / "walk.MP4").write_bytes(b"only the name counts here")
    with pytest.raises(RuntimeError, match="no photos in"):
        bpy.ops.mvsam.import_photos(directory=str(tmp_path / "shots"))
    bpy.ops.mvsam.import_photos(directory=str(tmp_path / "shots"), recursive=True)
    assert [p.view for p in settings().photos] == ["walk"]
    assert bpy.ops.mvsam.reconstruct.poll()


def test_capture_goes_beside_the_saved_file(addon, capture, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "Küche 1.blend"))
    bpy.ops.mvsam.import_photos(filepath=str(capture.root / "photos" / "wide.png"))
    assert settings().capture_dir == str(tmp_path / "Küche 1_capture")


def test_a_folder_without_photos_is_refused_in_words(addon, tmp_path):
    with pytest.raises(RuntimeError, match="no photos in"):
        bpy.ops.mvsam.import_photos(directory=str(tmp_path))
    assert settings().capture_dir == ""


def test_without_an_engine_the_click_stays_and_the_remedy_is_told(addon, opened):
    assert bpy.ops.mvsam.click(view="wide", x=100, y=60) == {"FINISHED"}
    assert len(settings().objects[0].prompts) == 1
    message = addon("scene.session").session().message
    assert message.code == "engine.unset" and "preferences" in message.text


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"view": "nowhere", "x": 1, "y": 1}, "no photo 'nowhere'"),
        ({"view": "wide", "x": 160, "y": 1}, "outside of wide, which is 160 x 120"),
        ({"view": "", "x": 1, "y": 1}, "No photo was clicked in"),
    ],
)
def test_clicks_beside_photos_are_refused_in_words(addon, opened, place, words):
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.mvsam.click(**place)
    assert len(settings().objects) == 0


def test_clicks_in_a_photo_that_was_not_placed_are_refused(addon, opened):
    settings().photos[1].placed = False
    with pytest.raises(RuntimeError, match="tall could not be placed"):
        bpy.ops.mvsam.click(view="tall", x=10, y=10)


def test_undo_of_a_click_restores_the_prompts(addon, opened):
    settings().auto = False
    bpy.ops.ed.undo_push(message="start")
    bpy.ops.mvsam.click("EXEC_DEFAULT", True, view="wide", x=100, y=60)
    bpy.ops.mvsam.click("EXEC_DEFAULT", True, view="wide", x=20, y=60, include=False)
    item = settings().objects[0]
    assert ([p.include for p in item.prompts], item.revision) == ([True, False], 2)
    bpy.ops.ed.undo()
    item = settings().objects[0]
    assert ([p.include for p in item.prompts], item.revision) == ([True], 1)
    bpy.ops.ed.undo()
    assert len(settings().objects) == 0
    bpy.ops.ed.redo()
    assert len(settings().objects[0].prompts) == 1
    # What is clicked now is another set of prompts: never revision 2 again.
    bpy.ops.mvsam.click("EXEC_DEFAULT", True, view="wide", x=110, y=60)
    assert settings().objects[0].revision == 3


def test_removing_a_click_finds_the_nearest(addon, opened):
    settings().auto = False
    for x in (30, 90):
        bpy.ops.mvsam.click(view="wide", x=x, y=60)
    bpy.ops.mvsam.remove_prompt(view="wide", x=85, y=60, reach=10)
    item = settings().objects[0]
    assert [p.x for p in item.prompts] == [30]
    assert item.revision == 3
    assert bpy.ops.mvsam.remove_prompt(view="wide", x=85, y=60, reach=10) == {"CANCELLED"}


def test_new_objects_have_their_own_name_id_and_color(addon, opened):
    settings().auto = False
    bpy.ops.mvsam.click(view="wide", x=30, y=60)
    bpy.ops.mvsam.click(view="wide", x=90, y=60, new_object=True)
    bpy.ops.mvsam.new_object(name="Cup")
    bpy.ops.mvsam.new_object(name="Cup")
    assert [o.name for o in settings().objects] == ["Object 1", "Object 2", "Cup", "Cup 2"]
    assert len({o.object_id for o in settings().objects}) == 4
    assert len({tuple(o.color) for o in settings().objects}) == 4
    assert settings().active_object == 3


def test_an_objects_id_is_not_one_that_the_capture_has(addon, capture):
    synthetic.add_answer(capture)
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    bpy.ops.mvsam.click(view="wide", x=30, y=60, new_object=True)
    settings().objects.remove(0)
    bpy.ops.mvsam.new_object(name="Half")
    assert settings().objects[-1].object_id == "half_2"


def test_next_photo_goes_round(addon, opened):
    bpy.ops.mvsam.next_photo(step=-1)
    assert settings().active_photo == 2
    bpy.ops.mvsam.next_photo()
    assert settings().active_photo == 0


def test_looking_through_a_photo_takes_its_size(addon, opened):
    settings().active_photo = 1
    bpy.ops.mvsam.look_through()
    render = bpy.context.scene.render
    assert bpy.context.scene.camera.name == "tall"
    assert (render.resolution_x, render.resolution_y) == (120, 160)


def test_isolate_turns_on_and_off(addon, capture):
    synthetic.add_answer(capture)
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    nodes, points = addon("scene.nodes"), addon("scene.points")
    modifier = points.points_modifier(cloud(addon))
    bpy.ops.mvsam.isolate()
    assert nodes.get_input(modifier, nodes.ISOLATE) is True
    assert nodes.get_input(modifier, nodes.WEIGHT_NAME) == "mvsam_half"
    bpy.ops.mvsam.isolate()
    assert nodes.get_input(modifier, nodes.ISOLATE) is False


def test_a_stale_answer_is_dropped(addon, capture):
    """The prompts change while the engine works: its answer must not be shown as theirs."""
    synthetic.add_answer(capture)
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    settings().auto = False
    before = weights(addon, "half").copy()
    bpy.ops.mvsam.click(view="wide", x=30, y=60)
    stored = synthetic.add_answer(capture, revision=1, flip=True)
    job = addon("scene.session").Job("segment", str(capture.root), "half", 1)
    state = addon("scene.session").session()
    state.jobs[5] = job
    result = {"object_id": "half", "revision": 1, "object": {}, "seconds": 1.0}
    finished = addon("core.events").Finished(5, "segment", result)
    addon("scene.answers").handle(finished, undo_step=False)
    np.testing.assert_array_equal(weights(addon, "half"), before)
    assert settings().objects[0].revision == 2 and stored.answered == 1
    assert not state.jobs


def test_results_wait_while_a_mesh_is_edited(addon, capture):
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    settings().auto = False
    bpy.ops.mvsam.click(view="wide", x=100, y=60)
    item = settings().objects[0]
    synthetic.add_answer(capture)
    item.object_id = "half"
    state, answers = addon("scene.session").session(), addon("scene.answers")
    state.jobs[5] = addon("scene.session").Job("segment", str(capture.root), "half", 1)
    bpy.context.view_layer.objects.active = cloud(addon)
    bpy.ops.object.mode_set(mode="EDIT")
    result = {"object_id": "half", "revision": 1, "object": {}, "seconds": 1.0}
    answers.handle(addon("core.events").Finished(5, "segment", result), undo_step=True)
    assert settings().objects[0].answered == 0 and "Object Mode" in state.message.text
    addon("scene.loop").pump()
    assert settings().objects[0].answered == 0
    bpy.ops.object.mode_set(mode="OBJECT")
    addon("scene.loop").pump()
    assert settings().objects[0].answered == 1
    assert weights(addon, "half") is not None


class TestWithEngine:
    @pytest.fixture
    def opened(self, engine, embedded, tmp_path):
        """A copy of the capture with its embeddings, opened."""
        shutil.copytree(embedded, tmp_path / "capture")
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bpy.ops.mvsam.open_capture(directory=str(tmp_path / "capture"))
        return Capture.open(tmp_path / "capture")

    def test_check_engine_tells_what_it_is(self, engine):
        bpy.ops.mvsam.check_engine()
        assert any("Engine" in line and "answers" in line for line in engine.check)
        assert engine.check_ok, engine.check

    def test_a_click_is_segmented_in_the_background(self, engine, opened, addon):
        assert bpy.ops.mvsam.click(view="wide", x=130, y=60) == {"FINISHED"}
        item = settings().objects[0]
        assert item.answered == item.revision == 1, engine.message
        assert item.point_count == (weights(addon, item.object_id) > 0.5).sum() > 0
        assert (opened.root / "objects" / item.object_id / "masks" / "tall.png").is_file()
        assert f"{item.name}: tall" in bpy.data.images
        assert item.name in cloud(addon).vertex_groups
        assert not engine.jobs and "points" in engine.message.text

    def test_the_window_stays_free_and_the_first_answer_comes_first(self, engine, opened, addon):
        """The same without waiting: events are heard bit by bit, as the timer does it."""
        jobs, loop, objects = (addon(f"scene.{n}") for n in ("jobs", "loop", "objects"))
        settings().auto = False
        bpy.ops.mvsam.click(view="wide", x=130, y=60)
        item = settings().objects[0]
        jobs.start_segment(bpy.context.scene, item)
        seen_pending, longest, end = False, 0.0, time.monotonic() + 120
        while engine.jobs and time.monotonic() < end:
            began = time.monotonic()
            loop.pump()
            if not engine.jobs:
                break
            longest = max(longest, time.monotonic() - began)
            pending = engine.pending.get(((str(opened.root), item.object_id), "wide"))
            seen_pending = seen_pending or (pending is not None and pending.revision == 1)
            time.sleep(0.01)
        item = objects.find(bpy.context.scene, item.object_id)
        assert item.answered == 1, engine.message
        assert seen_pending and not engine.pending
        assert longest < 0.2

    def test_undo_after_an_answer_brings_prompts_and_weights_back(self, engine, opened, addon):
        bpy.ops.ed.undo_push(message="start")
        bpy.ops.mvsam.click("EXEC_DEFAULT", True, view="wide", x=130, y=60)
        object_id = settings().objects[0].object_id
        first = weights(addon, object_id).copy()
        bpy.ops.mvsam.click("EXEC_DEFAULT", True, view="wide", x=20, y=60, new_object=False)
        second = weights(addon, object_id).copy()
        assert not np.array_equal(first, second)
        bpy.ops.ed.undo()
        item = settings().objects[0]
        assert (len(item.prompts), item.revision, item.answered) == (1, 1, 1)
        np.testing.assert_array_equal(weights(addon, object_id), first)
        # The capture still holds the later masks: they are brought up to date by themselves.
        assert opened.object(object_id).answered == 2
        loop, end = addon("scene.loop"), time.monotonic() + 120
        loop.pump()
        assert engine.jobs
        while engine.jobs and time.monotonic() < end:
            loop.pump()
            time.sleep(0.02)
        assert opened.object(object_id).answered == 1
        bpy.ops.ed.redo()
        assert len(settings().objects[0].prompts) == 2
        np.testing.assert_array_equal(weights(addon, object_id), second)

    def test_removing_an_object_leaves_nothing(self, engine, opened, addon):
        bpy.ops.mvsam.click(view="wide", x=130, y=60)
        item = settings().objects[0]
        folder = opened.root / "objects" / item.object_id
        attribute = addon("scene.attributes").weight_spec(item.object_id).name
        assert folder.is_dir()
        bpy.ops.mvsam.remove_object()
        assert len(settings().objects) == 0 and not folder.exists()
        assert attribute not in cloud(addon).data.attributes
        assert not len(cloud(addon).vertex_groups)
        assert not [i for i in bpy.data.images if i.get("mvsam_object")]

    @pytest.mark.skipif(sys.platform == "win32", reason="kills the engine by a POSIX signal")
    def test_killing_the_engine_is_told_and_the_next_click_works(self, engine, opened, addon):
        bpy.ops.mvsam.check_engine()
        settings().auto = False
        bpy.ops.mvsam.click(view="wide", x=130, y=60)
        addon("scene.jobs").start_segment(bpy.context.scene, settings().objects[0])
        os.kill(engine.client.pid, signal.SIGKILL)
        end = time.monotonic() + 30
        while engine.jobs and time.monotonic() < end:
            addon("scene.loop").pump()
            time.sleep(0.02)
        assert engine.message.code == "engine.died" and "Restart it" in engine.message.text
        assert len(settings().objects[0].prompts) == 1
        bpy.ops.mvsam.segment()
        assert settings().objects[0].answered == 1

    def test_a_file_opened_meanwhile_loses_nothing(self, engine, opened, addon):
        settings().auto = False
        bpy.ops.mvsam.click(view="wide", x=130, y=60)
        object_id = settings().objects[0].object_id
        addon("scene.jobs").start_segment(bpy.context.scene, settings().objects[0])
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        end = time.monotonic() + 120
        while engine.jobs and time.monotonic() < end:
            addon("scene.loop").pump()
            time.sleep(0.02)
        assert "stored in" in engine.message.text and len(settings().objects) == 0
        bpy.ops.mvsam.open_capture(directory=str(opened.root))
        item = settings().objects[0]
        assert (item.object_id, item.answered, len(item.prompts)) == (object_id, 1, 1)
        assert item.point_count > 0

    def test_cancel_leaves_everything_as_it_was(self, engine, opened, addon):
        settings().auto = False
        bpy.ops.mvsam.click(view="wide", x=130, y=60)
        addon("scene.jobs").start_segment(bpy.context.scene, settings().objects[0])
        bpy.ops.mvsam.cancel()
        end = time.monotonic() + 60
        while engine.jobs and time.monotonic() < end:
            addon("scene.loop").pump()
            time.sleep(0.02)
        assert "Cancelled" in engine.message.text
        assert settings().objects[0].answered == 0
        assert engine.client.running
