# SPDX-License-Identifier: GPL-3.0-or-later
"""The `mvsam` command as a person types it: results, sentences, exit codes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

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
)
from mvsam_engine.commands.prompts import parse_box, parse_mask, parse_point, store_mask
from mvsam_engine.errors import UsageError

WIDTH, HEIGHT = 80, 60


def mvsam(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "mvsam_engine", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def capture(tmp_path):
    """Two placed photos and one left out; object `cup` is in the first photo only."""
    capture = Capture.create(tmp_path / "capture")
    photos = tuple(
        Photo(v, f"photos/{v}.png", WIDTH, HEIGHT, 1, v, f"{v}.png") for v in ("a", "b", "lost")
    )
    cameras = tuple(
        Camera(v, "PINHOLE", WIDTH, HEIGHT, (80.0, 80.0, 40.0, 30.0), np.eye(4)) for v in "ab"
    )
    white = np.full((HEIGHT, WIDTH), 255, np.uint8)
    png = {"a": half_mask(), "b": np.zeros_like(white)}
    masks = tuple(
        ViewMask(ViewScore(v, float(v == "a"), 0.9, 0.5 * (v == "a")), np.ones((6, 8), np.float16))
        for v in "ab"
    )
    item = SceneObject("cup", "Cup / 1", prompts=(Prompt("point", "a", xy=((5, 5),)),), revision=1)
    with capture.writing(), capture.transaction() as transaction:
        for photo in photos:
            transaction.write(photo.file, encoded(np.stack([white // 2] * 3, -1)))
        capture.put_photos(photos, transaction)
        for camera in cameras:
            points = np.ones((6, 8, 3), np.float32)
            points[0] = np.nan
            confidence, colors = np.ones((6, 8), np.float16), np.ones((6, 8, 3), np.uint8)
            capture.put_pointmap(Pointmap(camera.view, points, confidence, colors), transaction)
        unplaced = (Unplaced("lost", "It shows something else."),)
        capture.put_reconstruction(Reconstruction(cameras, unplaced, "classical"), transaction)
        answer = MaskSet("cup", 1, "lift", masks)
        capture.put_masks(item, answer, {v: encoded(m) for v, m in png.items()}, transaction)
    return capture


def half_mask():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = 255
    return mask


def encoded(pixels):
    import io

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def test_export_masks_writes_one_for_every_photo(capture, tmp_path):
    done = mvsam("export", "masks", capture.root, tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "Cup _ 1"
    assert sorted(p.name for p in folder.iterdir()) == ["a.png", "b.png", "lost.png"]
    assert json.loads(done.stdout)["files"] == [
        str(folder / f"{v}.png") for v in ("a", "b", "lost")
    ]
    for view, share in (("a", 0.5), ("b", 0), ("lost", 0)):
        image = Image.open(folder / f"{view}.png")
        assert (image.mode, image.size) == ("L", (WIDTH, HEIGHT))
        assert np.mean(np.asarray(image) == 255) == share
        assert set(np.unique(image)) <= {0, 255}


def test_export_of_an_unknown_object_names_the_known(capture, tmp_path):
    done = mvsam("export", "masks", capture.root, tmp_path / "out", "--object", "Mug")
    assert done.returncode == 1
    assert "'Cup / 1'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_overlays_tint_the_object_and_nothing_else(capture, tmp_path):
    done = mvsam("export", "overlays", capture.root, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(tmp_path / "out" / "a.jpg")).astype(int)
    grey = 127
    assert pixels[50, 20, 0] > grey + 20
    assert abs(pixels[50, 70] - grey).max() < 8
    assert abs(np.asarray(Image.open(tmp_path / "out" / "b.jpg")).astype(int) - grey).max() < 8
    assert (tmp_path / "out" / "contact_sheet.jpg").is_file()


def test_info_tells_what_is_there(capture):
    done = mvsam("info", capture.root)
    assert done.returncode == 0, done.stderr
    for text in ("3 photos", "2 of 3 placed", "83 %", "It shows something else.", "Cup / 1"):
        assert text in done.stdout
    data = json.loads(mvsam("info", capture.root, "--json").stdout)
    assert [o["name"] for o in data["objects"]] == ["Cup / 1"]
    assert data["reconstruction"]["known_share"] == pytest.approx([5 / 6] * 2, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["segment", "{capture}", "--object", "x", "--point", "a;5,5"], 2, "is not a point"),
        (["segment", "{capture}", "--object", "x", "--box", "a:1,2,3"], 2, "is not a box"),
        (["segment", "{capture}", "--object", "x", "--mask", "a"], 2, "is not a mask"),
        (["segment", "{capture}", "--object", " ", "--point", "a:5,5"], 2, "needs a name"),
        (["segment", "{capture}", "--object", "x", "--segmenter", "y"], 2, "no segmenter 'y'"),
        (["segment", "{capture}", "--object", "x"], 1, "no prompt that includes"),
        (["segment", "{capture}", "--object", "x", "--point", "a:5,5:-"], 1, "no prompt that"),
        (["segment", "{capture}", "--object", "x", "--point", "zz:5,5"], 1, "no view 'zz'"),
        (["segment", "{capture}", "--object", "x", "--point", "a:5,61"], 1, "lies outside"),
        (["segment", "{capture}", "--object", "x", "--point", "lost:5,5"], 1, "not be placed"),
        (["segment", "{capture}", "--object", "x", "--mask", "a:/nowhere.png"], 1, "nowhere.png"),
        (["segment", "nowhere", "--object", "x"], 1, "not a capture"),
        (["info", "nowhere"], 1, "not a capture"),
        (["reconstruct", "nowhere", "--capture", "{new}"], 1, "does not exist"),
        (["reconstruct", "--capture", "{new}"], 2, "no photos yet"),
        (["reconstruct", "{capture}", "--capture", "{new}", "--geometry", "x"], 2, "no geometry"),
        (["reconstruct", "{capture}", "--capture", "{new}", "--device", "tpu"], 2, "no device"),
        (["reconstruct", "{capture}", "--capture", "{new}", "--max-size", "3"], 2, "64"),
        (["reconstruct", "{capture}"], 2, "--capture"),
        (["dance"], 2, "No such command"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(capture, tmp_path, arguments, code, sentence):
    before = sorted(capture.root.rglob("*"))
    places = {"capture": capture.root, "new": tmp_path / "new"}
    done = mvsam(*(a.format(**places) for a in arguments))
    assert done.returncode == code, done.stderr
    assert sentence in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "new" / "photos").exists()
    known = [p for p in sorted(capture.root.rglob("*")) if p.name not in (".lock", ".staging")]
    assert known == [p for p in before if p.name not in (".lock", ".staging")]


def test_no_folder_is_made_for_photos_that_are_not_there(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in ("empty", "nowhere"):
        done = mvsam("reconstruct", tmp_path / source, "--capture", tmp_path / "new")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1  # one sentence on one line
        assert not (tmp_path / "new").exists()


def test_points_boxes_and_masks_as_typed():
    assert parse_point("IMG 1:3,4.5") == Prompt("point", "IMG 1", True, ((3.0, 4.5),))
    assert parse_point("a:b:3,4:-") == Prompt("point", "a:b", False, ((3.0, 4.0),))
    assert parse_box("a:30,4,10,20").xy == ((10.0, 4.0), (30.0, 20.0))
    assert str(parse_mask("a:C:/x.png")[1]) == "C:/x.png"


def test_mask_prompts_are_copied_at_the_size_of_the_photo(capture, tmp_path):
    Image.fromarray(half_mask()).resize((WIDTH * 2, HEIGHT * 2)).save(tmp_path / "m.png")
    prompt, png = store_mask(capture, "cup", "a", tmp_path / "m.png")
    (tmp_path / "stored.png").write_bytes(png)
    assert prompt == Prompt("mask", "a", mask="objects/cup/prompts/a.png")
    assert (np.asarray(Image.open(tmp_path / "stored.png")) == half_mask()).all()
    Image.new("L", (60, 80)).save(tmp_path / "tall.png")
    with pytest.raises(UsageError, match="60 x 80"):
        store_mask(capture, "cup", "a", tmp_path / "tall.png")
