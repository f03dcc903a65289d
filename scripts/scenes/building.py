# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a building: a wall with openings, windows, columns, railings, foliage."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import bpy
import numpy as np
from sample_scene import materials, shapes
from sample_scene.materials import Finish
from sample_scene.room import put

STONE = Finish(roughness=0.9, specular=0.2)


@dataclass(frozen=True)
class Opening:
    """A rectangle in a wall: metres from its left end and from the ground."""

    left: float
    low: float
    width: float
    height: float


def pierced_wall(
    name: str, width: float, height: float, openings: list[Opening], reveal: float
) -> bpy.types.Object:
    """A wall in the XZ plane facing -Y, its base from (0, 0, 0) to (width, 0, 0).

    Texture coordinates run over the whole wall once; the sides of the openings, `reveal` metres
    deep, continue the texture of their edges.
    """
    xs = sorted({0.0, width, *(o.left for o in openings), *(o.left + o.width for o in openings)})
    zs = sorted({0.0, height, *(o.low for o in openings), *(o.low + o.height for o in openings)})
    vertices, faces, uvs = [], [], []

    def quad(corners: list[tuple[float, float, float]]) -> None:
        faces.append(tuple(range(len(vertices), len(vertices) + 4)))
        vertices.extend(corners)
        # A reveal's depth counts as width, so that its bricks are as long as the wall's.
        uvs.extend(
            ((x + y) / width, (z + y * (abs(corners[0][2] - corners[2][2]) < 1e-9)) / height)
            for x, y, z in corners
        )

    for left, right in itertools.pairwise(xs):
        for low, high in itertools.pairwise(zs):
            x, z = (left + right) / 2, (low + high) / 2
            if not any(
                o.left < x < o.left + o.width and o.low < z < o.low + o.height for o in openings
            ):
                quad([(left, 0, low), (right, 0, low), (right, 0, high), (left, 0, high)])
    for o in openings:
        left, right, low, high, y = o.left, o.left + o.width, o.low, o.low + o.height, reveal
        quad([(left, 0, low), (left, 0, high), (left, y, high), (left, y, low)])
        quad([(right, 0, low), (right, y, low), (right, y, high), (right, 0, high)])
        quad([(left, 0, low), (left, y, low), (right, y, low), (right, 0, low)])
        quad([(left, 0, high), (right, 0, high), (right, y, high), (left, y, high)])
    return shapes.make_object(name, vertices, faces, uvs)


def window(
    at: tuple[float, float, float],
    opening: Opening,
    frame: bpy.types.Material,
    curtain: bpy.types.Material,
) -> list[bpy.types.Object]:
    """Frame, bars, a dark pane and a curtain for an opening of a wall that begins at `at`."""
    left, y = at[0] + opening.left, at[1] + 0.13
    middle, low = left + opening.width / 2, at[2] + opening.low
    width, height, bar = opening.width, opening.height, 0.07
    parts = []
    for size, center in (
        ((width, 0.06, bar), (0, 0, bar / 2)),
        ((width, 0.06, bar), (0, 0, height - bar / 2)),
        ((bar, 0.06, height), (-width / 2 + bar / 2, 0, height / 2)),
        ((bar, 0.06, height), (width / 2 - bar / 2, 0, height / 2)),
        ((0.05, 0.05, height), (0, 0, height / 2)),
        ((width, 0.04, 0.04), (0, 0, height * 0.66)),
        ((width, 0.04, 0.035), (0, 0, height * 0.33)),
    ):
        parts.append(put(shapes.box("frame", size, center, 0.005), (middle, y, low), 0, frame))
    # What is behind the glass is drawn on it: a pane has one depth, as the truth must.
    parts.append(put(shapes.plane("pane", width, height), (middle, y + 0.02, low), 0, curtain))
    return parts


