# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of training scenes: made whole, found, checked, split, and read."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from flat_scenes import CheapEncoder, flat_capture, flat_scene, png, square

from mvsam_engine.capture.files import writer_lock
from mvsam_engine.errors import CaptureError, TrainingError
from mvsam_engine.progress import Progress
from mvsam_engine.train.data import check_apart, load_scenes, memory_of, split_scenes
from mvsam_engine.train.episodes import EpisodeOptions, episodes, load_scene
from mvsam_engine.train.folders import damage, describe, described, find_scenes, whole_scene


class Warned(Progress):
    """Keeps warnings."""

    def __init__(self):
        super().__init__()
        self.said = []

    def on_warning(self, code, message, remedy):
        self.said.append(message)


# --- making --------------------------------------------------------------------------------------


def test_a_scene_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), whole_scene(tmp_path, "7") as folder:
        flat_scene(folder)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with whole_scene(tmp_path, "7") as folder:
        assert not (tmp_path / "7").exists()
        flat_scene(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["7"]
    assert damage(tmp_path / "7") == ""


def test_an_earlier_scene_stays_until_the_new_one_is_whole(tmp_path):
    flat_scene(tmp_path / "7", seed=1)
    before = (tmp_path / "7/capture/capture.json").read_text()
    with pytest.raises(ZeroDivisionError), whole_scene(tmp_path, "7") as folder:
        flat_scene(folder, seed=2)
        raise ZeroDivisionError
    assert (tmp_path / "7/capture/capture.json").read_text() == before
    (tmp_path / ".making-7/half").mkdir(parents=True)  # left by a killed process
    with whole_scene(tmp_path, "7") as folder:
        flat_scene(folder, seed=2)
    assert (tmp_path / "7/capture/capture.json").read_text() != before
    assert [p.name for p in tmp_path.iterdir()] == ["7"]


def test_what_is_no_scene_is_never_replaced(tmp_path):
    flat_scene(tmp_path / "7")
    (tmp_path / "7/holiday.txt").write_text("mine")
    refused = pytest.raises(TrainingError, match=r"also holds 'holiday\.txt'")
    with refused, whole_scene(tmp_path, "7") as folder:
        flat_scene(folder, seed=2)
    assert (tmp_path / "7/holiday.txt").read_text() == "mine"
    for name in ("../up", "a/b", "", ".hidden"):
        with pytest.raises(TrainingError, match="safe name"), whole_scene(tmp_path, name):
            pass


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("scene.done", None),
        ("capture/capture.json", b"{"),
        ("capture/pointmaps/a.npy", b"\x93NUMPY"),
        ("capture/photos/b.png", "cut"),
        ("masks/square/b.png", "cut"),
        ("masks/square/b.png", png(np.zeros((3, 3)))),
    ],
)
def test_damage_is_found(tmp_path, file, content):
    scene = flat_scene(tmp_path / "s")
    assert damage(scene) == ""
    path = scene / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-40] if content == "cut" else content)
    assert damage(scene) != ""


def test_a_folder_holds_scenes_of_one_kind(tmp_path):
    about = {"kind": "a", "views": 2, "textures": ["x"], "count": 1}
    describe(tmp_path, about)
    describe(tmp_path, {**about, "count": 5})
    assert described(tmp_path)["count"] == 5
    with pytest.raises(TrainingError, match="views = 2, not 3"):
        describe(tmp_path, {**about, "views": 3})
    (tmp_path / "data.json").write_text(json.dumps({"kind": {"deep": 1}}))
    with pytest.raises(TrainingError, match="does not describe"):
        described(tmp_path)


# --- finding and splitting -----------------------------------------------------------------------


def test_scenes_are_found_once(tmp_path):
    one, two = flat_scene(tmp_path / "data/1", 1), flat_scene(tmp_path / "data/2", 2)
    flat_scene(tmp_path / "data/.making-3", 3)
    flat_scene(tmp_path / "data/4", 4)
    (tmp_path / "data/4/originals").mkdir()  # being made
    assert find_scenes([tmp_path / "data"]) == [one, two]
    assert find_scenes([one, tmp_path / "data"]) == [one, two]
    with pytest.raises(TrainingError, match="no folder"):
        find_scenes([tmp_path / "nowhere"])
    with pytest.raises(TrainingError, match="no training scene"):
        find_scenes([tmp_path / "data/1/masks"])


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    return [flat_scene(root / f"{k:02d}", k, 1, done=f"seed {k}") for k in range(24)]


