# SPDX-License-Identifier: GPL-3.0-or-later
"""Woven, painted and wooden surfaces computed with numpy.

Every function returns an sRGB image, uint8 [height, width, 3], first row at the top.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]


def hex_color(code: str) -> Color:
    """Turn ``"#rrggbb"`` into three integers 0..255."""
    code = code.lstrip("#")
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """Random values blurred to about ``cells`` blobs per side: float64 [height, width], 0..1."""
    return np.clip(stretched_noise(rng, height, width, (cells, cells)), 0.0, 1.0)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Clip a 0..255 float image and round it to uint8."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def plaid(rng: np.random.Generator, size: int, palette: tuple[Color, ...]) -> np.ndarray:
    """A woven cloth of coloured bands; single threads are visible from close by."""
    bands = _thread_colors(rng, size, palette)
    warp, weft = bands[None, :, :], _thread_colors(rng, size, palette)[:, None, :]
    rows, columns = np.indices((size, size))
    over = ((rows // 3 + columns // 3) % 2).astype(np.float64)[..., None]
    cloth = warp * over + weft * (1.0 - over)
    shade = 0.86 + 0.14 * np.sin((rows % 3 + 0.5) / 3 * np.pi) * np.sin(
        (columns % 3 + 0.5) / 3 * np.pi
    )
    fibre = 1.0 + 0.10 * (rng.random((size, size)) - 0.5)
    return to_uint8(cloth * (shade * fibre)[..., None])


def _thread_colors(rng: np.random.Generator, size: int, palette: tuple[Color, ...]) -> np.ndarray:
    colors = np.empty((size, 3))
    start = 0
    while start < size:
        width = int(rng.integers(size // 60, size // 10))
        colors[start : start + width] = palette[int(rng.integers(len(palette)))]
        start += width
    return colors


@dataclass(frozen=True)
class Boards:
    """Boards that run along the image's rows."""

    rows: int
    tone: Color
    contrast: float = 1.0
    joint: int = 2  # px
    continuous: bool = False  # no ends within the image: a table top instead of a floor


