# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks: a disc with a plus, a square with a minus, frames, brush strokes, a diamond to measure.

Shapes differ as well as colours, and everything is triangles: wide lines are not portable.
"""

from __future__ import annotations

import math

import blf
import gpu
from gpu_extras.batch import batch_for_shader

from mvsam_engine.capture import Prompt

from .ribbons import band, fan, frame, line, ring

Color = tuple[float, float, float, float]
Point = tuple[float, float]

INCLUDE: Color = (0.10, 0.65, 0.25, 1.0)
EXCLUDE: Color = (0.85, 0.15, 0.10, 1.0)
MEASURE: Color = (0.95, 0.80, 0.10, 1.0)
_WHITE: Color = (1.0, 1.0, 1.0, 1.0)
_BLACK: Color = (0.0, 0.0, 0.0, 0.8)
_SHADE: Color = (0.0, 0.0, 0.0, 0.45)

_RADIUS = 8.0
_SMALL = 5.5
_RIM = 1.5
_ARM = 5.0
_HALF_BAR = 1.25
_HALF_LINE = 1.0
_DASH = 6.0
_LETTER = 13.0
# Of marks whose prompts have no complete answer yet.
_PENDING_OPACITY = 0.45
# Of what a brush stroke covers: the photo is seen through it.
_STROKE_OPACITY = 0.35


def draw_mark(
    prompt: Prompt, at: list[Point], pending: bool, scale: float, radius: float = 0.0
) -> None:
    """Draw a prompt.

    Args:
        prompt: what to draw.
        at: its positions in pixels of the region: one, two corners, or those of a stroke.
        pending: drawn hollow or dashed, until the answer is complete.
        scale: of the interface.
        radius: half width of a stroke in pixels of the region.
    """
    if prompt.kind == "box" and len(at) == 2:
        draw_box(at[0], at[1], prompt.include, pending, scale)
    elif prompt.kind == "stroke":
        draw_stroke(at, radius, prompt.include, pending, scale)
    elif at:
        _draw_badge(at[0], prompt.include, pending, scale, _RADIUS * scale)


def draw_box(first: Point, second: Point, include: bool, pending: bool, scale: float) -> None:
    """Draw a box with a sign at its upper left corner."""
    dash = _DASH * scale if pending else 0.0
    _fill(frame(first, second, _HALF_LINE * scale + 1.0), _SHADE)
    _fill(frame(first, second, _HALF_LINE * scale, dash), _WHITE if pending else _color(include))
    corner = (min(first[0], second[0]), max(first[1], second[1]))
    _draw_badge(corner, include, pending, scale, _SMALL * scale)


def draw_stroke(
    path: list[Point], radius: float, include: bool, pending: bool, scale: float
) -> None:
    """Draw a brush stroke: what it covers, and a line along its middle with a sign."""
    red, green, blue, _ = _color(include)
    opacity = _STROKE_OPACITY * (_PENDING_OPACITY if pending else 1.0)
    _fill(band(path, max(radius, _HALF_LINE * scale)), (red, green, blue, opacity))
    _fill(band(path, _HALF_LINE * scale), _WHITE if pending else _color(include))
    _draw_badge(path[0], include, pending, scale, _SMALL * scale)


def draw_brush(center: Point, radius: float, include: bool, scale: float) -> None:
    """Draw the brush's circle at the mouse; seen on light and on dark photos."""
    _fill(ring(center, radius, 1.5 * scale), _SHADE)
    _fill(ring(center, radius, 0.75 * scale), _WHITE if include else EXCLUDE)


def draw_measure(ends: list[Point], names: str, scale: float) -> None:
    """Draw measure marks, diamonds with a dot, and the line between two of them.

    Args:
        ends: one or two positions in pixels of the region.
        names: a letter for each, drawn beside it.
        scale: of the interface.
    """
    if len(ends) == 2:
        _fill(line(ends[0], ends[1], _HALF_BAR * scale), MEASURE)
    for center, name in zip(ends, names, strict=True):
        _fill(_diamond(center, (_RADIUS + 2 * _RIM) * scale), _BLACK)
        _fill(_diamond(center, _RADIUS * scale), MEASURE)
        _fill(_diamond(center, _RIM * scale), _BLACK)
        write(name, (center[0] + _RADIUS * scale, center[1] + _RADIUS * scale), scale)


def write(text: str, at: Point, scale: float) -> None:
    """White letters with a shadow, readable on any photo."""
    blf.size(0, _LETTER * scale)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, *_BLACK)
    blf.color(0, *_WHITE)
    blf.position(0, at[0], at[1], 0.0)
    blf.draw(0, text)
    blf.disable(0, blf.SHADOW)


def _draw_badge(center: Point, include: bool, pending: bool, scale: float, radius: float) -> None:
    """A disc with a plus, or a square with a minus; with a light rim while pending."""
    color = _color(include)
    body = _disc if include else _square
    _fill(body(center, radius + _RIM * scale), _WHITE if pending else _BLACK)
    _fill(body(center, radius), _faded(color) if pending else color)
    arm, half = _ARM * radius / _RADIUS, _HALF_BAR * radius / _RADIUS
    _fill(_bar(center, arm, half), _WHITE)
    if include:
        _fill(_bar(center, half, arm), _WHITE)


def _color(include: bool) -> Color:
    return INCLUDE if include else EXCLUDE


def _diamond(center: Point, radius: float) -> list[Point]:
    x, y = center
    left, top, right, low = (x - radius, y), (x, y + radius), (x + radius, y), (x, y - radius)
    return [left, top, right, left, right, low]


def _faded(color: Color) -> Color:
    """The colour of a pending mark: darker, so that the light rim reads as a ring."""
    red, green, blue, alpha = color
    return (red * _PENDING_OPACITY, green * _PENDING_OPACITY, blue * _PENDING_OPACITY, alpha)


def _fill(triangles: list[Point], color: Color) -> None:
    if not triangles:
        return
    shader = gpu.shader.from_builtin("UNIFORM_COLOR")
    batch = batch_for_shader(shader, "TRIS", {"pos": triangles})
    shader.bind()
    shader.uniform_float("color", color)
    batch.draw(shader)


def _disc(center: Point, radius: float) -> list[Point]:
    return fan(center, radius, 0.0, 2 * math.pi)


def _square(center: Point, radius: float) -> list[Point]:
    return _bar(center, radius * 0.9, radius * 0.9)


def _bar(center: Point, half_width: float, half_height: float) -> list[Point]:
    x, y = center
    left, right, low, high = x - half_width, x + half_width, y - half_height, y + half_height
    return [(left, low), (right, low), (right, high), (left, low), (right, high), (left, high)]
