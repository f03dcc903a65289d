# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture folder: what is written comes back, what is damaged is refused in words."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvsam_engine.capture import (
    Camera,
    Capture,
    MaskSet,
    Photo,
    Pointmap,
    Prompt,
    Reconstruction,
    SceneObject,
    Unplaced,
    ViewMask,
    ViewScore,
    new_object_id,
    schema,
)
from mvsam_engine.errors import CaptureError
from mvsam_engine.fields import Fields

PHOTO = Photo("IMG 1", "photos/IMG 1.jpg", 64, 48, 1234, "ab" * 32, "IMG 1.JPG", 60.5, "Käm 3")
CAMERA = Camera("IMG 1", "SIMPLE_RADIAL", 64, 48, (60.0, 32.0, 24.0, -0.1), np.eye(4))
POINTS = np.arange(4 * 3 * 3, dtype=np.float32).reshape(3, 4, 3)
ITEM = SceneObject(
    "cup",
    "Große Tasse",
    (0.25, 0.5, 1.0),
    (
        Prompt("point", "IMG 1", True, ((3.5, 4.25),)),
        Prompt("point", "IMG 1", False, ((1.0, 2.0),)),
        Prompt("box", "IMG 1", True, ((0.0, 0.0), (10.0, 12.0))),
        Prompt("stroke", "IMG 1", True, ((1.0, 1.0), (2.0, 2.0), (3.0, 3.0)), radius=4.0),
        Prompt("mask", "IMG 1", mask="objects/cup/prompts/IMG 1.png"),
    ),
    revision=3,
)


@pytest.fixture
def capture(tmp_path):
    capture = Capture.create(tmp_path / "my capture ü")
    pointmap = Pointmap(
        "IMG 1",
        np.where(POINTS > 30, np.nan, POINTS),
        np.linspace(0, 1, 12, dtype=np.float16).reshape(3, 4),
        np.full((3, 4, 3), 77, np.uint8),
    )
    reconstruction = Reconstruction(
        (CAMERA,), (Unplaced("IMG 2", "Too blurred."),), "classical", {"max_size": 4}, True, True
    )
    with capture.writing(), capture.transaction() as transaction:
        capture.put_photos((PHOTO, replace(PHOTO, view="IMG 2")), transaction)
        capture.put_pointmap(pointmap, transaction)
        capture.put_reconstruction(reconstruction, transaction)
    return capture


def put_masks(capture):
    mask = ViewMask(
        ViewScore("IMG 1", 0.75, 0.5, 0.25),
        np.array([[1, -1]], np.float16),
        np.full((3, 4), 0.5, np.float16),
    )
    with capture.writing(), capture.transaction() as transaction:
        answer = MaskSet("cup", 3, "lift", (mask,))
        return capture.put_masks(ITEM, answer, {"IMG 1": b"png"}, transaction)


def test_round_trip(capture):
    again = Capture.open(capture.root)
    assert again.photo("IMG 1") == PHOTO
    reconstruction = again.require_reconstruction()
    (camera,) = reconstruction.cameras
    assert (camera.view, camera.model, camera.params) == (CAMERA.view, CAMERA.model, CAMERA.params)
    assert (camera.camera_from_world == CAMERA.camera_from_world).all()
    assert reconstruction.unplaced == (Unplaced("IMG 2", "Too blurred."),)
    assert (reconstruction.method, reconstruction.settings) == ("classical", {"max_size": 4})
    assert reconstruction.metric
    assert reconstruction.upright
    pointmap = again.pointmap("IMG 1")
    assert np.array_equal(pointmap.points, np.where(POINTS > 30, np.nan, POINTS), equal_nan=True)
    assert pointmap.confidence[-1, -1] == 1
    assert (pointmap.colors == 77).all()


def test_masks_round_trip(capture):
    stored = put_masks(capture)
    assert capture.object("cup") == stored
    assert stored.answered == 3
    assert stored.scores == (ViewScore("IMG 1", 0.75, 0.5, 0.25),)
    assert capture.mask_path("cup", "IMG 1").read_bytes() == b"png"
    assert capture.logits("cup", "IMG 1").tolist() == [[1, -1]]
    assert (capture.fused("cup", "IMG 1") == 0.5).all()


def test_complete_answer_replaces_the_pending_one(capture):
    capture.put_pending("cup", ViewMask(ViewScore("IMG 1", 1, 1, 1), np.ones((2, 2), np.float16)))
    assert capture.pending("cup", "IMG 1").shape == (2, 2)
    put_masks(capture)
    with pytest.raises(CaptureError):
        capture.pending("cup", "IMG 1")


