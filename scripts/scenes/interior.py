# SPDX-License-Identifier: GPL-3.0-or-later
"""A furnished room seen from inside: kind `room`.

Hard for geometry on purpose: a wall and a ceiling of plain paint, chair legs and a lamp pole a few
pixels wide, depth from an arm's length to the far corner, and a gaze that turns as it walks.
Every wall is different: were two alike, photos of opposite walls would match each other.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
from sample_scene import masonry, materials, patterns, props, room, shapes
from sample_scene.layout import look_at
from sample_scene.materials import Finish, Wood
from sample_scene.patterns import hex_color
from sample_scene.room import put

from .base import Numbered, Scene

HALF_X, NEAR_Y, FAR_Y, HEIGHT = 2.6, -2.1, 2.3, 2.6
MATT = Finish(roughness=0.9, specular=0.2)
FABRIC = Finish(roughness=0.95, specular=0.1, bump=0.25, bump_scale=900)


def build_room(seed: int) -> Scene:
    """Build walls, furniture and light."""
    rng = np.random.default_rng([seed, 21])
    numbered = Numbered()
    _build_shell(rng)
    _build_furniture(rng, numbered, 0.0 if seed == 0 else 0.12)
    _build_light()
    return Scene(numbered.objects, lambda count: _walk(seed, count), 26, 0.75)


def _build_shell(rng: np.random.Generator) -> None:
    """Floor, ceiling and four walls, each of another kind."""
    width, depth = 2 * HALF_X, FAR_Y - NEAR_Y
    boards = patterns.planks(rng, 2400, patterns.Boards(34, hex_color("#a67c52")))
    floor = shapes.plane("floor", width, width)
    floor.rotation_euler.x = -math.pi / 2
    put(floor, (0, NEAR_Y, 0), 0, materials.printed("floor", boards, Finish(roughness=0.35)))
    ceiling = shapes.plane("ceiling", width, depth)
    ceiling.rotation_euler.x = math.pi / 2
    put(ceiling, (0, FAR_Y, HEIGHT), 0, materials.paint("ceiling", "#e9e6df", MATT))
    paper = patterns.wallpaper(rng, 2600, hex_color("#c9d0c0"), hex_color("#7f9688"), 0)
    brick = masonry.laid(
        rng,
        (depth, HEIGHT),
        380,
        masonry.Bond(
            (0.25, 0.083),
            0.012,
            tuple(map(hex_color, ("#a8563f", "#95493a", "#b56a4d", "#8a4334", "#c08062"))),
            hex_color("#b9ada0"),
        ),
    )
    put(
        shapes.plane("far wall", width, HEIGHT),
        (0, FAR_Y, 0),
        0,
        materials.printed("paper", paper, MATT),
    )
    put(
        shapes.plane("right wall", depth, HEIGHT),
        (HALF_X, (NEAR_Y + FAR_Y) / 2, 0),
        -90,
        materials.printed("brick", brick, MATT),
    )
    paint = materials.paint("paint", "#d9c8ae", MATT)
    put(shapes.plane("left wall", depth, HEIGHT), (-HALF_X, (NEAR_Y + FAR_Y) / 2, 0), 90, paint)
    sage = materials.paint("near paint", "#a9b3a0", MATT)
    put(shapes.plane("near wall", width, HEIGHT), (0, NEAR_Y, 0), 180, sage)
    white = materials.paint("skirting", "#e8e4d8")
    for length, at, turn in (
        (width, (0, FAR_Y, 0), 0),
        (depth, (HALF_X, (NEAR_Y + FAR_Y) / 2, 0), -90),
        (depth, (-HALF_X, (NEAR_Y + FAR_Y) / 2, 0), 90),
    ):
        put(shapes.box("skirting", (length, 0.02, 0.10), (0, -0.01, 0.05), 0.003), at, turn, white)


def _build_furniture(rng: np.random.Generator, numbered: Numbered, jitter: float) -> None:
    """Everything that stands or hangs; `jitter` metres of disorder."""

    def near(x: float, y: float) -> tuple[float, float]:
        return x + float(rng.uniform(-jitter, jitter)), y + float(rng.uniform(-jitter, jitter))

    rug = materials.printed(
        "rug", patterns.kilim(rng, 1800, room.PALETTES[0]), Finish(roughness=0.95, specular=0.1)
    )
    x, y = np.meshgrid(np.linspace(-1.2, 1.2, 12), np.linspace(-0.85, 0.85, 12))
    put(shapes.sheet("rug", np.stack([x, y, 0 * x], -1), 0.01), (-0.2, 0.35, 0.001), 8, rug)
    numbered.mark("sofa", _sofa(rng, near(-1.35, FAR_Y - 0.52), 0.0))
    numbered.mark("lamp", _floor_lamp((-0.32, FAR_Y - 0.38)))
    numbered.mark("table", _table(rng, (0.75, 0.55), 12.0))
    numbered.mark(
        "chair_left",
        _chair(rng, near(-0.02, 0.28), 100 + float(rng.normal(0, 20 * jitter)), "#3f5d57"),
    )
    numbered.mark(
        "chair_right",
        _chair(rng, near(1.0, -0.22), 190 + float(rng.normal(0, 20 * jitter)), "#a6603f"),
    )
    numbered.mark("plant", _pot_plant(rng, (HALF_X - 0.42, FAR_Y - 0.42)))
    before = set(bpy.data.objects)
    room.sideboard(rng, (1.15, FAR_Y - 0.24), 0, 1.4)
    numbered.mark("sideboard", list(set(bpy.data.objects) - before))
    before = set(bpy.data.objects)
    room.bookshelf(rng, (HALF_X - 0.19, 0.05), -90)
    numbered.mark("bookshelf", list(set(bpy.data.objects) - before))
    room.chest((-HALF_X + 0.22, 0.25), 90)
    for kind, along, low, turn in ((0, -1.9, 1.18, 0), (1, -1.15, 1.3, 0), (3, 0.95, 1.25, 0)):
        room.hang(rng, kind, (along, FAR_Y - 0.02, low), turn)
    room.hang(rng, 2, (-HALF_X + 0.02, 1.1, 1.2), 90)
    room.hang(rng, 0, (HALF_X - 0.02, 0.45, 1.15), -90)
    numbered.mark("pendant", _pendant((0.75, 0.55)))


def _sofa(rng: np.random.Generator, at: tuple[float, float], turn: float) -> props.Parts:
    """A two-seat sofa, 1.7 m wide, with two patterned cushions."""
    cloth = materials.mottled("sofa", ((0.35, "#4f6170"), (0.65, "#6c8190")), 260, FABRIC)
    wood = materials.wood("sofa legs", Wood("#4a2f1c", "#7d5435", 40))
    boxes = [
        ((1.7, 0.85, 0.24), (0, 0, 0.27), 0.04),
        ((1.7, 0.22, 0.55), (0, 0.32, 0.58), 0.06),
        ((0.20, 0.85, 0.36), (-0.76, 0, 0.46), 0.06),
        ((0.20, 0.85, 0.36), (0.76, 0, 0.46), 0.06),
        ((0.64, 0.60, 0.14), (-0.33, -0.10, 0.45), 0.05),
        ((0.64, 0.60, 0.14), (0.33, -0.10, 0.45), 0.05),
    ]
    parts = [
        put(shapes.box("sofa", size, middle, bevel), (*at, 0), turn, cloth)
        for size, middle, bevel in boxes
    ]
    for dx in (-0.78, 0.78):
        for dy in (-0.36, 0.36):
            leg = shapes.box("sofa leg", (0.05, 0.05, 0.15), (dx, dy, 0.075), 0.005)
            parts.append(put(leg, (*at, 0), turn, wood))
    for dx, palette in ((-0.45, room.PALETTES[1]), (0.42, room.PALETTES[3])):
        look = materials.printed("cushion", patterns.plaid(rng, 700, palette), FABRIC)
        cushion = put(
            shapes.box("cushion", (0.42, 0.13, 0.42), (0, 0, 0), 0.055), (0, 0, 0), turn + 6, look
        )
        cushion.location = (at[0] + dx, at[1] + 0.08, 0.72)
        cushion.rotation_euler.x = -0.28
        parts.append(cushion)
    return parts


def _floor_lamp(at: tuple[float, float]) -> props.Parts:
    """A pole of 2 cm with a paper shade."""
    metal = materials.paint("lamp metal", "#2b2a28", Finish(roughness=0.35))
    pole = shapes.lathe(
        "lamp pole",
        [(0.0, 0.0), (0.15, 0.0), (0.15, 0.02), (0.010, 0.035), (0.010, 1.5), (0.0, 1.5)],
        32,
    )
    shade = shapes.lathe("lamp shade", [(0.21, 1.38), (0.14, 1.68)], 64)
    paper = materials.mottled("lamp paper", ((0.3, "#e6d3ac"), (0.7, "#f3e7ca")), 60, MATT)
    return [put(pole, (*at, 0), 0, metal), put(shade, (*at, 0), 0, paper)]


def _table(rng: np.random.Generator, at: tuple[float, float], turn: float) -> props.Parts:
    """A table with slender legs; a mug, a bowl and three books on it."""
    grain = patterns.planks(rng, 1600, patterns.Boards(6, hex_color("#8f5f38"), 1.2, 2, True))
    top = shapes.box("table top", (1.3, 0.75, 0.03), (0, 0, 0.735), 0.004)
    shapes.project_from_above(top, 1.3)
    oak = materials.wood("table legs", Wood("#5d3b21", "#93663f", 30))
    parts = [put(top, (*at, 0), turn, materials.printed("table", grain, Finish(roughness=0.4)))]
    for dx in (-0.58, 0.58):
        for dy in (-0.31, 0.31):
            leg = shapes.lathe("leg", [(0.0, 0.0), (0.014, 0.0), (0.026, 0.72), (0.0, 0.72)], 24)
            leg.location = (dx, dy, 0)
            parts.append(_moved(leg, at, turn, oak))
    for thing, dx, dy in (
        (props.mug, -0.3, -0.1),
        (props.bowl, 0.1, 0.1),
        (props.books, 0.42, -0.12),
    ):
        for part in thing(rng):
            part.location.x += dx
            part.location.y += dy
            part.location.z += 0.75
            parts.append(_moved(part, at, turn))
    return parts


def _moved(
    part: bpy.types.Object,
    at: tuple[float, float],
    turn: float,
    look: bpy.types.Material | None = None,
) -> bpy.types.Object:
    """Carry a part that stands in the furniture's own frame to its place in the room."""
    angle = math.radians(turn)
    x, y = part.location.x, part.location.y
    part.location.x = at[0] + x * math.cos(angle) - y * math.sin(angle)
    part.location.y = at[1] + x * math.sin(angle) + y * math.cos(angle)
    part.rotation_euler.z += angle
    if look is not None:
        part.data.materials.append(look)
    return part


