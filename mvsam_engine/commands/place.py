# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam place`: upright, on the ground, to scale."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvsam_engine import jobs
from mvsam_engine.capture import Capture
from mvsam_engine.capture.schema import placement_to_json
from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.errors import UsageError
from mvsam_engine.fields import JsonObject
from mvsam_engine.place.scale import Baseline, Distance, Spot, parse_length
from mvsam_engine.place.world import Placed, Wish

_SPOT = r"(?P<view{0}>.+):(?P<x{0}>-?\d+(?:\.\d+)?),(?P<y{0}>-?\d+(?:\.\d+)?)"
_DISTANCE = re.compile(_SPOT.format(1) + r"[:\s]\s*" + _SPOT.format(2) + r"[:\s](?P<length>.+)")
_BASELINE = re.compile(r"(?P<first>.+):(?P<second>.+):(?P<length>[^:]+)")


@dataclass(frozen=True, slots=True)
class GivenPlace:
    """What was written on the command line.

    Attributes:
        upright: of ``--upright``.
        ground: of ``--ground``.
        distances: ``VIEW:x,y:VIEW:x,y:LENGTH`` of each ``--distance``.
        baselines: ``VIEW:VIEW:LENGTH`` of each ``--baseline``.
        camera_height: LENGTH of ``--camera-height``.
        reset: of ``--reset``.
    """

    upright: bool = False
    ground: bool = False
    distances: Sequence[str] = ()
    baselines: Sequence[str] = ()
    camera_height: str | None = None
    reset: bool = False

    def wish(self) -> Wish:
        """The wish that was written.

        Raises:
            UsageError: something reads differently than it should.
        """
        height = self.camera_height
        return Wish(
            upright=self.upright,
            ground=self.ground,
            distances=tuple(parse_distance(text) for text in self.distances),
            baselines=tuple(parse_baseline(text) for text in self.baselines),
            camera_height=None if height is None else parse_length(height),
            reset=self.reset,
        )


def place(terminal: Terminal, root: Path, given: GivenPlace) -> None:
    """Place the world and tell what changed."""
    wish = given.wish()
    capture = Capture.open(root)
    with terminal.progress() as progress:
        placed = jobs.place_world(capture, wish, progress)
    for sentence in placed.sentences:
        terminal.print(sentence)
    terminal.result(placed_to_json(placed) | {"warnings": progress.warnings})


def placed_to_json(placed: Placed) -> JsonObject:
    """What became of a wish, for programs."""
    ground = placed.ground
    return {
        "placement": placement_to_json(placed.placement),
        "up_from": placed.up_from,
        "up_degrees": round(placed.up_degrees, 4),
        "ground": None
        if ground is None
        else {
            "support": round(ground.support, 4),
            "below": round(ground.below, 4),
            "views": round(ground.views, 4),
            "degrees": round(ground.degrees, 4),
            "tilt": round(ground.tilt, 3),
        },
        "lengths": [
            {"label": r.label, "metres": r.metres, "found": r.found} for r in placed.residuals
        ],
        "sentences": list(placed.sentences),
    }


def parse_distance(text: str) -> Distance:
    """A known distance such as ``IMG_1:320,200:IMG_4:610,80:1.2m``.

    Raises:
        UsageError: it reads differently.
    """
    match = _DISTANCE.fullmatch(text)
    if match is None:
        raise UsageError(
            "usage.distance", f"{text!r} is not a distance.", "Write VIEW:x,y:VIEW:x,y:LENGTH."
        )
    spots = (Spot(match[f"view{i}"], float(match[f"x{i}"]), float(match[f"y{i}"])) for i in (1, 2))
    return Distance(*spots, parse_length(match["length"]))


def parse_baseline(text: str) -> Baseline:
    """A known distance of two cameras such as ``IMG_1:IMG_4:30cm``.

    Raises:
        UsageError: it reads differently.
    """
    match = _BASELINE.fullmatch(text)
    if match is None:
        raise UsageError(
            "usage.baseline", f"{text!r} is not a baseline.", "Write VIEW:VIEW:LENGTH."
        )
    return Baseline(match["first"], match["second"], parse_length(match["length"]))
