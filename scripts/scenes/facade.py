# SPDX-License-Identifier: GPL-3.0-or-later
"""A house front in the sun: kind `wall`.

Hard for geometry on purpose: sky without depth, iron bars thinner than a matching window before a
far wall, columns that hide what is behind them, rows of windows that look alike, leaves, hard
shadows, and a wall seen at grazing angles.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
from PIL import Image, ImageDraw
from sample_scene import masonry, materials, patterns, shapes
from sample_scene.layout import look_at
from sample_scene.materials import Finish
from sample_scene.patterns import hex_color
from sample_scene.room import put

from . import building
from .base import Numbered, Scene
from .building import Opening

WIDTH, HEIGHT = 15.0, 6.4
PER_METRE = 230  # pixels of the brickwork


def build_wall(seed: int) -> Scene:
    """Build house, garden and sky."""
    rng = np.random.default_rng([seed, 31])
    numbered = Numbered()
    _build_ground(rng)
    _build_house(rng, numbered)
    _build_porch(rng, numbered)
    _build_garden(rng, numbered, 0.0 if seed == 0 else 0.6)
    _build_sky(0.0 if seed == 0 else float(rng.uniform(-25, 25)))
    return Scene(numbered.objects, lambda count: _walk(seed, count), 28, 0.3)


def _build_ground(rng: np.random.Generator) -> None:
    """Lawn, a gravel path and a strip of paving along the house."""
    lawn_stops = ((0.25, "#31421d"), (0.45, "#4f6a2b"), (0.62, "#6f8a3c"), (0.8, "#98a35c"))
    lawn = materials.mottled("lawn", lawn_stops, 7, Finish(roughness=1.0, bump=0.8, bump_scale=90))
    ground = shapes.plane("lawn", 60, 40)
    ground.rotation_euler.x = -math.pi / 2
    put(ground, (0, -28, 0), 0, lawn)
    bond = masonry.Bond(
        (0.62, 0.42),
        0.016,
        tuple(map(hex_color, ("#a79c8c", "#8f8678", "#b5a994", "#99918a"))),
        hex_color("#6b6358"),
        0.5,
        0.12,
    )
    slabs = materials.printed("slabs", masonry.laid(rng, (16, 2.2), 190, bond), building.STONE)
    paving = shapes.plane("paving", 16, 2.2)
    paving.rotation_euler.x = -math.pi / 2
    put(paving, (0, -2.2, 0.012), 0, slabs)
    stops = ((0.28, "#57504a"), (0.42, "#9a8f80"), (0.55, "#c2b6a2"), (0.75, "#e0d8c8"))
    gravel = materials.mottled("gravel", stops, 28, Finish(roughness=1.0, bump=1.0, bump_scale=70))
    path = shapes.plane("path", 2.4, 12)
    path.rotation_euler.x = -math.pi / 2
    put(path, (0.2, -14.2, 0.008), 0, gravel)


def _openings() -> list[Opening]:
    ground = [Opening(x, 0.95, 1.15, 1.65) for x in (1.1, 3.6, 10.2, 12.7)]
    upper = [Opening(x, 3.95, 1.05, 1.55) for x in (1.15, 3.65, 10.25, 12.75)]
    return [*ground, *upper, Opening(6.85, 0.0, 1.3, 2.45), Opening(6.75, 3.55, 1.5, 2.2)]


def _build_house(rng: np.random.Generator, numbered: Numbered) -> None:
    """Brick front with windows, stone bands, a cornice and a tiled roof."""
    tones = tuple(
        map(hex_color, ("#9c5a41", "#8a4a36", "#aa6a4c", "#7c4333", "#b57e5c", "#93574a"))
    )
    bond = masonry.Bond((0.24, 0.077), 0.011, tones, hex_color("#b4a896"))
    image = masonry.laid(rng, (WIDTH, HEIGHT), PER_METRE, bond)
    openings = _openings()
    corner = (-WIDTH / 2, 0.0, 0.0)
    front = building.pierced_wall("front", WIDTH, HEIGHT, openings, 0.16)
    put(front, corner, 0, materials.printed("brick", image, building.STONE))
    frame = materials.paint("frame", "#e6e1d4", Finish(roughness=0.5))
    for index, opening in enumerate(openings[:8]):
        pane = materials.printed(f"pane {index}", _pane(rng), Finish(roughness=0.12, specular=0.4))
        parts = building.window(corner, opening, frame, pane)
        if index == 1:
            numbered.mark("window", parts)
    stone = materials.boxed(
        "stone", masonry.plaster(rng, (2.0, 2.0), 400, hex_color("#c9bda6")), 2.0, building.STONE
    )
    for o in openings[:8]:
        middle = corner[0] + o.left + o.width / 2
        put(
            shapes.box("sill", (o.width + 0.24, 0.22, 0.09), (0, -0.05, 0), 0.01),
            (middle, 0, o.low - 0.045),
            0,
            stone,
        )
        put(
            shapes.box("lintel", (o.width + 0.34, 0.10, 0.22), (0, -0.015, 0), 0.01),
            (middle, 0, o.low + o.height + 0.11),
            0,
            stone,
        )
    for size, z in (
        ((WIDTH + 0.1, 0.16, 0.24), 3.25),
        ((WIDTH + 0.5, 0.60, 0.14), HEIGHT - 0.02),
        ((WIDTH + 0.2, 0.34, 0.16), HEIGHT - 0.17),
        ((WIDTH + 0.08, 0.14, 0.5), 0.25),
    ):
        put(shapes.box("band", size, (0, -0.02, 0), 0.015), (0, 0, z), 0, stone)
    _build_roof(rng)


def _build_roof(rng: np.random.Generator) -> None:
    tones = tuple(map(hex_color, ("#6b4a3e", "#7a5546", "#5c4038", "#85604e")))
    bond = masonry.Bond((0.26, 0.30), 0.012, tones, hex_color("#33261f"), 0.5, 0.02, 0.35)
    tiles = materials.printed("tiles", masonry.laid(rng, (16, 2.6), 130, bond), building.STONE)
    roof = shapes.plane("roof", WIDTH + 0.7, 2.6)
    roof.rotation_euler.x = math.radians(-48)
    put(roof, (0, -0.32, HEIGHT + 0.05), 0, tiles)
    bond = masonry.Bond(
        (0.24, 0.077), 0.011, tuple(map(hex_color, ("#8f5240", "#7d4535"))), hex_color("#a39783")
    )
    brick = materials.boxed("chimney", masonry.laid(rng, (1, 1), 256, bond), 1.0, building.STONE)
    for x, high in ((-3.9, 2.5), (4.6, 2.3)):
        put(
            shapes.box("chimney", (0.8, 0.6, high), (0, 1.6, high / 2), 0.01),
            (x, 0, HEIGHT),
            0,
            brick,
        )


def _pane(rng: np.random.Generator) -> np.ndarray:
    """A window by day: dark room, curtains at the sides, a lamp or flowers on the sill."""
    width, height = 300, 440
    image = Image.new("RGB", (width, height), (38, 44, 50))
    draw = ImageDraw.Draw(image)
    tone = np.array(hex_color(str(rng.choice(["#b9a98a", "#9aa7a0", "#c7b7a6", "#a98b7a"]))))
    for side in (0, 1):
        reach = int(rng.integers(55, 105))
        for x in range(reach):
            fold = 0.75 + 0.25 * math.sin(x * 0.42 + side + float(rng.normal(0, 0.1)))
            column = x if side == 0 else width - 1 - x
            draw.line(
                [(column, 0), (column, height)], fill=tuple((tone * fold).astype(int).tolist())
            )
    for _ in range(int(rng.integers(2, 6))):
        x, y, r = rng.uniform(90, 210), rng.uniform(300, 420), rng.uniform(10, 28)
        draw.ellipse(
            (x - r, y - 1.3 * r, x + r, y + 1.3 * r), fill=tuple(rng.integers(40, 170, 3).tolist())
        )
    sky = np.linspace(1.35, 0.9, height)[:, None, None]
    cloud = 0.8 + 0.5 * patterns.smooth_noise(rng, height, width, 6)[..., None]
    return patterns.to_uint8(np.asarray(image, float) * sky * cloud)


def _build_porch(rng: np.random.Generator, numbered: Numbered) -> None:
    """Steps, four columns, a balcony with an iron railing, a panelled door."""
    stone = materials.boxed(
        "porch", masonry.plaster(rng, (3.0, 3.0), 360, hex_color("#d3c8b2")), 3.0, building.STONE
    )
    for index, reach in enumerate((2.15, 1.80, 1.45)):
        step = shapes.box(
            "step", (4.6 - 0.3 * index, reach, 0.14), (0, -reach / 2, 0.07 + 0.14 * index), 0.01
        )
        put(step, (0, 0, 0), 0, stone)
    for index, x in enumerate((-1.75, -1.0, 1.0, 1.75)):
        parts = building.column((x, -1.1), 2.65, 0.15, stone)
        for part in parts:
            part.location.z = 0.42
        if index in (0, 3):
            numbered.mark("column_left" if index == 0 else "column_right", parts)
    for size, z in (((4.3, 1.55, 0.22), 3.18), ((4.55, 1.70, 0.10), 3.34)):
        put(shapes.box("balcony", size, (0, -0.78, 0), 0.015), (0, 0, z), 0, stone)
    iron = materials.paint("iron", "#1d2321", Finish(roughness=0.45))
    level = 3.39
    rails = building.railing((-2.15, -1.5, level), (2.15, -1.5, level), 0.95, iron)
    rails += building.railing((-2.15, -0.05, level), (-2.15, -1.5, level), 0.95, iron)
    rails += building.railing((2.15, -1.5, level), (2.15, -0.05, level), 0.95, iron)
    numbered.mark("balcony_railing", rails)
    green = materials.paint("door", "#2f4a3f", Finish(roughness=0.35))
    brass = materials.paint("knob", "#b08d3e", Finish(roughness=0.2))
    door = [
        put(shapes.box("door", (1.3, 0.06, 2.03), (0, 0.10, 1.435), 0.004), (0, 0, 0), 0, green)
    ]
    for x in (-0.31, 0.31):
        for low, high in ((0.56, 1.1), (1.2, 1.62), (1.72, 2.3)):
            panel = shapes.box(
                "panel", (0.46, 0.04, high - low), (x, 0.065, (low + high) / 2), 0.012
            )
            door.append(put(panel, (0, 0, 0), 0, green))
    door.append(
        put(shapes.box("knob", (0.05, 0.07, 0.05), (0.07, 0.04, 1.35), 0.02), (0, 0, 0), 0, brass)
    )
    numbered.mark("door", door)
    above = materials.printed("balcony door", _pane(rng), Finish(roughness=0.12))
    opening = Opening(6.75, 3.55, 1.5, 2.2)
    building.window((-WIDTH / 2, 0, 0), opening, materials.paint("frame 2", "#e6e1d4"), above)


def _build_garden(rng: np.random.Generator, numbered: Numbered, jitter: float) -> None:
    """Fences, a lamp post, a bench, bushes and a tree."""

    def away() -> float:
        return float(rng.uniform(-jitter, jitter))

    iron = materials.paint("fence", "#20262a", Finish(roughness=0.5))
    numbered.mark("fence_left", building.railing((-7.2, -3.3, 0), (-1.3, -3.3, 0), 0.95, iron))
    numbered.mark("fence_right", building.railing((1.7, -3.3, 0), (7.2, -3.3, 0), 0.95, iron))
    post = [(0.0, 0.0), (0.11, 0.0), (0.11, 0.25), (0.055, 0.35), (0.035, 1.2), (0.035, 2.7)]
    post += [(0.07, 2.75), (0.05, 2.8), (0.16, 3.15), (0.19, 3.17), (0.03, 3.38), (0.0, 3.42)]
    lamp_at = (-3.3 + away(), -4.6)
    numbered.mark("lamp_post", put(shapes.lathe("lamp post", post, 32), (*lamp_at, 0), 0, iron))
    numbered.mark("bench", _bench((3.9 + away(), -2.5)))
    tones = ("#3f6a2e", "#55823a", "#2f5530", "#6f9444")
    greens = [
        materials.printed(f"leaf {i}", patterns.leaf(rng, 96, hex_color(t)), Finish(roughness=0.6))
        for i, t in enumerate(tones)
    ]
    bushes = ((-5.2, -0.75, 0.55), (-3.0, -0.65, 0.42), (3.0, -0.65, 0.45), (5.6, -0.8, 0.6))
    for index, (x, y, r) in enumerate(bushes):
        parts = building.foliage(
            rng, "bush", (x + away() / 2, y, r * 0.85), (1.25 * r, r, r), greens, 2600, 0.075
        )
        if index == 0:
            numbered.mark("bush", parts)
    crown = building.foliage(
        rng, "crown", (6.1 + away(), -4.4, 3.5), (1.5, 1.4, 1.25), greens, 5200, 0.13
    )
    numbered.mark("tree", [*crown, building.trunk((6.0, -4.4), 3.4, 0.11)])


def _bench(at: tuple[float, float]) -> list[bpy.types.Object]:
    """Six slats on two iron feet."""
    wood = materials.wood("slats", materials.Wood("#6b4a2c", "#a97f52", 24))
    iron = materials.paint("feet", "#23282a", Finish(roughness=0.5))
    parts = []
    for k in range(3):
        parts.append(
            put(
                shapes.box("slat", (1.6, 0.11, 0.03), (0, -0.24 + 0.14 * k, 0.44), 0.006),
                (*at, 0),
                0,
                wood,
            )
        )
        parts.append(
            put(
                shapes.box("slat", (1.6, 0.03, 0.10), (0, 0.16 + 0.02 * k, 0.55 + 0.14 * k), 0.006),
                (*at, 0),
                0,
                wood,
            )
        )
    for x in (-0.65, 0.65):
        for size, center in (
            ((0.05, 0.46, 0.05), (x, -0.02, 0.40)),
            ((0.05, 0.05, 0.42), (x, -0.2, 0.21)),
            ((0.05, 0.05, 0.95), (x, 0.22, 0.47)),
        ):
            parts.append(put(shapes.box("foot", size, center, 0.008), (*at, 0), 0, iron))
    return parts


def _build_sky(turn: float) -> None:
    """A blue sky with clouds, and a sun that throws hard shadows across the front."""
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    tree = world.node_tree
    coordinates = tree.nodes.new("ShaderNodeTexCoord")
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = 2.6, 7.0
    stretch = tree.nodes.new("ShaderNodeMapping")
    stretch.inputs["Scale"].default_value = (1.0, 1.0, 2.6)
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    for element, (position, color) in zip(
        ramp.color_ramp.elements, ((0.50, "#6f9fd8"), (0.72, "#f2f4f6")), strict=True
    ):
        element.position, element.color = position, materials.linear(color)
    tree.links.new(coordinates.outputs["Generated"], stretch.inputs["Vector"])
    tree.links.new(stretch.outputs["Vector"], noise.inputs["Vector"])
    tree.links.new(noise.outputs["Fac"], ramp.inputs["Fac"])
    background = tree.nodes["Background"]
    tree.links.new(ramp.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = 1.0
    bpy.context.scene.world = world
    light = bpy.data.lights.new("sun", "SUN")
    light.energy, light.angle, light.color = 4.2, math.radians(0.6), (1.0, 0.93, 0.82)
    sun = bpy.data.objects.new("sun", light)
    sun.rotation_euler = (math.radians(48), 0, math.radians(38 + turn))
    bpy.context.scene.collection.objects.link(sun)


def _walk(seed: int, count: int) -> list[np.ndarray]:
    """A walk past the house, 10 to 12 m from it, the gaze on its middle half."""
    rng = np.random.default_rng([seed, 32])
    poses = []
    for index in range(count):
        t = index / max(count - 1, 1)
        place = np.array(
            [-6.0 + 12.0 * t, -11.2 + 1.1 * math.cos(5 * t), 1.65 + 0.2 * math.sin(8 * t)]
        )
        place += rng.normal(0, 0.05, 3)
        target = np.array([-2.0 + 4.0 * t, 0.0, 3.5 + 0.35 * math.sin(6 * t)]) + rng.normal(
            0, 0.15, 3
        )
        poses.append(look_at(place, target, math.radians(float(rng.normal(0, 1.0)))))
    return poses
