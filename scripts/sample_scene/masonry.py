# SPDX-License-Identifier: GPL-3.0-or-later
"""Laid surfaces: brickwork, paving, roof tiles, plaster; every unit differs from every other.

Every function returns an sRGB image, uint8 [height, width, 3], first row at the top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .patterns import Color, stretched_noise, to_uint8


@dataclass(frozen=True)
class Bond:
    """Units laid in courses.

    Attributes:
        unit: width and height of a unit in metres, its joint included.
        joint: width of the joint in metres.
        tones: colours that the units are drawn from.
        mortar: colour of the joints.
        shift: how far alternate courses are moved, as a share of a unit.
        uneven: how much a unit's width varies, as a share.
        shade: darkening from a unit's upper to its lower edge, 0..1 (overlapping tiles).
    """

    unit: tuple[float, float]
    joint: float
    tones: tuple[Color, ...]
    mortar: Color
    shift: float = 0.5
    uneven: float = 0.04
    shade: float = 0.0


def laid(
    rng: np.random.Generator, metres: tuple[float, float], per_metre: int, bond: Bond
) -> np.ndarray:
    """A surface of `metres` (width, height) laid in a bond, `per_metre` pixels a metre."""
    width, height = (round(side * per_metre) for side in metres)
    unit_x, unit_y = (side * per_metre for side in bond.unit)
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.4) * _wobble(rng, height, width)
    course = np.clip((y / unit_y).astype(int), 0, int(height / unit_y) + 1)
    jitter = rng.uniform(-bond.uneven, bond.uneven, int(height / unit_y) + 3)
    offset = (np.arange(len(jitter)) % 2) * bond.shift + jitter
    x = np.arange(width, dtype=np.float32)[None] + np.float32(0.4) * _wobble(rng, height, width)
    along = x / unit_x + offset[course] + 1.0
    column = along.astype(int)
    count = (int(height / unit_y) + 3, int(width / unit_x) + 5)
    tones = np.asarray(bond.tones, dtype=np.float32)[rng.integers(len(bond.tones), size=count)]
    tones *= rng.normal(1.0, 0.07, (*count, 1)).astype(np.float32)
    image = tones[course, np.minimum(column, count[1] - 1)]
    down = y / unit_y - course
    if bond.shade:
        image *= (1 - bond.shade * down)[..., None]
    grain = 0.55 * stretched_noise(rng, height, width, (height // 3, width // 3))
    grain += 0.45 * stretched_noise(rng, height, width, (height // 14, width // 14))
    image *= (0.84 + 0.32 * grain).astype(np.float32)[..., None]
    in_joint = (
        np.minimum(along - column, 1 - along + column) * unit_x < bond.joint * per_metre / 2
    ) | (np.minimum(down, 1 - down) * unit_y < bond.joint * per_metre / 2)
    image[in_joint] = np.asarray(bond.mortar, np.float32) * (0.9 + 0.2 * grain[in_joint])[:, None]
    return _weathered(rng, image)


def _wobble(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Edges are never quite straight: displacement in pixels, float32 [height, width]."""
    noise = stretched_noise(rng, height, width, (max(height // 22, 2), max(width // 22, 2)))
    return (6.0 * (noise - 0.5)).astype(np.float32)


def _weathered(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Broad stains, and darker streaks that run down."""
    height, width = image.shape[:2]
    stain = 0.86 + 0.26 * stretched_noise(rng, height, width, (5, 8))
    streak = stretched_noise(rng, height, width, (3, max(width // 60, 4)))
    stain *= 1 - 0.22 * np.clip(streak - 0.62, 0, 1)
    return to_uint8(image * stain.astype(np.float32)[..., None])


def plaster(
    rng: np.random.Generator, metres: tuple[float, float], per_metre: int, tone: Color
) -> np.ndarray:
    """Painted plaster: brush marks, fine grain, a few hairline cracks' worth of stain."""
    width, height = (round(side * per_metre) for side in metres)
    light = 0.93 + 0.07 * stretched_noise(rng, height, width, (7, 9))
    light += 0.05 * (stretched_noise(rng, height, width, (height // 6, width // 30)) - 0.5)
    light += 0.05 * (stretched_noise(rng, height, width, (height // 2, width // 2)) - 0.5)
    return to_uint8(np.asarray(tone, np.float64) * light[..., None])