def test_new_cameras_make_old_answers_stale_but_keep_prompts_and_masks(capture):
    put_masks(capture)
    with capture.writing(), capture.transaction() as transaction:
        capture.put_reconstruction(Reconstruction((CAMERA,)), transaction)
    item = capture.object("cup")
    assert item.answered == 0
    assert item.prompts == ITEM.prompts
    assert capture.mask_path("cup", "IMG 1").exists()
    with pytest.raises(CaptureError):
        capture.fused("cup", "IMG 1")
    with pytest.raises(CaptureError):
        capture.pointmap("IMG 1")


def test_delete_object(capture):
    put_masks(capture)
    with capture.writing(), capture.transaction() as transaction:
        capture.delete_object("cup", transaction)
    assert capture.objects() == ()


def test_newer_schema_is_refused_and_left_alone(capture):
    path = capture.root / "capture.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"schema": schema.SCHEMA + 1}))
    before = path.read_bytes()
    with pytest.raises(CaptureError, match="newer MV-SAM") as caught:
        Capture.open(capture.root)
    assert caught.value.code == "capture.newer"
    assert path.read_bytes() == before


@pytest.mark.parametrize("schema_value", [0, -1, "1", None, 1.5, True])
def test_nonsense_schema_is_refused(capture, schema_value):
    path = capture.root / "capture.json"
    path.write_text(json.dumps({"schema": schema_value, "photos": []}))
    with pytest.raises(CaptureError):
        Capture.open(capture.root)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "\x00", "[" * 100000, '{"schema": 1, "photos": 3}']
)
def test_damaged_json_is_a_sentence(capture, text):
    (capture.root / "capture.json").write_text(text)
    with pytest.raises(CaptureError):
        Capture.open(capture.root)


def test_photo_paths_stay_inside(capture):
    with pytest.raises(CaptureError, match="does not stay inside"):
        capture.photo_path(replace(PHOTO, file="../../etc/passwd"))


@pytest.mark.parametrize("view", ["../x", "/x", "a/b", ".."])
def test_views_cannot_be_paths(capture, view):
    for read in (capture.pointmap, lambda v: capture.logits("cup", v), capture.object):
        with pytest.raises(CaptureError):
            read(view)
    data = schema.reconstruction_to_json(Reconstruction((replace_view(CAMERA, view),)))
    with pytest.raises(CaptureError, match="safe file name"):
        schema.reconstruction_from_json(data)


def replace_view(camera, view):
    return Camera(
        view, camera.model, camera.width, camera.height, camera.params, camera.camera_from_world
    )


def test_unknown_view_names_known_ones(capture):
    with pytest.raises(CaptureError, match="IMG 1"):
        capture.photo("IMG 7")


def test_other_peoples_folders_are_not_taken_over(tmp_path):
    (tmp_path / "thesis.txt").write_text("important")
    with pytest.raises(CaptureError, match="not empty"):
        Capture.create(tmp_path)
    with pytest.raises(CaptureError, match="not a capture"):
        Capture.open(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_object_json_round_trip():
    data = json.loads(json.dumps(schema.object_to_json(ITEM)))
    assert schema.object_from_json(data) == ITEM


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(data=JSON, key=st.sampled_from(sorted(schema.object_to_json(ITEM))))
def test_any_object_json_is_read_or_refused_in_words(data, key):
    for candidate in (data, schema.object_to_json(ITEM) | {key: data}):
        try:
            schema.object_from_json(candidate)
        except CaptureError as error:
            assert error.message


@pytest.mark.parametrize(
    ("kind", "count"),
    [("point", 0), ("point", 2), ("box", 1), ("stroke", 0), ("mask", 1), ("x", 1)],
)
def test_prompts_with_the_wrong_number_of_positions_are_refused(kind, count):
    fields = Fields({"kind": kind, "view": "a", "xy": [[1, 2]] * count}, "prompt", CaptureError)
    with pytest.raises(CaptureError):
        schema.prompt_from_json(fields)


def test_new_object_ids_are_unique_and_safe():
    assert new_object_id("My Cup", ()) == "my_cup"
    assert new_object_id("My Cup", ("my_cup", "my_cup_2")) == "my_cup_3"
    assert new_object_id("../..", ()) == "_"
    assert new_object_id("", ()) == "object"