def test_the_split_is_by_what_a_scene_shows(many, tmp_path):
    training, validation = split_scenes(many, 0, share=0.25)
    assert sorted(training + validation) == many
    assert 1 <= len(validation) <= 12
    # A scene stays on its side when others come or go, and the seed decides.
    fewer = [folder for folder in many if folder.name != training[0].name]
    assert split_scenes(fewer, 0, share=0.25)[1] == validation
    assert split_scenes(many, 1, share=0.25)[1] != validation
    # A copy under another name goes where its original goes.
    copy = tmp_path / "zz"
    shutil.copytree(validation[0], copy)
    assert copy in split_scenes([*many, copy], 0, share=0.25)[1]


def test_each_side_gets_something(many):
    for share in (0.0, 1.0):
        training, validation = split_scenes(many[:2], 0, share)
        assert len(training) == len(validation) == 1
    with pytest.raises(TrainingError, match="both trained on and judged by"):
        split_scenes(many[:1], 0)


def test_no_scene_is_on_both_sides(many, tmp_path):
    check_apart(many[:3], many[3:6])
    copy = tmp_path / "other name"
    shutil.copytree(many[4], copy)
    with pytest.raises(TrainingError, match="shows the same"):
        check_apart([copy], many[3:6])
    # The same world at another size has other photos, but the same seed.
    with pytest.raises(TrainingError, match="shows the same"):
        check_apart([flat_scene(tmp_path / "b", 99, 1, done="seed 4")], many[3:6])


# --- reading -------------------------------------------------------------------------------------


def test_scenes_that_cannot_be_used_are_named_and_left_out(tmp_path):
    good = flat_scene(tmp_path / "good", 1)
    broken = flat_scene(tmp_path / "broken", 2)
    (broken / "capture/pointmaps/a.npy").write_bytes(b"no array")
    misnamed = flat_scene(tmp_path / "misnamed", 3)
    (misnamed / "masks/square/IMG_7.png").write_bytes(png(square()))
    tiny = flat_scene(tmp_path / "tiny", 4)
    for path in (tiny / "masks").rglob("*.png"):
        path.write_bytes(png(square(side=2)))
    progress = Warned()
    scenes = load_scenes([good, broken, misnamed, tiny], CheapEncoder(), progress)
    assert list(scenes) == [good]
    reasons = ("pointmaps/a.npy", "no photo", "large enough")
    for said, part in zip(progress.said, reasons, strict=True):
        assert part in said
    with pytest.raises(TrainingError, match="None of the 1"):
        load_scenes([tiny], CheapEncoder(), Progress())
    views = 2
    assert memory_of(scenes.values()) > views * (256 * 64 * 64 * 2 + 256 * 256)


def test_a_missing_mask_is_not_an_empty_one(tmp_path):
    """Views where nobody says where the object is are never asked about."""
    scene_folder = flat_scene(tmp_path / "s", views=3, objects=("everywhere", "once"))
    for view in "ac":
        (scene_folder / f"masks/once/{view}.png").unlink()
    (scene_folder / "masks/everywhere/c.png").write_bytes(png(np.zeros_like(square())))
    scene = load_scene(scene_folder, CheapEncoder(), Progress())
    np.testing.assert_array_equal(scene.known["once"], [False, True, False])
    assert scene.known["everywhere"].all()
    rows = {"once": set(), "everywhere": set()}
    drawn = episodes([scene], np.random.default_rng(0), EpisodeOptions())
    for _, episode in zip(range(40), drawn, strict=False):
        for name in episode.objects:
            rows[name].update(episode.rows)
        assert set(episode.dense) <= set(episode.rows)
        assert set(episode.hints) <= {0, 1}
    assert rows == {"once": {1}, "everywhere": {0, 1, 2}}
    together = [e for _, e in zip(range(60), drawn, strict=False) if len(e.objects) > 1]
    assert together
    assert {e.rows for e in together} == {(1,)}  # known only where both are


def test_several_runs_read_the_same_scene(tmp_path):
    scene = flat_scene(tmp_path / "s")
    with (
        writer_lock(scene / "capture"),
        pytest.raises(CaptureError, match="is working on the capture"),
    ):
        load_scene(scene, CheapEncoder(), Progress())
    load_scene(scene, CheapEncoder(), Progress())  # its features are there from now on
    encoder = CheapEncoder()
    with writer_lock(scene / "capture"):
        load_scene(scene, encoder, Progress())
    assert encoder.asked == 0


def test_no_reconstruction_no_training(tmp_path):
    capture = flat_capture(tmp_path / "s/capture")
    (capture.root / "cameras.json").unlink()
    (tmp_path / "s/masks/x").mkdir(parents=True)
    with pytest.raises(CaptureError, match="no cameras"):
        load_scene(tmp_path / "s", CheapEncoder(), Progress())
