# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of different nature for measuring geometry and, by their masks, segmentation.

Convention: metres, Blender's world (Z up), the floor or ground at z = 0. Every texture is computed,
unless `shapes` is given a folder of photos.
"""

from __future__ import annotations

from pathlib import Path

from .base import Scene


def build(kind: str, seed: int, textures: Path | None = None) -> Scene:
    """Build the scene of a kind in the empty Blender file.

    Args:
        kind: tabletop, room, wall or shapes.
        seed: 0 is the composed scene; others move objects and camera.
        textures: a folder of photos, for shapes only.
    """
    if kind == "tabletop":
        from .tabletop import build_tabletop

        return build_tabletop(seed)
    if kind == "room":
        from .interior import build_room

        return build_room(seed)
    if kind == "wall":
        from .facade import build_wall

        return build_wall(seed)
    from .bodies import build_shapes

    return build_shapes(seed, textures)
