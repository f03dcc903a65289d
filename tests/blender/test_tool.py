# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tools do, as scripts do it: boxes, strokes, removal, picking, points, keys."""

from __future__ import annotations

import importlib

import bpy
import numpy as np
import pytest
import synthetic

from mvsam_engine.capture import Prompt


@pytest.fixture
def addon(extension):
    """Modules of the extension by their dotted names; no engine is named in the preferences."""
    preferences = bpy.context.preferences.addons[extension.__name__].preferences
    preferences.engine_mode, preferences.engine_python = "PYTHON", ""
    yield lambda name: importlib.import_module(f"{extension.__name__}.{name}")
    importlib.import_module(f"{extension.__name__}.scene.session").session().message = None


@pytest.fixture
def opened(addon, tmp_path):
    """The exact capture, opened; nothing is segmented by itself."""
    capture = synthetic.make_capture(tmp_path / "capture")
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    settings().auto = False
    return capture


@pytest.fixture
def answered(addon, tmp_path):
    """The same with a complete answer for x > 0."""
    capture = synthetic.make_capture(tmp_path / "capture")
    synthetic.add_answer(capture)
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    settings().auto = False
    return capture


def settings():
    return bpy.context.scene.mvsam


def prompts(addon, index=0):
    return addon("scene.objects").prompts_of(settings().objects[index])


def test_a_box_is_a_prompt_with_its_corners_in_order(addon, opened):
    bpy.ops.mvsam.box(view="wide", x=120, y=90, x2=40, y2=30)
    assert prompts(addon) == (Prompt("box", "wide", True, ((40.0, 30.0), (120.0, 90.0))),)
    bpy.ops.mvsam.box(view="tall", x=10, y=20, x2=30, y2=60, include=False)
    assert prompts(addon)[1] == Prompt("box", "tall", False, ((10.0, 20.0), (30.0, 60.0)))
    assert settings().objects[0].revision == 2


def test_a_box_is_cut_at_the_photos_edge(addon, opened):
    bpy.ops.mvsam.box(view="wide", x=-50, y=30, x2=400, y2=400)
    assert prompts(addon)[0].xy == ((0.0, 30.0), (160.0, 120.0))


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        ({"view": "wide", "x": 40, "y": 30, "x2": 41, "y2": 90}, "covers nothing of wide"),
        ({"view": "wide", "x": 200, "y": 10, "x2": 300, "y2": 90}, "covers nothing of wide"),
        ({"view": "none", "x": 40, "y": 30, "x2": 90, "y2": 90}, "no photo 'none'"),
    ],
)
def test_boxes_that_mark_nothing_are_refused(addon, opened, corners, words):
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.mvsam.box(**corners)
    assert len(settings().objects) == 0


def test_a_stroke_is_a_prompt_with_few_positions_and_its_radius(addon, opened):
    path = " ".join(f"{x},{60 + (x > 80) * (x - 80)}" for x in range(20, 110))
    bpy.ops.mvsam.stroke(view="wide", path=path, radius=6)
    [stroke] = prompts(addon)
    assert stroke == Prompt(
        "stroke", "wide", True, ((20.0, 60.0), (80.0, 60.0), (109.0, 89.0)), radius=6.0
    )
    bpy.ops.mvsam.stroke(view="wide", path="10,10 12,10", radius=4, include=False, new_object=True)
    assert len(settings().objects) == 2 and not prompts(addon, 1)[0].include


@pytest.mark.parametrize("path", ["", "1", "a,b", "1,2,3 4,5,6", "nan,3", "1,inf"])
def test_a_stroke_without_positions_is_refused(addon, opened, path):
    with pytest.raises(RuntimeError, match="no positions"):
        bpy.ops.mvsam.stroke(view="wide", path=path)
    assert len(settings().objects) == 0


def test_a_locked_object_takes_no_mark_but_a_new_object_can_be_begun(addon, opened):
    bpy.ops.mvsam.click(view="wide", x=100, y=60)
    settings().objects[0].locked = True
    for refused in (
        lambda: bpy.ops.mvsam.box(view="wide", x=10, y=10, x2=60, y2=60),
        lambda: bpy.ops.mvsam.stroke(view="wide", path="10,10 50,50"),
        lambda: bpy.ops.mvsam.remove_prompt(view="wide", x=100, y=60),
    ):
        with pytest.raises(RuntimeError, match="lock"):
            refused()
    assert len(settings().objects[0].prompts) == 1
    bpy.ops.mvsam.box(view="wide", x=10, y=10, x2=60, y2=60, new_object=True)
    assert [len(o.prompts) for o in settings().objects] == [1, 1]


def test_del_removes_the_nearest_box_or_stroke_too(addon, opened):
    bpy.ops.mvsam.click(view="wide", x=100, y=60)
    bpy.ops.mvsam.box(view="wide", x=10, y=10, x2=60, y2=60)
    bpy.ops.mvsam.stroke(view="wide", path="80,100 140,100", radius=5)
    assert bpy.ops.mvsam.remove_prompt(view="wide", x=35, y=35, reach=8) == {"CANCELLED"}
    bpy.ops.mvsam.remove_prompt(view="wide", x=62, y=30, reach=8)
    assert [p.kind for p in prompts(addon)] == ["point", "stroke"]
    bpy.ops.mvsam.remove_prompt(view="wide", x=120, y=108, reach=8)
    assert [p.kind for p in prompts(addon)] == ["point"]


