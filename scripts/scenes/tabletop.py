# SPDX-License-Identifier: GPL-3.0-or-later
"""The still life of the sample that ships with the project."""

from __future__ import annotations

import numpy as np
from sample_scene import layout, room

from .base import Scene


def build_tabletop(seed: int) -> Scene:
    """A table with eight objects in a room."""
    room.build(np.random.default_rng([seed, 1]))
    names = layout.place_objects(seed)
    return Scene(names, lambda count: layout.camera_path(seed, count), 35, 0.6, quick=False)