def column(
    at: tuple[float, float], height: float, radius: float, look: bpy.types.Material
) -> list[bpy.types.Object]:
    """A column with base and capital."""
    r, h = radius, height
    shaft = [(0.0, 0.0), (1.45 * r, 0.0), (1.45 * r, 0.10), (1.3 * r, 0.13), (1.3 * r, 0.19)]
    shaft += [(1.08 * r, 0.23), (r, 0.30), (1.02 * r, h * 0.4), (0.86 * r, h - 0.30)]
    shaft += [
        (1.1 * r, h - 0.25),
        (0.95 * r, h - 0.21),
        (1.35 * r, h - 0.10),
        (1.35 * r, h),
        (0.0, h),
    ]
    return [put(shapes.lathe("column", shaft, 64), (*at, 0), 0, look)]


def railing(
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    height: float,
    look: bpy.types.Material,
) -> list[bpy.types.Object]:
    """Iron bars of 18 mm every 13 cm between two rails."""
    span = math.hypot(end[0] - start[0], end[1] - start[1])
    turn = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
    parts = []
    for z in (0.12, height - 0.02):
        rail = shapes.box("rail", (span, 0.03, 0.035), (span / 2, 0, z), 0.006)
        parts.append(put(rail, start, turn, look))
    count = max(int(span / 0.13), 1)
    bars, faces, uvs = [], [], []
    for index in range(count + 1):
        post = index % 8 == 0
        x, r = span * index / count, 0.022 if post else 0.009
        high = height + (0.10 if post else 0.04)
        first = len(bars)
        for z in (0.0, high):
            bars += [(x - r, -r, z), (x + r, -r, z), (x + r, r, z), (x - r, r, z)]
        for k in range(4):
            n = (k + 1) % 4
            faces.append((first + k, first + n, first + 4 + n, first + 4 + k))
        faces.append((first + 4, first + 5, first + 6, first + 7))
        uvs += [(0.0, 0.0)] * 20
    parts.append(put(shapes.make_object("bars", bars, faces, uvs), start, turn, look))
    return parts


def foliage(
    rng: np.random.Generator,
    name: str,
    at: tuple[float, float, float],
    radii: tuple[float, float, float],
    looks: list[bpy.types.Material],
    leaves: int,
    size: float,
) -> list[bpy.types.Object]:
    """A cloud of leaves about the surface of an ellipsoid, in one mesh for each material."""
    parts = []
    for look in looks:
        count = leaves // len(looks)
        normal = rng.normal(size=(count, 3))
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        lumps = 1 + 0.22 * np.sin(normal @ rng.normal(0, 3.5, (3, 3))).mean(axis=1)
        centre = normal * np.asarray(radii) * (lumps * rng.uniform(0.62, 1.03, count))[:, None]
        tilt = normal + rng.normal(0, 0.55, (count, 3))
        along = np.cross(tilt, rng.normal(size=(count, 3)))
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        across = np.cross(tilt / np.linalg.norm(tilt, axis=1, keepdims=True), along)
        length = (size * rng.uniform(0.6, 1.2, count))[:, None]
        corners = np.stack(
            [
                centre - along * length,
                centre + across * length * 0.42,
                centre + along * length,
                centre - across * length * 0.42,
            ],
            axis=1,
        )
        faces = np.arange(4 * count).reshape(-1, 4).tolist()
        uvs = [(0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5)] * count
        mesh = shapes.make_object(name, corners.reshape(-1, 3).tolist(), faces, uvs)
        parts.append(put(mesh, at, 0, look))
    return parts


def trunk(at: tuple[float, float], height: float, radius: float) -> bpy.types.Object:
    """A slightly bent trunk."""
    t = np.linspace(0, 1, 12)
    path = np.stack([0.12 * np.sin(2.2 * t), 0 * t, t * height], axis=1)
    stops = ((0.3, "#3c3026"), (0.7, "#75624e"))
    bark = materials.mottled("bark", stops, 26, Finish(roughness=1.0, bump=0.9, bump_scale=60))
    return put(shapes.tube("trunk", path, (radius, radius)), (*at, 0), 0, bark)
