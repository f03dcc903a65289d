# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of objects: names, locks, order, overlap, selection, and the views of an object."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
import synthetic

from mvsam_engine.capture import MaskSet, ViewMask


@pytest.fixture
def addon(extension):
    """Modules of the extension by their dotted names; no engine, and none is asked."""
    preferences = bpy.context.preferences.addons[extension.__name__].preferences
    preferences.engine_mode, preferences.engine_python = "PYTHON", ""
    yield lambda name: importlib.import_module(f"{extension.__name__}.{name}")
    importlib.import_module(f"{extension.__name__}.scene.session").session().message = None


@pytest.fixture
def capture(tmp_path):
    """A capture in which an object "half" has x > 0, and "band" a stripe that overlaps it."""
    made = synthetic.make_capture(tmp_path / "capture")
    stored = synthetic.add_answer(made)
    add_band(made, stored)
    return made


def add_band(capture, stored) -> None:
    """An object with -0.3 < x < 0.3, surer in the middle than "half" is there."""
    masks, images = [], {}
    for score in stored.scores:
        x = synthetic.pointmap_of(camera(score.view)).points[..., 0]
        weight = np.clip(1 - 1.6 * np.abs(x), 0, 1).astype(np.float16)
        logits = np.where(weight > 0.5, 5, -5).astype(np.float16)
        images[score.view] = synthetic.png_bytes(np.zeros((4, 4), np.uint8))
        masks.append(ViewMask(replace(score, confidence=0.4), logits, weight))
    item = replace(stored, id="band", name="Band", answered=0)
    with capture.writing(), capture.transaction() as transaction:
        capture.put_masks(item, MaskSet("band", 1, "exact", tuple(masks)), images, transaction)


def camera(view):
    return next(c for c in synthetic.cameras() if c.view == view)


@pytest.fixture
def opened(addon, capture):
    """The capture, opened; "half" is active."""
    assert bpy.ops.mvsam.open_capture(directory=str(capture.root)) == {"FINISHED"}
    settings().auto = False
    settings().active_object = settings().objects.find("Half")
    return capture


def settings():
    return bpy.context.scene.mvsam


def thing(name):
    return settings().objects[settings().objects.find(name)]


def cloud(addon):
    return addon("scene.points").points_object(bpy.context.scene)


def attribute(addon, name):
    found = cloud(addon).data.attributes[name]
    values = np.empty(len(found.data), np.float32 if found.data_type == "FLOAT" else np.int32)
    found.data.foreach_get("value", values)
    return values


def group_weights(addon, name):
    item = cloud(addon)
    index = item.vertex_groups[name].index
    return np.array(
        [next((g.weight for g in v.groups if g.group == index), 0.0) for v in item.data.vertices]
    )


def why_not(operator, **arguments) -> str:
    with pytest.raises(RuntimeError) as refused:
        operator(**arguments)
    return str(refused.value)


def test_a_point_belongs_to_the_object_with_the_highest_weight(addon, opened):
    half, band = attribute(addon, "mvsam_half"), attribute(addon, "mvsam_band")
    owner = attribute(addon, "mvsam_object")
    both = (half > 0.5) & (band > 0.5)
    assert both.sum() > 50
    numbers = thing("Half").number, thing("Band").number
    expected = np.where(half >= band if numbers[0] < numbers[1] else half > band, *numbers)
    np.testing.assert_array_equal(owner[both], expected[both])
    # The attributes keep the whole answers, the groups share the points.
    in_half, in_band = group_weights(addon, "Half") > 0.5, group_weights(addon, "Band") > 0.5
    assert not (in_half & in_band).any()
    np.testing.assert_array_equal(in_half | in_band, (half > 0.5) | (band > 0.5))
    assert (thing("Half").point_count, thing("Band").point_count) == (in_half.sum(), in_band.sum())


def test_independent_objects_share_points_and_can_be_parted_again(addon, opened):
    parted = group_weights(addon, "Half")
    settings().independent = True
    np.testing.assert_allclose(
        group_weights(addon, "Half"), attribute(addon, "mvsam_half"), atol=1 / 32
    )
    assert thing("Half").point_count == (attribute(addon, "mvsam_half") > 0.5).sum()
    settings().independent = False
    np.testing.assert_array_equal(group_weights(addon, "Half"), parted)


def test_removing_an_object_gives_its_points_back_and_leaves_other_numbers(addon, opened):
    number = thing("Half").number
    settings().active_object = settings().objects.find("Band")
    bpy.ops.mvsam.remove_object()
    half = attribute(addon, "mvsam_half")
    np.testing.assert_allclose(group_weights(addon, "Half"), half, atol=1 / 32)
    np.testing.assert_array_equal(attribute(addon, "mvsam_object"), np.where(half > 0.5, number, 0))
    assert thing("Half").number == number


