# SPDX-License-Identifier: GPL-3.0-or-later
"""Tensors for a network that anybody can make again from their names, and tiny networks."""

from __future__ import annotations

import zlib

import numpy as np
import torch

from mvsam_engine.reconstruct.neural.nets.da3 import Da3Shape
from mvsam_engine.reconstruct.neural.nets.dpt import DptShape
from mvsam_engine.reconstruct.neural.nets.pi3 import Pi3Shape
from mvsam_engine.reconstruct.neural.nets.vggt import VggtShape
from mvsam_engine.reconstruct.neural.nets.vit import VitShape

TINY_DA3 = Da3Shape(
    VitShape(32, 6, 2, trained=4), 2, (2, 3, 4, 5), DptShape(64, 16, (8, 8, 16, 16))
)
TINY_VGGT = VggtShape(
    VitShape(32, 2, 2, 4, True, trained=4), 4, (0, 1, 2, 3),
    DptShape(64, 16, (8, 8, 16, 16), relu_skip=True), 4,
)  # fmt: skip
TINY_PI3 = Pi3Shape(VitShape(32, 2, 2, 4, True, trained=4), 4, 2, 32, 2, 16)
# Of three photos, 28 x 42 pixels.
SIZE = (3, 28, 42)


def tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor of that name: random, of a size that keeps signals alive."""
    random = np.random.RandomState(zlib.crc32(name.encode()) % 2**31)
    values = random.standard_normal(shape)
    if name.endswith("gamma"):
        values = 0.4 + 0.1 * values
    elif "norm" in name and name.endswith("weight"):
        values = 1 + 0.1 * values
    elif len(shape) >= 2 and not name.endswith(("token", "tokens", "pos_embed")):
        values = values / np.prod(shape[1:]) ** 0.5
    else:
        values = 0.3 * values
    if name.endswith(("fc_fov.0.bias", "pose_branch.fc2.bias")):
        values = values * 0.1 + (0.9 if "fov" in name else 0.22)  # ordinary fields of view
    return torch.from_numpy(values.astype(np.float32))


def fill_by_name(module: torch.nn.Module) -> torch.nn.Module:
    """A module whose floating-point tensors are all those of their names."""
    state = {k: tensor(k, tuple(v.shape)) for k, v in module.state_dict().items()}
    module.load_state_dict(state)
    return module.eval()


def photos(count: int, height: int, width: int) -> torch.Tensor:
    """Photos [n, 3, H, W], 0 to 1."""
    random = np.random.RandomState(7)
    return torch.from_numpy(random.uniform(size=(count, 3, height, width)).astype(np.float32))
