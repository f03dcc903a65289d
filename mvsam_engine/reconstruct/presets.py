# SPDX-License-Identifier: GPL-3.0-or-later
"""How much work to put in: one table of named presets, each number with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Preset:
    """What a name such as ``normal`` stands for.

    Attributes:
        reason: when to choose it, one sentence for people.
        max_size: long side of the pointmaps in pixels.
        sources: other photos that each photo is matched with.
        feature_size: long side in pixels at which features are found.
    """

    reason: str
    max_size: int
    sources: int
    feature_size: int


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "draft": Preset(
            reason="A first look, in a fraction of the time: are all photos placed?",
            max_size=320,
            sources=4,
            feature_size=640,
        ),
        "normal": Preset(
            reason="Pointmaps for clicking and painting, the usual choice.",
            max_size=512,
            sources=6,
            feature_size=800,
        ),
        "fine": Preset(
            reason="Twice the detail, for meshes and thin things; takes about five times as long.",
            max_size=1024,
            sources=6,
            feature_size=1200,
        ),
    }
)
