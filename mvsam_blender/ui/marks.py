# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks: a disc with a plus, a square with a minus, a frame for a box, a diamond to measure.

Shapes differ as well as colours, and everything is triangles: wide lines are not portable.
"""

from __future__ import annotations

import math

import blf
import gpu
from gpu_extras.batch import batch_for_shader

from mvsam_engine.capture import Prompt

Color = tuple[float, float, float, float]
Point = tuple[float, float]

INCLUDE: Color = (0.10, 0.65, 0.25, 1.0)
EXCLUDE: Color = (0.85, 0.15, 0.10, 1.0)
MEASURE: Color = (0.95, 0.80, 0.10, 1.0)
_WHITE: Color = (1.0, 1.0, 1.0, 1.0)
_BLACK: Color = (0.0, 0.0, 0.0, 0.8)

_RADIUS = 8.0
_RIM = 1.5
_ARM = 5.0
_HALF_BAR = 1.25
_SEGMENTS = 24
_LETTER = 13.0
# Of marks whose prompts have no complete answer yet.
_PENDING_OPACITY = 0.45


def draw_mark(prompt: Prompt, at: list[Point], pending: bool, scale: float) -> None:
    """Draw a prompt.

    Args:
        prompt: what to draw.
        at: its positions in pixels of the region, one or two corners.
        pending: drawn hollow, until the answer is complete.
        scale: of the interface.
    """
    color = INCLUDE if prompt.include else EXCLUDE
    if prompt.kind == "box" and len(at) == 2:
        _draw_frame(at[0], at[1], color, scale)
        return
    center, radius = at[0], _RADIUS * scale
    body = _disc if prompt.include else _square
    rim = _WHITE if pending else _BLACK
    _fill(body(center, radius + _RIM * scale), rim)
    _fill(body(center, radius), _faded(color) if pending else color)
    bars = [_bar(center, _ARM * scale, _HALF_BAR * scale)]
    if prompt.include:
        bars.append(_bar(center, _HALF_BAR * scale, _ARM * scale))
    for bar in bars:
        _fill(bar, _WHITE)


def draw_measure(ends: list[Point], names: str, scale: float) -> None:
    """Draw measure marks, diamonds with a dot, and the line between two of them.

    Args:
        ends: one or two positions in pixels of the region.
        names: a letter for each, drawn beside it.
        scale: of the interface.
    """
    if len(ends) == 2:
        _fill(_line(ends[0], ends[1], _HALF_BAR * scale), MEASURE)
    for center, name in zip(ends, names, strict=True):
        _fill(_diamond(center, (_RADIUS + 2 * _RIM) * scale), _BLACK)
        _fill(_diamond(center, _RADIUS * scale), MEASURE)
        _fill(_diamond(center, _RIM * scale), _BLACK)
        _write(name, (center[0] + _RADIUS * scale, center[1] + _RADIUS * scale), scale)


def _write(text: str, at: Point, scale: float) -> None:
    """White letters with a shadow, readable on any photo."""
    blf.size(0, _LETTER * scale)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, *_BLACK)
    blf.color(0, *_WHITE)
    blf.position(0, at[0], at[1], 0.0)
    blf.draw(0, text)
    blf.disable(0, blf.SHADOW)


def _diamond(center: Point, radius: float) -> list[Point]:
    x, y = center
    left, top, right, low = (x - radius, y), (x, y + radius), (x + radius, y), (x, y - radius)
    return [left, top, right, left, right, low]


def _line(start: Point, end: Point, half: float) -> list[Point]:
    """A line as two triangles."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    x, y = -dy / length * half, dx / length * half
    a, b = (start[0] + x, start[1] + y), (end[0] + x, end[1] + y)
    c, d = (end[0] - x, end[1] - y), (start[0] - x, start[1] - y)
    return [a, b, c, a, c, d]


def _faded(color: Color) -> Color:
    """The colour of a pending mark: darker, so that the light rim reads as a ring."""
    red, green, blue, alpha = color
    return (red * _PENDING_OPACITY, green * _PENDING_OPACITY, blue * _PENDING_OPACITY, alpha)


def _fill(triangles: list[Point], color: Color) -> None:
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    batch = batch_for_shader(shader, "TRIS", {"pos": triangles})
    shader.bind()
    shader.uniform_float("color", color)
    batch.draw(shader)


def _disc(center: Point, radius: float) -> list[Point]:
    x, y = center
    rim = [
        (x + radius * math.cos(a), y + radius * math.sin(a))
        for a in (2 * math.pi * i / _SEGMENTS for i in range(_SEGMENTS + 1))
    ]
    return [p for i in range(_SEGMENTS) for p in (center, rim[i], rim[i + 1])]


def _square(center: Point, radius: float) -> list[Point]:
    return _bar(center, radius * 0.9, radius * 0.9)


def _bar(center: Point, half_width: float, half_height: float) -> list[Point]:
    x, y = center
    left, right, low, high = x - half_width, x + half_width, y - half_height, y + half_height
    return [(left, low), (right, low), (right, high), (left, low), (right, high), (left, high)]


def _draw_frame(first: Point, second: Point, color: Color, scale: float) -> None:
    (x0, y0), (x1, y1) = first, second
    middle_x, middle_y, half = (x0 + x1) / 2, (y0 + y1) / 2, _HALF_BAR * scale
    width, height = abs(x1 - x0) / 2 + half, abs(y1 - y0) / 2 + half
    for bar in (
        _bar((middle_x, y0), width, half),
        _bar((middle_x, y1), width, half),
        _bar((x0, middle_y), half, height),
        _bar((x1, middle_y), half, height),
    ):
        _fill(bar, color)
