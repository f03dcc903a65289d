# SPDX-License-Identifier: GPL-3.0-or-later
"""Two places in photos and the points that they show, remembered from redraw to redraw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture
from mvsam_engine.capture.lifting import lift
from mvsam_engine.errors import CaptureError, MvsamError


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a photo, in pixels of the upright photo."""

    view: str
    x: float
    y: float


def point_at(capture: Capture, place: Place) -> NDArray[np.float64]:
    """The point [3] in the reconstruction's world that `place` shows.

    Raises:
        CaptureError: not placed, outside of the photo, or too uncertain.
    """
    camera = capture.require_reconstruction().camera(place.view)
    if camera is None:
        raise CaptureError(
            "lift.unplaced",
            f"{place.view} could not be placed, so nothing can be measured in it.",
            "Choose another photo.",
        )
    return lift(camera, capture.pointmap(place.view), place.x, place.y).point


class Ruler:
    """Lifts two places; asked the same again, it remembers the answer."""

    def __init__(self) -> None:
        self._asked: tuple[Path, Place, Place] | None = None
        self._ends: NDArray[np.float64] | None = None
        self._reason = ""

    def forget(self) -> None:
        """Lift anew when asked next: the points are other ones."""
        self._asked = None

    def ends(self, root: Path, first: Place, second: Place) -> NDArray[np.float64] | str:
        """Both points [2, 3] in the reconstruction's world, or why there are none.

        Args:
            root: folder of the capture.
            first: one place.
            second: the other.
        """
        asked = (root, first, second)
        if asked != self._asked:
            self._asked, self._ends, self._reason = asked, None, ""
            try:
                capture = Capture.open(root)
                self._ends = np.array([point_at(capture, p) for p in (first, second)])
            except MvsamError as error:
                self._reason = error.message
        return self._reason if self._ends is None else self._ends