def _chair(
    rng: np.random.Generator, at: tuple[float, float], turn: float, color: str
) -> props.Parts:
    """A spindle-back chair; spindles of 1.4 cm. The seat's front is -Y."""
    wood = materials.wood("chair", Wood(color, "#b98a60", 30, Finish(roughness=0.5)))
    parts = []

    def stick(x: float, y: float, low: float, high: float, radius: float) -> None:
        rod = shapes.lathe("rod", [(0.0, low), (radius, low), (radius, high), (0.0, high)], 16)
        rod.location = (x, y, 0)
        parts.append(_moved(rod, at, turn, wood))

    for x in (-0.19, 0.19):
        stick(x, -0.18, 0.0, 0.44, 0.017)
        stick(x, 0.19, 0.0, 0.95, 0.017)
    for x in np.linspace(-0.13, 0.13, 5):
        stick(float(x), 0.19, 0.46, 0.90, 0.007)
    for size, middle in (
        ((0.44, 0.43, 0.03), (0, 0, 0.455)),
        ((0.42, 0.03, 0.09), (0, 0.19, 0.92)),
        ((0.36, 0.02, 0.02), (0, -0.18, 0.20)),
        ((0.02, 0.36, 0.02), (-0.19, 0, 0.25)),
        ((0.02, 0.36, 0.02), (0.19, 0, 0.25)),
    ):
        parts.append(put(shapes.box("chair", size, middle, 0.006), (*at, 0), turn, wood))
    return parts


