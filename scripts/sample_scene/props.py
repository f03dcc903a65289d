# SPDX-License-Identifier: GPL-3.0-or-later
"""The eight objects of the still life, each standing on z = 0 around its own origin."""

from __future__ import annotations

import math
from collections.abc import Callable

import bpy
import numpy as np

from . import materials, patterns, prints, shapes
from .materials import Finish, Wood
from .patterns import hex_color

GLAZE = Finish(roughness=0.22, coat=0.6)
CARD = Finish(roughness=0.5, specular=0.35)
CLOTH_COVER = Finish(roughness=0.75, specular=0.2, bump=0.15, bump_scale=1500)
Parts = list[bpy.types.Object]


def _dress(thing: bpy.types.Object, *looks: bpy.types.Material) -> bpy.types.Object:
    """Give one material to the whole mesh, or six to a box in the order of ``BOX_FACES``."""
    for look in looks:
        thing.data.materials.append(look)
    if len(looks) == len(shapes.BOX_FACES):
        thing.data.polygons.foreach_set("material_index", range(len(looks)))
    return thing


def mug(rng: np.random.Generator) -> Parts:
    """A decorated mug with a handle towards +X."""
    palette = tuple(map(hex_color, ("#efe4cc", "#2f3e54", "#b5412b", "#d8963a", "#4f7a68")))
    band = materials.printed("mug band", prints.mug_band(rng, palette), GLAZE)
    plain = materials.paint("mug glaze", "#ece2cd", GLAZE)
    outer = [(0.039, 0.003), (0.0405, 0.012), (0.0415, 0.05), (0.042, 0.092)]
    inner = [(0.042, 0.092), (0.0415, 0.0945), (0.0398, 0.0945), (0.039, 0.092)]
    inner += [(0.038, 0.05), (0.036, 0.012), (0.030, 0.007), (0.0, 0.006)]
    foot = [(0.0, 0.002), (0.032, 0.002), (0.033, 0.0), (0.036, 0.0), (0.039, 0.003)]
    angle = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 24)
    path = np.stack(
        [0.0395 + 0.030 * np.cos(angle), 0 * angle, 0.049 + 0.029 * np.sin(angle)], axis=1
    )
    tea = materials.paint("tea", "#5a2a0c", Finish(roughness=0.05))
    surface = [(0.0385, 0.074), (0.0, 0.074)]
    return [
        _dress(shapes.lathe("mug wall", outer), band),
        _dress(shapes.lathe("mug inside", inner), plain),
        _dress(shapes.lathe("mug foot", foot), plain),
        _dress(shapes.lathe("mug tea", surface), tea),
        _dress(shapes.tube("mug handle", path, (0.0045, 0.0075)), plain),
    ]


def tea_box(rng: np.random.Generator) -> Parts:
    """A printed carton, 11 x 7 x 17 cm."""
    ground = hex_color("#1f4f4a")
    faces = (
        prints.tea_front(rng, ground),
        prints.tea_back(rng, hex_color("#7c2f2a")),
        prints.tea_side(rng, ground),
        prints.tea_facts(rng, hex_color("#7c2f2a")),
        prints.tea_top(rng, ground),
    )
    looks = [materials.printed(f"tea {i}", face, CARD) for i, face in enumerate(faces)]
    looks.append(materials.paint("tea bottom", "#b9a184", CARD))
    carton = shapes.box("tea box", (0.11, 0.07, 0.17), (0, 0, 0.085), bevel=0.0012)
    return [_dress(carton, *looks)]


def books(rng: np.random.Generator) -> Parts:
    """Three bound books, stacked askew."""
    volumes = (
        ("#23395b", "#8da9c4", "#e8b44c", "#eef4ed", "THE PAPER HARBOUR", (0.235, 0.165, 0.034), 6),
        ("#a63d2f", "#f2d0a4", "#545e75", "#f6ead2", "COPPER MEADOW", (0.215, 0.150, 0.026), -11),
        ("#d9b44a", "#3b5249", "#8c3f2b", "#1e2a26", "SLOW WINTER", (0.190, 0.130, 0.022), 17),
    )
    parts: Parts = []
    height = 0.0
    for index, (*colors, title, size, turn) in enumerate(volumes):
        palette = tuple(hex_color(c) for c in colors)
        for part in _book(rng, f"book {index}", palette, title, size):
            part.rotation_euler.z = math.radians(turn)
            part.location.z += height
            parts.append(part)
        height += size[2]
    return parts


