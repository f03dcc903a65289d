# SPDX-License-Identifier: GPL-3.0-or-later
"""The room around the table: floor, walls, pictures, furniture and light.

The window is in the -Y wall, behind the cameras of the first half of the path.
"""

from __future__ import annotations

import math

import bpy
import numpy as np

from . import materials, patterns, prints, shapes
from .materials import Finish, Wood
from .patterns import hex_color

TABLE_HEIGHT = 0.74
TABLE_RADIUS = 0.56
HALF_WIDTH = 2.0  # from the table to each wall
MATT = Finish(roughness=0.9, specular=0.2)
WALL_COLORS = (  # ground and ink of the walls at +Y, +X, -X, -Y
    ("#c3cbb6", "#93a58b"),
    ("#dccfb6", "#bf9f78"),
    ("#d3cfc9", "#a58f8f"),
    ("#cfc9b4", "#bdb596"),
)
PALETTES = tuple(
    tuple(hex_color(c) for c in row.split())
    for row in (
        "#f0dfc0 #b8562f #2f4858 #86a397 #e0a458 #33312e",
        "#1f3b4d #e9c46a #e76f51 #f4a261 #a8c5b5 #fefae0",
        "#e6ddcf #5c7457 #97a97c #31483b #c17c54 #2f2a24",
        "#ddd0b8 #9b2f2a #2b3a55 #d09a3e #6f8f8a #1d1d1d",
    )
)


def build(rng: np.random.Generator) -> None:
    """Build everything but the objects on the table."""
    _build_table(rng)
    _build_floor(rng)
    _build_walls(rng)
    _build_window(rng)
    _build_furniture(rng)
    _build_light()


def put(
    thing: bpy.types.Object,
    at: shapes.Point,
    turn: float = 0.0,
    look: bpy.types.Material | None = None,
) -> bpy.types.Object:
    """Stand a thing at a place, turned by degrees about Z, in its only material."""
    thing.location = at
    thing.rotation_euler.z = math.radians(turn)
    if look is not None:
        thing.data.materials.append(look)
    return thing


def _build_table(rng: np.random.Generator) -> None:
    radius, top = TABLE_RADIUS, TABLE_HEIGHT
    oak = materials.wood("oak", Wood("#6e4425", "#b98552", 16, Finish(roughness=0.38)))
    profile = [(0.0, top - 0.03), (radius - 0.01, top - 0.03), (radius, top - 0.022)]
    profile += [(radius, top - 0.005), (radius - 0.005, top), (0.0, top)]
    disc = shapes.lathe("table top", profile, 160)
    shapes.project_from_above(disc, 2 * radius)
    grain = patterns.planks(rng, 2048, patterns.Boards(9, hex_color("#a36e3c"), 1.3, 2, True))
    put(disc, (0, 0, 0), 24, materials.printed("table boards", grain, Finish(roughness=0.36)))
    leg = [(0.26, 0.0), (0.26, 0.03), (0.06, 0.06), (0.055, 0.5), (0.2, top - 0.03)]
    put(shapes.lathe("table leg", leg, 64), (0, 0, 0), 0, oak)
    palette = tuple(map(hex_color, ("#d8c7a4", "#7e8c7c", "#a9472f", "#e9dfc8", "#39475a")))
    cloth = materials.printed("placemat", patterns.plaid(rng, 1100, palette), MATT)
    grid = _draped(rng, 0.60, 0.44)
    put(shapes.sheet("placemat", grid, 0.0012), (0.01, 0.0, top + 0.0008), -9, cloth)


def _draped(rng: np.random.Generator, width: float, depth: float) -> np.ndarray:
    """A cloth that lies almost flat, its rim slightly lifted: float [61, 81, 3]."""
    y, x = np.meshgrid(np.linspace(-0.5, 0.5, 61), np.linspace(-0.5, 0.5, 81), indexing="ij")
    rim = np.maximum(np.abs(x), np.abs(y)) * 2
    ripple = np.sin(x * 23 + rng.uniform(0, 6)) * np.sin(y * 19 + rng.uniform(0, 6))
    lift = 0.004 * np.clip(rim - 0.86, 0, 1) / 0.14 * (1 + ripple)
    return np.stack([x * width, y * depth, lift], axis=-1)


