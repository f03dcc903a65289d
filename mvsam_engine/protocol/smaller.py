# SPDX-License-Identifier: GPL-3.0-or-later
"""The next smaller setting of a reconstruction, when its memory was too little.

The engine names it in its sentence, the add-on offers it as a button, also when the engine was
killed and can say nothing any more: so both count down the same ladder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# The presets of `mvsam_engine.reconstruct.presets`, from small to large (a test compares them).
PRESET_NAMES = ("draft", "normal", "fine")

# Long sides in pixels that come after the smallest preset's own; below them nothing can be told.
SMALLEST_SIZES = (224, 160)

# An own size shrinks to this share at each step, which is half the pixels.
_SHRINK = 0.7
_STEP = 32


@dataclass(frozen=True, slots=True)
class WorkSetting:
    """How much a reconstruction takes on, and where.

    Attributes:
        preset: draft, normal or fine.
        max_size: long side of the pointmaps in pixels, 0 for the preset's.
        device: auto, cpu, cuda or mps.
    """

    preset: str = "normal"
    max_size: int = 0
    device: str = "auto"

    @property
    def words(self) -> str:
        """For people, as it can follow "with"."""
        size = f" at {self.max_size} pixels" if self.max_size else ""
        return f"the preset {self.preset}{size}"


def next_smaller(setting: WorkSetting) -> WorkSetting | None:
    """The setting to try when `setting` did not fit into memory; None when it is the smallest."""
    if setting.max_size:
        shrunk = int(setting.max_size * _SHRINK) // _STEP * _STEP
        size = max(shrunk, SMALLEST_SIZES[-1])
        return replace(setting, max_size=size) if size < setting.max_size else None
    names = PRESET_NAMES
    if setting.preset not in names:
        return None
    index = names.index(setting.preset)
    if index > 0:
        return replace(setting, preset=names[index - 1])
    return replace(setting, max_size=SMALLEST_SIZES[0])


def without_gpu(setting: WorkSetting) -> WorkSetting:
    """The same work on the processor, whose memory is usually larger."""
    return replace(setting, device="cpu")
