# SPDX-License-Identifier: GPL-3.0-or-later
"""How a model is run here: on which device, how precisely, how many photos at a time, how large.

The first plan is the best that should fit in the free memory; when memory ends all the same, the
next smaller one is tried and said aloud.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.forecast import free_memory_mb
from mvsam_engine.reconstruct.neural.answer import MemoryNeeds

# Share of the free memory that a plan may fill: other programs want some too.
USABLE = 0.85
# Fewer photos than this at a time cannot be joined to other runs.
LEAST_WINDOW = 3
# Smaller images than this share of a model's own size are worth nothing.
LEAST_SIDE = 0.6


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to run a model.

    Attributes:
        device: cpu, cuda or mps.
        precision: float32, bfloat16 or float16.
        window: photos at a time.
        long_side: of the network's images, pixels.
    """

    device: str
    precision: str
    window: int
    long_side: int

    def sentence(self, count: int) -> str:
        """For people, of a run over `count` photos."""
        photos = (
            f"all {count} photos at once"
            if self.window >= count
            else f"{self.window} photos at a time, joined on those that runs share"
        )
        return f"{photos}, {self.long_side} pixels, {self.precision}, on {self.device}"


@dataclass(frozen=True, slots=True)
class Device:
    """Where to run.

    Attributes:
        name: cpu, cuda or mps.
        precision: what is right there: bfloat16 where the GPU has it in hardware, float16 on
            older ones and Apple's, float32 on a CPU (where half precision is emulated).
        free_mb: free memory; None when it cannot be told.
    """

    name: str
    precision: str
    free_mb: float | None


def pick_device(name: str) -> Device:
    """The device that is asked for; ``auto`` takes a GPU when there is one.

    Raises:
        ReconstructionError: this machine, or its torch, has no such device.
    """
    if name == "cpu":
        return Device("cpu", "float32", free_memory_mb())
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((gpu for gpu, is_there in there.items() if is_there), "cpu")
        if name == "cpu":
            return pick_device("cpu")
    if not there.get(name, False):
        hint = " (an NVIDIA driver is there, so torch was installed without CUDA)"
        has_driver = name == "cuda" and shutil.which("nvidia-smi") is not None
        raise ReconstructionError(
            "device.missing",
            f"The device {name!r} is not available{hint if has_driver else ''}.",
            f"Use auto or one of: {', '.join(['cpu', *(k for k, v in there.items() if v)])}.",
        )
    if name == "cuda":
        free, _ = torch.cuda.mem_get_info()
        modern = torch.cuda.get_device_capability()[0] >= 8
        return Device("cuda", "bfloat16" if modern else "float16", free / 1e6)
    return Device("mps", "float16", free_memory_mb())


def plans(
    count: int, pixels: int, long_side: int, memory: MemoryNeeds, device: Device
) -> Iterator[Plan]:
    """Plans for `count` photos from the largest that should fit downwards.

    Args:
        count: photos.
        pixels: of one network image at `long_side`.
        long_side: of the network's images.
        memory: what the model takes.
        device: where it runs.

    Yields:
        Each smaller than the one before: fewer photos at a time, then smaller images.
    """
    number = 4 if device.precision == "float32" else 2
    least = min(count, LEAST_WINDOW)
    window = count
    if device.free_mb is not None:
        room = USABLE * device.free_mb
        while window > least and memory.megabytes(window, pixels, number) > room:
            window -= max(1, window // 8)
        window = max(window, least)
    plan = Plan(device.name, device.precision, window, long_side)
    while True:
        yield plan
        if plan.window > least:
            plan = replace(plan, window=max(least, plan.window * 2 // 3))
        elif plan.long_side > LEAST_SIDE * long_side:
            plan = replace(plan, long_side=int(plan.long_side * 0.8))
        else:
            return


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ended, on whatever device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def release(device: str) -> None:
    """Give what torch holds back to the device."""
    if device == "cpu":
        return
    import torch

    (torch.cuda if device == "cuda" else torch.mps).empty_cache()
