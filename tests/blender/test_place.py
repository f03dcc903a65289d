# SPDX-License-Identifier: GPL-3.0-or-later
"""Up and scale in Blender: the one parent carries them, by the real engine, and undo takes them."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
import synthetic
from mathutils import Euler, Matrix

from mvsam_engine.capture import Capture, Placement

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
sys.path.append(str(ROOT / "tests" / "engine"))

import standing_scene  # noqa: E402

WORLD = standing_scene.World(standing_scene.rotation(4), 0.6, (1.0, 2.0, 3.0))
LEFT, RIGHT = np.array([-0.5, 0.0, 0.7]), np.array([0.5, 0.0, 0.7])  # a metre apart, on the table


@pytest.fixture
def addon(extension):
    """Modules of the extension by their dotted names; no engine is named in the preferences."""
    preferences = bpy.context.preferences.addons[extension.__name__].preferences
    preferences.engine_mode, preferences.engine_python = "PYTHON", ""
    yield lambda name: importlib.import_module(f"{extension.__name__}.{name}")
    session = importlib.import_module(f"{extension.__name__}.scene.session").session()
    assert not session.jobs
    session.message = None


@pytest.fixture
def engine(addon, extension):
    """The session with the real engine, which stays warm from test to test."""
    if not ENGINE.is_file():
        pytest.skip(f"the engine's environment {ENGINE} is not set up (scripts/test.py makes it)")
    bpy.context.preferences.addons[extension.__name__].preferences.engine_python = str(ENGINE)
    return addon("scene.session").session()


@pytest.fixture
def capture(tmp_path):
    """A room with a table, in a world that is turned and scaled."""
    made = standing_scene.make(tmp_path / "room ü", WORLD)
    grey = np.full((standing_scene.HEIGHT, standing_scene.WIDTH, 3), 90, np.uint8)
    (made.root / "photos").mkdir()
    for photo in made.photos():
        (made.root / photo.file).write_bytes(synthetic.png_bytes(grey))
    return made


@pytest.fixture
def opened(addon, capture):
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    return capture


def settings():
    return bpy.context.scene.mvsam


def parent():
    return next(o for o in bpy.context.scene.objects if o.get("mvsam_kind") == "parent")


def matrix() -> np.ndarray:
    return np.array(parent().matrix_basis)


def stored(capture: Capture) -> Placement:
    return Capture.open(capture.root).require_reconstruction().placement


def put_marks(left=LEFT, right=RIGHT):
    camera = standing_scene.ring()[4]
    for point in (left, right):
        (x, y), _ = camera.project(point)
        bpy.ops.mvsam.measure_mark(view=camera.view, x=x, y=y)


def in_scene(point) -> np.ndarray:
    """Where a point of the truth stands in Blender."""
    bpy.context.view_layer.update()
    return np.array(parent().matrix_world @ Matrix.Translation(WORLD.of(point)))[:3, 3]


# --- measure marks -----------------------------------------------------------------------------


def test_buttons_say_why_not(addon, capture):
    for operator in (bpy.ops.mvsam.set_upright, bpy.ops.mvsam.measure_mark):
        with pytest.raises(RuntimeError, match="Reconstruct the photos first"):
            operator()
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    with pytest.raises(RuntimeError, match="Set two measure marks"):
        bpy.ops.mvsam.set_scale(distance=1.0)
    with pytest.raises(RuntimeError, match="There are no measure marks"):
        bpy.ops.mvsam.clear_measure_marks()
    with pytest.raises(RuntimeError, match="where the reconstruction had them"):
        bpy.ops.mvsam.clear_placement()
    with pytest.raises(RuntimeError, match="no window"):
        bpy.ops.mvsam.measure_tool()


def test_marks_are_set_one_after_the_other_and_measured_without_an_engine(addon, opened):
    measure = addon("scene.measure")
    assert "two measure marks" in measure.measure(bpy.context.scene).reason
    put_marks()
    assert [m.view for m in measure.marks(bpy.context.scene)] == ["v04", "v04"]
    found = measure.measure(bpy.context.scene)
    assert found.distance == pytest.approx(WORLD.scale, rel=0.01)
    parent().scale = (2, 2, 2)
    assert measure.measure(bpy.context.scene).distance == pytest.approx(2 * found.distance)
    # A third mark begins anew.
    bpy.ops.mvsam.measure_mark(view="v04", x=160, y=120)
    assert len(measure.marks(bpy.context.scene)) == 1
    bpy.ops.mvsam.measure_mark(view="v03", x=160, y=120, mark="FIRST")
    assert settings().place.first.view == "v03" and not settings().place.second.view
    bpy.ops.mvsam.clear_measure_marks()
    assert measure.marks(bpy.context.scene) == ()


def test_marks_where_nothing_can_be_measured_are_refused_and_the_others_stay(addon, opened):
    put_marks()
    before = [(m.view, m.x, m.y) for m in (settings().place.first, settings().place.second)]
    unsure = opened.root / "confidence" / "v03.npy"
    np.save(unsure, np.full_like(np.load(unsure), 0.2))
    for view, x, y, sentence in (
        ("v03", 160, 120, r"confidence is about 0\.20, 0\.5 is needed"),
        ("v04", 999, 1, "outside of v04"),
        ("nowhere", 1, 1, "no photo 'nowhere'"),
    ):
        with pytest.raises(RuntimeError, match=sentence):
            bpy.ops.mvsam.measure_mark(view=view, x=x, y=y)
    assert before == [(m.view, m.x, m.y) for m in (settings().place.first, settings().place.second)]


def test_marks_are_undone_one_by_one(addon, opened):
    bpy.ops.ed.undo_push(message="start")
    bpy.ops.mvsam.measure_mark("EXEC_DEFAULT", True, view="v04", x=160, y=120)
    bpy.ops.mvsam.measure_mark("EXEC_DEFAULT", True, view="v04", x=170, y=120)
    bpy.ops.ed.undo()
    assert settings().place.first.view == "v04" and not settings().place.second.view
    bpy.ops.ed.undo()
    assert not settings().place.first.view
    bpy.ops.ed.redo()
    assert settings().place.first.x == pytest.approx(160)


# --- placing -----------------------------------------------------------------------------------


def test_up_ground_and_scale_come_to_stand_on_the_parent(engine, opened):
    assert matrix() == pytest.approx(np.eye(4))
    put_marks()
    assert bpy.ops.mvsam.set_upright() == {"FINISHED"}
    assert "Turned upright" in engine.message.text
    assert bpy.ops.mvsam.set_scale(distance=1.0) == {"FINISHED"}
    assert stored(opened).metric and stored(opened).upright
    assert matrix() == pytest.approx(stored(opened).transform, abs=1e-5)
    assert np.linalg.norm(in_scene(LEFT) - in_scene(RIGHT)) == pytest.approx(1.0, rel=0.005)
    assert in_scene([0.3, 0.4, 0.0])[2] == pytest.approx(0.0, abs=0.005)
    assert in_scene([0.3, 0.4, 1.5])[2] == pytest.approx(1.5, abs=0.02)
    scales = parent().matrix_basis.to_scale()
    assert max(scales) == pytest.approx(min(scales), rel=1e-5)


def test_the_panels_distance_and_the_height_of_the_camera_scale_too(engine, opened):
    put_marks()
    settings().place.distance = 2.0
    bpy.ops.mvsam.set_scale()
    assert np.linalg.norm(in_scene(LEFT) - in_scene(RIGHT)) == pytest.approx(2.0, rel=0.005)
    bpy.ops.mvsam.set_scale_by_height(height=1.6)
    assert np.linalg.norm(in_scene(LEFT) - in_scene(RIGHT)) == pytest.approx(1.0, rel=0.01)


def test_in_a_file_of_centimetres_lengths_read_right(engine, opened):
    bpy.context.scene.unit_settings.scale_length = 0.01
    put_marks()
    bpy.ops.mvsam.set_scale(distance=100.0)  # units of the file: 100 cm
    assert stored(opened).scale * WORLD.scale == pytest.approx(1.0, rel=0.005)
    assert np.linalg.norm(in_scene(LEFT) - in_scene(RIGHT)) == pytest.approx(100.0, rel=0.005)


def test_photos_still_line_up_and_clip_nothing_after_scaling(engine, opened):
    from bpy_extras.object_utils import world_to_camera_view

    put_marks()
    bpy.ops.mvsam.set_upright()
    bpy.ops.mvsam.set_scale(distance=0.01)
    truth = standing_scene.ring()[4]
    item = next(o for o in bpy.context.scene.objects if o.get("mvsam_view") == truth.view)
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = truth.width, truth.height
    point = in_scene(LEFT)
    found = world_to_camera_view(bpy.context.scene, item, Matrix.Translation(point).translation)
    expected, _ = truth.project(LEFT)
    assert found.x * truth.width == pytest.approx(expected[0], abs=0.05)
    assert (1 - found.y) * truth.height == pytest.approx(expected[1], abs=0.05)
    assert found.z > item.data.clip_start
    before = item.data.clip_start, item.data.clip_end
    bpy.ops.mvsam.open_capture(directory=str(opened.root))
    assert (item.data.clip_start, item.data.clip_end) == before


def test_a_placement_is_undone_redone_saved_and_reloaded(engine, opened, tmp_path):
    put_marks()
    bpy.ops.ed.undo_push(message="start")
    bpy.ops.mvsam.set_upright("EXEC_DEFAULT", True)
    upright = matrix()
    bpy.ops.mvsam.set_scale("EXEC_DEFAULT", True, distance=1.0)
    scaled = matrix()
    bpy.ops.ed.undo()
    assert matrix() == pytest.approx(upright, abs=1e-6)
    bpy.ops.ed.undo()
    assert matrix() == pytest.approx(np.eye(4))
    bpy.ops.ed.redo()
    bpy.ops.ed.redo()
    assert matrix() == pytest.approx(scaled, abs=1e-6)
    file = str(tmp_path / "file.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=file)
    assert matrix() == pytest.approx(scaled, abs=1e-6)
    world = importlib.import_module(type(settings()).__module__.rpartition(".")[0] + ".world")
    assert not world.is_moved_by_hand(bpy.context.scene)
    assert bpy.ops.mvsam.clear_placement() == {"FINISHED"}
    assert matrix() == pytest.approx(np.eye(4), abs=1e-6)
    assert stored(opened).is_default


def test_the_capture_follows_what_undo_brought_back(engine, opened, addon):
    loop = addon("scene.loop")

    def settle():
        """What the timer does in a window."""
        loop.pump()
        for request in list(engine.jobs):
            loop.finish(request)

    bpy.ops.ed.undo_push(message="start")
    bpy.ops.mvsam.set_upright("EXEC_DEFAULT", True)
    upright = stored(opened).transform
    bpy.ops.ed.undo()
    settle()
    assert stored(opened).is_default
    bpy.ops.ed.redo()
    settle()
    assert stored(opened).transform == pytest.approx(upright)
    settle()
    assert matrix() == pytest.approx(upright, abs=1e-5)


def test_opening_a_placed_capture_places_it(addon, capture):
    turned = np.eye(4)
    turned[:3, :3], turned[:3, 3] = standing_scene.rotation(8), (3, 2, 1)
    with capture.writing(), capture.transaction() as transaction:
        capture.put_placement(
            Placement(2.0, turned, True, True, "scale from one length"), transaction
        )
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    assert matrix() == pytest.approx(stored(capture).transform, abs=1e-5)


# --- what a person does by hand ------------------------------------------------------------------


def test_a_parent_moved_by_hand_stays_when_the_capture_comes_again(addon, opened):
    parent().rotation_euler = Euler((0.3, 0.2, 0.1))
    parent().location = (1, 2, 3)
    by_hand = matrix()
    with opened.writing(), opened.transaction() as transaction:
        opened.put_placement(
            Placement(2.0, np.eye(4), True, True, "scale from one length"), transaction
        )
    bpy.ops.mvsam.open_capture(directory=str(opened.root))
    assert matrix() == pytest.approx(by_hand)
    assert addon("scene.world").is_moved_by_hand(bpy.context.scene)


def test_another_capture_does_not_inherit_what_was_done_by_hand(addon, opened, tmp_path):
    parent().location = (1, 2, 3)
    other = synthetic.make_capture(tmp_path / "other")
    bpy.ops.mvsam.open_capture(directory=str(other.root))
    assert matrix() == pytest.approx(np.eye(4))
    parent().location = (1, 2, 3)
    # The same one, moved to another folder, does.
    moved = other.root.rename(tmp_path / "moved")
    bpy.ops.mvsam.open_capture(directory=str(moved))
    assert matrix()[:3, 3] == pytest.approx([1, 2, 3])


def test_one_that_was_not_moved_follows_the_new_placement(addon, opened):
    for scale in (2.0, 5.0):
        with opened.writing(), opened.transaction() as transaction:
            placement = Placement(scale, np.eye(4), True, True, "scale from one length")
            opened.put_placement(placement, transaction)
        bpy.ops.mvsam.open_capture(directory=str(opened.root))
        assert matrix()[0, 0] == pytest.approx(scale)


def test_scaling_goes_on_from_a_turn_made_by_hand(engine, opened):
    put_marks()
    parent().rotation_euler = Euler((0.3, 0.2, 0.1))
    turn = matrix()[:3, :3]
    bpy.ops.mvsam.set_scale(distance=1.0)
    assert matrix()[:3, :3] == pytest.approx(turn / WORLD.scale, rel=0.01, abs=0.01)
    assert stored(opened).metric and "by hand" in stored(opened).source
    bpy.ops.mvsam.set_upright()
    assert in_scene([0.3, 0.4, 1.0])[2] - in_scene([0.3, 0.4, 0.0])[2] == pytest.approx(1, abs=0.01)


def test_an_uneven_scale_is_refused_in_words(engine, opened):
    put_marks()
    parent().scale = (1, 1, 3)
    with pytest.raises(RuntimeError, match="different scales along its axes"):
        bpy.ops.mvsam.set_scale(distance=1.0)
    assert stored(opened).is_default
    bpy.ops.mvsam.clear_placement()
    assert matrix() == pytest.approx(np.eye(4))


def test_without_an_engine_nothing_moves_and_the_remedy_is_told(addon, opened):
    with pytest.raises(RuntimeError, match="preferences"):
        bpy.ops.mvsam.set_upright()
    assert matrix() == pytest.approx(np.eye(4))


def test_what_became_of_the_placement_is_told_when_photos_are_reconstructed_again(addon, opened):
    """The engine's note comes before the result; the sentence at the end still has it."""
    from mvsam_engine.protocol import WarningNote

    answers, state = addon("scene.answers"), addon("scene.session")
    finished = addon("core.events").Finished
    session = state.session()
    result = {"views": ["v00"], "unplaced": [], "seconds": 1.0}
    for request, code, told in ((71, "place.carried", True), (72, "photo.other", False)):
        session.jobs[request] = state.Job("reconstruct", str(opened.root))
        answers.handle(WarningNote(request, code, "The placement was kept."), undo_step=False)
        answers.handle(finished(request, "reconstruct", result), undo_step=False)
        assert ("The placement was kept." in session.message.text) == told
        assert "1 of 1 photos placed" in session.message.text
