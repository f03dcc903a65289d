# SPDX-License-Identifier: GPL-3.0-or-later
"""Printed and painted things drawn with Pillow: tea box, book covers, posters, glazed bands.

Every function returns an sRGB image, uint8 [height, width, 3], first row at the top.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .patterns import Color, hex_color, smooth_noise, to_uint8

WORDS = (
    "garden",
    "river",
    "lemon",
    "window",
    "paper",
    "cloud",
    "kettle",
    "winter",
    "thread",
    "harbour",
    "pebble",
    "orchard",
    "lantern",
    "copper",
    "meadow",
    "candle",
    "feather",
    "island",
    "walnut",
    "saffron",
    "morning",
    "linen",
    "quiet",
    "barley",
    "willow",
)
CREAM = hex_color("#f1e6cf")
GOLD = hex_color("#d2a24a")


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: float, fill: Color
) -> None:
    font = ImageFont.load_default(size)
    draw.text(at, text, font=font, fill=fill, anchor="mm")


def _worn(rng: np.random.Generator, image: Image.Image) -> np.ndarray:
    """Ink is never flat: a faint cloud and paper grain, so that even plain areas are not empty."""
    pixels = np.asarray(image, dtype=np.float64)
    height, width = pixels.shape[:2]
    cloud = 0.95 + 0.08 * smooth_noise(rng, height, width, 11)
    grain = 1.0 + 0.025 * rng.normal(0, 1, (height, width))
    return to_uint8(pixels * (cloud * grain)[..., None])


def _petal(center: tuple[float, float], angle: float, length: float, width: float) -> list:
    ts = np.linspace(0, 1, 12)
    along = np.concatenate([ts, ts[::-1]]) * length
    across = np.concatenate([np.sin(ts * np.pi), -np.sin(ts[::-1] * np.pi)]) * width
    cos, sin = math.cos(angle), math.sin(angle)
    xs = center[0] + along * cos - across * sin
    ys = center[1] + along * sin + across * cos
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def _flower(
    draw: ImageDraw.ImageDraw,
    center: tuple[float, float],
    radius: float,
    petals: int,
    colors: tuple[Color, Color],
) -> None:
    for index in range(petals):
        angle = 2 * math.pi * index / petals
        draw.polygon(_petal(center, angle, radius, radius * 0.22), fill=colors[0])
    eye = radius * 0.25
    x, y = center
    draw.ellipse((x - eye, y - eye, x + eye, y + eye), fill=colors[1])


def tea_front(rng: np.random.Generator, ground: Color) -> np.ndarray:
    """Front of the tea box, 660 x 1020 px."""
    image = Image.new("RGB", (660, 1020), ground)
    draw = ImageDraw.Draw(image)
    for inset, width in ((22, 6), (36, 2)):
        draw.rectangle((inset, inset, 660 - inset, 1020 - inset), outline=GOLD, width=width)
    draw.ellipse((120, 330, 540, 750), fill=CREAM)
    draw.ellipse((134, 344, 526, 736), outline=ground, width=4)
    for ring, count in ((150, 12), (100, 9), (55, 6)):
        for index in range(count):
            angle = 2 * math.pi * (index + ring / 60) / count
            shade = tuple(int(c * rng.uniform(0.7, 1.25)) for c in (92, 138, 78))
            draw.polygon(_petal((330, 540), angle, ring, ring * 0.17), fill=shade)
    _flower(draw, (330, 540), 52, 7, (hex_color("#e8b54d"), hex_color("#a84b2a")))
    _text(draw, (330, 130), "MORNING", 92, CREAM)
    _text(draw, (330, 235), "GARDEN", 104, GOLD)
    _text(draw, (330, 815), "green tea with mint", 52, CREAM)
    _text(draw, (330, 885), "and lemon verbena", 44, CREAM)
    _text(draw, (330, 955), "20 bags    40 g", 34, GOLD)
    return _worn(rng, image)


def tea_side(rng: np.random.Generator, ground: Color) -> np.ndarray:
    """Narrow side of the tea box with small print and a bar code, 420 x 1020 px."""
    image = Image.new("RGB", (420, 1020), ground)
    draw = ImageDraw.Draw(image)
    draw.rectangle((30, 40, 390, 640), fill=CREAM)
    _text(draw, (210, 90), "How to brew", 46, ground)
    for line in range(15):
        words = " ".join(rng.choice(WORDS, 3))
        _text(draw, (210, 150 + 32 * line), words, 25, hex_color("#4a3b2c"))
    draw.rectangle((70, 730, 350, 930), fill=(245, 245, 240))
    x = 90
    while x < 330:
        width = int(rng.integers(2, 8))
        draw.rectangle((x, 745, x + width, 890), fill=(20, 20, 20))
        x += width + int(rng.integers(3, 8))
    _text(draw, (210, 910), "4 006381 333931", 24, (20, 20, 20))
    return _worn(rng, image)


def tea_back(rng: np.random.Generator, ground: Color) -> np.ndarray:
    """Back of the tea box, 660 x 1020 px: nothing of the front, so that the two never match."""
    image = Image.new("RGB", (660, 1020), ground)
    draw = ImageDraw.Draw(image)
    hills = tuple(hex_color(c) for c in ("#e9c9a0", "#c9794a", "#8f4d3a", "#5d3a3a", "#3c2c33"))
    draw.rectangle((0, 0, 660, 430), fill=hills[0])
    draw.ellipse((420, 60, 550, 190), fill=hex_color("#f6efd9"))
    xs = np.linspace(0, 660, 50)
    for layer in range(1, 5):
        waves = 34 * np.sin(xs / rng.uniform(50, 130) + rng.uniform(0, 6)) + rng.normal(0, 3, 50)
        outline = zip(xs.tolist(), (130 + 62 * layer + waves).tolist(), strict=True)
        draw.polygon([*outline, (660, 430), (0, 430)], fill=hills[layer])
    _text(draw, (330, 500), "a quiet cup", 84, CREAM)
    for line in range(6):
        _text(draw, (330, 585 + 40 * line), " ".join(rng.choice(WORDS, 4)), 34, hills[0])
    for index, label in enumerate(("80 C", "2 g", "3 min")):
        x = 130 + 200 * index
        draw.rounded_rectangle((x - 78, 850, x + 78, 960), 18 + 16 * index, fill=hills[index + 1])
        _text(draw, (x, 905), label, 50, CREAM)
    return _worn(rng, image)


def tea_facts(rng: np.random.Generator, ground: Color) -> np.ndarray:
    """The other narrow side of the tea box: a table of numbers, 420 x 1020 px."""
    image = Image.new("RGB", (420, 1020), ground)
    draw = ImageDraw.Draw(image)
    _text(draw, (210, 80), "per 100 ml", 58, GOLD)
    for row in range(13):
        y = 150 + 62 * row
        draw.line([(30, y + 31), (390, y + 31)], fill=GOLD, width=3)
        _text(draw, (125, y), str(rng.choice(WORDS)), 36, CREAM)
        _text(draw, (325, y), f"{rng.uniform(0, 40):.1f}", 40, CREAM)
    return _worn(rng, image)


def tea_top(rng: np.random.Generator, ground: Color) -> np.ndarray:
    """Lid of the tea box, 660 x 420 px."""
    image = Image.new("RGB", (660, 420), ground)
    draw = ImageDraw.Draw(image)
    draw.rectangle((18, 18, 642, 402), outline=GOLD, width=5)
    for x in (110, 550):
        _flower(draw, (x, 210), 75, 9, (CREAM, GOLD))
    _text(draw, (330, 180), "MORNING", 58, CREAM)
    _text(draw, (330, 250), "GARDEN", 62, GOLD)
    return _worn(rng, image)


def book_cover(rng: np.random.Generator, palette: tuple[Color, ...], title: str) -> np.ndarray:
    """A book cover of overlapping plain shapes, 760 x 1060 px."""
    image = Image.new("RGB", (760, 1060), palette[0])
    draw = ImageDraw.Draw(image)
    for row in range(6):
        for column in range(5):
            x, y, cell = 40 + column * 136, 290 + row * 122, 118
            fill = palette[1 + int(rng.integers(len(palette) - 1))]
            kind = int(rng.integers(4))
            if kind == 0:
                draw.ellipse((x, y, x + cell, y + cell), fill=fill)
            elif kind == 1:
                start = int(rng.integers(4)) * 90
                draw.pieslice((x, y, x + cell, y + cell), start, start + 180, fill=fill)
            elif kind == 2:
                draw.polygon([(x, y + cell), (x + cell, y + cell), (x + cell, y)], fill=fill)
            else:
                draw.rectangle((x, y, x + cell, y + cell), outline=fill, width=16)
    for line, word in enumerate(title.split()):
        _text(draw, (380, 90 + 96 * line), word, 96, palette[-1])
    return _worn(rng, image)


def book_spine(rng: np.random.Generator, palette: tuple[Color, ...], title: str) -> np.ndarray:
    """A spine, read along its length, 1060 x 150 px."""
    image = Image.new("RGB", (1060, 150), palette[0])
    draw = ImageDraw.Draw(image)
    for x in (60, 80, 980, 1000):
        draw.rectangle((x, 0, x + 9, 150), fill=palette[1])
    _flower(draw, (160, 75), 48, int(rng.integers(5, 10)), (palette[-1], palette[1]))
    _text(draw, (560, 75), title.upper(), 82, palette[-1])
    return _worn(rng, image)


def mug_band(rng: np.random.Generator, palette: tuple[Color, ...]) -> np.ndarray:
    """Folk ornament around a mug, 1600 x 560 px; the ends meet."""
    image = Image.new("RGB", (1600, 560), palette[0])
    draw = ImageDraw.Draw(image)
    for y, height in ((26, 14), (520, 14), (118, 6), (432, 6)):
        draw.rectangle((0, y, 1600, y + height), fill=palette[1])
    for index in range(40):
        x = index * 40
        draw.polygon([(x, 112), (x + 20, 58), (x + 40, 112)], fill=palette[2 + index % 2])
        draw.polygon([(x, 445), (x + 20, 500), (x + 40, 445)], fill=palette[2 + (index + 1) % 2])
    for index in range(8):
        x = 100 + index * 200
        petals, radius = int(rng.integers(5, 11)), rng.uniform(78, 112)
        _flower(draw, (x, 275), radius, petals, (palette[2 + index % 3], palette[1]))
        for sign in (-1, 1):
            draw.polygon(_petal((x + 100, 275), sign * math.pi / 2, 105, 20), fill=palette[1])
        draw.ellipse((x + 86, 261, x + 114, 289), fill=palette[2 + (index + 1) % 3])
    return _worn(rng, image)


def bowl_band(rng: np.random.Generator, ink: Color) -> np.ndarray:
    """Blue-and-white brush work around a bowl, 1800 x 520 px; the ends meet."""
    image = Image.new("RGB", (1800, 520), hex_color("#eef0ee"))
    draw = ImageDraw.Draw(image)
    pale = tuple((c + 2 * 238) // 3 for c in ink)
    for row in range(4):
        for column in range(18):
            x = (column + 0.5 * (row % 2)) * 100 + rng.normal(0, 3)
            y = 505 - row * 72
            for radius, width in ((62, 9), (44, 5), (26, 4)):
                box = (x - radius, y - radius, x + radius, y + radius)
                draw.arc(box, 180, 360, fill=ink if radius != 44 else pale, width=width)
    for index in range(12):
        center = (75 + index * 150 + rng.normal(0, 4), 130 + rng.normal(0, 6))
        _flower(draw, center, rng.uniform(48, 66), int(rng.integers(5, 9)), (ink, pale))
    draw.rectangle((0, 20, 1800, 42), fill=ink)
    draw.rectangle((0, 52, 1800, 57), fill=ink)
    return _worn(rng, image)


def poster(rng: np.random.Generator, palette: tuple[Color, ...], kind: int) -> np.ndarray:
    """A picture for the wall, 700 x 960 px: 0 hills, 1 circles, 2 botanical, 3 lettering."""
    image = Image.new("RGB", (700, 960), palette[0])
    draw = ImageDraw.Draw(image)
    painters = (_paint_hills, _paint_circles, _paint_plants, _paint_letters)
    painters[kind % 4](draw, rng, palette)
    draw.rectangle((0, 0, 699, 959), outline=CREAM, width=34)
    return _worn(rng, image)


def _paint_hills(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, palette: tuple[Color, ...]
) -> None:
    draw.ellipse((400, 150, 580, 330), fill=palette[-1])
    xs = np.linspace(0, 700, 60)
    for layer in range(7):
        base = 380 + layer * 85
        waves = sum(
            rng.uniform(10, 55) * np.sin(xs / rng.uniform(40, 160) + rng.uniform(0, 6))
            for _ in range(3)
        )
        outline = list(zip(xs.tolist(), (base + waves).tolist(), strict=True))
        fill = palette[1 + layer % (len(palette) - 2)]
        draw.polygon([*outline, (700, 960), (0, 960)], fill=fill)


def _paint_circles(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, palette: tuple[Color, ...]
) -> None:
    for _ in range(70):
        x, y, radius = rng.uniform(0, 700), rng.uniform(0, 960), rng.uniform(10, 110)
        fill = palette[int(rng.integers(1, len(palette)))]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
        inner = radius * rng.uniform(0.3, 0.8)
        draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill=palette[0])


def _paint_plants(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, palette: tuple[Color, ...]
) -> None:
    for _ in range(11):
        x, top = rng.uniform(60, 640), rng.uniform(120, 520)
        fill = palette[int(rng.integers(1, len(palette)))]
        draw.line([(x, 930), (x, top)], fill=fill, width=6)
        for y in np.arange(top, 900, rng.uniform(34, 60)):
            for sign in (-1, 1):
                angle = -math.pi / 2 + sign * rng.uniform(0.6, 1.1)
                length = rng.uniform(50, 110)
                draw.polygon(_petal((x, y), angle, length, length * 0.17), fill=fill)


def _paint_letters(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, palette: tuple[Color, ...]
) -> None:
    y = 110.0
    while y < 900:
        size = float(rng.uniform(50, 130))
        fill = palette[int(rng.integers(1, len(palette)))]
        _text(draw, (350, y), str(rng.choice(WORDS)).upper(), size, fill)
        y += size * 1.05