def _book(
    rng: np.random.Generator,
    name: str,
    palette: tuple[patterns.Color, ...],
    title: str,
    size: shapes.Point,
) -> Parts:
    """One book lying flat: the spine along -Y, boards 2.5 mm thick that overhang the pages."""
    x, y, z = size
    board, inset = 0.0025, 0.004
    cloth = materials.paint(f"{name} cloth", palette[0], CLOTH_COVER)
    # The cover is portrait; it is turned so that its head lies along the spine's right end.
    cover = np.rot90(prints.book_cover(rng, palette, title), 1)
    front = materials.printed(f"{name} cover", cover, CLOTH_COVER)
    spine = materials.printed(f"{name} spine", prints.book_spine(rng, palette, title), CLOTH_COVER)
    edge = materials.printed(f"{name} pages", patterns.pages(rng, 160, 640), Finish(roughness=0.9))
    top = shapes.box(f"{name} top", (x, y, board), (0, 0, z - board / 2), 0.0008)
    bottom = shapes.box(f"{name} bottom", (x, y, board), (0, 0, board / 2), 0.0008)
    back = shapes.box(f"{name} spine", (x, board, z), (0, -y / 2, z / 2), 0.0008)
    block = shapes.box(
        f"{name} pages", (x - 2 * inset, y - 2 * inset, z - 2 * board), (0, 0, z / 2)
    )
    return [
        _dress(top, cloth, cloth, cloth, cloth, front, cloth),
        _dress(bottom, cloth),
        _dress(back, spine, cloth, cloth, cloth, cloth, cloth),
        _dress(block, edge),
    ]


def plant(rng: np.random.Generator) -> Parts:
    """A leafy pot plant; leaf edges are the thin structures of the scene."""
    clay_stops = ((0.3, "#8f4a2e"), (0.55, "#b4623f"), (0.75, "#cf8a66"))
    clay = materials.mottled("clay", clay_stops, 45, Finish(roughness=0.85, bump=0.2))
    soil_stops = ((0.35, "#1d130c"), (0.7, "#4d3626"))
    soil = materials.mottled("soil", soil_stops, 260, Finish(roughness=1.0, bump=0.9))
    pot = [(0.0, 0.0), (0.037, 0.0), (0.039, 0.003), (0.050, 0.066), (0.055, 0.067)]
    pot += [(0.057, 0.070), (0.057, 0.086), (0.054, 0.088), (0.050, 0.086), (0.048, 0.074)]
    ground = [(0.050, 0.076), (0.03, 0.079), (0.0, 0.080)]
    parts = [
        _dress(shapes.lathe("pot", pot), clay),
        _dress(shapes.lathe("soil", ground), soil),
    ]
    tones = ("#3f7238", "#55883f", "#2f5f3c", "#6a9a4a")
    finish = Finish(roughness=0.38, specular=0.4)
    greens = [
        materials.printed(f"leaf {i}", patterns.leaf(rng, 160, hex_color(tone)), finish)
        for i, tone in enumerate(tones)
    ]
    for index in range(34):
        blade = shapes.sheet(f"leaf {index}", _leaf_grid(rng, index / 34), 0.0007)
        blade.rotation_euler.z = index * math.radians(137.5) + rng.normal(0, 0.12)
        parts.append(_dress(blade, greens[int(rng.integers(len(greens)))]))
    return parts


def _leaf_grid(rng: np.random.Generator, age: float) -> np.ndarray:
    """Points of one leaf, float [14, 7, 3]; it leaves the soil along +X and droops with age."""
    length = (0.060 + 0.065 * age) * rng.uniform(0.85, 1.15)
    lift = math.radians(82 - 48 * age + rng.normal(0, 5))
    t = np.linspace(0, 1, 14)
    slope = lift - (0.35 + 0.85 * age) * t**1.5
    x = 0.008 + np.concatenate([[0], np.cumsum(np.cos(slope[:-1]))]) * length / 13
    z = 0.076 + np.concatenate([[0], np.cumsum(np.sin(slope[:-1]))]) * length / 13
    blade = np.clip((t - 0.30) / 0.70, 0, 1)
    width = 0.0018 + 0.26 * length * np.sin(np.pi * blade**0.75) * (1 - 0.25 * blade)
    width[-1] = 0.0006
    across = np.linspace(-1, 1, 7)
    fold = 0.30 * np.abs(across)[None, :] * width[:, None]
    grid = np.empty((14, 7, 3))
    grid[..., 0] = x[:, None] - fold * np.sin(slope)[:, None]
    grid[..., 1] = across[None, :] * width[:, None]
    grid[..., 2] = z[:, None] + fold * np.cos(slope)[:, None]
    return grid


def bowl(rng: np.random.Generator) -> Parts:
    """A blue-and-white bowl, 20 cm wide."""
    band = materials.printed("bowl band", prints.bowl_band(rng, hex_color("#274a8c")), GLAZE)
    plain = materials.paint("bowl glaze", "#e9ebe8", GLAZE)
    outer = shapes.round_profile([(0.046, 0.010), (0.070, 0.024), (0.089, 0.046), (0.100, 0.074)])
    inner = [(0.100, 0.074), (0.0995, 0.0762), (0.0975, 0.0765), (0.096, 0.074)]
    inner += [(0.085, 0.047), (0.066, 0.027), (0.040, 0.015), (0.0, 0.012)]
    foot = [(0.0, 0.004), (0.040, 0.004), (0.041, 0.0), (0.045, 0.0), (0.046, 0.010)]
    return [
        _dress(shapes.lathe("bowl wall", outer, 128), band),
        _dress(shapes.lathe("bowl inside", shapes.round_profile(inner, 4), 128), plain),
        _dress(shapes.lathe("bowl foot", foot, 128), plain),
    ]


