# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of vertices: what the masks of all photos that see a vertex say about it.

Each photo's say is weighted by how well it sees the place: its angle to the surface, the size of a
pixel there, how far inside or outside the mask the place lies, and how sure the mask is of itself
(the quality of a view as in Lempitsky and Ivanov, CVPR 2007, with the mask's own trust). Photos
that do not see a vertex say nothing; a vertex that none sees is unknown.

Convention: everything is in the capture's world frame (docs/conventions.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Capture, Pointmap, SceneObject
from mvsam_engine.capture.conventions import pixels_to_grid
from mvsam_engine.capture.vertex_graph import cloud_graph, mesh_graph, triangle_edges
from mvsam_engine.errors import UsageError
from mvsam_engine.labels.fields import MaskField, read_field, read_mask
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.posed.mesh import Mesh
from mvsam_engine.reconstruct.posed.raycast import Surface
from mvsam_engine.surface.visible import sees_exactly, vertex_normals

Visibility = Literal["mesh", "points", "both"]
Unseen = Literal["spread", "zero"]

VISIBILITIES: tuple[Visibility, ...] = ("mesh", "points", "both")
UNSEEN: tuple[Unseen, ...] = ("spread", "zero")

# A vertex may lie this share of its distance behind the mesh that hides it, or behind or before
# the depth that the photo measured there.
RAY_TOLERANCE, DEPTH_TOLERANCE = 1e-3, 0.02
# Depths less sure than this say nothing.
LEAST_CONFIDENCE = 0.3
# Where the masks are trusted less than this on average, as along an object's outline, the weight is
# not spread to vertices that no photo sees.
LEAST_SPREAD_TRUST = 0.3
# Along the surface a photo still says a little: normals of vertices are means of their faces'.
LEAST_COSINE = 0.05


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """How weights are made.

    Attributes:
        visibility: ``mesh``: the mesh hides what lies behind it. ``points``: what the photos
            measured does, for a mesh that differs from what they saw, and for points without
            faces. ``both``: either.
        unseen: of vertices that no photo sees: ``spread`` takes the weight of the nearest seen
            ones along the mesh, ``zero`` leaves them 0.
        near: vertices nearer to a photo's camera than this are not seen by it, world units.
        far: nor are those further away.
    """

    visibility: Visibility = "mesh"
    unseen: Unseen = "spread"
    near: float = 0.0
    far: float = float("inf")

    def __post_init__(self) -> None:
        if self.visibility not in VISIBILITIES or self.unseen not in UNSEEN:
            raise UsageError(
                "usage.label",
                f"{self.visibility!r} or {self.unseen!r} is no way to label.",
                f"Visibility: {', '.join(VISIBILITIES)}. Unseen: {', '.join(UNSEEN)}.",
            )
        if not 0 <= self.near < self.far:
            raise UsageError(
                "usage.depth", "The depth range is empty.", "The near end lies before the far one."
            )


@dataclass(frozen=True, slots=True, eq=False)
class VertexLabels:
    """Weights of several objects on one mesh.

    Attributes:
        weights: [objects, n] float32, 0..1.
        views: [n] int32, how many photos see each vertex.
    """

    weights: NDArray[np.float32]
    views: NDArray[np.int32]

    @property
    def seen(self) -> NDArray[np.bool_]:
        """[n] vertices that any photo sees."""
        return self.views > 0


@dataclass(slots=True, eq=False)
class _Sums:
    """What was said so far: total and evidence [objects, n], say and views [n]."""

    total: NDArray[np.float32]
    evidence: NDArray[np.float32]
    say: NDArray[np.float32] = field(init=False)
    views: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        self.say = np.zeros(self.total.shape[1], np.float32)
        self.views = np.zeros(self.total.shape[1], np.int32)


def label_vertices(
    capture: Capture,
    mesh: Mesh,
    items: Sequence[SceneObject],
    options: LabelOptions,
    progress: Progress,
) -> VertexLabels:
    """Weights of objects on every vertex of a mesh.

    Args:
        capture: with a reconstruction, and with masks of the objects.
        mesh: in the capture's world; without faces its vertices are points.
        items: the objects.
        options: see there.
        progress: counts photos.
    """
    cameras = capture.require_reconstruction().cameras
    way: Visibility = options.visibility if len(mesh.faces) else "points"
    surface = Surface(mesh) if way != "points" else None
    normals = vertex_normals(mesh.vertices, mesh.faces)
    shape = (len(items), len(mesh.vertices))
    sums = _Sums(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    progress.stage("Labels", len(cameras))
    for camera in cameras:
        fields = {k: read_field(capture, item, camera.view) for k, item in enumerate(items)}
        known = {k: f for k, f in fields.items() if f is not None}
        if known:
            seen = _seen_by(capture, camera, mesh, normals, surface, options)
            _add(sums, camera, seen, known)
        progress.step()
    return _fused(sums, mesh, options)


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """Vertices that a photo sees: their indices [k], pixels [k, 2] and say [k]."""

    index: NDArray[np.int64]
    pixels: NDArray[np.float64]
    say: NDArray[np.float32]


def _seen_by(
    capture: Capture,
    camera: Camera,
    mesh: Mesh,
    normals: NDArray[np.float64],
    surface: Surface | None,
    options: LabelOptions,
) -> _Sight:
    """Which vertices a photo sees, and how well."""
    if surface is not None:
        seen = sees_exactly(surface, camera, mesh.vertices, normals, RAY_TOLERANCE)
        pixels, depth, visible = seen.pixels, seen.depth, seen.visible
        cosine = np.abs(seen.cosine)  # meshes of people may be inside out, or open
    else:
        pixels, depth = camera.project(mesh.vertices)
        visible = _in_photo(pixels, camera) & (depth > 0)
        cosine = np.ones(len(depth), np.float32)
    if surface is None or options.visibility == "both":
        index = np.flatnonzero(visible)
        visible[index] = near_depth(
            capture.pointmap(camera.view), camera, pixels[index], depth[index], surface is not None
        )
    visible &= (depth >= options.near) & (depth <= options.far)
    index = np.flatnonzero(visible)
    used = _used(capture, camera, pixels[index])
    index = index[used]
    # A pixel covers an area of (depth / focal)^2 / cosine.
    sharpness = abs(camera.param("fx")) / np.maximum(depth[index], 1e-9)
    say = np.maximum(cosine[index], LEAST_COSINE) * sharpness
    return _Sight(index, pixels[index], say.astype(np.float32))


def near_depth(
    pointmap: Pointmap,
    camera: Camera,
    pixels: NDArray[np.floating],
    depth: NDArray[np.floating],
    unknown: bool,
) -> NDArray[np.bool_]:
    """Whether the photo's own depth does not hide places.

    Args:
        pointmap: of the view.
        camera: of the view.
        pixels: [n, 2] photo positions, inside the photo.
        depth: [n] z-depths of the places.
        unknown: what to say where the photo's depth is not known. A mesh fills such gaps, so
            places on it count as seen there; points do not.

    Returns:
        [n]: places on what the photo measured; with `unknown` also those in front of it.
    """
    rows, columns = pointmap.confidence.shape
    row, column, _ = pixels_to_grid(pixels, rows, columns, camera.width, camera.height)
    there = pointmap.points[row, column].astype(np.float64)
    measured = (there - camera.center) @ camera.camera_from_world[2, :3]
    sure = np.isfinite(measured) & (pointmap.confidence[row, column] >= LEAST_CONFIDENCE)
    tolerance = DEPTH_TOLERANCE * depth
    if unknown:
        return ~sure | (depth - measured <= tolerance)
    return sure & (np.abs(depth - measured) <= tolerance)


def _add(sums: _Sums, camera: Camera, sight: _Sight, fields: Mapping[int, MaskField]) -> None:
    """Add what one photo says."""
    sums.views[sight.index] += 1
    sums.say[sight.index] += sight.say
    for k, mask in fields.items():
        rows, columns = mask.value.shape
        row, column, _ = pixels_to_grid(sight.pixels, rows, columns, camera.width, camera.height)
        value, trust = mask.at(row, column)
        say = sight.say * trust
        sums.total[k, sight.index] += say * value
        sums.evidence[k, sight.index] += say


def _fused(sums: _Sums, mesh: Mesh, options: LabelOptions) -> VertexLabels:
    weights = sums.total / np.where(sums.evidence > 0, sums.evidence, 1.0)
    seen = sums.views > 0
    if options.unseen == "spread" and seen.any() and not seen.all():
        graph = (
            mesh_graph(mesh.vertices, triangle_edges(mesh.faces))
            if len(mesh.faces)
            else cloud_graph(mesh.vertices)
        )
        for k, weight in enumerate(weights):
            clear = seen & (sums.evidence[k] >= LEAST_SPREAD_TRUST * sums.say)
            weights[k] = np.where(seen, weight, graph.spread(weight, clear)[0])
    return VertexLabels(np.clip(weights, 0.0, 1.0).astype(np.float32), sums.views)


def _in_photo(pixels: NDArray[np.floating], camera: Camera) -> NDArray[np.bool_]:
    size = (camera.width, camera.height)
    return ((pixels >= 0) & (pixels < size)).all(axis=1)


def _used(capture: Capture, camera: Camera, pixels: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which places lie on pixels that the person's photo mask does not ignore."""
    path = capture.photo_mask_path(capture.photo(camera.view))
    if path is None or not path.is_file():
        return np.ones(len(pixels), bool)
    mask = read_mask(path)
    row, column, _ = pixels_to_grid(pixels, *mask.shape, camera.width, camera.height)
    return mask[row, column]