def test_undo_and_redo_bring_boxes_and_strokes_back(addon, opened):
    bpy.ops.ed.undo_push(message="start")
    bpy.ops.mvsam.box("EXEC_DEFAULT", True, view="wide", x=10, y=10, x2=60, y2=60)
    bpy.ops.mvsam.stroke("EXEC_DEFAULT", True, view="wide", path="80,100 140,99", radius=5)
    both = prompts(addon)
    bpy.ops.ed.undo()
    assert prompts(addon) == both[:1]
    bpy.ops.ed.undo()
    assert len(settings().objects) == 0
    bpy.ops.ed.redo()
    bpy.ops.ed.redo()
    assert prompts(addon) == both


def test_boxes_and_strokes_survive_saving(addon, opened, tmp_path):
    bpy.ops.mvsam.box(view="wide", x=10, y=10, x2=60, y2=60)
    bpy.ops.mvsam.stroke(view="tall", path="30.25,100.5 80,99", radius=5)
    before = prompts(addon)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert prompts(addon) == before


def test_prompts_of_every_kind_come_out_of_a_capture_as_they_are(addon, opened):
    kinds = (
        Prompt("point", "wide", False, ((10.5, 20.25),)),
        Prompt("box", "tall", True, ((1.0, 2.0), (30.0, 40.0))),
        Prompt("stroke", "wide", True, ((1.0, 2.0), (3.0, 4.0), (5.5, 6.25)), radius=7.5),
        Prompt("mask", "wide", True, mask="mask_prompts/0123.png"),
    )
    objects = addon("scene.objects")
    item = objects.add(bpy.context.scene, "All")
    objects.set_prompts(item, kinds, 4)
    assert objects.prompts_of(item) == kinds
    json = objects.request_json(item)
    assert [p["kind"] for p in json["prompts"]] == ["point", "box", "stroke", "mask"]


def test_pick_makes_the_object_at_a_place_active(addon, answered):
    bpy.ops.mvsam.new_object(name="Other")
    assert settings().active_object == 1
    assert bpy.ops.mvsam.pick_object(view="wide", x=10, y=60) == {"CANCELLED"}
    assert settings().active_object == 1
    bpy.ops.mvsam.pick_object(view="wide", x=140, y=60)
    assert settings().active_object == 0
    settings().objects[0].visible = False
    assert bpy.ops.mvsam.pick_object(view="wide", x=140, y=60) == {"CANCELLED"}


def test_pick_goes_through_objects_that_lie_on_each_other(addon, answered):
    scene = bpy.context.scene
    clone = addon("scene.objects").adopt(scene, answered.object(synthetic.OBJECT))
    assert clone.object_id == synthetic.OBJECT
    import shutil

    shutil.copytree(answered.root / "objects" / "half", answered.root / "objects" / "twin")
    other = settings().objects.add()
    other.object_id, other.group, other.name, other.answered = "twin", "Twin", "Twin", 1
    seen = []
    for _ in range(4):
        bpy.ops.mvsam.pick_object(view="wide", x=140, y=60)
        seen.append(settings().objects[settings().active_object].object_id)
    assert sorted(seen[:2]) == ["half", "twin"] and seen[2:] == seen[:2]


def test_pick_by_a_point(addon, answered):
    bpy.ops.mvsam.new_object(name="Other")
    x = positions(addon)[:, 0]
    assert bpy.ops.mvsam.pick_object(point=int(np.argmin(x))) == {"CANCELLED"}
    bpy.ops.mvsam.pick_object(point=int(np.argmax(x)))
    assert settings().active_object == 0


def positions(addon):
    cloud = addon("scene.points").points_object(bpy.context.scene)
    data = cloud.data.attributes["position"].data
    found = np.empty(len(data) * 3, dtype=np.float32)
    data.foreach_get("vector", found)
    return found.reshape(-1, 3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_click_on_a_point_prompts_where_its_photo_saw_it(addon, opened, share):
    cloud = addon("scene.points").points_object(bpy.context.scene)
    index = int(share * len(cloud.data.vertices))
    column, row = cloud.data.attributes["pixel"].data[index].value
    view = addon("scene.points").view_names(cloud.data)[
        cloud.data.attributes["view"].data[index].value
    ]
    bpy.ops.mvsam.click_point(index=index, include=False)
    [prompt] = prompts(addon)
    assert (prompt.kind, prompt.view, prompt.include) == ("point", view, False)
    center = ((column + 0.5) * synthetic.GRID, (row + 0.5) * synthetic.GRID)
    assert prompt.xy[0] == pytest.approx(center, abs=0.02)


def test_a_click_on_no_point_is_refused(addon, opened):
    with pytest.raises(RuntimeError, match="There is no point 99999999"):
        bpy.ops.mvsam.click_point(index=99_999_999)
    assert len(settings().objects) == 0


def test_the_brush_grows_and_shrinks_by_a_pixel_at_least(addon):
    marking = settings().marking
    marking.brush_radius = 2
    bpy.ops.mvsam.scale_brush(factor=1.25)
    assert marking.brush_radius == 3
    bpy.ops.mvsam.scale_brush(factor=0.8)
    assert marking.brush_radius == 2
    for _ in range(5):
        bpy.ops.mvsam.scale_brush(factor=0.8)
    assert marking.brush_radius == 1
    marking.brush_radius = 100
    bpy.ops.mvsam.scale_brush(factor=1.25)
    assert marking.brush_radius == 125


def test_without_a_window_the_mouse_gesture_says_what_to_use(addon, opened):
    with pytest.raises(RuntimeError, match=r"Click on Object|could not run"):
        bpy.ops.mvsam.click_or_box()
