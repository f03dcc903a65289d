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
        coarse: long side in pixels, at most, of the first and roughest depth.
        visits: how often every pixel looks for a better plane at each finer size.
        feature_size: long side in pixels at which features are found.
    """

    reason: str
    max_size: int
    sources: int
    coarse: int
    visits: int
    feature_size: int


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "draft": Preset(
            reason="A first look, in a fraction of the time: are all photos placed?",
            max_size=320,  # large enough to see on the points what is there
            sources=4,  # two more find 2 % more pixels in a fifth more time
            coarse=192,  # begins at 160: a third of the time, 1 % fewer pixels, the thin ones
            visits=1,  # a second finds 0.3 % more in a quarter more time
            feature_size=640,  # poses of sharp photos are as right as at 1600
        ),
        "normal": Preset(
            reason="Pointmaps for clicking and painting, the usual choice.",
            max_size=512,  # masks are made at about this size
            sources=6,  # what lies behind things in some is seen in others
            coarse=192,  # begins at 128: two thirds of the time from 256 on, and 0.5 % fewer pixels
            visits=2,  # a third changes nothing
            feature_size=800,  # more costs time and places no photo better
        ),
        "fine": Preset(
            reason="Twice the detail, for meshes and thin things; takes about four times as long.",
            max_size=1024,  # four times the pixels of normal
            sources=6,  # as in normal: depth gains from pixels, not from more photos
            coarse=384,  # begins at 256, for what is thin
            visits=2,  # as in normal
            feature_size=1200,  # subpixel poses for subpixel depth
        ),
    }
)