def test_what_a_person_painted_elsewhere_in_a_group_stays(addon, opened):
    """An answer about one object touches only the points that change hands in other groups."""
    item = cloud(addon)
    half, band = attribute(addon, "mvsam_half"), attribute(addon, "mvsam_band")
    far = int(np.argmax((half > 0.9) & (band < 0.05)))
    item.vertex_groups["Half"].add([far], 0.25, "REPLACE")
    settings().active_object = settings().objects.find("Band")
    bpy.ops.mvsam.remove_object()
    assert group_weights(addon, "Half")[far] == 0.25


def test_renaming_takes_group_and_masks_along(addon, opened):
    thing("Half").name = "Mug"
    groups = [g.name for g in cloud(addon).vertex_groups]
    assert "Mug" in groups and "Half" not in groups
    assert "Mug: wide" in bpy.data.images and "Half: wide" not in bpy.data.images
    assert thing("Mug").object_id == "half"
    thing("Mug").name = "Band"
    assert "Band 2" in settings().objects and settings().objects.find("Mug") == -1
    # A group that a person made is not taken over.
    cloud(addon).vertex_groups.new(name="Mine")
    thing("Band 2").name = "Mine"
    assert "Mine 2" in settings().objects
    thing("Mine 2").name = "   "
    assert "Object 1" in settings().objects


def test_renaming_reaches_other_meshes_that_carry_the_object(addon, opened):
    mesh = bpy.data.meshes.new("Surface")
    mesh.vertices.add(3)
    mesh.attributes.new("mvsam_half", "FLOAT", "POINT")
    mine, other = (bpy.data.objects.new(n, m) for n, m in (("S", mesh), ("O", mesh.copy())))
    other.data.attributes.remove(other.data.attributes["mvsam_half"])
    for item in (mine, other):
        bpy.context.scene.collection.objects.link(item)
        item.vertex_groups.new(name="Half")
    thing("Half").name = "Mug"
    assert "Mug" in mine.vertex_groups and "Half" in other.vertex_groups


def test_a_locked_object_stays_as_it_is_and_says_so(addon, opened):
    before = group_weights(addon, "Half"), attribute(addon, "mvsam_object")
    thing("Half").locked = True
    assert "Half is locked" in why_not(bpy.ops.mvsam.click, view="wide", x=30, y=60)
    assert "Half is locked" in why_not(bpy.ops.mvsam.segment)
    assert "Half is locked" in why_not(bpy.ops.mvsam.remove_object)
    assert "Half is locked" in why_not(
        bpy.ops.mvsam.remove_prompt, view="wide", x=100, y=60, reach=10
    )
    thing("Half").name = "Mug"
    assert "Half is locked" in addon("scene.session").session().message.text
    assert [o.name for o in settings().objects].count("Half") == 1
    assert (len(thing("Half").prompts), thing("Half").revision) == (1, 1)
    # Removing what overlaps it would give it points: it takes none.
    settings().active_object = settings().objects.find("Band")
    bpy.ops.mvsam.remove_object()
    np.testing.assert_array_equal(group_weights(addon, "Half"), before[0])
    owner, number = attribute(addon, "mvsam_object"), thing("Half").number
    np.testing.assert_array_equal(owner == number, before[1] == number)
    # Shift+click begins another object all the same.
    bpy.ops.mvsam.click(view="wide", x=30, y=60, new_object=True)
    assert len(settings().objects) == 2
    thing("Half").locked = False
    thing("Half").name = "Mug"
    assert "Mug" in cloud(addon).vertex_groups


def test_an_answer_that_comes_after_locking_is_left_out_in_words(addon, opened, capture):
    before = attribute(addon, "mvsam_half")
    bpy.ops.mvsam.click(view="wide", x=30, y=60)
    item = thing("Half")
    state, events = addon("scene.session").session(), addon("core.events")
    state.jobs[7] = addon("scene.session").Job("segment", str(capture.root), "half", item.revision)
    item.locked = True
    synthetic.add_answer(capture, revision=item.revision, flip=True)
    result = {"object_id": "half", "revision": item.revision, "object": {}, "seconds": 1.0}
    addon("scene.answers").handle(events.Finished(7, "segment", result), undo_step=False)
    np.testing.assert_array_equal(attribute(addon, "mvsam_half"), before)
    assert "Half is locked" in state.message.text


def test_moving_an_object_keeps_it_active_and_its_points(addon, opened):
    owner = attribute(addon, "mvsam_object")
    names = [o.name for o in settings().objects]
    settings().active_object = 1
    bpy.ops.mvsam.move_object(direction="UP")
    assert [o.name for o in settings().objects] == names[::-1]
    assert settings().active_object == 0
    assert bpy.ops.mvsam.move_object(direction="UP") == {"CANCELLED"}
    np.testing.assert_array_equal(attribute(addon, "mvsam_object"), owner)


