# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure marks: two places in photos, and how far apart they are in the scene."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from mvsam_engine.protocol import KnownDistance

from ..core.ruler import Place, point_at
from . import build, world
from .placement import capture_path
from .props_place import MVSAM_PG_mark
from .session import session


@dataclass(frozen=True, slots=True)
class Measured:
    """The distance of the marks in units of the scene, or the reason why there is none."""

    distance: float = 0.0
    reason: str = ""


def marks(scene: bpy.types.Scene) -> tuple[MVSAM_PG_mark, ...]:
    """The marks that are set, at most two."""
    place = scene.mvsam.place
    return tuple(mark for mark in (place.first, place.second) if mark.view)


def set_mark(scene: bpy.types.Scene, view: str, x: float, y: float, which: str) -> None:
    """Set a mark where the photo shows a trusted point.

    Args:
        scene: gets the mark.
        view: the photo.
        x: pixels of the upright photo.
        y: pixels of the upright photo.
        which: FIRST, SECOND, or NEXT: the one that is missing; with both there it begins anew.

    Raises:
        MvsamError: nothing can be measured there; the marks stay as they were.
    """
    point_at(build.open_capture(scene), Place(view, x, y))
    place = scene.mvsam.place
    if which == "NEXT":
        which = "SECOND" if place.first.view and not place.second.view else "FIRST"
        if which == "FIRST":
            place.second.view = ""
    mark = place.first if which == "FIRST" else place.second
    mark.view, mark.x, mark.y = view, x, y


def clear_marks(scene: bpy.types.Scene) -> None:
    """Take both marks away."""
    scene.mvsam.place.first.view = scene.mvsam.place.second.view = ""


def measure(scene: bpy.types.Scene) -> Measured:
    """How far apart the two marks are, as the points stand in the scene now."""
    found = marks(scene)
    root = capture_path(scene)
    if len(found) < 2 or root is None:
        return Measured(reason="Set two measure marks in the photos first")
    ends = session().ruler.ends(root, *(Place(m.view, m.x, m.y) for m in found))
    if isinstance(ends, str):
        return Measured(reason=ends)
    turn = np.array(world.frame_of(scene).to_3x3())
    return Measured(float(np.linalg.norm(turn @ (ends[0] - ends[1]))))


def known_distance(scene: bpy.types.Scene, meters: float) -> KnownDistance:
    """The two marks with their true distance, as the engine takes it."""
    first, second = marks(scene)
    return KnownDistance(first.view, first.x, first.y, second.view, second.x, second.y, meters)