def _pot_plant(rng: np.random.Generator, at: tuple[float, float]) -> props.Parts:
    """The table plant, grown to 1.2 m."""
    parts = props.plant(rng)
    for part in parts:
        part.scale = (5.2, 5.2, 5.2)
        part.location = (at[0], at[1], 0)
    return parts


def _pendant(at: tuple[float, float]) -> props.Parts:
    """A lamp on a cord above the table."""
    dark = materials.paint("cord", "#222222", Finish(roughness=0.6))
    enamel = materials.paint("enamel", "#b5452f", Finish(roughness=0.25, coat=0.4))
    cord = shapes.lathe("cord", [(0.0, 1.75), (0.004, 1.75), (0.004, HEIGHT), (0.0, HEIGHT)], 12)
    outline = [(0.19, 1.56), (0.185, 1.60), (0.14, 1.68), (0.06, 1.74), (0.02, 1.77), (0.0, 1.77)]
    shade = shapes.lathe("pendant", shapes.round_profile(outline), 64)
    return [put(cord, (*at, 0), 0, dark), put(shade, (*at, 0), 0, enamel)]


def _build_light() -> None:
    """Daylight from behind the photographer's left, a warm fill, and light off the walls."""
    room.area_light(
        "window", (-1.2, NEAR_Y + 0.08, 1.75), (0.3, 1.6, 0.7), (1.5, 1.3), 95.0, (1.0, 0.97, 0.92)
    )
    room.area_light(
        "door", (HALF_X - 0.1, NEAR_Y + 0.5, 1.9), (-1, 1, 0.9), (0.7, 1.6), 26.0, (1.0, 0.90, 0.78)
    )
    world = bpy.data.worlds.new("walls' light")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (1.0, 0.96, 0.91, 1.0)
    background.inputs["Strength"].default_value = 0.35
    # Light that has bounced about the room is taken as coming from 1.2 m away on all sides.
    world.light_settings.distance = 1.2
    bpy.context.scene.world = world


def _walk(seed: int, count: int) -> list[np.ndarray]:
    """A walk along the near wall, the gaze turning from the left corner to the right one.

    More photos than 40 go on in further passes, each at another height and distance.
    """
    rng = np.random.default_rng([seed, 22])
    passes = max(1, math.ceil(count / 40))
    each = math.ceil(count / passes)
    poses = []
    for index in range(count):
        number, along = divmod(index, each)
        t = along / max(each - 1, 1)
        t = 1 - t if number % 2 else t
        drift = rng.normal(0, 0.02, 3)
        place = np.array(
            [-1.75 + 3.3 * t, -1.55 + 0.25 * math.sin(4 * t), 1.42 + 0.16 * math.sin(7 * t)]
        )
        place += np.array([0.0, 0.45, -0.35]) * (number / max(passes - 1, 1)) * (passes > 1) + drift
        target = np.array([-1.7 + 4.1 * t, 1.7 - 0.7 * t * t, 0.95 + 0.28 * math.sin(9 * t)])
        target += rng.normal(0, 0.04, 3)
        poses.append(look_at(place, target, math.radians(float(rng.normal(0, 1.2)))))
    return poses
