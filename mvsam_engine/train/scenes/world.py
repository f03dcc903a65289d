# SPDX-License-Identifier: GPL-3.0-or-later
"""Random worlds: a room or an open floor with things standing about, some on tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from trimesh import Trimesh

from mvsam_engine.train.scenes.shapes import SHAPES, Maker, random_shape, turn
from mvsam_engine.train.scenes.textures import Patches, Texture

# Names of what is not a thing: floor, walls.
BACKGROUND = 0
# Share of things' surfaces that reflect the sun.
GLOSSY = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A mesh with one texture.

    Attributes:
        mesh: in the world.
        texture: laid on by box projection in the part's own frame.
        local_from_world: [4, 4] rigid, the frame that the texture is laid on in.
        thing: number of the thing that it belongs to; 0 for floor and walls.
        smooth: whether it is shaded round rather than with flat faces.
        gloss: strength of the sun's reflection, 0 for a dull surface.
        polish: exponent of the reflection; the higher, the smaller the bright spot.
    """

    mesh: Trimesh
    texture: Texture
    local_from_world: NDArray[np.float64]
    thing: int
    smooth: bool
    gloss: float = 0.0
    polish: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything that can be photographed.

    Attributes:
        parts: all meshes; a thing's parts come one after the other.
        names: kind of each thing, by number from 1; ``names[0]`` is the background.
        target: [3] middle of the things.
        radius: how far the things reach from `target`, metres.
        sun: [3] unit vector towards the light.
        sky: linear RGB [3] of what is behind everything.
    """

    parts: tuple[Part, ...]
    names: tuple[str, ...]
    target: NDArray[np.float64]
    radius: float
    sun: NDArray[np.float64]
    sky: NDArray[np.float64]


def make_world(
    seed: int, patches: Patches, things: int = 9, shapes: Sequence[Maker] = SHAPES
) -> World:
    """A random world with about `things` things, the same for the same seed.

    Args:
        seed: decides everything.
        patches: gives textures.
        things: how many are tried; those that find no place are left out.
        shapes: kinds of things there may be.
    """
    rng = np.random.default_rng(seed)
    parts = _surroundings(rng, patches)
    names = ["background"]
    taken: list[tuple[NDArray[np.float64], float]] = []
    reach = rng.uniform(0.6, 1.0)
    for _ in range(things):
        kind, meshes = random_shape(rng, shapes)
        height = float(rng.uniform(0.12, 0.55))
        placed = _find_place(rng, meshes, height, reach, taken)
        if placed is None:
            continue
        number = len(names)
        names.append(kind)
        parts += _dressed(rng, patches, meshes, placed, number)
    sun = rng.normal(size=3) + np.array([0.0, 0.0, 2.5])
    return World(
        parts=tuple(parts),
        names=tuple(names),
        target=np.array([0.0, 0.0, rng.uniform(0.1, 0.25)]),
        radius=reach,
        sun=sun / np.linalg.norm(sun),
        sky=rng.uniform(0.3, 0.9) * np.array([0.75, 0.85, 1.0]),
    )


def _surroundings(rng: np.random.Generator, patches: Patches) -> list[Part]:
    """A floor and none to three walls, far enough to walk around inside."""
    floor = trimesh.creation.box(extents=[14.0, 14.0, 0.1])
    floor.apply_translation([0, 0, -0.05])
    parts = [Part(floor, patches.draw(rng), np.eye(4), BACKGROUND, smooth=False)]
    for side in rng.permutation(4)[: rng.integers(4)]:
        wall = trimesh.creation.box(extents=[9.0, 0.1, 3.0])
        wall.apply_translation([0.0, rng.uniform(3.4, 4.4), 1.5])
        wall.apply_transform(turn((0, 0, 1), side * np.pi / 2))
        parts.append(Part(wall, patches.draw(rng), np.eye(4), BACKGROUND, smooth=False))
    return parts


def _find_place(
    rng: np.random.Generator,
    meshes: list[Trimesh],
    height: float,
    reach: float,
    taken: list[tuple[NDArray[np.float64], float]],
) -> NDArray[np.float64] | None:
    """World-from-shape 4x4 (scale included) that overlaps nothing, None when there is no room."""
    corners = np.concatenate([mesh.bounds for mesh in meshes])
    half_width = float(np.abs(corners[:, :2]).max()) * height
    for _ in range(20):
        place = rng.uniform(-reach, reach, 2)
        if all(np.linalg.norm(place - p) > 0.85 * (half_width + r) for p, r in taken):
            taken.append((place, half_width))
            matrix = turn((0, 0, 1), rng.uniform(0, 2 * np.pi))
            matrix[:3, :3] *= height
            matrix[:2, 3] = place
            return matrix
    return None


def _dressed(
    rng: np.random.Generator,
    patches: Patches,
    meshes: list[Trimesh],
    placed: NDArray[np.float64],
    number: int,
) -> list[Part]:
    """The parts of a thing in the world: half of the time all with one texture."""
    shared = patches.draw(rng) if rng.random() < 0.5 else None
    local = np.eye(4)
    scale = np.cbrt(np.linalg.det(placed[:3, :3]))
    local[:3, :3] = placed[:3, :3].T / scale
    local[:3, 3] = -local[:3, :3] @ placed[:3, 3]
    parts = []
    for mesh in meshes:
        moved = mesh.copy()
        moved.apply_transform(placed)
        texture = shared or patches.draw(rng)
        gloss = float(rng.uniform(0.1, 0.8)) if rng.random() < GLOSSY else 0.0
        polish = float(np.exp(rng.uniform(np.log(8), np.log(200))))
        smooth = len(mesh.faces) > 200
        parts.append(Part(moved, texture, local, number, smooth, gloss, polish))
    return parts
