# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs of a world by ray casting (embree): colours, and the exact truth behind each pixel.

Light: one sun with hard shadows, and a sky that fills them. Colour is the mean of several rays a
pixel; depth and masks are those of the ray through the pixel's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.train.scenes.world import Part, World

# Share of the light that comes from the sky, on a face that looks up.
AMBIENT = 0.45
# Rays start this far (metres) off a surface, so that it does not shade itself.
SKIN = 1e-4
NO_THING = 0


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A photo and its truth.

    Attributes:
        camera: where from.
        colors: [h, w, 3] uint8 sRGB.
        depth: [h, w] float32 z-depth in metres, 0 where there is only sky.
        things: [h, w] uint8 number of the thing seen, 0 for none.
        parts: [h, w] uint8 1 + index of the world's part seen, 0 for sky.
    """

    camera: Camera
    colors: NDArray[np.uint8]
    depth: NDArray[np.float32]
    things: NDArray[np.uint8]
    parts: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Hits:
    """What rays meet first.

    Attributes:
        part: [n] index of the part, -1 for none.
        distance: [n] along the ray, in lengths of its direction.
        normal: [n, 3] unit, towards where the ray came from.
    """

    part: NDArray[np.int64]
    distance: NDArray[np.float64]
    normal: NDArray[np.float64]


class Studio:
    """A world made ready for photographs.

    Args:
        world: what is there; it must not change afterwards.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        meshes = [part.mesh for part in world.parts]
        counts = [len(mesh.faces) for mesh in meshes]
        triangles = np.concatenate([mesh.triangles for mesh in meshes])
        self._scene = EmbreeScene()
        self._mesh = TriangleMesh(self._scene, triangles.astype(np.float32))
        self._part_of_face = np.repeat(np.arange(len(meshes)), counts)
        self._corner_normals = np.concatenate([_corner_normals(part) for part in world.parts])
        self._gloss = np.array([part.gloss for part in world.parts])
        self._polish = np.array([part.polish for part in world.parts])
        self._thing_of_part = np.array([part.thing for part in world.parts], np.uint8)

    def photograph(self, camera: Camera, rays_per_side: int = 2, seed: int = 0) -> Photograph:
        """Take a photo.

        Args:
            camera: where from; its size is the photo's.
            rays_per_side: the root of the number of rays for a pixel's colour.
            seed: of the sensor's noise.
        """
        height, width = camera.height, camera.width
        centers = grid_pixels(height, width, width, height).reshape(-1, 2)
        local = camera.rays(centers)
        seen = self._cast(camera.center, local @ camera.camera_from_world[:3, :3])
        hit = seen.part >= 0
        part = np.where(hit, seen.part, 0)
        total = np.zeros((len(centers), 3))
        for dy in _offsets(rays_per_side):
            for dx in _offsets(rays_per_side):
                total += self._radiance(camera, centers + np.array([dx, dy]))
        linear = (total / rays_per_side**2).reshape(height, width, 3)
        noise = np.random.default_rng(seed).normal(0.0, 0.006, linear.shape)
        display = np.clip(linear, 0.0, 1.0) ** (1 / 2.2) + noise
        return Photograph(
            camera=camera,
            colors=(np.clip(display, 0, 1) * 255 + 0.5).astype(np.uint8),
            # The rays have z = 1, so the distance along them is the z-depth.
            depth=np.where(hit, seen.distance, 0.0).astype(np.float32).reshape(height, width),
            things=np.where(hit, self._thing_of_part[part], NO_THING).reshape(height, width),
            parts=np.where(hit, part + 1, 0).astype(np.uint8).reshape(height, width),
        )

    def _cast(self, origins: NDArray[np.float64], directions: NDArray[np.float64]) -> _Hits:
        origins = np.broadcast_to(origins, directions.shape)
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            query="INTERSECT",
            output=True,
        )
        face = found["primID"].astype(np.int64)
        hit = face >= 0
        safe = np.where(hit, face, 0)
        u, v = found["u"].astype(float), found["v"].astype(float)
        weights = np.stack([1 - u - v, u, v], axis=-1)[..., None]
        normal = (self._corner_normals[safe] * weights).sum(axis=1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        facing = np.einsum("nc,nc->n", normal, directions)
        return _Hits(
            part=np.where(hit, self._part_of_face[safe], -1),
            distance=found["tfar"].astype(float),
            normal=np.where(facing[:, None] > 0, -normal, normal),
        )

    def _radiance(self, camera: Camera, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Linear RGB [n, 3] that arrives at photo positions [n, 2]."""
        world = self.world
        directions = camera.rays(pixels) @ camera.camera_from_world[:3, :3]
        seen = self._cast(camera.center, directions)
        colors = np.broadcast_to(world.sky, directions.shape).copy()
        hit = np.flatnonzero(seen.part >= 0)
        points = camera.center + directions[hit] * seen.distance[hit, None]
        normals = seen.normal[hit]
        footprint = seen.distance[hit] / camera.param("fx")
        albedo = np.empty((len(hit), 3))
        for index, part in enumerate(world.parts):
            mine = np.flatnonzero(seen.part[hit] == index)
            if len(mine):
                albedo[mine] = _painted(part, points[mine], normals[mine], footprint[mine])
        lit = self._sunlight(points, normals)
        sky = AMBIENT * (0.65 + 0.35 * normals[:, 2])
        colors[hit] = albedo * (sky + (1.0 - AMBIENT) * 1.5 * lit)[:, None]
        colors[hit] += self._reflections(seen.part[hit], directions[hit], normals, lit)[:, None]
        return colors

    def _reflections(
        self,
        part: NDArray[np.int64],
        directions: NDArray[np.float64],
        normals: NDArray[np.float64],
        lit: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """White light [n] of the sun's mirror image (Blinn 1977), where the sun shines."""
        towards_eye = -directions / np.linalg.norm(directions, axis=1, keepdims=True)
        halfway = towards_eye + self.world.sun
        halfway /= np.maximum(np.linalg.norm(halfway, axis=1, keepdims=True), 1e-9)
        cosine = np.maximum(np.einsum("nc,nc->n", normals, halfway), 0.0)
        return np.where(lit > 0, self._gloss[part] * cosine ** self._polish[part], 0.0)

    def _sunlight(
        self, points: NDArray[np.float64], normals: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Cosine to the sun [n], 0 in the shade."""
        cosine = np.maximum(normals @ self.world.sun, 0.0)
        lit = np.flatnonzero(cosine > 0)
        start = (points[lit] + normals[lit] * SKIN * 10).astype(np.float32)
        direction = np.broadcast_to(self.world.sun.astype(np.float32), start.shape)
        blocked = self._scene.run(start, np.ascontiguousarray(direction), query="OCCLUDED")
        cosine[lit[np.asarray(blocked) >= 0]] = 0.0
        return cosine


def _offsets(count: int) -> NDArray[np.float64]:
    """Where rays cross a pixel, relative to its centre."""
    return (np.arange(count) + 0.5) / count - 0.5


def _corner_normals(part: Part) -> NDArray[np.float64]:
    """Normals [faces, 3, 3] at the corners of each face."""
    mesh = part.mesh
    if part.smooth:
        return mesh.vertex_normals[mesh.faces]
    return np.repeat(mesh.face_normals[:, None], 3, axis=1)


def _painted(
    part: Part,
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    footprint: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Albedo [n, 3]: the texture laid on from the side that a point looks to most."""
    rotation, shift = part.local_from_world[:3, :3], part.local_from_world[:3, 3]
    local = points @ rotation.T + shift
    axis = np.abs(normals @ rotation.T).argmax(axis=1)
    rows = np.arange(len(points))
    uv = np.column_stack([local[rows, (axis + 1) % 3], local[rows, (axis + 2) % 3]])
    return part.texture.sample(uv, footprint)
