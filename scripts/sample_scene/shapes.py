# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes with texture coordinates: turned, boxed, bent and draped forms (metres)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import bpy
import numpy as np

Point = tuple[float, float, float]
BOX_FACES = ("front", "back", "left", "right", "top", "bottom")


def make_object(
    name: str,
    vertices: Sequence[Point],
    faces: Sequence[Sequence[int]],
    uvs: Sequence[tuple[float, float]],
    smooth_angle: float = 40.0,
) -> bpy.types.Object:
    """Link a new mesh object to the scene.

    Args:
        name: Name of object and mesh.
        vertices: Corner positions in the object's frame.
        faces: Vertex indices, counter-clockwise seen from outside.
        uvs: One texture coordinate per face corner, in the order of ``faces``.
        smooth_angle: Edges sharper than this many degrees stay sharp.
    """
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    layer = mesh.uv_layers.new(name="UVMap")
    layer.data.foreach_set("uv", np.asarray(uvs, dtype=np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    mesh.set_sharp_from_angle(angle=math.radians(smooth_angle))
    mesh.update()
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def lathe(
    name: str, profile: Sequence[tuple[float, float]], segments: int = 96
) -> bpy.types.Object:
    """Turn a profile of (radius, height) points around Z; u runs around, v along the profile.

    The surface faces outwards where the profile runs upwards.
    """
    radii = np.array([p[0] for p in profile])
    heights = np.array([p[1] for p in profile])
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(radii), np.diff(heights)))])
    vs = lengths / lengths[-1]
    angles = 2 * np.pi * np.arange(segments) / segments
    vertices = [
        (r * math.cos(a), r * math.sin(a), z)
        for r, z in zip(radii, heights, strict=True)
        for a in angles
    ]
    faces, uvs = [], []
    for ring in range(len(profile) - 1):
        for k in range(segments):
            following = (k + 1) % segments
            low, high = ring * segments, (ring + 1) * segments
            faces.append((low + k, low + following, high + following, high + k))
            u, u_next = k / segments, (k + 1) / segments
            uvs += [(u, vs[ring]), (u_next, vs[ring]), (u_next, vs[ring + 1]), (u, vs[ring + 1])]
    return make_object(name, vertices, faces, uvs)


def round_profile(
    points: Sequence[tuple[float, float]], per_segment: int = 8
) -> list[tuple[float, float]]:
    """A Catmull-Rom spline through the points of a profile."""
    p = np.asarray([points[0], *points, points[-1]], dtype=np.float64)
    smooth = []
    for i in range(1, len(p) - 2):
        for t in np.arange(per_segment) / per_segment:
            a = -0.5 * p[i - 1] + 1.5 * p[i] - 1.5 * p[i + 1] + 0.5 * p[i + 2]
            b = p[i - 1] - 2.5 * p[i] + 2.0 * p[i + 1] - 0.5 * p[i + 2]
            c = 0.5 * (p[i + 1] - p[i - 1])
            smooth.append(tuple(((a * t + b) * t + c) * t + p[i]))
    return [(max(r, 0.0), z) for r, z in [*smooth, tuple(points[-1])]]


def box(
    name: str, size: Point, center: Point = (0.0, 0.0, 0.0), bevel: float = 0.0
) -> bpy.types.Object:
    """A box whose six faces each carry the whole texture, upright seen from outside.

    Faces are stored in the order of ``BOX_FACES`` (front is -Y), for ``material_index``.
    """
    x, y, z = (s / 2 for s in size)
    corners = np.array(
        [(sx * x, sy * y, sz * z) for sz in (-1, 1) for sy in (-1, 1) for sx in (-1, 1)]
    ) + np.asarray(center)
    faces = [(0, 1, 5, 4), (3, 2, 6, 7), (2, 0, 4, 6), (1, 3, 7, 5), (4, 5, 7, 6), (2, 3, 1, 0)]
    uvs = [(0, 0), (1, 0), (1, 1), (0, 1)] * 6
    thing = make_object(name, corners.tolist(), faces, uvs)
    if bevel > 0:
        modifier = thing.modifiers.new("bevel", "BEVEL")
        modifier.width, modifier.segments, modifier.limit_method = bevel, 3, "NONE"
        modifier.use_clamp_overlap = True
    return thing


def tube(name: str, path: np.ndarray, radii: tuple[float, float]) -> bpy.types.Object:
    """An elliptic tube along a path in the XZ plane, float [N, 3]; radii in-plane and along Y."""
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = np.array([0.0, 1.0, 0.0])
    sections = 20
    vertices, faces, uvs = [], [], []
    for point, tangent in zip(path, tangents, strict=True):
        normal = np.cross(side, tangent)
        for k in range(sections):
            a = 2 * np.pi * k / sections
            offset = normal * math.cos(a) * radii[0] + side * math.sin(a) * radii[1]
            vertices.append(tuple(point + offset))
    for i in range(len(path) - 1):
        for k in range(sections):
            following, low, high = (k + 1) % sections, i * sections, (i + 1) * sections
            faces.append((low + k, low + following, high + following, high + k))
            uvs += [(k / sections, i / len(path))] * 4
    return make_object(name, vertices, faces, uvs, smooth_angle=180.0)


def sheet(name: str, grid: np.ndarray, thickness: float = 0.0) -> bpy.types.Object:
    """A surface through a grid of points, float [rows, columns, 3]; u along columns, v up rows."""
    rows, columns = grid.shape[:2]
    vertices = [tuple(p) for p in grid.reshape(-1, 3)]
    faces, uvs = [], []
    for i in range(rows - 1):
        for j in range(columns - 1):
            a = i * columns + j
            faces.append((a, a + 1, a + columns + 1, a + columns))
            for di, dj in ((0, 0), (0, 1), (1, 1), (1, 0)):
                uvs.append(((j + dj) / (columns - 1), (i + di) / (rows - 1)))
    thing = make_object(name, vertices, faces, uvs, smooth_angle=80.0)
    if thickness > 0:
        modifier = thing.modifiers.new("thickness", "SOLIDIFY")
        modifier.thickness, modifier.offset = thickness, 1.0
    return thing


def plane(name: str, width: float, height: float) -> bpy.types.Object:
    """A rectangle in the XZ plane facing -Y, its base at z = 0: walls, posters."""
    w = width / 2
    vertices = [(-w, 0.0, 0.0), (w, 0.0, 0.0), (w, 0.0, height), (-w, 0.0, height)]
    return make_object(name, vertices, [(0, 1, 2, 3)], [(0, 0), (1, 0), (1, 1), (0, 1)])


def project_from_above(thing: bpy.types.Object, side: float) -> None:
    """Replace the UVs by the XY position: a square of ``side`` metres shows the whole texture."""
    mesh = thing.data
    corners = np.empty(len(mesh.loops), dtype=np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    positions = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", positions)
    uvs = positions.reshape(-1, 3)[corners, :2] / side + 0.5
    mesh.uv_layers[0].data.foreach_set("uv", np.ascontiguousarray(uvs).ravel())
