# SPDX-License-Identifier: GPL-3.0-or-later
"""From prompts to masks: SAM on single photos, and the segmenters that join the views.

Importing this package is cheap; `load_segmenter` imports torch and reads the weights.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mvsam_engine.errors import SegmentationError

if TYPE_CHECKING:
    from mvsam_engine.segment.base import Segmenter as Segmenter

# What measured best (docs/segmentation.md).
DEFAULT_SEGMENTER = "mvsam"

# Name to module and class.
SEGMENTERS: dict[str, tuple[str, str]] = {
    "mvsam": ("mvsam_engine.segment.mvsam", "MVSamSegmenter"),
    "mvsam-paper": ("mvsam_engine.segment.mvsam", "PaperSegmenter"),
    "lift": ("mvsam_engine.segment.lift", "LiftSegmenter"),
    "project": ("mvsam_engine.segment.baselines", "ProjectSegmenter"),
    "splat": ("mvsam_engine.segment.baselines", "SplatSegmenter"),
}


def load_segmenter(
    name: str = DEFAULT_SEGMENTER, device: str = "auto", encoder: str | None = None
) -> Segmenter:
    """Make a segmenter with its weights.

    Args:
        name: a key of `SEGMENTERS`.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        encoder: what looks at the photos, a key of `segment.encoders.ENCODERS`; None for the one
            whose weights come with MV-SAM.

    Raises:
        SegmentationError: there is no such segmenter or device.
        WeightsError: its weights are missing or damaged.
    """
    if name not in SEGMENTERS:
        raise SegmentationError(
            "segmenter.unknown",
            f"There is no segmenter {name!r}.",
            f"Known: {', '.join(SEGMENTERS)}.",
        )
    module, kind = SEGMENTERS[name]
    chosen = {} if encoder is None else {"encoder": encoder}
    segmenter: Segmenter = getattr(import_module(module), kind).load(device, **chosen)
    return segmenter


__all__ = ["DEFAULT_SEGMENTER", "SEGMENTERS", "load_segmenter"]