def _build_floor(rng: np.random.Generator) -> None:
    boards = patterns.planks(rng, 2048, patterns.Boards(22, hex_color("#a9835b")))
    lacquer = Finish(roughness=0.42, specular=0.4)
    side = 2 * HALF_WIDTH
    floor = shapes.plane("floor", side, side)
    floor.rotation_euler.x = -math.pi / 2
    floor.data.materials.append(materials.printed("boards", boards, lacquer))
    floor.location = (0, -HALF_WIDTH, 0)
    palette = tuple(map(hex_color, ("#8c2f28", "#e4d3b0", "#26384f", "#c88a3d", "#5f7a6c")))
    rug = materials.printed("rug", patterns.kilim(rng, 1600, palette), MATT)
    x, y = np.meshgrid(np.linspace(-1.3, 1.3, 12), np.linspace(-1.0, 1.0, 12))
    put(shapes.sheet("rug", np.stack([x, y, 0 * x], -1), 0.008), (0.1, 0.2, 0.001), 31, rug)


def _build_walls(rng: np.random.Generator) -> None:
    half, height = HALF_WIDTH, 2.5
    papers = [
        materials.printed(
            f"paper {kind}",
            patterns.wallpaper(rng, 2400, hex_color(ground), hex_color(ink), kind),
            MATT,
        )
        for kind, (ground, ink) in enumerate(WALL_COLORS)
    ]
    places = ((0, half, 0), (half, 0, -90), (-half, 0, 90), (0, -half, 180))
    for (x, y, turn), look in zip(places, papers, strict=True):
        put(shapes.plane("wall", 2 * half, height), (x, y, 0), turn, look)
        skirting = shapes.box("skirting", (2 * half, 0.02, 0.11), (0, -0.01, 0.055), 0.004)
        put(skirting, (x, y, 0), turn, materials.paint("skirting", "#e5e0d3"))
    for index, (along, low) in enumerate(((-1.25, 0.98), (0.05, 1.12), (1.3, 1.02))):
        hang(rng, index, (along, half - 0.02, low), 0)
    for index, (along, low) in enumerate(((-0.95, 0.62), (0.15, 0.70), (1.2, 0.58))):
        hang(rng, (1, 2, 0)[index], (half - 0.02, along, low), -90)
        hang(rng, (3, 1, 2)[index], (-half + 0.02, along + 0.15, low + 0.05), 90)


def _build_window(rng: np.random.Generator) -> None:
    """Striped curtains beside the window, and a framed picture in each corner."""
    half = HALF_WIDTH
    palette = tuple(map(hex_color, ("#c9b48c", "#8a4b3a", "#e6dcc3", "#5b6a72")))
    cloth = materials.printed("curtain", patterns.plaid(rng, 1000, palette), MATT)
    for x in (-0.72, 1.30):
        along = np.linspace(-0.34, 0.34, 90)
        fold = 0.045 * np.sin(along * 52 + x) + 0.02 * np.sin(along * 117)
        grid = np.empty((2, 90, 3))
        grid[..., 0], grid[..., 1] = along, fold
        grid[..., 2] = np.array([[0.03], [2.3]])
        put(shapes.sheet("curtain", grid, 0.003), (x, -half + 0.12, 0), 180, cloth)
    frame = materials.paint("window frame", "#e8e4da")
    glass = bpy.data.materials.new("bright sky")
    glass.use_nodes = True
    shader = glass.node_tree.nodes["Principled BSDF"]
    shader.inputs["Emission Color"].default_value = (0.85, 0.93, 1.0, 1.0)
    shader.inputs["Emission Strength"].default_value = 3.0
    put(shapes.plane("pane", 1.3, 1.4), (0.29, -half + 0.01, 0.85), 180, glass)
    for size, center in (
        ((1.4, 0.05, 0.06), (0, 0, 0.85)),
        ((0.05, 0.04, 1.4), (0, 0, 1.55)),
        ((1.5, 0.16, 0.03), (0, -0.05, 0.82)),
    ):
        put(shapes.box("sash", size, center, 0.003), (0.29, -half + 0.03, 0), 180, frame)
    hang(rng, 1, (-1.5, -half + 0.02, 0.75), 180)