def planks(rng: np.random.Generator, size: int, boards: Boards) -> np.ndarray:
    """Wooden boards with staggered ends, grain and pores along them, and dark joints."""
    image = np.empty((size, size, 3))
    edges = np.linspace(0, size, boards.rows + 1).astype(int)
    for top, bottom in itertools.pairwise(edges):
        start = 0 if boards.continuous else -int(rng.integers(size // 2))
        while start < size:
            length = size if boards.continuous else int(rng.integers(size // 3, size // 2))
            board = _make_board(rng, bottom - top, length, boards)
            first, last = max(start, 0), min(start + length, size)
            if last > first:
                image[top:bottom, first:last] = board[:, first - start : last - start]
            start += length
    return to_uint8(image)


def _make_board(rng: np.random.Generator, height: int, length: int, boards: Boards) -> np.ndarray:
    """One board, float [height, length, 3]: bent growth rings, streaks and short pores."""
    bend = stretched_noise(rng, height, length, (4, 7))
    across = np.linspace(0, 1, height)[:, None]
    rings = (across * rng.uniform(5, 9) + bend * rng.uniform(3, 6)) % 1.0
    streaks = stretched_noise(rng, height, length, (max(height // 3, 4), max(length // 160, 4)))
    pores = stretched_noise(rng, height, length, (height, max(length // 22, 8)))
    knots = stretched_noise(rng, height, length, (5, 6))
    light = rng.normal(0, 0.07) + 0.16 * (rings - 0.5) + 0.24 * (streaks - 0.5)
    light += 0.16 * (knots - 0.5) - 0.34 * np.clip(pores - 0.66, 0, 1)
    board = np.asarray(boards.tone, dtype=np.float64) * (1 + boards.contrast * light)[..., None]
    board[: boards.joint] *= 0.45
    if not boards.continuous:
        board[:, : boards.joint] *= 0.45
    return board


def stretched_noise(
    rng: np.random.Generator, height: int, width: int, cells: tuple[int, int]
) -> np.ndarray:
    """Blurred random values with ``cells`` (rows, columns) blobs: float64 [height, width]."""
    coarse = Image.fromarray(rng.random(cells).astype(np.float32))
    image = coarse.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float64)


def kilim(rng: np.random.Generator, size: int, palette: tuple[Color, ...]) -> np.ndarray:
    """A flat woven rug: bands of triangles, diamonds and zigzags between plain stripes."""
    image = Image.new("RGB", (size, size), palette[0])
    draw = ImageDraw.Draw(image)
    top = 0
    while top < size:
        height = int(rng.integers(size // 26, size // 10))
        order = rng.permutation(len(palette))
        ground, first, second = (palette[i] for i in order[:3])
        draw.rectangle((0, top, size, top + height), fill=ground)
        step = max(int(height * rng.uniform(0.6, 1.4)), 8)
        _draw_band(draw, int(rng.integers(4)), (top, height, step, size), (first, second))
        top += height
    cloth = np.asarray(image, dtype=np.float64)
    weave = 0.88 + 0.24 * rng.random((size, size // 4)).repeat(4, axis=1)[:, :size]
    stripes = 0.93 + 0.07 * np.sin(np.arange(size) * np.pi / 2)[:, None]
    return to_uint8(cloth * (weave * stripes)[..., None])


def _draw_band(
    draw: ImageDraw.ImageDraw,
    kind: int,
    place: tuple[int, int, int, int],
    colors: tuple[Color, Color],
) -> None:
    top, height, step, size = place
    middle, bottom = top + height // 2, top + height
    for index, x in enumerate(range(-step, size + step, step)):
        color = colors[index % 2]
        if kind == 0:
            draw.polygon([(x, bottom), (x + step // 2, top), (x + step, bottom)], fill=color)
        elif kind == 1:
            diamond = [
                (x, middle),
                (x + step // 2, top),
                (x + step, middle),
                (x + step // 2, bottom),
            ]
            draw.polygon(diamond, fill=color)
        elif kind == 2:
            points = [(x, bottom - 3), (x + step // 2, top + 3), (x + step, bottom - 3)]
            draw.line(points, fill=colors[0], width=max(height // 5, 3))


def wallpaper(
    rng: np.random.Generator, size: int, ground: Color, ink: Color, kind: int
) -> np.ndarray:
    """Hand-printed paper: 0 sprigs, 1 rings, 2 grasses, 3 stripes.

    Every motif is drawn anew and every wall has a kind of its own: were two walls alike, photos
    that look at opposite walls would match each other.
    """
    image = Image.new("RGB", (size, size), ground)
    draw = ImageDraw.Draw(image)
    if kind == 3:
        _draw_stripes(draw, rng, size, ink)
    else:
        painter = (_draw_sprig, _draw_rings, _draw_grass)[kind]
        step = size // 24
        for row in range(25):
            for column in range(25):
                x = (column + 0.5 * (row % 2)) * step + rng.normal(0, step * 0.08)
                y = row * step + rng.normal(0, step * 0.08)
                painter(draw, rng, (x, y), step, ink)
    stain = 0.94 + 0.10 * smooth_noise(rng, size, size, 9)
    return to_uint8(np.asarray(image, dtype=np.float64) * stain[..., None])


def _draw_stripes(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int, ink: Color
) -> None:
    x = 0
    while x < size:
        width = int(rng.integers(4, size // 60))
        draw.rectangle((x, 0, x + width, size), fill=ink)
        x += width + int(rng.integers(size // 90, size // 24))


def _draw_rings(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    at: tuple[float, float],
    step: int,
    ink: Color,
) -> None:
    (x, y), radius = at, step * rng.uniform(0.16, 0.34)
    for share in rng.uniform(0.2, 1.0, 3):
        r = radius * share
        width = int(rng.integers(2, max(step // 16, 4)))
        draw.ellipse((x - r, y - r, x + r, y + r), outline=ink, width=width)
    turn, far = rng.uniform(0, 2 * np.pi), radius * 1.4
    dot = step * rng.uniform(0.03, 0.07)
    u, v = x + far * np.cos(turn), y + far * np.sin(turn)
    draw.ellipse((u - dot, v - dot, u + dot, v + dot), fill=ink)


def _draw_grass(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    at: tuple[float, float],
    step: int,
    ink: Color,
) -> None:
    x, y = at
    for _ in range(int(rng.integers(3, 7))):
        lean, length = rng.normal(0, 0.5), step * rng.uniform(0.25, 0.6)
        tip = (x + length * np.sin(lean), y + step * 0.3 - length * np.cos(lean))
        draw.line([(x, y + step * 0.3), tip], fill=ink, width=max(step // 30, 2))
        seed = step * rng.uniform(0.02, 0.05)
        u, v = tip
        draw.ellipse((u - seed, v - seed, u + seed, v + seed), fill=ink)


def _draw_sprig(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    at: tuple[float, float],
    step: int,
    ink: Color,
) -> None:
    x, y = at
    lean = rng.normal(0, 0.35)
    tip = np.array([np.sin(lean), -np.cos(lean)])
    side = np.array([-tip[1], tip[0]])
    root = np.array([x, y + step * 0.3])
    draw.line([tuple(root), tuple(root + tip * step * 0.62)], fill=ink, width=max(step // 40, 2))
    for leaf in range(int(rng.integers(4, 7))):
        base = root + tip * step * (0.12 + 0.09 * leaf)
        hand = side if leaf % 2 else -side
        end = base + (hand * 0.75 + tip * 0.65) * step * rng.uniform(0.16, 0.26)
        middle = (base + end) / 2
        bulge = np.array([-(end - base)[1], (end - base)[0]]) * 0.28
        draw.polygon(
            [tuple(base), tuple(middle + bulge), tuple(end), tuple(middle - bulge)], fill=ink
        )


def pages(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The cut edge of a book block: one line per sheet."""
    lines = 225 + 14 * rng.normal(0, 1, (height, 1)) + 3 * rng.normal(0, 1, (height, width))
    return to_uint8(lines[..., None] * np.array([1.0, 0.965, 0.88]))


def leaf(rng: np.random.Generator, size: int, tone: Color) -> np.ndarray:
    """A leaf unrolled: the base at the bottom, a pale midrib and side veins."""
    v, u = np.meshgrid(np.linspace(1, 0, size), np.linspace(-1, 1, size), indexing="ij")
    rib = np.exp(-((u / 0.06) ** 2))
    veins = np.maximum(np.cos((v * 9 - np.abs(u) * 1.6) * 2 * np.pi), 0) ** 12
    mottle = smooth_noise(rng, size, size, 12)
    light = 0.78 + 0.35 * mottle + 0.45 * rib + 0.22 * veins + 0.15 * v
    return to_uint8(np.asarray(tone, dtype=np.float64) * light[..., None])
