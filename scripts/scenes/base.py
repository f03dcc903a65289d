# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of scene gives to the renderer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scene:
    """A scene that stands in the Blender file.

    Attributes:
        objects: name to pass index (1, 2, ...); 0 is everything else.
        path: number of photos to world-from-camera matrices, float64 [4, 4], OpenCV axes, metres.
        focal_35mm: lens, as its equivalent on 35 mm film.
        exposure: stops.
        quick: see `sample_scene.camera.Shot`.
    """

    objects: dict[str, int]
    path: Callable[[int], list[np.ndarray]]
    focal_35mm: int = 28
    exposure: float = 0.0
    quick: bool = True


class Numbered:
    """Hands out pass indices to the objects that get masks."""

    def __init__(self) -> None:
        self.objects: dict[str, int] = {}

    def mark(self, name: str, parts: object) -> None:
        """Count `parts` (one Blender object or several) as the object `name`."""
        number = self.objects.setdefault(name, len(self.objects) + 1)
        for part in parts if isinstance(parts, list | tuple) else [parts]:
            part.pass_index = number
