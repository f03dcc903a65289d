# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a mesh lie where the photos' points are, and if not, what would bring it there?

Points that the photos agree on lie on the surface that their cameras see. The rays to them are
cast at the mesh, also as it would be with its axes named otherwise or in another unit; turning the
mesh is the same as turning the rays back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.posed.diagnosis import signed_permutations
from mvsam_engine.reconstruct.posed.raycast import Surface

# A point lies on the mesh, and near it, when its ray meets it within these shares of the distance.
ON_MESH, NEAR_MESH = 0.02, 0.1
MOST_RAYS = 1500
# Share of the points on a mesh in the right place, near one that is only inexact, and on one that a
# correction brings there.
IN_PLACE, ROUGHLY_IN_PLACE, EXPLAINED = 0.3, 0.6, 0.5
# Units that programs mix up: metres, millimetres, centimetres, inches, feet.
UNITS = (1.0, 1000.0, 0.001, 100.0, 0.01, 10.0, 0.1, 39.3701, 0.0254, 3.28084, 0.3048)


@dataclass(frozen=True, slots=True)
class MeshFrame:
    """How a mesh lies to the points of the photos.

    Attributes:
        points: rays that were asked.
        share: of them that meet the mesh at their point.
        near: of them that meet it roughly there.
        correction: what would bring it in place, as a clause for people; "" when nothing does.
        corrected: share once corrected.
    """

    points: int
    share: float
    near: float
    correction: str = ""
    corrected: float = 0.0

    @property
    def in_place(self) -> bool:
        """Whether the mesh lies where the photos say."""
        return self.share >= IN_PLACE or self.near >= ROUGHLY_IN_PLACE


def mesh_frame(surface: Surface, model: SparseModel) -> MeshFrame:
    """Ask where the mesh lies.

    Args:
        surface: the mesh as given.
        model: cameras and points that the photos agree on.
    """
    chosen = np.random.default_rng(0).permutation(len(model.seen_point))[:MOST_RAYS]
    centers = np.array([camera.center for camera in model.cameras])[model.seen_by[chosen]]
    rays = model.points[model.seen_point[chosen]] - centers
    if not len(rays):
        return MeshFrame(0, 0.0, 0.0)
    share = _share(surface, centers, rays, np.eye(3))
    near = _share(surface, centers, rays, np.eye(3), NEAR_MESH)
    best = MeshFrame(len(rays), share, near)
    if best.in_place:
        return best
    for unit in UNITS:
        for axes in signed_permutations():
            reached = _share(surface, centers, rays, unit * axes)
            if reached >= EXPLAINED and reached > best.corrected + 0.02:
                best = MeshFrame(len(rays), share, near, _correction(axes, unit), reached)
    return best


def _share(
    surface: Surface,
    origins: NDArray[np.float64],
    rays: NDArray[np.float64],
    change: NDArray[np.float64],
    tolerance: float = ON_MESH,
) -> float:
    """Share of the rays that meet the mesh, changed by a scaled rotation [3, 3], at their ends."""
    back = np.linalg.inv(change)
    found = surface.cast(origins @ back.T, rays @ back.T)
    return float((found.hit & (np.abs(found.distance - 1.0) < tolerance)).mean())


def _correction(axes: NDArray[np.float64], unit: float) -> str:
    """What to do with the mesh, as a clause."""
    parts: list[str] = []
    if unit != 1.0:
        parts.append(f"scaled by {unit:g}")
    if np.array_equal(axes, [[1, 0, 0], [0, 0, -1], [0, 1, 0]]):
        parts.append("turned from Y up to Z up (+90 degrees about X)")
    elif np.array_equal(axes, [[1, 0, 0], [0, 0, 1], [0, -1, 0]]):
        parts.append("turned from Z up to Y up (-90 degrees about X)")
    elif not np.array_equal(axes, np.eye(3)):
        names = [("-" if row.min() < 0 else "") + "xyz"[int(np.abs(row).argmax())] for row in axes]
        mirrored = "mirrored" if np.linalg.det(axes) < 0 else "turned"
        parts.append(f"{mirrored} so that its (x, y, z) become ({', '.join(names)})")
    return " and ".join(parts)
