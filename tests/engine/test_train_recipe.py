# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up scenes in numbers: the recipe, going on, repairing, several processes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flat_scenes import CheapEncoder
from PIL import Image

from mvsam_engine.capture import Capture
from mvsam_engine.capture.files import writer_lock
from mvsam_engine.errors import Cancelled, CaptureError, TrainingError
from mvsam_engine.progress import Progress
from mvsam_engine.train.folders import damage, described
from mvsam_engine.train.recipe import SIZES, THINGS, Recipe, make_scenes

TINY = Recipe(views=2, side=96)


def test_the_recipe_depends_on_the_seed_alone():
    found = [Recipe().scene(seed) for seed in range(200)]
    assert found == [Recipe().scene(seed) for seed in range(200)]
    sizes = [(options.width, options.height) for options in found]
    assert set(sizes) == set(SIZES)
    assert 55 < sizes.count((1024, 768)) < 105  # twice as often as others
    things = {options.things for options in found}
    assert (min(things), max(things)) == (THINGS[0], THINGS[1] - 1)
    assert {options.views for options in found} == {8}
    half = Recipe(views=3, side=512).scene(5)
    assert (half.width * 2, half.height * 2) == sizes[5]
    assert half.things == found[5].things


class Stopping(Progress):
    """Cancels when so many scenes are made."""

    def __init__(self, scenes):
        super().__init__()
        self.left, self.said = scenes, []

    def on_change(self):
        if self.stage_name == "Making scenes" and self.done >= self.left:
            self.cancel()

    def on_warning(self, code, message, remedy):
        self.said.append(message)


def stamps(folder):
    return {p.name: (p / "scene.done").stat().st_mtime_ns for p in folder.glob("[0-9]*")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two scenes of three, the making of the third being cancelled."""
    out = tmp_path_factory.mktemp("made") / "data"
    with pytest.raises(Cancelled):
        make_scenes(out, range(3), TINY, CheapEncoder(), Stopping(2))
    return out


def test_what_was_finished_is_kept_and_gone_on_with(made):
    assert sorted(p.name for p in made.iterdir()) == [".lock", "0000", "0001", "data.json"]
    before = stamps(made)
    encoder = CheapEncoder()
    folders = make_scenes(made, range(3), TINY, encoder, Progress())
    assert [folder.name for folder in folders] == ["0000", "0001", "0002"]
    assert [damage(folder) for folder in folders] == ["", "", ""]
    assert encoder.asked == 2  # the third scene's photos
    after = stamps(made)
    assert {name: after[name] for name in before} == before
    for folder in folders:
        capture = Capture.open(folder / "capture")
        assert len(list((capture.root / "features/chance").glob("*.npy"))) == 2
    assert described(made)["kind"] == "made-up scenes"


def test_a_damaged_scene_is_made_again_and_comes_out_the_same(made):
    victim = made / "0001/capture/pointmaps/001.npy"
    before, whole = victim.read_bytes(), stamps(made)
    victim.write_bytes(before[:500])
    progress = Stopping(99)
    make_scenes(made, range(2), TINY, CheapEncoder(), progress)
    assert victim.read_bytes() == before
    assert len(progress.said) == 1
    assert "0001" in progress.said[0]
    assert stamps(made)["0000"] == whole["0000"]
    assert stamps(made)["0001"] != whole["0001"]


def test_scenes_of_another_recipe_go_elsewhere(made):
    with pytest.raises(TrainingError, match="views = 2, not 5"):
        make_scenes(made, range(1), Recipe(views=5, side=96), CheapEncoder(), Progress())


def test_what_a_killed_process_left_is_swept_up(made):
    (made / ".making-0077/capture").mkdir(parents=True)
    make_scenes(made, range(1), TINY, CheapEncoder(), Progress())
    assert not (made / ".making-0077").exists()


def test_two_programs_do_not_make_scenes_in_one_folder(made):
    with writer_lock(made), pytest.raises(CaptureError, match="is working on the capture"):
        make_scenes(made, range(1), TINY, CheapEncoder(), Progress())


def test_several_processes_make_the_same_scenes(made, tmp_path):
    make_scenes(tmp_path, range(2), TINY, CheapEncoder(), Progress(), workers=2)
    for name in ("0000", "0001"):
        for array in ("pointmaps/000.npy", "features/chance/001.npy"):
            one, other = (np.load(root / name / "capture" / array) for root in (made, tmp_path))
            np.testing.assert_array_equal(one, other)


def test_what_goes_wrong_in_a_process_is_told(tmp_path):
    (tmp_path / "0001").mkdir()
    (tmp_path / "0001/mine.txt").write_text("kept")
    with pytest.raises(TrainingError, match=r"also holds 'mine\.txt'"):
        make_scenes(tmp_path, range(2), TINY, CheapEncoder(), Progress(), workers=2)
    assert (tmp_path / "0001/mine.txt").is_file()
    assert not list(tmp_path.glob(".making-*"))


def test_kinds_held_out_are_other_kinds(tmp_path):
    def kinds(recipe, name):
        folders = make_scenes(tmp_path / name, range(3), recipe, CheapEncoder(), Progress())
        return {p.name.split("_")[1] for folder in folders for p in (folder / "masks").iterdir()}

    usual, others = kinds(TINY, "usual"), kinds(replace(TINY, held_out=True), "others")
    assert usual
    assert others
    assert not usual & others
    assert "held out" in described(tmp_path / "others")["kind"]
    with pytest.raises(TrainingError, match="kind"):
        make_scenes(tmp_path / "others", range(1), TINY, CheapEncoder(), Progress())


def test_the_step_between_photos_can_be_said(tmp_path):
    recipe = replace(TINY, views=2, step=90.0)
    (folder,) = make_scenes(tmp_path / "wide", [3], recipe, CheapEncoder(), Progress())
    one, other = Capture.open(folder / "capture").require_reconstruction().cameras
    forward = [camera.camera_from_world[2, :3] for camera in (one, other)]
    assert np.degrees(np.arccos(forward[0] @ forward[1])) > 40
    assert described(tmp_path / "wide")["step"] == 90.0


def test_textures_are_cut_from_photographs(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (300, 200), (250, 20, 20)).save(photos / "red.png")
    recipe = Recipe((photos,), views=1, side=96)
    (folder,) = make_scenes(tmp_path / "data", [4], recipe, CheapEncoder(), Progress())
    (plain,) = make_scenes(tmp_path / "plain", [4], Recipe((), 1, 96), CheapEncoder(), Progress())

    def redness(scene):
        colors = np.load(scene / "capture/colors/000.npy").astype(float)
        return (colors[..., 0] - colors[..., 1:].mean(axis=-1)).mean()

    assert redness(folder) > redness(plain) + 10
    assert described(tmp_path / "data")["photographs"] == 1
