# SPDX-License-Identifier: GPL-3.0-or-later
"""From signed distances to a clean mesh: marching cubes, largest parts, fewer faces.

Convention: faces are counter-clockwise seen from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from mvsam_engine.errors import SurfaceError
from mvsam_engine.surface.libraries import library
from mvsam_engine.surface.volume import Volume

Fill = Literal["none", "small", "all"]

# Parts below this share of the largest part's area are dropped: strays of the depth.
SMALLEST_PART = 0.03
# "small" closes what was never seen where the patch is below this share of the whole area.
LARGEST_FILL = 0.2
# Sum of weights above which the surface counts as seen: half a sure look, straight at it.
SEEN = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceMesh:
    """Triangles with what stands behind them.

    Attributes:
        vertices: [n, 3] float64, person's frame.
        faces: [m, 3] int32.
        seen: [n] float32 0..1: how surely the photos saw the surface here; 0 where it only closes
            a hole.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    seen: NDArray[np.float32]

    def kept(self, keep: NDArray[np.bool_]) -> SurfaceMesh:
        """Only the faces [m] that are marked, without vertices that none of them uses."""
        faces = self.faces[keep]
        used, inverse = np.unique(faces, return_inverse=True)
        return SurfaceMesh(
            self.vertices[used], inverse.reshape(-1, 3).astype(np.int32), self.seen[used]
        )

    @property
    def areas(self) -> NDArray[np.float64]:
        """Area [m] of each face."""
        a, b, c = (self.vertices[self.faces[:, i]] for i in range(3))
        return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def mesh_volume(volume: Volume, fill: Fill) -> SurfaceMesh:
    """The surface where the distance is 0, its largest parts, with holes as `fill` says.

    Raises:
        SurfaceError: there is none, or scikit-image is missing.
    """
    measure = library("skimage.measure")
    padded = np.pad(volume.distance, 1, constant_values=1.0)
    if padded.min() >= 0:
        raise _no_surface()
    places, faces, _, _ = measure.marching_cubes(padded, 0.0)
    index = places - 1.0
    seen = ndimage.map_coordinates(
        ndimage.maximum_filter(volume.support, 3), index.T, order=0, mode="nearest"
    )
    mesh = SurfaceMesh(
        volume.origin + volume.size * index.astype(np.float64),
        faces.astype(np.int32),
        np.minimum(seen, 1.0).astype(np.float32),
    )
    mesh = largest_parts(mesh)
    if fill != "all":
        mesh = largest_parts(open_unseen(mesh, LARGEST_FILL if fill == "small" else 0.0))
    return mesh


def largest_parts(mesh: SurfaceMesh, smallest: float = SMALLEST_PART) -> SurfaceMesh:
    """Only the connected parts that are seen at all and not small beside the largest."""
    labels = _parts(mesh.faces, len(mesh.vertices))[mesh.faces[:, 0]]
    seen = mesh.areas * (mesh.seen[mesh.faces].mean(axis=1) > SEEN)
    area = np.bincount(labels, seen)
    if area.max() <= 0:
        raise _no_surface()
    return mesh.kept((area >= smallest * area.max())[labels])


def open_unseen(mesh: SurfaceMesh, largest: float) -> SurfaceMesh:
    """Without the patches that no photo saw, where they are above a share of the whole area."""
    unseen = mesh.seen[mesh.faces].max(axis=1) <= SEEN
    if not unseen.any():
        return mesh
    areas = mesh.areas
    # Patches are what hangs together by vertices among unseen faces only.
    label = _parts(mesh.faces[unseen], len(mesh.vertices))[mesh.faces[unseen][:, 0]]
    patch = np.bincount(label, areas[unseen])
    keep = np.ones(len(mesh.faces), bool)
    keep[unseen] = (patch <= largest * areas.sum())[label]
    return mesh.kept(keep)


def decimate(mesh: SurfaceMesh, faces: int) -> SurfaceMesh:
    """At most `faces` faces, by quadric edge collapse (Garland and Heckbert 1997).

    Raises:
        SurfaceError: fast-simplification is missing.
    """
    if len(mesh.faces) <= faces:
        return mesh
    simplify = library("fast_simplification").simplify
    vertices, corners = simplify(
        mesh.vertices.astype(np.float32), mesh.faces, target_count=faces, agg=4
    )[:2]
    from scipy.spatial import cKDTree

    nearest = cKDTree(mesh.vertices).query(vertices)[1]
    fewer = SurfaceMesh(
        np.asarray(vertices, np.float64), np.asarray(corners, np.int32), mesh.seen[nearest]
    )
    return fewer.kept(fewer.areas > 0)


def _parts(faces: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Number of the connected part of each vertex."""
    a, b = np.concatenate([faces[:, :2], faces[:, 1:]]).T
    graph = sparse.coo_matrix((np.ones(len(a), np.int8), (a, b)), (count, count))
    return csgraph.connected_components(graph, directed=False)[1]


def _no_surface() -> SurfaceError:
    return SurfaceError(
        "surface.empty",
        "The points around it form no surface.",
        "Look at its masks and points first; more photos around it would help.",
    )
