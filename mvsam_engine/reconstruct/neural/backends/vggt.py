# SPDX-License-Identifier: GPL-3.0-or-later
"""VGGT as a back end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.neural.answer import Answer, MemoryNeeds, points_from_depth
from mvsam_engine.reconstruct.neural.backends.torch_model import (
    TorchGeometry,
    laplace_prior,
    with_weights,
)
from mvsam_engine.reconstruct.neural.framing import InputNeeds
from mvsam_engine.reconstruct.neural.nets.vggt import PUBLISHED, Vggt, VggtShape
from mvsam_engine.weights.official import find_checkpoint

# Photos of several shapes are padded with white, as the authors do.
NEEDS = InputNeeds(long_side=518, multiple=14, unequal="pad")
# The depth head keeps tokens of four layers of every photo.
MEMORY = MemoryNeeds(4632, 1500, 420, 518 * 392)
ALPHA = 0.2  # of its depth loss


class VggtGeometry(TorchGeometry):
    """See `TorchGeometry`. Depth with cameras is its better pointmap, as its authors found."""

    def understood(self, found: Mapping[str, NDArray[np.float32]]) -> Answer:
        """See `TorchGeometry`."""
        return Answer(
            points=points_from_depth(found["depth"], found["intrinsics"]),
            frame="camera",
            confidence=found["confidence"],
            camera_from_world=found["camera_from_world"].astype(np.float64),
            intrinsics=found["intrinsics"].astype(np.float64),
        )


def make(shape: VggtShape, name: str = "vggt", memory: MemoryNeeds = MEMORY) -> VggtGeometry:
    """With whatever tensors the network starts from; tests and timings use this."""
    return VggtGeometry(name, Vggt(shape), NEEDS, memory, laplace_prior(ALPHA))


def load() -> VggtGeometry:
    """With its published weights, whichever of the two are here.

    Raises:
        WeightsError: they are not here, or damaged.
    """
    names = ("vggt", "vggt-commercial")
    here = next((name for name in names if find_checkpoint(name).is_here()), names[0])
    network = with_weights(lambda: Vggt(PUBLISHED), here, our_name)
    return VggtGeometry("vggt", network, NEEDS, MEMORY, laplace_prior(ALPHA))


def our_name(published: str) -> str | None:
    """Our name of a tensor; None for its point and track heads, which are not used."""
    unused = published.startswith(("point_head.", "track_head.")) or "mask_token" in published
    return None if unused else published
