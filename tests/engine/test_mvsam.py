# SPDX-License-Identifier: GPL-3.0-or-later
"""The trained network as a segmenter, on a scene whose truth is known (`square_scene`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from square_scene import (
    POSES,
    WIDTH,
    click,
    iou,
    item,
    make_capture,
    prepared,
    render,
)

from mvsam_engine.capture import Capture
from mvsam_engine.errors import SegmentationError, WeightsError
from mvsam_engine.progress import Progress
from mvsam_engine.segment import load_segmenter
from mvsam_engine.segment.base import Segmenter, probability
from mvsam_engine.segment.fusion import Fused
from mvsam_engine.segment.hints import Hints
from mvsam_engine.segment.mvsam import MVSamSegmenter, derived_hints, segmenter_of
from mvsam_engine.segment.network import Config, MVSam
from mvsam_engine.segment.network_file import read_network, shipped_network, write_network
from mvsam_engine.segment.sam import Sam, load_sam

FOUR = [(0, 0), (-0.4, 0.4), (0.4, -0.4), (0.4, 0.4)]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_capture(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def mvsam(capture: Capture) -> Segmenter:
    return prepared("mvsam", capture)


@pytest.fixture(scope="module")
def sam() -> Sam:
    return load_sam(device="cpu")


# --- what the network does beside `test_joining` --------------------------------------------------


def test_turning_and_scaling_the_world_changes_hardly_anything(
    mvsam: Segmenter, capture: Capture, sam: Sam
) -> None:
    clicks = item(*[click(at=(x, y, 3)) for x, y in FOUR])
    before = {m.view: m for m in mvsam.predict(clicks, Progress()).masks}
    other = MVSamSegmenter(sam, shipped_network(sam))
    other.prepare(capture, Progress())
    scene = other._scene
    assert scene is not None
    angle = 0.9
    rotation = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    ) @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    moved = []
    for view in scene.views:
        pose = np.eye(4)
        pose[:3, :3] = view.camera.camera_from_world[:3, :3] @ rotation.T
        shift = np.array([3.0, -2.0, 1.0])
        pose[:3, 3] = 7.0 * view.camera.camera_from_world[:3, 3] - pose[:3, :3] @ shift
        moved.append(
            replace(
                view,
                camera=replace(view.camera, camera_from_world=pose),
                points=(7.0 * view.points @ rotation.T + shift).astype(np.float32),
                depth=view.depth * np.float32(7.0),
            )
        )
    other._scene = replace(scene, views=tuple(moved))
    other._ready(other._scene)
    for mask in other.predict(clicks, Progress()).masks:
        first, second = before[mask.view].logits > 0, mask.logits > 0
        if not first.any():
            assert not second.any()
            continue
        assert (first & second).sum() / (first | second).sum() > 0.97, mask.view


def test_the_method_as_published_finds_it_where_it_is(capture: Capture) -> None:
    paper = prepared("mvsam-paper", capture)
    told: list[str] = []
    answer = paper.predict(
        item(*[click(at=(x, y, 3)) for x, y in FOUR]), Progress(), lambda m: told.append(m.view)
    )
    masks = {m.view: m for m in answer.masks}
    assert told == ["left"]
    assert set(masks) == set(POSES)
    for view in ("left", "right"):
        assert iou(masks[view]) > 0.85, view


def test_released_tokens_are_gone_until_prepared_again(capture: Capture, sam: Sam) -> None:
    segmenter = MVSamSegmenter(sam, MVSam.from_sam(sam))
    segmenter.prepare(capture, Progress())
    segmenter.release()
    assert segmenter._decoder._tokens is None
    with pytest.raises(SegmentationError, match="prepare"):
        segmenter.predict(item(click()), Progress())
    segmenter.prepare(capture, Progress())
    assert segmenter.predict(item(click()), Progress()).masks


# --- derived prompts --------------------------------------------------------------------------


def test_one_click_and_a_box_become_points_all_over_the_object(mvsam: MVSamSegmenter) -> None:
    scene = mvsam._scene
    assert scene is not None
    view = next(v for v in scene.views if v.name == "left")
    truth = render("left", *view.shape)[2]
    fused = Fused(truth.ravel().astype(np.float32), np.ones(truth.size, np.float32))
    centre = np.array([[160.0, 120.0]])
    for hint in (
        Hints(centre, np.ones(1, bool)),
        Hints(np.zeros((0, 2)), np.zeros(0, bool), box=np.array([10.0, 10.0, 300.0, 200.0])),
    ):
        told = derived_hints(view, hint, fused)
        assert len(told.points) > len(hint.points) + 3
        assert told.labels.all()
        assert told.box is hint.box
        cells = (told.points[len(hint.points) :] * view.shape[1] / WIDTH).astype(int)
        assert truth[cells[:, 1], cells[:, 0]].all()
    many = Hints(np.repeat(centre, 9, axis=0), np.ones(9, bool))
    assert derived_hints(view, many, fused) is many


# --- files ------------------------------------------------------------------------------------


def test_a_network_travels_in_a_file(sam: Sam, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = MVSam.from_sam(sam, Config(presence=False))
    with torch.no_grad():
        network.space_mix.weight.normal_()
    path = tmp_path / "network.safetensors"
    write_network(network, path, sam.encoder.name, {"data": "none"})
    again = read_network(path, sam)
    assert again.config == network.config
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, atol=2e-3, rtol=2e-3, msg=name)
    assert segmenter_of(path, "cpu").name == "mvsam"
    assert segmenter_of(path, "cpu", "mvsam-paper").name == "mvsam-paper"


def test_files_that_are_no_network_are_refused(sam: Sam, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    with pytest.raises(WeightsError, match="There is no network"):
        read_network(path, sam)
    path.write_bytes(b"not a network at all")
    with pytest.raises(WeightsError, match="not a network"):
        read_network(path, sam)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="not a network"):
        read_network(path, sam)
    save_file({"a": torch.zeros(2)}, path, {"config": '{"depth": 3}', "encoder": sam.encoder.name})
    with pytest.raises(WeightsError, match="depth"):
        read_network(path, sam)
    write_network(MVSam.from_sam(sam), path, "another-encoder", {})
    with pytest.raises(WeightsError, match="another-encoder"):
        read_network(path, sam)


def test_probabilities_do_not_overflow() -> None:
    assert probability(np.array([-1e9, 0.0, 1e9], np.float32)).tolist() == pytest.approx(
        [0.0, 0.5, 1.0], abs=1e-6
    )


def test_an_encoder_without_a_network_is_refused() -> None:
    with pytest.raises((WeightsError, SegmentationError)):
        load_segmenter("mvsam", "cpu", encoder="sam-vit-b")
