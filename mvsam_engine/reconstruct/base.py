# SPDX-License-Identifier: GPL-3.0-or-later
"""What every reconstruction method takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mvsam_engine.capture.files import Transaction
from mvsam_engine.capture.model import Reconstruction
from mvsam_engine.capture.store import Capture
from mvsam_engine.errors import UsageError
from mvsam_engine.progress import Progress


@dataclass(frozen=True, slots=True)
class ReconstructOptions:
    """What a person may choose.

    Attributes:
        max_size: long side of the pointmaps in pixels; photos are never enlarged.
        device: auto, cpu, cuda or mps; methods without a network compute on the CPU.
        seed: start of all random numbers.
        fill: also estimate points, at low confidence, where no two photos agree.
    """

    max_size: int = 512
    device: str = "auto"
    seed: int = 0
    fill: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work.

        Raises:
            UsageError: `max_size` is out of range.
        """
        if not 64 <= self.max_size <= 4096:
            raise UsageError(
                "reconstruct.size",
                f"Pointmaps of {self.max_size} pixels cannot be made.",
                "Choose a size between 64 and 4096; 512 is usual.",
            )


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
