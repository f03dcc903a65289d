# SPDX-License-Identifier: GPL-3.0-or-later
"""Two photos at a time (DUSt3R, MASt3R): pairs into one world, and the code that stays theirs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from perfect_model import code_capture, first_hits, read_code, room_ring
from test_neural_adapter import Told, compare, run

from mvsam_engine.errors import WeightsError
from mvsam_engine.reconstruct.neural.backends import BACKENDS
from mvsam_engine.reconstruct.neural.backends.checkout import load_module, missing
from mvsam_engine.reconstruct.neural.backends.dust3r import MODELS, PairGeometry, with_twins
from mvsam_engine.reconstruct.neural.pairs import PairAnswer, choose_pairs, into_one_world
from mvsam_engine.reconstruct.similarity import align


def some_world(count: int = 5, seed: int = 0) -> np.ndarray:
    """Points [n, 20, 30, 3] of photos that see parts of one surface."""
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 20, 30, 3)) + np.array([0, 0, 8])


def seen(world, a, b, random, noise=0.0, sure=5.0) -> PairAnswer:
    """A pair of a frame and scale of its own."""
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    turn = turn * np.sign(np.linalg.det(turn))
    scale, shift = np.exp(random.normal()), random.normal(size=3)
    points = [
        (scale * (world[i] * (1 + noise * random.normal(size=(20, 30, 1)))) @ turn.T + shift)
        for i in (a, b)
    ]
    confidence = np.full((20, 30), sure, np.float32)
    both = (points[0].astype(np.float32), points[1].astype(np.float32))
    return PairAnswer((a, b), both, (confidence, confidence))


def error(found: np.ndarray, world: np.ndarray) -> np.ndarray:
    """Distance of each point from the truth after one similarity."""
    change = align(found.reshape(-1, 3).astype(float), world.reshape(-1, 3))
    return np.linalg.norm(change.apply(found.reshape(-1, 3)) - world.reshape(-1, 3), axis=1)


@pytest.mark.parametrize(("count", "pairs"), [(1, 1), (2, 2), (5, 20), (8, 56)])
def test_few_photos_are_all_paired_both_ways(count, pairs):
    found = choose_pairs(count)
    assert len(found) == len(set(found)) == pairs
    assert count == 1 or {(b, a) for a, b in found} == set(found)


def test_many_photos_are_paired_with_some_and_stay_connected():
    found = choose_pairs(60)
    assert len(found) < 60 * 12
    reached, last = {0}, set()
    while reached != last:
        last = set(reached)
        reached |= {b for a, b in found if a in reached}
    assert len(reached) == 60


def test_exact_pairs_make_an_exact_world():
    world, random = some_world(), np.random.default_rng(1)
    pairs = [seen(world, a, b, random) for a, b in choose_pairs(5)]
    points, confidence = into_one_world(pairs, 5)
    assert error(points, world).max() < 1e-4
    assert (confidence == 5).all()


def test_a_wrong_pair_and_noise_are_outvoted():
    world, random = some_world(), np.random.default_rng(2)
    pairs = [seen(world, a, b, random, noise=0.005) for a, b in choose_pairs(5)]
    other = some_world(seed=9)
    pairs[3] = seen(other, *pairs[3].photos, random, sure=1.5)
    points, _ = into_one_world(pairs, 5)
    assert np.quantile(error(points, world), 0.95) < 0.06  # 0.7 % of the depth


def test_unknown_points_stay_unknown():
    world, random = some_world(2), np.random.default_rng(3)
    pairs = [seen(world, 0, 1, random), seen(world, 1, 0, random)]
    for pair in pairs:
        pair.points[pair.photos.index(0)][:5] = np.nan
    points, _ = into_one_world(pairs, 2)
    assert np.isnan(points[0, :5]).all() and np.isfinite(points[0, 5:]).all()
    assert np.isfinite(points[1]).all()


class PerfectPairs(torch.nn.Module):
    """Answers as DUSt3R's network does: both photos' points in the first one's frame."""

    def __init__(self, cameras, noise):
        super().__init__()
        self.cameras, self.noise = cameras, noise
        self.random = np.random.default_rng(0)

    def forward(self, first, second):
        read = [read_code(self.pixels(view)) for view in (first, second)]
        frame = self.cameras[read[0][0]].camera_from_world
        scale, out = np.exp(self.random.normal() * 0.5), []
        for number, shares in read:
            camera = self.cameras[number]
            world = first_hits(camera, shares * [camera.width, camera.height])
            local = world @ frame[:3, :3].T + frame[:3, 3]
            local *= 1 + self.noise * self.random.normal(size=(*local.shape[:2], 1))
            out.append(torch.from_numpy(scale * local)[None].float())
        sure = torch.full(out[0].shape[:3], 8.0)
        return (
            {"pts3d": out[0], "conf": sure},
            {"pts3d_in_other_view": out[1], "conf": sure},
        )

    @staticmethod
    def pixels(view):
        return ((view["img"][0] + 1) * 127.5).round().permute(1, 2, 0).numpy().astype(np.uint8)


