# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of things that no training scene has: what a trained network is measured on.

Each is put together of several parts, most of them with thin ones, as things of daily life are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import trimesh
from trimesh import Trimesh

from mvsam_engine.train.scenes.shapes import Maker, turn


def _box(size: Sequence[float], middle: Sequence[float]) -> Trimesh:
    mesh = trimesh.creation.box(extents=size)
    mesh.apply_translation(middle)
    return mesh


def _rod(radius: float, height: float, foot: Sequence[float]) -> Trimesh:
    """An upright cylinder that stands on `foot`."""
    mesh = trimesh.creation.cylinder(radius=radius, height=height, sections=28)
    mesh.apply_translation([foot[0], foot[1], foot[2] + height / 2])
    return mesh


def _cone(radius: float, height: float, foot: Sequence[float]) -> Trimesh:
    mesh = trimesh.creation.cone(radius=radius, height=height, sections=32)
    mesh.apply_translation(foot)
    return mesh


def chair(rng: np.random.Generator) -> list[Trimesh]:
    """Seat, back and four legs."""
    side, thick = rng.uniform(0.42, 0.55), rng.uniform(0.04, 0.08)
    seat = _box([side, side, thick], [0, 0, 0.45])
    back = _box([side, 0.05, 0.5], [0, side / 2, 0.7])
    reach = side / 2 - 0.03
    legs = [_rod(0.025, 0.45, [x * reach, y * reach, 0]) for x in (-1, 1) for y in (-1, 1)]
    return [seat, back, trimesh.util.concatenate(legs)]


def lamp(rng: np.random.Generator) -> list[Trimesh]:
    """Foot, pole and shade."""
    shade = trimesh.creation.revolve(
        np.array([[0.0, 0.68], [rng.uniform(0.2, 0.3), 0.68], [0.12, 1.0], [0.0, 1.0]]),
        sections=36,
    )
    return [_rod(rng.uniform(0.14, 0.22), 0.04, [0, 0, 0]), _rod(0.02, 0.66, [0, 0, 0.03]), shade]


def house(rng: np.random.Generator) -> list[Trimesh]:
    """Walls, a roof with two slopes, a chimney."""
    width, depth, height = rng.uniform(0.5, 0.9, 3) * (1, 0.8, 0.6)
    ridge = height + rng.uniform(0.2, 0.35)
    x, y = 0.56 * width, 0.56 * depth
    corners = [[-x, -y, height], [x, -y, height], [x, y, height], [-x, y, height],
               [-x, 0, ridge], [x, 0, ridge]]  # fmt: skip
    roof = trimesh.convex.convex_hull(np.array(corners))
    chimney = _box([0.08, 0.08, 0.25], [0.25 * width, 0.2 * depth, ridge])
    return [_box([width, depth, height], [0, 0, height / 2]), roof, chimney]


def car(rng: np.random.Generator) -> list[Trimesh]:
    """Body, cabin and four wheels."""
    length, width = rng.uniform(0.9, 1.1), rng.uniform(0.4, 0.5)
    body = _box([length, width, 0.18], [0, 0, 0.2])
    cabin = _box([0.5 * length, 0.85 * width, 0.18], [-0.05, 0, 0.37])
    wheels = []
    for x in (-0.3, 0.3):
        for y in (-0.5, 0.5):
            wheel = trimesh.creation.cylinder(radius=0.11, height=0.07, sections=28)
            wheel.apply_transform(turn((1, 0, 0), np.pi / 2))
            wheel.apply_translation([x * length, y * width, 0.11])
            wheels.append(wheel)
    return [body, cabin, trimesh.util.concatenate(wheels)]


def snowman(rng: np.random.Generator) -> list[Trimesh]:
    """Three balls and a hat."""
    parts, top = [], 0.0
    for radius in (rng.uniform(0.24, 0.3), rng.uniform(0.17, 0.22), rng.uniform(0.11, 0.15)):
        ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
        ball.apply_translation([0, 0, top + 0.9 * radius])
        top += 1.7 * radius
        parts.append(ball)
    hat = [_rod(0.16, 0.02, [0, 0, top]), _rod(0.1, 0.16, [0, 0, top])]
    return [trimesh.util.concatenate(parts), trimesh.util.concatenate(hat)]


def rocket(rng: np.random.Generator) -> list[Trimesh]:
    """Body, nose and three fins."""
    radius = rng.uniform(0.1, 0.16)
    fins = []
    for k in range(3):
        fin = _box([0.22, 0.02, 0.25], [radius + 0.08, 0, 0.13])
        fin.apply_transform(turn((0, 0, 1), 2 * np.pi * k / 3))
        fins.append(fin)
    body, nose = _rod(radius, 0.65, [0, 0, 0.05]), _cone(radius, 0.3, [0, 0, 0.7])
    return [body, nose, trimesh.util.concatenate(fins)]


def fir(rng: np.random.Generator) -> list[Trimesh]:
    """A trunk under cones."""
    cones = [
        _cone(rng.uniform(0.24, 0.34) * (1 - 0.25 * k), 0.4, [0, 0, 0.2 + 0.22 * k])
        for k in range(3)
    ]
    return [_rod(0.06, 0.25, [0, 0, 0]), trimesh.util.concatenate(cones)]


def dumbbell(rng: np.random.Generator) -> list[Trimesh]:
    """Two balls on a bar, lying."""
    radius = rng.uniform(0.16, 0.24)
    bar = trimesh.creation.cylinder(radius=0.05, height=0.7, sections=24)
    bar.apply_transform(turn((0, 1, 0), np.pi / 2))
    bar.apply_translation([0, 0, radius])
    ends = []
    for x in (-0.4, 0.4):
        ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
        ball.apply_translation([x, 0, radius])
        ends.append(ball)
    return [bar, trimesh.util.concatenate(ends)]


HELD_OUT: Sequence[Maker] = (chair, lamp, house, car, snowman, rocket, fir, dumbbell)
