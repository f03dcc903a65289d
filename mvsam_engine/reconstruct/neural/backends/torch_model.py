# SPDX-License-Identifier: GPL-3.0-or-later
"""What the back ends with a network of our own share: weights, device, precision, one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mvsam_engine.reconstruct.neural.answer import Answer, MemoryNeeds, Prior
from mvsam_engine.reconstruct.neural.framing import InputNeeds
from mvsam_engine.weights.checkpoint import fill, read_official
from mvsam_engine.weights.official import find_checkpoint

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class TorchGeometry(ABC):
    """A network that answers for n photos in one pass; see `GeometryModel`.

    Args:
        name: as in ``--geometry NAME``.
        network: with its weights.
        needs: the pixels it takes.
        memory: what a run takes.
        prior: what its confidence means where nothing can be measured.
    """

    def __init__(
        self, name: str, network: nn.Module, needs: InputNeeds, memory: MemoryNeeds, prior: Prior
    ) -> None:
        self.name, self.needs, self.memory, self.prior = name, needs, memory, prior
        self._network = network.eval()
        self._device, self._precision = "cpu", torch.float32

    def to(self, device: str, precision: str) -> None:
        """See `GeometryModel`."""
        self._device, self._precision = device, PRECISIONS[precision]
        self._network.to(device)

    def answer(self, images: NDArray[np.uint8]) -> Answer:
        """See `GeometryModel`."""
        half = self._precision != torch.float32
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float() / 255
            with torch.autocast(self._device, self._precision, enabled=half):
                found = self._network(batch)
            arrays = {name: _numpy(value) for name, value in found.items()}
        return self.understood(arrays)

    @abstractmethod
    def understood(self, found: Mapping[str, NDArray[np.float32]]) -> Answer:
        """The network's output in the common form."""


def _numpy(value: Tensor) -> NDArray[np.float32]:
    return value.float().cpu().numpy()


def with_weights(
    make: Callable[[], nn.Module], weights: str, rename: Callable[[str], str | None]
) -> nn.Module:
    """A network with its published weights, made without being initialised first.

    Args:
        make: the network.
        weights: name of its checkpoint.
        rename: our name of a published tensor; None for one that is not needed.

    Raises:
        WeightsError: they are not here, damaged, or of another network.
    """
    entry = find_checkpoint(weights)
    state = read_official(entry)
    ours = {new: value for old, value in state.items() if (new := rename(old)) is not None}
    with torch.device("meta"):
        network = make()
    fill(network, ours, entry.path.name)
    return network


def laplace_prior(alpha: float) -> Prior:
    """For confidences trained as ``c * error - alpha * log c``: errors of about ``alpha / c``.

    The chance that an exponentially distributed error of that mean is below 1 %, in units in
    which scenes are about one deep.
    """

    def chance(raw: NDArray[np.float32]) -> NDArray[np.float32]:
        return (1.0 - np.exp(-0.01 * np.maximum(raw, 0.0) / alpha)).astype(np.float32)

    return chance