def hang(rng: np.random.Generator, kind: int, at: shapes.Point, turn: float) -> None:
    """A framed picture with its lower edge at ``at``."""
    width = float(rng.uniform(0.42, 0.58))
    height = width * 960 / 700
    picture = prints.poster(rng, PALETTES[int(rng.integers(len(PALETTES)))], kind)
    oak = materials.wood(f"frame {at}", Wood("#3a2718", "#6f4c30", 40))
    put(
        shapes.box("frame", (width + 0.05, 0.02, height + 0.05), (0, 0, height / 2), 0.003),
        at,
        turn,
        oak,
    )
    sheet = shapes.plane("picture", width, height)
    offset = 0.012
    angle = math.radians(turn)
    front = (at[0] + offset * math.sin(angle), at[1] - offset * math.cos(angle), at[2])
    put(sheet, front, turn, materials.printed(f"picture {at}", picture, Finish(roughness=0.5)))


def _build_furniture(rng: np.random.Generator) -> None:
    half = HALF_WIDTH
    sideboard(rng, (-0.35, half - 0.24), 0, 1.5)
    bookshelf(rng, (half - 0.19, -0.55), -90)
    chest((-half + 0.22, 0.75), 90)
    stops = ((0.3, "#b9a58a"), (0.7, "#d8c7ab"))
    basket = materials.mottled("basket", stops, 160, Finish(roughness=0.95, bump=1.0))
    outline = [(0.0, 0.0), (0.17, 0.0), (0.22, 0.2), (0.21, 0.34), (0.19, 0.34), (0.18, 0.05)]
    put(shapes.lathe("basket", outline, 48), (1.35, half - 0.45, 0), 0, basket)


def sideboard(rng: np.random.Generator, at: tuple[float, float], turn: float, width: float) -> None:
    """A low cupboard with a row of books and a vase on it."""
    wood = materials.wood("teak", Wood("#5a3620", "#94613b", 20))
    dark = materials.paint("brass", "#8a6a34", Finish(roughness=0.3))
    body = shapes.box("sideboard", (width, 0.4, 0.62), (0, 0, 0.43), 0.004)
    put(body, (*at, 0), turn, wood)
    for index in range(3):
        x = (index - 1) * width / 3
        door = shapes.box("door", (width / 3 - 0.02, 0.02, 0.56), (x, -0.205, 0.43), 0.006)
        put(door, (*at, 0), turn, wood)
        knob = shapes.box("knob", (0.02, 0.03, 0.02), (x + 0.16, -0.22, 0.45), 0.006)
        put(knob, (*at, 0), turn, dark)
    book_row(rng, (at[0] - 0.62, at[1], 0.74), turn, 0.5)
    vase = [(0.0, 0.0), (0.05, 0.0), (0.09, 0.09), (0.07, 0.2), (0.03, 0.26), (0.04, 0.29)]
    glaze = materials.printed(
        "vase", prints.bowl_band(rng, hex_color("#7a3b22")), Finish(roughness=0.25)
    )
    profile = shapes.round_profile(vase)
    put(shapes.lathe("vase", profile, 64), (at[0] + 0.2, at[1], 0.74), 0, glaze)


