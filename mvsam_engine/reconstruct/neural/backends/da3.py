# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth Anything 3 as a back end. Small and Base are Apache-2.0: the usual download."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.neural.answer import Answer, MemoryNeeds, points_from_depth
from mvsam_engine.reconstruct.neural.backends.torch_model import (
    TorchGeometry,
    laplace_prior,
    with_weights,
)
from mvsam_engine.reconstruct.neural.framing import InputNeeds
from mvsam_engine.reconstruct.neural.nets.da3 import SHAPES, Da3Shape, DepthAnything3

# The authors' own preparation: long side 504, sides rounded to whole patches, and photos of
# several shapes cut to their common middle.
NEEDS = InputNeeds(long_side=504, multiple=14, unequal="crop")
USUAL_PIXELS = 504 * 378
MEMORY: Mapping[str, MemoryNeeds] = MappingProxyType(
    {
        "small": MemoryNeeds(105, 300, 125, USUAL_PIXELS),
        "base": MemoryNeeds(412, 400, 195, USUAL_PIXELS),
        "large": MemoryNeeds(1382, 900, 330, USUAL_PIXELS),
    }
)
# The depth loss is VGGT's.
ALPHA = 0.2


class Da3(TorchGeometry):
    """See `TorchGeometry`."""

    def understood(self, found: Mapping[str, NDArray[np.float32]]) -> Answer:
        """See `TorchGeometry`."""
        return Answer(
            points=points_from_depth(found["depth"], found["intrinsics"]),
            frame="camera",
            confidence=found["confidence"],
            camera_from_world=found["camera_from_world"].astype(np.float64),
            intrinsics=found["intrinsics"].astype(np.float64),
        )


def make(shape: Da3Shape, name: str, memory: MemoryNeeds) -> Da3:
    """With whatever tensors the network starts from; tests and timings use this."""
    return Da3(name, DepthAnything3(shape), NEEDS, memory, laplace_prior(ALPHA))


def load(size: str) -> Da3:
    """With its published weights.

    Args:
        size: small, base or large.

    Raises:
        WeightsError: they are not here, or damaged.
    """
    network = with_weights(lambda: DepthAnything3(SHAPES[size]), f"da3-{size}", our_name)
    name = "da3" if size == "base" else f"da3-{size}"
    return Da3(name, network, NEEDS, MEMORY[size], laplace_prior(ALPHA))


def our_name(published: str) -> str | None:
    """Our name of a tensor; None for rays, given cameras and Gaussians, which are not used."""
    name = published.removeprefix("model.")
    unused = name.startswith(("cam_enc.", "gs_head.", "gs_adapter.")) or "_aux." in name
    return None if unused else name
