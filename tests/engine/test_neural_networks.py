# SPDX-License-Identifier: GPL-3.0-or-later
"""Our networks give what their authors' code gave for the same tensors.

The numbers below came out of the authors' code (docs/models.md names the commits), in a tiny
configuration, with tensors that `neural_tensors` makes from their names. The published sizes were
compared there too, with all their outputs; here six values of each output are pinned.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from neural_tensors import SIZE, TINY_DA3, TINY_PI3, TINY_VGGT, fill_by_name, photos

from mvsam_engine.reconstruct.neural.backends import da3 as da3_backend
from mvsam_engine.reconstruct.neural.backends import pi3 as pi3_backend
from mvsam_engine.reconstruct.neural.backends import vggt as vggt_backend
from mvsam_engine.reconstruct.neural.nets import da3, pi3, vggt
from mvsam_engine.reconstruct.neural.nets.blocks import Rotary, patch_positions
from mvsam_engine.reconstruct.neural.nets.poses import decode_poses

RECORDED = {
    "da3": {
        "depth": [0.62745, 0.613378, 1.043084, 0.921173, 0.803677, 0.592965],
        "confidence": [3.032361, 2.220804, 2.600852, 2.045019, 2.667572, 1.887126],
        "camera_from_world": [-0.813519, 0.708701, -0.008316, 0.0, 0.06753, 1.0],
        "intrinsics": [51.668678, 14.0, 0.0, 0.0, 21.0, 1.0],
    },
    "vggt": {
        "depth": [0.426163, 0.847367, 0.556516, 0.505351, 0.57396, 0.898876],
        "confidence": [1.94728, 1.603167, 1.328582, 1.400102, 1.57992, 1.639236],
        "camera_from_world": [0.330147, -0.18586, 0.763244, 0.0, -0.787687, 1.0],
        "intrinsics": [38.045876, 14.0, 0.0, 0.0, 21.0, 1.0],
    },
    "pi3": {
        "points": [-4.795833, 0.590821, -1.066142, 0.246378, -49.128948, 0.051259],
        "logits": [0.790572, -2.181336, 2.459223, 4.294196, 4.243408, -4.354264],
        "world_from_camera": [-0.874972, 0.787428, -0.101693, 0.0, 0.372956, 1.0],
    },
}
NETWORKS = {
    "da3": lambda: da3.DepthAnything3(TINY_DA3),
    "vggt": lambda: vggt.Vggt(TINY_VGGT),
    "pi3": lambda: pi3.Pi3(TINY_PI3),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_network_gives_what_its_authors_code_gave(name):
    network = fill_by_name(NETWORKS[name]())
    with torch.inference_mode():
        found = network(photos(*SIZE))
    assert found.keys() == RECORDED[name].keys()
    for output, expected in RECORDED[name].items():
        flat = found[output].flatten()
        some = flat[torch.linspace(0, len(flat) - 1, 6).long()].tolist()
        assert some == pytest.approx(expected, rel=2e-5, abs=2e-5), output


@pytest.mark.parametrize("name", RECORDED)
def test_one_photo_and_one_more_row_of_patches_work(name):
    network = fill_by_name(NETWORKS[name]())
    with torch.inference_mode():
        for size in ((1, 56, 56), (2, 70, 28)):
            found = network(photos(*size))
            for output in found.values():
                assert len(output) == size[0] and torch.isfinite(output).all()


def test_order_of_photos_does_not_matter_to_pi3():
    network = fill_by_name(NETWORKS["pi3"]())
    order = [2, 0, 1]
    with torch.inference_mode():
        first, again = network(photos(*SIZE)), network(photos(*SIZE)[order])
    for name in ("logits", "world_from_camera"):
        assert torch.allclose(first[name][order], again[name], atol=1e-4)


def test_rotary_scores_depend_on_the_difference_of_places_only():
    """What makes it a position code: moved together, two tokens look at each other the same."""
    q, k = torch.randn(2, 1, 1, 2, 16, generator=torch.Generator().manual_seed(0))
    places = torch.tensor([[3, 5], [7, 2]])
    scores = []
    for shift in (0, 4):
        rotary = Rotary.at(places + shift, 16)
        scores.append(rotary.turn(q) @ rotary.turn(k).transpose(-1, -2))
    assert torch.allclose(scores[0], scores[1], atol=1e-5)
    assert patch_positions(2, 3, 1, torch.device("cpu")).tolist() == [
        [0, 0], [1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3],
    ]  # fmt: skip


def test_the_ordinary_photo_is_the_reference():
    tokens = torch.randn(6, 32, generator=torch.Generator().manual_seed(3))
    order = da3.reference_first(tokens).tolist()
    assert sorted(order) == list(range(6))
    rest = order[1:]
    assert rest == sorted(rest)


def test_nine_numbers_are_a_rigid_pose_and_a_lens():
    code = torch.tensor([[1.0, 2, 3, 0.2, -0.4, 0.6, 1.1, 0.9, 1.2]])
    pose, lens = decode_poses(code, 100, 150)
    turn = pose[0, :3, :3]
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-6)
    assert torch.linalg.det(turn) > 0 and pose[0, :3, 3].tolist() == [1, 2, 3]
    assert lens[0, 1, 1] == pytest.approx(50 / np.tan(0.45), rel=1e-6)
    assert lens[0, 0, 0] == pytest.approx(75 / np.tan(0.6), rel=1e-6)


@pytest.mark.parametrize(
    ("backend", "shape", "frame"),
    [(da3_backend, TINY_DA3, "camera"), (vggt_backend, TINY_VGGT, "camera"),
     (pi3_backend, TINY_PI3, "camera")],
)  # fmt: skip
def test_a_back_end_hands_its_network_the_pixels_and_puts_its_numbers_right(backend, shape, frame):
    memory = getattr(backend, "MEMORY", None)
    memory = memory["small"] if backend is da3_backend else memory
    arguments = (shape, "tiny", memory)
    model = backend.make(*arguments)
    fill_by_name(model._network)
    pixels = (photos(*SIZE) * 255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)
    model.to("cpu", "float32")
    answer = model.answer(pixels)
    with torch.inference_mode():
        raw = model._network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    assert answer.frame == frame and answer.points.shape == (*SIZE, 3)
    if backend is pi3_backend:
        assert answer.intrinsics is None
        inverse = np.linalg.inv(raw["world_from_camera"].numpy())
        assert np.allclose(answer.camera_from_world, inverse, atol=1e-4)
        assert np.allclose(answer.points, raw["points"].numpy(), rtol=1e-4)
    else:
        lens, depth = raw["intrinsics"][1].numpy(), float(raw["depth"][1, 20, 5])
        # Row 20, column 5: the middle of that pixel.
        x, y = (5.5 - lens[0, 2]) / lens[0, 0], (20.5 - lens[1, 2]) / lens[1, 1]
        assert np.allclose(answer.points[1, 20, 5], [x * depth, y * depth, depth], atol=1e-5)
    chance = model.prior(answer.confidence)
    assert (chance >= 0).all() and (chance <= 1).all()
    surest = np.argsort(answer.confidence.ravel())
    assert (np.diff(chance.ravel()[surest]) >= -1e-7).all()


def test_published_names_that_are_not_needed_are_left_out():
    assert da3_backend.our_name("model.backbone.pretrained.norm.bias")
    assert da3_backend.our_name("model.cam_enc.trunk.0.norm1.bias") is None
    assert da3_backend.our_name("model.head.scratch.refinenet1_aux.out_conv.bias") is None
    assert vggt_backend.our_name("track_head.tracker.fnet.weight") is None
    assert vggt_backend.our_name("aggregator.patch_embed.mask_token") is None
    assert pi3_backend.our_name("image_mean") is None
