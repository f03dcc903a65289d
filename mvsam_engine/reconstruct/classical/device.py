# SPDX-License-Identifier: GPL-3.0-or-later
"""Where views are swept and matched: compiled kernels on the CPU, or torch on a GPU."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.patchmatch import Match, Matching
from mvsam_engine.reconstruct.classical.sweep import sweep_depth
from mvsam_engine.reconstruct.classical.undistort import WorkingView

if TYPE_CHECKING:
    import torch


class MatchDevice(Protocol):
    """How the heavy half of the dense step is done."""

    @property
    def name(self) -> str:
        """For the record: cpu, cuda or mps."""
        ...

    def sweep(
        self, reference: WorkingView, sources: list[WorkingView], planes: int, progress: Progress
    ) -> NDArray[np.float32]:
        """See `sweep.sweep_depth`."""
        ...

    def matching(self, match: Match) -> Matching:
        """What improves planes on this device."""
        ...


@dataclass(frozen=True, slots=True)
class OnCpu:
    """The compiled kernels."""

    name: str = "cpu"

    def sweep(
        self, reference: WorkingView, sources: list[WorkingView], planes: int, progress: Progress
    ) -> NDArray[np.float32]:
        """See `MatchDevice`."""
        return sweep_depth(reference, sources, planes, progress)

    def matching(self, match: Match) -> Matching:
        """See `MatchDevice`."""
        return match


@dataclass(frozen=True, slots=True)
class OnTorch:
    """Torch on any of its devices."""

    device: torch.device

    @property
    def name(self) -> str:
        """See `MatchDevice`."""
        return self.device.type

    def sweep(
        self, reference: WorkingView, sources: list[WorkingView], planes: int, progress: Progress
    ) -> NDArray[np.float32]:
        """See `MatchDevice`."""
        from mvsam_engine.reconstruct.classical.on_gpu.sweep import sweep_depth as sweep

        return sweep(reference, sources, planes, progress, self.device)

    def matching(self, match: Match) -> Matching:
        """See `MatchDevice`."""
        from mvsam_engine.reconstruct.classical.on_gpu.match import TorchMatch

        return TorchMatch(match, self.device)


def pick_match_device(name: str) -> MatchDevice:
    """Where to match: ``auto`` takes an NVIDIA GPU when there is one, else the CPU.

    Torch takes seconds to import, so ``auto`` looks for the GPU's driver first.

    Args:
        name: auto, cpu, cuda or mps.

    Raises:
        ReconstructionError: this machine, or its torch, has no such device.
    """
    if name == "cpu" or (name == "auto" and shutil.which("nvidia-smi") is None):
        return OnCpu()
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return OnTorch(torch.device("cuda")) if there["cuda"] else OnCpu()
    if not there.get(name, False):
        raise ReconstructionError(
            "device.missing",
            f"The device {name!r} is not available.",
            f"Use auto or one of: {', '.join(['cpu', *(k for k, v in there.items() if v)])}.",
        )
    return OnTorch(torch.device(name))
