# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines with a width as triangles: bands of brush strokes, frames, dashes, rings.

Wide lines are not portable between graphics drivers. All positions are pixels of the region.
"""

from __future__ import annotations

import itertools
import math

Point = tuple[float, float]

_ROUND = 20  # segments of a full circle
# A mitre longer than so many half widths is cut: sharp turns would stick out.
_LONGEST_MITRE = 2.0


def band(path: list[Point], half: float) -> list[Point]:
    """A brush stroke: a strip along the path with round ends; neighbouring parts share edges.

    Args:
        path: one position or more; equal neighbours are joined.
        half: half its width.
    """
    line = [p for i, p in enumerate(path) if i == 0 or p != path[i - 1]]
    if len(line) == 1:
        return fan(line[0], half, 0.0, 2 * math.pi)
    sides = [_sides(line, i, half) for i in range(len(line))]
    triangles: list[Point] = []
    for (a, b), (c, d) in itertools.pairwise(sides):
        triangles += [a, b, c, b, c, d]
    first, last = _direction(line[1], line[0]), _direction(line[-2], line[-1])
    for center, angle in ((line[0], first), (line[-1], last)):
        triangles += fan(center, half, angle - math.pi / 2, angle + math.pi / 2)
    return triangles


def fan(center: Point, radius: float, start: float, end: float) -> list[Point]:
    """A sector of a disc between two angles."""
    count = max(1, round(_ROUND * (end - start) / (2 * math.pi)))
    rim = [_on_circle(center, radius, start + (end - start) * i / count) for i in range(count + 1)]
    return [p for i in range(count) for p in (center, rim[i], rim[i + 1])]


def ring(center: Point, radius: float, half: float) -> list[Point]:
    """A circle drawn as a line."""
    count = max(24, min(96, int(radius)))
    angles = [2 * math.pi * i / count for i in range(count + 1)]
    inner = [_on_circle(center, max(0.0, radius - half), a) for a in angles]
    outer = [_on_circle(center, radius + half, a) for a in angles]
    triangles: list[Point] = []
    for i in range(count):
        triangles += [inner[i], outer[i], inner[i + 1], outer[i], inner[i + 1], outer[i + 1]]
    return triangles


def line(start: Point, end: Point, half: float) -> list[Point]:
    """A straight line as two triangles."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    x, y = -dy / length * half, dx / length * half
    a, b = (start[0] + x, start[1] + y), (end[0] + x, end[1] + y)
    c, d = (end[0] - x, end[1] - y), (start[0] - x, start[1] - y)
    return [a, b, c, a, c, d]


def dashes(start: Point, end: Point, half: float, dash: float) -> list[Point]:
    """A dashed straight line; gaps are as long as dashes."""
    length = math.dist(start, end)
    if length == 0.0:
        return []
    count = max(1, round(length / (2 * dash)))
    triangles: list[Point] = []
    for i in range(count):
        a, b = i / count, (i + 0.5) / count
        triangles += line(_between(start, end, a), _between(start, end, b), half)
    return triangles


def frame(first: Point, second: Point, half: float, dash: float = 0.0) -> list[Point]:
    """The outline of a box between two corners, dashed when `dash` is not 0."""
    (x0, x1), (y0, y1) = sorted((first[0], second[0])), sorted((first[1], second[1]))
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    triangles: list[Point] = []
    for a, b in itertools.pairwise(corners):
        if dash:
            triangles += dashes(a, b, half, dash)
        else:
            # Longer by the width, so that corners are square.
            dx, dy = math.copysign(half, b[0] - a[0]), math.copysign(half, b[1] - a[1])
            flat = a[1] == b[1]
            ex, ey = (dx, 0.0) if flat else (0.0, dy)
            triangles += line((a[0] - ex, a[1] - ey), (b[0] + ex, b[1] + ey), half)
    return triangles


def _sides(path: list[Point], i: int, half: float) -> tuple[Point, Point]:
    """The two edges of a band at position `i`."""
    before = _normal(path[max(0, i - 1)], path[max(1, i)])
    after = _normal(path[min(i, len(path) - 2)], path[min(i + 1, len(path) - 1)])
    x, y = before[0] + after[0], before[1] + after[1]
    length = math.hypot(x, y)
    if length < 1e-6:  # it turns back on itself
        x, y, length = after[0], after[1], 1.0
    x, y = x / length, y / length
    stretch = half * min(_LONGEST_MITRE, 1.0 / max(1e-6, x * after[0] + y * after[1]))
    px, py = path[i]
    return (px + x * stretch, py + y * stretch), (px - x * stretch, py - y * stretch)


def _normal(start: Point, end: Point) -> Point:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    return -dy / length, dx / length


def _direction(start: Point, end: Point) -> float:
    return math.atan2(end[1] - start[1], end[0] - start[0])


def _on_circle(center: Point, radius: float, angle: float) -> Point:
    return center[0] + radius * math.cos(angle), center[1] + radius * math.sin(angle)


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
