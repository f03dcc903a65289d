# SPDX-License-Identifier: GPL-3.0-or-later
"""A mark that is being made with the mouse: drawn by the overlay, in no file and not in undo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import bpy

from ..scene.redraw import redraw_all
from .pointing import Spot

# Nearer than this to where it began, in pixels of the interface, a drag is a click.
CLICK_REACH = 4.0


@dataclass(slots=True)
class Gesture:
    """What the mouse has done so far.

    Attributes:
        kind: what it will be if the button is let go now.
        include: whether it says "this is it".
        path: places in the photo, first to last.
        radius: half width of a stroke in photo pixels.
    """

    kind: Literal["point", "box", "stroke"]
    include: bool
    path: list[Spot] = field(default_factory=list[Spot])
    radius: float = 0.0

    @property
    def view(self) -> str:
        """The photo."""
        return self.path[0].view

    @property
    def xy(self) -> tuple[tuple[float, float], ...]:
        """Positions as a prompt has them."""
        ends = {"point": self.path[:1], "box": [self.path[0], self.path[-1]]}
        return tuple((s.x, s.y) for s in ends.get(self.kind, self.path))


def show(gesture: Gesture | None) -> None:
    """Let the overlay draw a gesture; None when there is none any more."""
    bpy.types.WindowManager.mvsam_overlays.image.gesture = gesture
    redraw_all()
