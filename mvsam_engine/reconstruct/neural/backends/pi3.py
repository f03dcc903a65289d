# SPDX-License-Identifier: GPL-3.0-or-later
"""pi-3 as a back end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.neural.answer import Answer, MemoryNeeds
from mvsam_engine.reconstruct.neural.backends.torch_model import TorchGeometry, with_weights
from mvsam_engine.reconstruct.neural.framing import InputNeeds
from mvsam_engine.reconstruct.neural.nets.pi3 import PUBLISHED, Pi3, Pi3Shape

# Its authors bound the pixels, not the sides. They squeeze photos of several shapes into the
# first one's, which no lens does: ours are cut.
NEEDS = InputNeeds(long_side=700, multiple=14, unequal="crop", most_pixels=255_000)
MEMORY = MemoryNeeds(3835, 700, 60, 574 * 434)


class Pi3Geometry(TorchGeometry):
    """See `TorchGeometry`. It gives poses but no lens: focal lengths are fitted to its points."""

    def understood(self, found: Mapping[str, NDArray[np.float32]]) -> Answer:
        """See `TorchGeometry`."""
        poses = np.linalg.inv(found["world_from_camera"].astype(np.float64))
        points = found["points"]
        return Answer(points, "camera", found["logits"], camera_from_world=poses)


def sigmoid(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Its confidence is trained to be the chance, as a logit, that a point is right."""
    return (1.0 / (1.0 + np.exp(-np.clip(raw, -30, 30)))).astype(np.float32)


def make(shape: Pi3Shape, name: str = "pi3", memory: MemoryNeeds = MEMORY) -> Pi3Geometry:
    """With whatever tensors the network starts from; tests and timings use this."""
    return Pi3Geometry(name, Pi3(shape), NEEDS, memory, sigmoid)


def load() -> Pi3Geometry:
    """With its published weights.

    Raises:
        WeightsError: they are not here, or damaged.
    """
    network = with_weights(lambda: Pi3(PUBLISHED), "pi3", our_name)
    return Pi3Geometry("pi3", network, NEEDS, MEMORY, sigmoid)


def our_name(published: str) -> str | None:
    """Our name of a tensor; None for constants."""
    return None if published in ("image_mean", "image_std") else published