def apple(rng: np.random.Generator) -> Parts:
    """A red apple with a stem."""
    outline = [(0.0, 0.010), (0.010, 0.003), (0.020, 0.002), (0.033, 0.018), (0.0385, 0.040)]
    outline += [(0.034, 0.060), (0.020, 0.0705), (0.008, 0.066), (0.0, 0.060)]
    stops = ((0.30, "#7d1210"), (0.50, "#b3201a"), (0.62, "#c8472a"), (0.75, "#d9a04a"))
    look = Finish(roughness=0.3, coat=0.15)
    skin = materials.mottled("apple skin", stops, 38, look)
    bark = materials.paint("stem", "#4a3018", Finish(roughness=0.9))
    t = np.linspace(0, 1, 8)
    bend = float(rng.uniform(0.004, 0.008))
    path = np.stack([bend * t**2, 0 * t, 0.056 + 0.024 * t], axis=1)
    return [
        _dress(shapes.lathe("apple", shapes.round_profile(outline)), skin),
        _dress(shapes.tube("stem", path, (0.0013, 0.0013)), bark),
    ]


def robot(rng: np.random.Generator) -> Parts:
    """A plain wooden toy figure, 13 cm tall, facing -Y."""
    pale = materials.wood("beech", Wood("#b98a58", "#e0bd8c", 60))
    brown = materials.wood("walnut", Wood("#4d2f1c", "#80543a", 60))
    ink = materials.paint("ink", "#1b1b1d", Finish(roughness=0.3))
    red = materials.paint("red paint", "#b3372c", Finish(roughness=0.35))
    lean = float(rng.uniform(-0.2, 0.2))
    parts = []
    for side in (-1, 1):
        leg = shapes.box("leg", (0.018, 0.022, 0.034), (side * 0.013, 0, 0.017), 0.002)
        arm = shapes.box("arm", (0.012, 0.016, 0.046), (side * 0.034, 0, 0.061), 0.002)
        arm.rotation_euler.x = side * lean
        eye = shapes.box("eye", (0.007, 0.004, 0.007), (side * 0.009, -0.020, 0.109), 0.0015)
        parts += [_dress(leg, brown), _dress(arm, brown), _dress(eye, ink)]
    body = shapes.box("body", (0.054, 0.034, 0.052), (0, 0, 0.060), 0.003)
    head = shapes.box("head", (0.042, 0.038, 0.034), (0, 0, 0.105), 0.004)
    button = shapes.box("button", (0.009, 0.004, 0.009), (0.012, -0.018, 0.068), 0.0015)
    antenna = shapes.lathe("antenna", [(0.003, 0.120), (0.003, 0.130), (0.0, 0.130)], 16)
    knob = [(0.0, 0.128), (0.005, 0.130), (0.0065, 0.135), (0.005, 0.140), (0.0, 0.142)]
    ball = shapes.lathe("knob", shapes.round_profile(knob, 4), 24)
    parts += [_dress(body, pale), _dress(head, pale), _dress(button, red)]
    return [*parts, _dress(antenna, brown), _dress(ball, red)]


def block(rng: np.random.Generator) -> Parts:
    """A plain painted toy cube, 4.5 cm: small enough to vanish behind its neighbours."""
    color = ("#2f6ca3", "#2c7a57", "#c98a1f")[int(rng.integers(3))]
    paint = materials.paint("block paint", color, Finish(roughness=0.4, bump=0.06, bump_scale=700))
    return [_dress(shapes.box("block", (0.045, 0.045, 0.045), (0, 0, 0.0225), 0.003), paint)]


def loose_fruit(rng: np.random.Generator, kind: str) -> Parts:
    """An orange or a lemon around its own centre: company for the apple, without a mask."""
    if kind == "orange":
        stops = ((0.3, "#d1690f"), (0.7, "#ee9426"))
        peel = materials.mottled("orange peel", stops, 60, Finish(0.42, bump=0.45, bump_scale=900))
        outline = [(0.0, -0.032), (0.019, -0.027), (0.034, 0.0), (0.021, 0.027), (0.0, 0.032)]
    else:
        stops = ((0.3, "#d3a915"), (0.7, "#f0d04a"))
        peel = materials.mottled("lemon peel", stops, 60, Finish(0.4, bump=0.4, bump_scale=900))
        outline = [(0.0, -0.040), (0.006, -0.037), (0.018, -0.028), (0.028, -0.002)]
        outline += [(0.018, 0.026), (0.006, 0.036), (0.0, 0.040)]
    fruit = shapes.lathe(kind, shapes.round_profile(outline), 64)
    fruit.rotation_euler.z = float(rng.uniform(0, 6))
    return [_dress(fruit, peel)]


BUILDERS: dict[str, Callable[[np.random.Generator], Parts]] = {
    "apple": apple,
    "block": block,
    "books": books,
    "bowl": bowl,
    "mug": mug,
    "plant": plant,
    "robot": robot,
    "tea_box": tea_box,
}