@pytest.mark.parametrize("count", [2, 4])
def test_pairs_become_cameras_and_points(count, tmp_path):
    """The two-photo case, and more; the cameras are fitted, for pairs have none."""
    truth = room_ring(8)[::2] if count == 4 else room_ring(6)[2:4]
    capture = code_capture(tmp_path, truth)
    told = Told()
    result = run(capture, PairGeometry(MODELS["dust3r"], PerfectPairs(truth, 0.002)), told)
    found = compare(capture, truth)
    assert len(result.cameras) == count and not result.metric
    assert found["degrees"] < 0.3 and found["focal"] < 0.01 and found["centers"] < 0.02
    assert found["median"] < 0.004 and found["confidence"] > 0.5


def test_their_code_is_asked_for_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.delenv("MVSAM_DUST3R", raising=False)
    site = "https://github.com/naver/dust3r"
    assert "git clone --recursive https://github.com/naver/dust3r" in missing("dust3r", site)
    assert BACKENDS["dust3r"].missing()
    monkeypatch.setenv("MVSAM_DUST3R", str(tmp_path))
    assert "holds no dust3r" in missing("dust3r", site)
    (tmp_path / "dust3r").mkdir()
    (tmp_path / "dust3r" / "__init__.py").write_text("print('hello')\nimport not_installed_here\n")
    assert missing("dust3r", site) == ""
    with pytest.raises(WeightsError, match="not_installed_here"):
        load_module("dust3r", "dust3r", site)


@pytest.mark.parametrize("name", MODELS)
def test_the_real_code_takes_our_arguments_and_gives_what_we_read(name, capfd):
    """Where a checkout is at hand (MVSAM_DUST3R, MVSAM_MAST3R), with a small network."""
    model = MODELS[name]
    if not os.environ.get(f"MVSAM_{name.upper()}"):
        pytest.skip(f"MVSAM_{name.upper()} names no checkout of {model.site}")
    module = load_module(model.package, model.module, model.site)
    small = {"img_size": (64, 64), "enc_embed_dim": 64, "enc_depth": 12, "enc_num_heads": 2,
             "dec_embed_dim": 32, "dec_num_heads": 2}  # fmt: skip
    torch.manual_seed(0)
    network = getattr(module, model.network)(**{**model.arguments, **small})
    kept = {name: value.detach() for name, value in network.named_parameters()}  # no twins
    assert len(kept) < len(network.state_dict()) == len(with_twins(kept, network))
    geometry = PairGeometry(model, network)
    capfd.readouterr()
    answer = geometry.answer(np.random.default_rng(0).integers(0, 255, (2, 48, 64, 3), np.uint8))
    assert answer.points.shape == (2, 48, 64, 3) and np.isfinite(answer.points).all()
    assert capfd.readouterr().out == ""  # stdout belongs to whoever started the engine


def test_a_tensor_of_two_names_is_found_under_both():
    first = torch.nn.Linear(2, 2)
    network = torch.nn.ModuleDict({"a": first, "b": first, "c": torch.nn.Linear(2, 2)})
    kept = {n: v for n, v in network.state_dict().items() if not n.startswith("b")}
    full = with_twins(kept, network)
    assert full.keys() == network.state_dict().keys() and full["b.weight"] is kept["a.weight"]


def test_nothing_of_their_code_is_here():
    root = Path(__file__).parents[2] / "mvsam_engine"
    for file in root.rglob("*.py"):
        assert "Naver Corporation" not in file.read_text(encoding="utf-8")
