# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of things: each a closed mesh about one unit tall, standing on z = 0.

Every maker takes a random generator and gives a mesh; `random_shape` picks one. Things of several
parts (a mug with its handle, a table with its legs) are one mesh: a click on a part means the whole
thing or the part, and training shows both (`world.Thing.parts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import trimesh
from numpy.typing import NDArray
from trimesh import Trimesh

Maker = Callable[[np.random.Generator], list[Trimesh]]


def box(rng: np.random.Generator) -> list[Trimesh]:
    """A box, from a flat book to a tall carton."""
    return [trimesh.creation.box(extents=rng.uniform(0.25, 1.0, 3))]


def ball(rng: np.random.Generator) -> list[Trimesh]:
    """An ellipsoid."""
    mesh = trimesh.creation.icosphere(subdivisions=3)
    mesh.apply_scale(rng.uniform(0.3, 0.6, 3))
    return [mesh]


def turned(rng: np.random.Generator) -> list[Trimesh]:
    """A turned piece, such as a vase, a bottle or a bowling pin: a random profile about z."""
    knots = rng.integers(4, 8)
    radii = rng.uniform(0.12, 0.45, knots)
    heights = np.linspace(0.0, 1.0, knots)
    fine = np.linspace(0.0, 1.0, 24)
    smooth = np.interp(fine, heights, radii)
    smooth = np.convolve(np.pad(smooth, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    profile = np.column_stack([smooth, fine])
    profile = np.vstack([[0.0, 0.0], profile, [0.0, 1.0]])
    return [trimesh.creation.revolve(profile, sections=40)]


def lump(rng: np.random.Generator) -> list[Trimesh]:
    """A stone, a potato, a soft toy's body: a ball bent by a few smooth waves."""
    mesh = trimesh.creation.icosphere(subdivisions=4)
    directions = rng.normal(size=(6, 3)) * rng.uniform(0.8, 2.5)
    phases = rng.uniform(0, 2 * np.pi, 6)
    waves = np.sin(mesh.vertices @ directions.T + phases).mean(axis=1)
    mesh.vertices = mesh.vertices * (0.45 * (1.0 + 0.55 * waves))[:, None]
    return [mesh]


def pole(rng: np.random.Generator) -> list[Trimesh]:
    """A thin post, a pencil, a leg."""
    return [trimesh.creation.cylinder(radius=rng.uniform(0.015, 0.05), height=1.0, sections=16)]


def ring(rng: np.random.Generator) -> list[Trimesh]:
    """A torus, upright or lying."""
    thick = rng.uniform(0.06, 0.16)
    mesh = trimesh.creation.torus(0.4, thick, major_sections=40, minor_sections=16)
    mesh.apply_transform(turn((1, 0, 0), rng.choice([0.0, np.pi / 2])))
    return [mesh]


def mug(rng: np.random.Generator) -> list[Trimesh]:
    """A hollow cylinder with a handle, two parts."""
    radius, height = rng.uniform(0.25, 0.4), rng.uniform(0.6, 0.9)
    wall = 0.03
    profile = [
        [0.0, 0.0],
        [radius, 0.0],
        [radius, height],
        [radius - wall, height],
        [radius - wall, wall],
        [0.0, wall],
    ]
    body = trimesh.creation.revolve(np.array(profile), sections=40)
    handle = trimesh.creation.torus(0.28 * height, 0.035, major_sections=28, minor_sections=10)
    handle.apply_transform(turn((1, 0, 0), np.pi / 2))
    handle.apply_translation([radius + 0.2 * height, 0.0, 0.5 * height])
    return [body, handle]


def table(rng: np.random.Generator) -> list[Trimesh]:
    """A plate on four legs, or a stool: the plate and the legs are two parts."""
    width, depth = rng.uniform(0.6, 1.2, 2)
    thick, leg = rng.uniform(0.04, 0.1), rng.uniform(0.03, 0.07)
    plate = trimesh.creation.box(extents=[width, depth, thick])
    plate.apply_translation([0, 0, 1.0 - thick / 2])
    legs = []
    for x in (-1, 1):
        for y in (-1, 1):
            one = trimesh.creation.box(extents=[leg, leg, 1.0 - thick])
            one.apply_translation([x * (width - leg) / 2, y * (depth - leg) / 2, (1 - thick) / 2])
            legs.append(one)
    return [plate, trimesh.util.concatenate(legs)]


def figure(rng: np.random.Generator) -> list[Trimesh]:
    """A toy figure: body, head, two arms, each a part."""
    body = trimesh.creation.capsule(height=0.3, radius=rng.uniform(0.16, 0.24), count=[16, 16])
    body.apply_translation([0, 0, 0.22])
    head = trimesh.creation.icosphere(subdivisions=3, radius=rng.uniform(0.14, 0.22))
    head.apply_translation([0, 0, 0.8])
    parts = [body, head]
    for side in (-1, 1):
        arm = trimesh.creation.capsule(height=0.3, radius=0.05, count=[10, 10])
        arm.apply_transform(turn((0, 1, 0), side * rng.uniform(0.5, 2.0)))
        arm.apply_translation([side * 0.18, 0, 0.5])
        parts.append(arm)
    return parts


def stack(rng: np.random.Generator) -> list[Trimesh]:
    """Books or boxes on one another, each a part."""
    parts, top = [], 0.0
    for _ in range(rng.integers(2, 5)):
        size = np.array([*rng.uniform(0.5, 0.9, 2), rng.uniform(0.1, 0.25)])
        one = trimesh.creation.box(extents=size)
        one.apply_transform(turn((0, 0, 1), rng.uniform(-0.4, 0.4)))
        one.apply_translation([*rng.uniform(-0.05, 0.05, 2), top + size[2] / 2])
        top += size[2]
        parts.append(one)
    return parts


def plant(rng: np.random.Generator) -> list[Trimesh]:
    """Leaves out of a pot: two parts, the leaves thin and full of gaps."""
    pot = trimesh.creation.revolve(
        np.array([[0.0, 0.0], [0.16, 0.0], [0.22, 0.35], [0.19, 0.35], [0.0, 0.3]]), sections=32
    )
    leaves = []
    for _ in range(rng.integers(8, 18)):
        leaf = trimesh.creation.icosphere(subdivisions=2)
        leaf.apply_scale([rng.uniform(0.16, 0.3), rng.uniform(0.04, 0.09), 0.012])
        leaf.apply_translation([0.22, 0, 0])
        leaf.apply_transform(turn((0, 1, 0), -rng.uniform(0.2, 1.4)))
        leaf.apply_transform(turn((0, 0, 1), rng.uniform(0, 2 * np.pi)))
        leaf.apply_translation([0, 0, rng.uniform(0.35, 0.6)])
        leaves.append(leaf)
    return [pot, trimesh.util.concatenate(leaves)]


SHAPES: Sequence[Maker] = (
    box, ball, turned, lump, pole, ring, mug, table, figure, stack, plant,
)  # fmt: skip


def turn(axis: Sequence[float], radians: float) -> NDArray[np.float64]:
    """4x4 rotation about an axis through the origin."""
    return trimesh.transformations.rotation_matrix(radians, axis)


def random_shape(
    rng: np.random.Generator, shapes: Sequence[Maker] = SHAPES
) -> tuple[str, list[Trimesh]]:
    """One of the kinds by name, its parts scaled to height one and standing on z = 0."""
    maker = shapes[rng.integers(len(shapes))]
    parts = maker(rng)
    corners = np.array([part.bounds for part in parts])
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    middle = (low + high) / 2
    for part in parts:
        part.apply_translation([-middle[0], -middle[1], -low[2]])
        part.apply_scale(1.0 / max(high - low))
    return maker.__name__, parts
