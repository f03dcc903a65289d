# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data, errors put into it, losses, and a loop that can be stopped anywhere."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from mvsam_engine.capture import Capture
from mvsam_engine.errors import Cancelled, CaptureError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.network import Answers, Config, MVSam
from mvsam_engine.segment.network_file import write_network
from mvsam_engine.segment.sam import load_sam
from mvsam_engine.train.episodes import (
    EpisodeOptions,
    draw_episode,
    episodes,
    imperfect,
    load_scene,
)
from mvsam_engine.train.examples import fused_masks
from mvsam_engine.train.loop import CHECKPOINT, LOG, Trainer, TrainOptions
from mvsam_engine.train.losses import dice_loss, focal_loss, losses, true_ious
from mvsam_engine.train.make import DONE, SceneOptions, make_scene_folder
from mvsam_engine.train.noise import EXACT, NoiseOptions, disturb
from mvsam_engine.train.scenes.textures import Patches

SMALL = SceneOptions(views=3, width=128, height=96, things=5, rays_per_side=1)


class CheapEncoder(ImageEncoder):
    """Stands where the image encoder is: its features are chance, the same for the same photo."""

    name = "chance"

    def embed(self, image):
        rng = np.random.default_rng(int(image.sum()))
        return rng.normal(0.0, 0.1, (256, 64, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_scene_folder(
        tmp_path_factory.mktemp("scenes") / "0003", 3, Patches(), SMALL, Progress()
    )


@pytest.fixture(scope="module")
def scene(folder):
    return load_scene(folder, CheapEncoder(), Progress())


def test_a_made_scene_is_a_capture_with_masks(folder):
    capture = Capture.open(folder / "capture")
    reconstruction = capture.require_reconstruction()
    assert len(reconstruction.cameras) == len(capture.photos()) == 3
    for camera in reconstruction.cameras:
        pointmap = capture.pointmap(camera.view)
        assert pointmap.points.shape == (48, 64, 3)
        pixels, depth = camera.project(pointmap.points[20, 30].astype(float))
        np.testing.assert_allclose(pixels, [61.0, 41.0], atol=0.01)
        assert depth > 0
    for one in (folder / "masks").iterdir():
        assert {p.stem for p in one.glob("*.png")} == {c.view for c in reconstruction.cameras}
        sizes = [Image.open(p).size for p in one.glob("*.png")]
        assert set(sizes) == {(128, 96)}
    assert (folder / DONE).is_file()


def test_it_is_made_once(folder):
    before = (folder / "capture" / "cameras.json").stat().st_mtime_ns
    make_scene_folder(folder, 3, Patches(), SMALL, Progress())
    assert (folder / "capture" / "cameras.json").stat().st_mtime_ns == before


def test_scene_masks_match_the_pointmaps(scene):
    """A thing's points in one view lie inside its mask in the others that see them."""
    name = max(scene.masks, key=lambda n: scene.masks[n].sum(axis=(1, 2)).min())
    first, second = scene.views[0], scene.views[1]
    rows, columns = first.shape
    # The border is a matter of rounding in photos this small.
    deep = cv2.erode(scene.masks[name][0, :rows, :columns], np.ones((9, 9), np.uint8))
    mine = deep.ravel() > 0
    points = first.points[mine].astype(float)
    pixels, depth = second.camera.project(points[np.isfinite(points[:, 0])])
    cells = (pixels * [columns / second.photo.width, rows / second.photo.height]).astype(int)
    inside = (cells >= 0).all(axis=1) & (cells < [columns, rows]).all(axis=1)
    column, row = cells[inside].T
    visible = np.abs(second.depth.reshape(rows, columns)[row, column] / depth[inside] - 1) < 0.02
    assert visible.sum() > 30
    assert scene.masks[name][1, row, column][visible].mean() > 0.97


def test_a_scene_without_masks_or_with_a_wrong_one_is_refused(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    victim = next((copy / "masks").rglob("*.png"))
    Image.new("L", (10, 10)).save(victim)
    with pytest.raises(CaptureError, match="10 x 10"):
        load_scene(copy, CheapEncoder(), Progress())
    victim.write_bytes(b"no picture")
    with pytest.raises(CaptureError, match="cannot be read"):
        load_scene(copy, CheapEncoder(), Progress())
    shutil.rmtree(copy / "masks")
    with pytest.raises(CaptureError, match="no masks"):
        load_scene(copy, CheapEncoder(), Progress())


def test_without_errors_only_the_frame_changes(scene):
    rng = np.random.default_rng(0)
    changed = disturb(scene.views, rng, EXACT)
    for before, after in zip(scene.views, changed, strict=True):
        assert not np.allclose(before.points, after.points, equal_nan=True)
        pixels_before, _ = before.camera.project(before.points.astype(float))
        pixels_after, depth = after.camera.project(after.points.astype(float))
        known = np.isfinite(pixels_before[:, 0])
        # Points move to the centres of their cells: half a pixel of the small pointmap at most.
        np.testing.assert_allclose(pixels_after[known], pixels_before[known], atol=1.01)
        np.testing.assert_allclose(depth[known], after.depth[known], rtol=1e-3)
        ratio = after.depth[known] / before.depth[known]
        assert ratio.std() / ratio.mean() < 1e-3


def test_errors_are_of_the_size_that_was_asked_for(scene):
    options = NoiseOptions(grain=0.05, edge=0, holes=0.4, guessed=0.0, pose=0.0, broken=0.0)
    errors, lost = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        after = disturb(scene.views[:1], rng, options)[0]
        before = scene.views[0]
        both = np.isfinite(after.depth) & np.isfinite(before.depth)
        ratio = after.depth[both] / before.depth[both]
        errors.append(np.std(ratio / np.median(ratio)))
        lost.append(1 - both.sum() / np.isfinite(before.depth).sum())
        assert (after.confidence[~np.isfinite(after.depth)] == 0).all()
    assert 0.003 < np.mean(errors) < 0.05
    assert max(errors) > 3 * min(errors)
    assert 0.01 < np.mean(lost) < 0.4


def test_fattened_edges_grow_the_foreground():
    from mvsam_engine.train.noise import _fatten

    depth = np.full((20, 20), 4.0, np.float32)
    depth[8:12, 8:12] = 2.0
    depth[0] = 0.0
    fat = _fatten(depth, 2, ramp=False)
    assert (fat[8:12, 8:12] == 2.0).all()
    assert (fat == 2.0).sum() > 16
    assert (fat[0] == 0).all()
    ramp = _fatten(depth, 2, ramp=True)
    assert ((ramp > 2.2) & (ramp < 3.8)).any()


def test_episodes_ask_about_what_is_there(scene):
    options = EpisodeOptions(views=3)
    rng = np.random.default_rng(5)
    kinds = {"single": 0, "box": 0, "dense": 0}
    for _, episode in zip(range(80), episodes([scene], rng, options), strict=False):
        assert set(episode.hints) & set(episode.rows)
        assert len(set(episode.rows)) == len(episode.rows) <= 3
        for view, hint in episode.hints.items():
            mask, frame = scene.masks_of(episode.objects)[view], scene.views[view]
            cells = hint.points * np.array(frame.shape[::-1]) / [
                frame.photo.width, frame.photo.height
            ]  # fmt: skip
            column, row = cells.astype(int).T if len(cells) else (np.zeros(0, int),) * 2
            np.testing.assert_array_equal(mask[row, column] > 0, hint.labels)
            kinds["single"] += len(hint.points) == 1
            kinds["box"] += hint.box is not None
        kinds["dense"] += bool(episode.dense)
    assert min(kinds.values()) >= 4


def test_an_object_that_no_view_shows_is_not_asked_about(scene):
    empty = replace(scene, masks={"nothing": np.zeros((3, 256, 256), np.uint8)})
    rng = np.random.default_rng(0)
    assert draw_episode(empty, 0, ["nothing"], rng, EpisodeOptions()) is None


def test_dense_prompts_are_near_the_truth_but_not_it(scene):
    name = max(scene.masks, key=lambda n: scene.masks[n][0].sum())
    mask = scene.views[0].frame.crop(scene.masks[name][0])
    scores = []
    for seed in range(20):
        found = imperfect(mask, scene.views[0].shape, np.random.default_rng(seed))
        assert np.abs(found).max() <= 8.0
        assert found.shape == scene.views[0].shape
        guess = found > 0
        scores.append((guess & (mask > 0)).sum() / (guess | (mask > 0)).sum())
    assert 0.4 < np.mean(scores) < 0.97
    assert len(set(np.round(scores, 3))) > 10


def test_losses_against_the_formulas():
    logits = torch.tensor([[[2.0, -1.0], [0.5, -3.0]]])
    truth = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    weight = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    total = 0.0
    for value, true in ((2.0, 1), (-1.0, 0), (0.5, 1)):
        chance = 1 / (1 + np.exp(-value))
        right = chance if true else 1 - chance
        total += (0.9 if true else 0.1) * (1 - right) ** 1.5 * -np.log(right)
    assert float(focal_loss(logits, truth, weight, 0.9, 1.5)) == pytest.approx(total / 3, rel=1e-5)
    chances = 1 / (1 + np.exp(-np.array([2.0, -1.0, 0.5])))
    dice = (2 * (chances[0] + chances[2]) + 1) / (chances.sum() + 2 + 1)
    assert float(dice_loss(logits, truth, weight)) == pytest.approx(1 - dice, rel=1e-5)
    assert float(true_ious(logits, truth, weight)) == 1.0


def answers_with(logits, presence=0.0):
    return Answers(logits, torch.zeros(len(logits), 4), torch.full((len(logits),), presence))


def test_only_the_best_choice_learns():
    truth = torch.zeros(1, 8, 8)
    truth[:, :4] = 1.0
    logits = torch.zeros(1, 4, 8, 8)
    logits[:, 2] = 4.0 * (truth * 2 - 1)
    logits.requires_grad_()
    losses(answers_with(logits), truth, torch.ones(1, 8, 8)).total.backward()
    grads = logits.grad[0].abs().sum(dim=(1, 2))
    assert grads[0] > 0
    assert grads[2] > 0
    assert grads[1] == grads[3] == 0


def test_an_absent_view_teaches_presence_and_the_single_mask():
    logits = torch.ones(1, 4, 8, 8, requires_grad=True)
    presence = torch.zeros(1, requires_grad=True)
    answers = Answers(logits, torch.zeros(1, 4), presence)
    losses(answers, torch.zeros(1, 8, 8), torch.ones(1, 8, 8)).total.backward()
    assert presence.grad.item() > 0  # it must go down
    assert (logits.grad[0, 0] > 0).all()
    assert logits.grad[0, 1:].abs().max() == 0


@pytest.fixture(scope="module")
def network():
    return load_sam(device="cpu")


FEW = TrainOptions(
    steps=4, episodes=1, rate=1e-3, warm=1, save_every=2, validate_every=4, examples=3
)


def trainer(network, scene, folder, options=FEW, **config):
    torch.manual_seed(0)
    net = MVSam.from_sam(network, Config(**config)).train()
    return Trainer(net, [scene], [scene], folder, options)


class Impatient(Progress):
    """Cancels after so many steps."""

    def __init__(self, steps):
        super().__init__()
        self._left = steps

    def on_change(self):
        if self.stage_name == "Training" and self.done >= self._left:
            self.cancel()


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(network, scene, tmp_path):
    random.seed(0)
    whole = trainer(network, scene, tmp_path / "whole")
    whole.run(Progress())
    with pytest.raises(Cancelled):
        trainer(network, scene, tmp_path / "parts").run(Impatient(3))
    rest = trainer(network, scene, tmp_path / "parts")
    assert rest.step == 2  # the last checkpoint
    rest.run(Progress())
    for (name, one), other in zip(
        whole._network.named_parameters(), rest._network.parameters(), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3, msg=name)
    lines = [json.loads(x) for x in (tmp_path / "whole" / LOG).read_text().splitlines()]
    (validation,) = [x for x in lines if x["kind"] == "validation"]
    assert validation["step"] == 4
    assert 0 <= validation["presence"] <= 1

    target = tmp_path / "mvsam.safetensors"
    write_network(whole._network, target, "an-encoder", {"data": "made-up scenes"})
    with safe_open(target, "pt") as file:
        assert Config.from_dict(json.loads(file.metadata()["config"])) == Config()
        assert file.metadata()["data"] == "made-up scenes"
        assert file.get_tensor("space_mix.weight").dtype == torch.float16


def test_a_checkpoint_of_another_network_is_refused(network, scene, tmp_path):
    first = trainer(network, scene, tmp_path)
    first.save()
    with pytest.raises(CaptureError, match="other settings"):
        trainer(network, scene, tmp_path, code="3d")
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(CaptureError, match="cannot be read"):
        trainer(network, scene, tmp_path)


def test_padding_is_outside(scene):
    inside = scene.inside()
    assert inside.shape == (3, 256, 256)
    for area, view in zip(inside, scene.views, strict=True):
        rows, columns = view.shape
        assert area[:rows, :columns].all()
        assert area.sum() == rows * columns


def test_several_things_are_neighbours_and_each_is_clicked(scene):
    rng = np.random.default_rng(0)
    wholes = [name for name in scene.masks if "_part" not in name]
    options = EpisodeOptions(single=0.0, box=0.0, second=0.0, several=1.0)
    together = 0
    for _, episode in zip(range(30), episodes([scene], rng, options), strict=False):
        assert set(episode.objects) <= set(wholes)
        together += len(episode.objects) > 1
        (view,) = episode.hints
        hint = episode.hints[view]
        frame = scene.views[view].frame
        cells = (frame.to_model(hint.points[hint.labels]) / 4).astype(int)
        for name in episode.objects:
            assert scene.masks[name][view][cells[:, 1], cells[:, 0]].any(), name
    assert together > 10


def test_masks_fused_on_exact_points_are_near_the_truth(scene):
    name = max(scene.masks, key=lambda n: np.sort(scene.masks[n].sum(axis=(1, 2)))[-2])
    areas = scene.masks[name].sum(axis=(1, 2))
    source, target = np.argsort(-areas)[:2]
    given = scene.views[source].frame.crop(scene.masks[name][source]) * 16.0 - 8.0
    rng = np.random.default_rng(0)
    found = fused_masks(scene.views, {int(source): given.astype(np.float32)}, rng)
    truth = scene.views[target].frame.crop(scene.masks[name][target]) > 0
    marked = found[int(target)] > 0
    assert marked[truth].mean() > 0.3  # what the source sees of it
    assert (marked & ~truth).sum() < 0.15 * truth.sum()
    assert set(np.unique(np.sign(found[int(target)]))) >= {-1.0, 1.0}