def chest(at: tuple[float, float], turn: float) -> None:
    """A painted chest of six drawers."""
    blue = materials.paint("chest", "#4f6f7d", Finish(roughness=0.55, bump=0.1))
    pale = materials.paint("drawer", "#6f909b", Finish(roughness=0.55, bump=0.1))
    knobs = materials.wood("knobs", Wood("#8a5f38", "#c39a68", 60))
    put(shapes.box("chest", (1.15, 0.4, 0.86), (0, 0, 0.43), 0.006), (*at, 0), turn, blue)
    for row in range(3):
        for column in range(2):
            x, z = (column - 0.5) * 0.56, 0.16 + 0.27 * row
            front = shapes.box("drawer", (0.53, 0.02, 0.24), (x, -0.205, z), 0.005)
            put(front, (*at, 0), turn, pale)
            for side in (-0.15, 0.15):
                knob = shapes.box("knob", (0.03, 0.03, 0.03), (x + side, -0.225, z), 0.012)
                put(knob, (*at, 0), turn, knobs)


def bookshelf(rng: np.random.Generator, at: tuple[float, float], turn: float) -> None:
    """A low open shelf with two rows of books."""
    wood = materials.wood("pine", Wood("#a27a4a", "#d9b583", 22))
    boards = [((1.05, 0.32, 0.025), (0, 0, z)) for z in (0.06, 0.42, 0.80)]
    boards += [((0.025, 0.33, 0.82), (x, 0, 0.41)) for x in (-0.54, 0.54)]
    boards += [((1.06, 0.012, 0.76), (0, 0.15, 0.41))]
    for size, center in boards:
        put(shapes.box("shelf", size, center, 0.002), (*at, 0), turn, wood)
    angle = math.radians(turn)
    for level in (0.073, 0.433):
        start = (at[0] - 0.5 * math.cos(angle), at[1] - 0.5 * math.sin(angle), level)
        book_row(rng, start, turn, 1.0)


def book_row(rng: np.random.Generator, start: shapes.Point, turn: float, length: float) -> None:
    """Standing books, their spines to the local -Y."""
    angle = math.radians(turn)
    at = 0.0
    while at < length - 0.05:
        thick, tall = float(rng.uniform(0.018, 0.05)), float(rng.uniform(0.19, 0.29))
        palette = PALETTES[int(rng.integers(len(PALETTES)))]
        order = tuple(palette[i] for i in rng.permutation(len(palette)))
        strip = prints.book_spine(rng, order, " ".join(rng.choice(prints.WORDS, 2)))
        look = materials.printed("spine", np.rot90(strip, -1), Finish(roughness=0.7))
        volume = shapes.box("volume", (thick, 0.19, tall), (0, 0, tall / 2), 0.002)
        middle = at + thick / 2
        place = (start[0] + middle * math.cos(angle), start[1] + middle * math.sin(angle), start[2])
        put(volume, place, turn, look)
        at += thick + 0.001


def _build_light() -> None:
    """A tall window, a lamp-warm fill from the other side and a soft sky above the open room."""
    area_light("window", (0.5, -1.85, 1.75), (0, 0.1, 0.75), (1.3, 1.3), 80.0, (1.0, 0.96, 0.90))
    area_light("door", (-1.85, -0.9, 1.9), (0, 0, 0.7), (0.6, 1.2), 9.0, (0.86, 0.93, 1.0))
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (1.0, 0.96, 0.91, 1.0)
    background.inputs["Strength"].default_value = 0.40
    bpy.context.scene.world = world


def area_light(
    name: str,
    at: shapes.Point,
    target: shapes.Point,
    size: tuple[float, float],
    watts: float,
    color: tuple[float, float, float],
) -> None:
    """A rectangular lamp of so many metres that shines at a target."""
    light = bpy.data.lights.new(name, "AREA")
    light.shape, (light.size, light.size_y) = "RECTANGLE", size
    light.energy, light.color = watts, color
    lamp = bpy.data.objects.new(name, light)
    direction = np.asarray(target) - np.asarray(at)
    yaw = math.atan2(direction[1], direction[0]) - math.pi / 2
    pitch = math.pi / 2 + math.atan2(direction[2], math.hypot(direction[0], direction[1]))
    lamp.location, lamp.rotation_euler = at, (pitch, 0.0, yaw)
    bpy.context.scene.collection.objects.link(lamp)
