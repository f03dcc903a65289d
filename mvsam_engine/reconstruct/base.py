# SPDX-License-Identifier: GPL-3.0-or-later
"""What every reconstruction method takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mvsam_engine.capture.files import Transaction
from mvsam_engine.capture.model import Reconstruction
from mvsam_engine.capture.store import Capture
from mvsam_engine.errors import UsageError
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.presets import PRESETS, Preset


@dataclass(frozen=True, slots=True)
class ReconstructOptions:
    """What a person may choose.

    Attributes:
        preset: how much work to put in, a key of `presets.PRESETS`.
        max_size: long side of the pointmaps in pixels, None for the preset's; photos are never
            enlarged.
        device: auto, cpu, cuda or mps, where depth is matched; auto takes an NVIDIA GPU.
        seed: start of all random numbers.
        fill: also estimate points, at low confidence, where no two photos agree.
        cameras: file or folder with cameras that the person has, None to find them.
        mesh: file with the person's mesh of the scene, None to measure depth in the photos.
    """

    preset: str = "normal"
    max_size: int | None = None
    device: str = "auto"
    seed: int = 0
    fill: bool = True
    cameras: Path | None = None
    mesh: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: there is no such preset, or `max_size` is out of range.
        """
        if self.preset not in PRESETS:
            raise UsageError(
                "reconstruct.preset",
                f"There is no preset {self.preset!r}.",
                f"Choose one of: {', '.join(PRESETS)}.",
            )
        if not 64 <= self.size <= 4096:
            raise UsageError(
                "reconstruct.size",
                f"Pointmaps of {self.size} pixels cannot be made.",
                "Choose a size between 64 and 4096; 512 is usual.",
            )

    @property
    def numbers(self) -> Preset:
        """What the preset stands for."""
        return PRESETS[self.preset]

    @property
    def size(self) -> int:
        """Long side of the pointmaps in pixels."""
        return self.numbers.max_size if self.max_size is None else self.max_size


class Reconstructor(Protocol):
    """A way to get cameras and pointmaps from photos."""

    name: str

    def reconstruct(
        self,
        capture: Capture,
        options: ReconstructOptions,
        progress: Progress,
        transaction: Transaction,
    ) -> Reconstruction:
        """Reconstruct the photos of `capture`.

        Each finished view's pointmap is staged in `transaction` at once (``put_pointmap``); the
        returned reconstruction is staged by the caller.

        Raises:
            ReconstructionError: the photos give no trustworthy result.
            Cancelled: cancellation was asked for.
        """
        ...
