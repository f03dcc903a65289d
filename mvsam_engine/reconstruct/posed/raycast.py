# SPDX-License-Identifier: GPL-3.0-or-later
"""Where rays meet a mesh (Embree's ray caster through embreex).

Convention: a ray is an origin and a direction of any length; distances count in lengths of the
direction. Camera-frame rays have z = 1 (`Camera.rays`), so their distance is the z-depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.reconstruct.posed.mesh import Mesh

# Rays of one call: bounds the memory, and lets a cancelled run end soon.
BATCH = 1 << 18
# The ray caster's single precision is this exact; a refined distance further off is a sliver's.
CASTER_PRECISION = 1e-3
# Distances beyond stand for rays that meet nothing.
_FARTHEST = 1e30


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What rays met.

    Attributes:
        distance: [...] float64, 0 where a ray met nothing.
        face: [...] int32 index of the face, -1 where a ray met nothing.
        cosine: [...] float32 -1..1 between the ray and the face's normal, turned round: 1 looks
            straight at the front of the face, 0 along it, negative from behind.
    """

    distance: NDArray[np.float64]
    face: NDArray[np.int32]
    cosine: NDArray[np.float32]

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Whether each ray met the mesh."""
        return self.face >= 0


class Surface:
    """A mesh that rays can be cast at."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        # Robust: no ray slips between two faces that share an edge.
        self._scene = EmbreeScene(robust=True)
        TriangleMesh(self._scene, mesh.vertices.astype(np.float32), mesh.faces)

    def cast(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> Hits:
        """The nearest hit in front of each origin.

        Args:
            origins: [3], or [..., 3] like `directions`.
            directions: [..., 3].
        """
        shape = directions.shape[:-1]
        directions = directions.reshape(-1, 3)
        origins = np.broadcast_to(origins, (*shape, 3)).reshape(-1, 3)
        parts = [
            self._cast(origins[i : i + BATCH], directions[i : i + BATCH])
            for i in range(0, len(directions), BATCH)
        ] or [self._cast(origins, directions)]
        return Hits(
            distance=np.concatenate([p.distance for p in parts]).reshape(shape),
            face=np.concatenate([p.face for p in parts]).reshape(shape),
            cosine=np.concatenate([p.cosine for p in parts]).reshape(shape),
        )

    def distances(
        self, origin: NDArray[np.floating], directions: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Distance [...] of the nearest hit of rays from one place, inf where they meet nothing.

        In the ray caster's single precision, and several times as fast as `cast`.

        Args:
            origin: [3].
            directions: [..., 3].
        """
        shape = directions.shape[:-1]
        directions = directions.reshape(-1, 3)
        found = np.full(len(directions), np.inf, np.float32)
        for part in _batches(len(directions)):
            rays = directions[part]
            finite = np.isfinite(rays).all(axis=1)
            rough = self._scene.run(*_rays(origin, rays, finite), query="DISTANCE")
            # A ray that meets nothing has Embree's "farthest", 1e37.
            found[part] = np.where(finite & (rough < _FARTHEST), rough, np.inf)
        return found.reshape(shape)

    def reaches(
        self, origin: NDArray[np.floating], points: NDArray[np.floating], tolerance: float
    ) -> NDArray[np.bool_]:
        """Whether nothing lies between one place and each of the points.

        Args:
            origin: [3].
            points: [n, 3].
            tolerance: share of the distance before each point where nothing counts, so that the
                surface that the point lies on does not hide it.
        """
        free = np.zeros(len(points), np.bool_)
        for part in _batches(len(points)):
            rays = points[part] - origin
            finite = np.isfinite(rays).all(axis=1)
            ends = np.full(len(rays), 1.0 - tolerance, np.float32)
            met = self._scene.run(*_rays(origin, rays, finite), dists=ends, query="OCCLUDED")
            free[part] = finite & (met < 0)
        return free

    def normals(self, face: NDArray[np.int32]) -> NDArray[np.float64]:
        """Unit normals [..., 3] of faces [...]; zero for face -1 and for faces without area."""
        a, b, c = np.moveaxis(self._mesh.vertices[self._mesh.faces[face]], -2, 0)
        normal = np.cross(b - a, c - a)
        normal[face < 0] = 0.0
        length = np.linalg.norm(normal, axis=-1, keepdims=True)
        return normal / np.where(length > 0, length, 1.0)

    def _cast(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> Hits:
        finite = np.isfinite(directions).all(axis=1)
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(np.where(finite[:, None], directions, 1.0), np.float32),
            output=True,
        )
        face = np.where(finite, found["primID"], -1).astype(np.int32)
        hit = face >= 0
        distance = np.zeros(len(directions))
        cosine = np.zeros(len(directions), np.float32)
        distance[hit], cosine[hit] = self._exact(
            origins[hit], directions[hit], face[hit], found["tfar"][hit]
        )
        return Hits(distance, face, cosine)

    def _exact(
        self,
        origins: NDArray[np.floating],
        directions: NDArray[np.floating],
        face: NDArray[np.int32],
        rough: NDArray[np.float32],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distance [n] to the planes of the faces in double precision, and cosine [n]."""
        a, b, c = np.moveaxis(self._mesh.vertices[self._mesh.faces[face]], 1, 0)
        normal = np.cross(b - a, c - a)
        along = (directions * normal).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = ((a - origins) * normal).sum(axis=1) / along
            lengths = np.linalg.norm(normal, axis=1) * np.linalg.norm(directions, axis=1)
            cosine = np.where(lengths > 0, -along / lengths, 0.0)
            good = np.abs(distance - rough) <= CASTER_PRECISION * rough
        return np.where(good, distance, rough), cosine


def _batches(count: int) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, count, BATCH)]


def _rays(
    origin: NDArray[np.floating], directions: NDArray[np.floating], finite: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Origins and directions [n, 3] as the ray caster takes them."""
    safe = np.where(finite[:, None], directions, 1.0)
    origins = np.broadcast_to(np.asarray(origin, np.float32), safe.shape)
    return np.ascontiguousarray(origins), np.ascontiguousarray(safe, np.float32)


def cast_pixels(surface: Surface, camera: Camera, rays: NDArray[np.floating]) -> Hits:
    """Nearest hits of the rays of a camera; distances are z-depths.

    Args:
        surface: in the camera's world frame.
        camera: only its place and direction count.
        rays: [..., 3] in the camera frame with z = 1.
    """
    return surface.cast(camera.center, rays @ camera.camera_from_world[:3, :3])