def test_points_are_selected_in_edit_mode_and_undo_brings_the_selection_back(addon, opened):
    inside = group_weights(addon, "Half") > 0.5
    bpy.ops.ed.undo_push(message="start")
    bpy.ops.mvsam.select_points("EXEC_DEFAULT", True, action="SET")
    assert bpy.context.mode == "EDIT_MESH" and bpy.context.object == cloud(addon)
    assert selected(addon).sum() == inside.sum()
    settings().active_object = settings().objects.find("Band")
    band = group_weights(addon, "Band") > 0.5
    bpy.ops.mvsam.select_points("EXEC_DEFAULT", True, action="ADD")
    np.testing.assert_array_equal(selected(addon), inside | band)
    bpy.ops.mvsam.select_points("EXEC_DEFAULT", True, action="REMOVE")
    np.testing.assert_array_equal(selected(addon), inside & ~band)
    bpy.ops.ed.undo()
    np.testing.assert_array_equal(selected(addon), inside | band)
    bpy.ops.object.mode_set(mode="OBJECT")
    cloud(addon).hide_set(True)
    assert "hidden" in why_not(bpy.ops.mvsam.select_points)


def selected(addon):
    item = cloud(addon)
    item.update_from_editmode()
    chosen = np.empty(len(item.data.vertices), bool)
    item.data.vertices.foreach_get("select", chosen)
    return chosen


def test_views_are_checked_from_the_least_sure_on(addon, opened):
    settings().active_object = settings().objects.find("Half")
    settings().views.check_below = 0.85
    assert bpy.ops.mvsam.check_next() == {"FINISHED"}
    assert settings().photos[settings().active_photo].view == "tall"  # 0.8, the others 0.9
    bpy.ops.mvsam.mark_checked()
    assert thing("Half").views["tall"].checked
    assert "Nothing is left to check" in why_not(bpy.ops.mvsam.check_next)
    settings().views.check_below = 1.0
    bpy.ops.mvsam.check_next()
    first = settings().photos[settings().active_photo].view
    bpy.ops.mvsam.mark_checked(go_on=True)
    assert settings().photos[settings().active_photo].view != first
    bpy.ops.mvsam.mark_checked(view=first, checked=False)
    assert not thing("Half").views[first].checked
    assert "no photo" in why_not(bpy.ops.mvsam.show_view, view="nowhere.jpg")
    bpy.ops.mvsam.show_view(view="wide")
    assert settings().photos[settings().active_photo].view == "wide"
    # The other object has checks of its own.
    assert not any(v.checked for v in thing("Band").views)


def test_checks_are_in_the_file_and_end_where_the_mask_changes(addon, opened, capture, tmp_path):
    for view in ("tall", "wide"):
        bpy.ops.mvsam.mark_checked(view=view)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "work.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "work.blend"))
    assert [v.name for v in thing("Half").views if v.checked] == ["tall", "wide"] or {
        v.name for v in thing("Half").views if v.checked
    } == {"tall", "wide"}
    # The other half: every area becomes another one.
    synthetic.add_answer(capture, revision=1, flip=True)
    addon("scene.build").load_object(bpy.context, "half")
    areas = {v.name: v.area for v in thing("Half").views}
    kept = {v.name for v in thing("Half").views if v.checked}
    assert kept == {v for v in ("tall", "wide") if abs(2 * areas[v] - 1) < 0.09}


def test_the_list_of_views_filters_and_sorts(addon, opened):
    panel = addon("ui.panel_views")
    settings().photos[0].placed = False
    names = [p.view for p in settings().photos]
    shown = {
        wanted: panel.filtered_views(bpy.context.scene)
        for wanted, _, _ in addon("scene.props_views").FILTERS
        if not setattr(settings().views, "filter", wanted)
    }
    assert shown["ALL"] == set(names)
    assert shown["UNPLACED"] == {names[0]}
    assert shown["PROMPTED"] == {"wide"}
    assert shown["PENDING"] == shown["ABSENT"] == set()
    settings().views.by_confidence = True
    rank = panel.ranks(bpy.context.scene)
    assert sorted(rank, key=rank.get)[0] == "tall"
    settings().views.filter = "UNPLACED"
    listed = SimpleNamespace(bitflag_filter_item=1 << 30, filter_name="")
    flags, order = panel.MVSAM_UL_views.filter_items(listed, bpy.context, settings(), "photos")
    assert [bool(f) for f in flags] == [True, False, False]
    assert sorted(order) == [0, 1, 2]


def test_a_thousand_photos_are_listed_quickly(addon, opened):
    import time

    panel, item = addon("ui.panel_views"), thing("Half")
    for index in range(1000):
        photo, entry = settings().photos.add(), item.views.add()
        photo.view = entry.name = f"photo_{index:04d}"
        photo.placed, photo.width, photo.height = True, 10, 10
        entry.presence, entry.confidence = 1.0, index / 1000
    settings().views.by_confidence = True
    listed = SimpleNamespace(bitflag_filter_item=1 << 30, filter_name="")
    slowest = 0.0
    for wanted in ("ALL", "CHECK", "PRESENT"):
        settings().views.filter = wanted
        began = time.perf_counter()
        panel.MVSAM_UL_views.filter_items(listed, bpy.context, settings(), "photos")
        slowest = max(slowest, time.perf_counter() - began)
    print(f"listing 1003 photos: {slowest * 1000:.1f} ms")
    assert slowest < 0.1
