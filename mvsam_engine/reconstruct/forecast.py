# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a reconstruction will take, and how much memory: before it runs (light to import).

The costs were measured on one machine (docs/geometry.md says how); a moment of arithmetic on this
one tells how much faster or slower it is.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mvsam_engine.memory import limit_mb
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.presets import PRESETS

# Seconds of one core that `_arithmetic` took on the machine where the costs were measured.
REFERENCE_SECONDS = 0.021
# Share of the work that only one core can do.
SERIAL = 0.12
# More photos than this are compared with a fixed number of others, not with all.
ALL_PAIRS, PARTNERS = 60, 24
# A photo whose size cannot be told before it is read.
USUAL_PHOTO = (4000, 3000)


@dataclass(frozen=True, slots=True)
class Costs:
    """What things cost, in seconds of one core of the reference machine, and in megabytes.

    Attributes:
        start: once: libraries, child process, kernels from the cache.
        photo_megapixel: reading a photo (twice) and finding its features, by the photo's pixels.
        feature_megapixel: the same, by the pixels that features are found in.
        pair: comparing the features of two photos.
        placed: mapping, by photo.
        dense_megapixel: depth, by the pixels of the pointmap.
        source_megapixel: the same, by pixel and source.
        base_memory: the engine with its libraries, and the child process beside it.
        photo_memory: by megapixel of the largest photo, while it is read.
        dense_memory: by megapixel of the pointmap.
        source_memory: the same, by source.
        sweep_memory: the cost volume, whatever the size.
    """

    start: float = 4.0
    photo_megapixel: float = 0.12
    feature_megapixel: float = 2.4
    pair: float = 0.035
    placed: float = 0.25
    dense_megapixel: float = 4.0
    source_megapixel: float = 1.7
    base_memory: float = 520.0
    photo_memory: float = 14.0
    dense_memory: float = 150.0
    source_memory: float = 40.0
    sweep_memory: float = 110.0


MEASURED_COSTS = Costs()


@dataclass(frozen=True, slots=True)
class Machine:
    """What a forecast needs to know of this machine.

    Attributes:
        cores: that this process may use.
        slowness: seconds of a core here for a second on the reference machine.
        free_memory_mb: None when it cannot be told.
    """

    cores: int
    slowness: float
    free_memory_mb: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect.

    Attributes:
        photos: how many.
        preset: as asked for.
        seconds: wall time.
        memory_mb: largest memory of all processes together.
        free_memory_mb: what is free now; None when it cannot be told.
        smaller: name of a preset that fits in what is free, "" when the asked one does or none.
    """

    photos: int
    preset: str
    seconds: float
    memory_mb: float
    free_memory_mb: float | None
    smaller: str = ""

    @property
    def fits(self) -> bool:
        """Whether the memory is there, as far as can be told."""
        return self.free_memory_mb is None or self.memory_mb <= self.free_memory_mb

    def sentence(self) -> str:
        """For people: how long, how much memory, and what to do when it is too much."""
        text = (
            f"{self.photos} photos, preset {self.preset}: {_duration(self.seconds)} "
            f"and {self.memory_mb / 1000:.1f} GB of memory"
        )
        return f"{text}. {self.advice()}" if not self.fits else f"{text}."

    def advice(self) -> str:
        """What to do when memory is short; "" when it is not."""
        if self.fits or self.free_memory_mb is None:
            return ""
        text = f"Only {self.free_memory_mb / 1000:.1f} GB are free: close other programs"
        return f"{text}, or choose the preset {self.smaller}." if self.smaller else f"{text}."


def forecast(
    sizes: Sequence[tuple[int, int]], options: ReconstructOptions, machine: Machine
) -> Forecast:
    """Forecast a reconstruction.

    Args:
        sizes: width and height of every photo.
        options: what the person chose.
        machine: what `this_machine` tells.
    """
    expected = _expect(sizes, options, machine)
    if expected.fits:
        return expected
    names = list(PRESETS)
    for name in reversed(names[: names.index(options.preset)]):
        if _expect(sizes, replace(options, preset=name, max_size=None), machine).fits:
            return replace(expected, smaller=name)
    return expected


def _expect(
    sizes: Sequence[tuple[int, int]], options: ReconstructOptions, machine: Machine
) -> Forecast:
    costs, numbers = MEASURED_COSTS, options.numbers
    count = len(sizes)
    photo = np.array([w * h for w, h in sizes] or [0]) / 1e6
    dense = np.array([_pixels(w, h, options.size) for w, h in sizes] or [0]) / 1e6
    work = costs.start + costs.photo_megapixel * photo.sum()
    if options.cameras is None:
        features = sum(_pixels(w, h, numbers.feature_size) for w, h in sizes) / 1e6
        pairs = count * (count - 1) / 2 if count <= ALL_PAIRS else count * PARTNERS
        work += costs.feature_megapixel * features + costs.pair * pairs + costs.placed * count
    if options.mesh is None:
        sources = max(min(numbers.sources, count - 1), 0)
        work += (costs.dense_megapixel + costs.source_megapixel * sources) * dense.sum()
    memory = costs.base_memory + costs.sweep_memory + costs.photo_memory * photo.max()
    memory += (costs.dense_memory + costs.source_memory * numbers.sources) * dense.max()
    wall = work * machine.slowness * (SERIAL + (1.0 - SERIAL) / machine.cores)
    return Forecast(count, options.preset, float(wall), float(memory), machine.free_memory_mb)


def _pixels(width: int, height: int, long_side: int) -> float:
    """Pixels of a photo that was shrunk to a long side."""
    share = min(1.0, long_side / max(width, height))
    return width * height * share * share


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(5, round(seconds / 5) * 5)} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"


def this_machine() -> Machine:
    """Look at this machine; takes a tenth of a second."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Machine(cores, _arithmetic() / REFERENCE_SECONDS, free_memory_mb())


def _arithmetic() -> float:
    """Seconds of a core for a fixed piece of work: the best of three, whatever else runs."""
    values = np.linspace(0.0, 1.0, 400_000, dtype=np.float64)
    best = np.inf
    for _ in range(3):
        began = time.process_time()
        for _ in range(6):
            values = np.sin(3.0 * values) + 0.1
        best = min(best, time.process_time() - began)
    return float(best)


def free_memory_mb() -> float | None:
    """Memory that programs may still take; None where that cannot be told."""
    if sys.platform == "win32":
        return _free_on_windows()
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) / 1024
            limit = limit_mb()
            return free if limit is None else min(free, max(limit[0] - limit[1], 0.0))
    return None


def _free_on_windows() -> float | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "a", "b", "c", "d", "e")),
        )

    status = Status()
    status.length = ctypes.sizeof(Status)
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined]
        return None
    return status.free / 1e6
