# SPDX-License-Identifier: GPL-3.0-or-later
"""Simple bodies on a patterned floor before a patterned and a plain wall: kind `shapes`.

Small, but it holds one of each difficulty: a plane without texture, curved and creased surfaces,
a thin pole, a glossy plain box, and edges before a far background.
"""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
from PIL import Image
from sample_scene import materials, patterns, prints
from sample_scene.layout import look_at
from sample_scene.materials import Finish
from sample_scene.patterns import hex_color
from sample_scene.room import PALETTES

from .base import Numbered, Scene

ARC_DEGREES = 100.0
PHOTO_ENDINGS = (".jpg", ".jpeg", ".png")
MATT = Finish(roughness=0.8)


def build_shapes(seed: int, textures: Path | None) -> Scene:
    """Build the bodies, clothed in photos from `textures` or in computed patterns."""
    rng = np.random.default_rng([seed, 11])
    numbered = Numbered()
    pictures = _pictures(rng, textures)
    _build_stage(pictures, *((14.0, 10.0) if textures is None else (2.9, 4.0)))
    _build_bodies(rng, numbered, pictures, shuffled=seed != 0)
    _build_light()
    return Scene(numbered.objects, lambda count: _arc(seed, count), 27, 0.0)


def _pictures(rng: np.random.Generator, textures: Path | None) -> list[np.ndarray]:
    """Ten pictures, uint8 [height, width, 3]: photos, or patterns that share nothing."""
    if textures is not None:
        files = sorted(p for p in textures.iterdir() if p.suffix.lower() in PHOTO_ENDINGS)
        if not files:
            raise SystemExit(f"{textures} holds no photos ({', '.join(PHOTO_ENDINGS)}).")
        return [_read(files[index % len(files)]) for index in range(10)]
    palette = PALETTES[int(rng.integers(len(PALETTES)))]
    return [
        patterns.planks(rng, 2048, patterns.Boards(40, hex_color("#9c7a56"))),
        patterns.wallpaper(rng, 2400, hex_color("#d6ccb4"), hex_color("#7b8f86"), 0),
        prints.poster(rng, PALETTES[0], 1),
        prints.mug_band(rng, PALETTES[1]),
        patterns.plaid(rng, 900, PALETTES[2]),
        prints.poster(rng, PALETTES[3], 2),
        patterns.kilim(rng, 900, palette),
        prints.poster(rng, PALETTES[1], 3),
        prints.bowl_band(rng, hex_color("#274a8c")),
        prints.poster(rng, PALETTES[2], 0),
    ]


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _build_stage(pictures: list[np.ndarray], side: float, wall_side: float) -> None:
    """A floor of 14 m, a patterned wall behind and a plain wall at the left.

    Args:
        pictures: of the floor and of the wall.
        side: metres that show the floor's picture once; photos are shown smaller, and so repeat.
        wall_side: the same for the wall.
    """
    _add("plane", (0, 0, 0), materials.boxed("floor", pictures[0], side, MATT), size=14)
    wall = materials.boxed("wall", pictures[1], wall_side, MATT)
    _add("plane", (0, 5, 3), wall, (math.pi / 2, 0, 0), size=10)
    plain = materials.paint("plain wall", "#cfc8bd", MATT)
    _add("plane", (-5, 0, 2), plain, (0, math.pi / 2, 0), size=8)


def _build_bodies(
    rng: np.random.Generator, numbered: Numbered, pictures: list[np.ndarray], shuffled: bool
) -> None:
    """The bodies; with `shuffled` they trade places and turn."""
    spots = [(-1.4, 0.6), (1.5, 0.2), (0.1, -1.0), (2.6, 1.8), (-2.4, -1.2), (-0.6, 2.6)]
    turns = np.array([0.5, 0.0, 0.2, 0.0, 0.0, 0.3])
    if shuffled:
        spots = [spots[i] for i in rng.permutation(len(spots))]
        turns = turns + rng.uniform(-math.pi, math.pi, len(spots))
    looks = [materials.boxed(f"body {i}", p, 1.1, MATT) for i, p in enumerate(pictures[2:8])]

    def stand(number: int, kind: str, height: float, tilt: float = 0.0, **size: float) -> object:
        at = (*spots[number], height)
        return _add(kind, at, looks[number], (tilt, 0, float(turns[number])), **size)

    numbered.mark("cube", stand(0, "cube", 0.8, size=1.6))
    numbered.mark(
        "sphere", _smooth(stand(1, "uv_sphere", 0.9, radius=0.9, segments=96, ring_count=48))
    )
    head = stand(2, "monkey", 0.75, -0.3, size=1.5)
    surface = head.modifiers.new("smooth", "SUBSURF")
    surface.levels = surface.render_levels = 2
    numbered.mark("monkey", _smooth(head))
    numbered.mark("cylinder", stand(3, "cylinder", 1.2, radius=0.5, depth=2.4, vertices=96))
    numbered.mark("pole", stand(4, "cylinder", 0.8, radius=0.07, depth=1.6, vertices=32))
    ring = {"major_radius": 0.8, "minor_radius": 0.25, "major_segments": 96, "minor_segments": 32}
    numbered.mark("torus", _smooth(stand(5, "torus", 0.93, 1.2, **ring)))
    glossy = materials.paint("glossy", "#9c3a2c", Finish(roughness=0.15))
    numbered.mark("glossy_box", _add("cube", (2.9, -0.9, 0.3), glossy, size=0.6))


def _add(
    kind: str,
    at: tuple[float, ...],
    look: bpy.types.Material,
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0),
    **size: float,
) -> bpy.types.Object:
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(location=at, rotation=turn, **size)
    thing = bpy.context.object
    thing.data.materials.append(look)
    return thing


def _smooth(thing: bpy.types.Object) -> bpy.types.Object:
    thing.data.polygons.foreach_set("use_smooth", [True] * len(thing.data.polygons))
    return thing


def _build_light() -> None:
    """A low soft sun and a pale blue sky."""
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.55, 0.70, 0.90, 1.0)
    background.inputs["Strength"].default_value = 0.8
    bpy.context.scene.world = world
    light = bpy.data.lights.new("sun", "SUN")
    light.energy, light.angle = 2.5, 0.2
    sun = bpy.data.objects.new("sun", light)
    sun.rotation_euler = (0.7, 0.3, 0.4)
    bpy.context.scene.collection.objects.link(sun)


def _arc(seed: int, count: int) -> list[np.ndarray]:
    """Poses on an arc about 6 m from the middle, at changing heights."""
    rng = np.random.default_rng([seed, 12])
    phase = rng.uniform(0, 2 * np.pi, 4) if seed else np.zeros(4)
    poses = []
    for index in range(count):
        angle = math.radians(ARC_DEGREES) * (index / max(count - 1, 1) - 0.5)
        distance = 6.0 + 0.5 * math.sin(3 * angle + phase[0])
        # As 20 photos would change height, however many are taken.
        step = index * 20 / max(count, 20)
        height = 2.2 + 0.7 * math.sin(2.1 * step + phase[1])
        place = np.array([distance * math.sin(angle), -distance * math.cos(angle), height])
        target = np.array([0.2 * math.sin(step + phase[2]), 0.3, 0.9])
        poses.append(look_at(place, target, 0.02 * math.sin(1.7 * step + phase[3])))
    return poses
