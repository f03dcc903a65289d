# SPDX-License-Identifier: GPL-3.0-or-later
"""Answering real photos as before: what is compared, and with what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mvsam_engine.errors import PhotoError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.network import MVSam
from mvsam_engine.segment.sam import load_sam
from mvsam_engine.train.keeping import Keeper, RealPhoto, load_photos, smooth_surface


@pytest.fixture(scope="module")
def sam():
    return load_sam(device="cpu")


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 0.3, (256, 8, 12)).astype(np.float16)
    return [RealPhoto(features, (30, 47))]


def gradient(network, keeper, seed):
    network.zero_grad()
    keeper.loss(network, np.random.default_rng(seed)).backward()
    return max(float(p.grad.abs().max()) for p in network.parameters() if p.grad is not None)


def test_nothing_pulls_until_something_has_changed(sam, photos):
    network = MVSam.from_sam(sam)
    keeper = Keeper(network, photos)
    # On a smooth surface and without one; the teacher has no 3D code, nor has the network yet.
    at_rest = [gradient(network, keeper, seed) for seed in range(4)]
    assert max(at_rest) < 1e-4
    before = float(keeper.loss(network, np.random.default_rng(0)).detach())
    with torch.no_grad():
        for parameter in network.mask_decoder.parameters():
            parameter.mul_(1.1)
    assert gradient(network, keeper, 0) > 100 * max(at_rest)
    assert float(keeper.loss(network, np.random.default_rng(0)).detach()) > before


def test_the_same_numbers_ask_the_same(sam, photos):
    network = MVSam.from_sam(sam)
    keeper = Keeper(network, photos)
    first, second = (float(keeper.loss(network, np.random.default_rng(3))) for _ in range(2))
    other = float(keeper.loss(network, np.random.default_rng(4)))
    assert first == pytest.approx(second, abs=1e-6)
    assert first != pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_surfaces_are_smooth(seed):
    surface = smooth_surface((96, 128), np.random.default_rng(seed))
    assert np.isfinite(surface).all()
    extent = np.ptp(surface, axis=(0, 1)).max()
    for axis in (0, 1):
        steps = np.linalg.norm(np.diff(surface, axis=axis), axis=-1)
        assert steps.max() < 0.06 * extent
    assert extent > 0.3


class Mean:
    """An encoder that sees colours only."""

    name = "mean"

    def embed(self, image):
        return np.full((256, 64, 64), image.mean() / 255, np.float32)


def test_photos_of_any_size_are_looked_at(tmp_path):
    Image.fromarray(np.full((90, 160, 3), 51, np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(np.full((1500, 1000, 3), 102, np.uint8)).save(tmp_path / "tall.jpg")
    small, tall = load_photos([tmp_path], Mean(), Progress())
    assert small.features.shape == (256, 36, 64)
    assert small.shape == (144, 256)
    assert tall.features.shape == (256, 64, 43)
    assert float(small.features[0, 0, 0]) == pytest.approx(0.2, abs=0.01)


def test_no_photos_are_refused(tmp_path):
    with pytest.raises(PhotoError):
        load_photos([tmp_path], Mean(), Progress())
