# SPDX-License-Identifier: GPL-3.0-or-later
"""The texture of a mesh from the photos: best photo for detail, all photos for level colour.

Every texel takes the colour of the photo chosen for its face, moved by an offset that is smooth
along the surface and leads to what all photos agree on: seams are level and differences of
exposure even, without the blur of averaging (global levelling in the manner of Waechter, Moehrle
and Goesele, Let There Be Color!, ECCV 2014, as a smooth field instead of their linear system).
Photos count only where rays find the mesh unhidden and the object's mask covers it.

Convention: colours are sRGB 0..255; texels as in `surface.texels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.posed.mesh import Mesh
from mvsam_engine.reconstruct.posed.raycast import Surface
from mvsam_engine.surface.choosing import Consensus, agree
from mvsam_engine.surface.evening import gains
from mvsam_engine.surface.photos import ColorSource, color_sources
from mvsam_engine.surface.texels import Texels, dilate, rasterise
from mvsam_engine.surface.views import SurfaceView
from mvsam_engine.surface.visible import vertex_normals

# Vertices see a photo blurred by this many pixels: their colours stand for their surroundings.
_VERTEX_BLUR = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A texture.

    Attributes:
        image: [size, size, 3] uint8 RGB, every texel filled.
        vertex_colors: [v, 3] uint8 RGB, what the photos agree on at the vertices.
        from_photos: share of the covered texels that a photo shows; the rest is surroundings.
        overlaps: texels that more than one face claims.
    """

    image: NDArray[np.uint8]
    vertex_colors: NDArray[np.uint8]
    from_photos: float
    overlaps: int


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """What is painted on.

    Attributes:
        vertices: [v, 3] person's frame.
        faces: [m, 3] int32.
        uv: [m, 3, 2] of the corners of each face.
        size: side of the texture in texels.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    size: int


def paint(
    capture: Capture,
    item: SceneObject | None,
    views: tuple[SurfaceView, ...],
    canvas: Canvas,
    progress: Progress,
) -> Painted:
    """Paint the mesh with the photos of the views.

    Args:
        capture: with photos and masks.
        item: whose masks limit what a photo may paint; None for all that a photo shows.
        views: cameras and trust.
        canvas: mesh, UVs and size.
        progress: counts photos, twice.
    """
    normals = vertex_normals(canvas.vertices, canvas.faces)
    surface = Surface(Mesh(canvas.vertices, canvas.faces))
    shape = (len(canvas.vertices), len(views))
    colors, weights = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
    progress.stage("Comparing photos", len(views))
    for i, source in enumerate(color_sources(capture, item, views, surface, progress)):
        pixels, weights[:, i] = source.look(canvas.vertices, normals)
        colors[:, i] = source.colors(pixels, _VERTEX_BLUR)
    factors = gains(colors, weights).astype(np.float32)
    consensus = agree(canvas.vertices, canvas.faces, colors * factors, weights)
    texels = rasterise(canvas.uv, (canvas.size, canvas.size))
    brush = _Brush(canvas, normals, texels, consensus)
    progress.stage("Painting texture", len(views))
    for i, source in enumerate(color_sources(capture, item, views, surface, progress)):
        brush.add(i, source, factors[i])
    painted, value = brush.result()
    image = dilate(texels.image(_bytes(value)), texels.covered)
    return Painted(image, _bytes(consensus.color), float(painted.mean()), texels.overlaps)


class _Brush:
    """Adds up, photo by photo, the colour of every texel."""

    def __init__(
        self, canvas: Canvas, normals: NDArray[np.float64], texels: Texels, consensus: Consensus
    ) -> None:
        self._canvas, self._texels, self._consensus = canvas, texels, consensus
        self._normals = normals
        self._best = np.zeros((len(texels), 3), np.float32)
        self._best_weight = np.zeros(len(texels), np.float32)
        # From any photo that sees the texel, for where the chosen one does not.
        self._any = np.zeros((len(texels), 3), np.float32)
        self._any_weight = np.zeros(len(texels), np.float32)
        # Units of a texel's side, to know how many pixels of a photo one covers.
        self._spacing = _texel_side(canvas, texels)

    def add(self, i: int, source: ColorSource, gain: NDArray[np.float32]) -> None:
        """Add what photo number `i` shows."""
        faces = self._canvas.faces
        chosen = self._consensus.share[:, i]
        wanted = (chosen[faces] > 0).any(axis=1)
        _, weights = source.look(self._canvas.vertices, self._normals)
        seen = (weights[faces] > 0).any(axis=1)
        at = np.flatnonzero((wanted | seen)[self._texels.faces])
        if not len(at):
            return
        part = self._part(at)
        points = part.interpolate(self._canvas.vertices, faces)
        normals = part.interpolate(self._normals, faces)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        pixels, weight = source.look(points, normals)
        some = weight > 0
        at, part, pixels, weight = at[some], self._part(at[some]), pixels[some], weight[some]
        if not len(at):
            return
        resolution = abs(source.camera.param("fx")) / np.median(
            np.linalg.norm(points[some] - source.camera.center, axis=1)
        )
        color = source.colors(pixels, 0.4 * max(0.0, float(resolution) * self._spacing - 1.0))
        color = color * gain + part.interpolate(self._consensus.offset[:, i], faces)
        share = part.interpolate(chosen[:, None], faces)[:, 0]
        # A photo that ends here, at a mask or an edge, fades out over a few pixels.
        full = float(np.quantile(weight, 0.9))
        fade = (share * np.minimum(weight / (0.2 * full), 1.0)).astype(np.float32)
        self._best[at] += fade[:, None] * color
        self._best_weight[at] += fade
        self._any[at] += weight[:, None] * color
        self._any_weight[at] += weight

    def result(self) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which texels [n] a photo shows, and the colours [n, 3] of all."""
        ground = self._texels.interpolate(self._consensus.color, self._canvas.faces)
        some = self._any_weight > 0
        ground[some] = self._any[some] / self._any_weight[some, None]
        share = np.minimum(self._best_weight, 1.0)[:, None]
        best = self._best / np.maximum(self._best_weight, 1e-9)[:, None]
        return some, (share * best + (1.0 - share) * ground).astype(np.float32)

    def _part(self, at: NDArray[np.int64]) -> Texels:
        t = self._texels
        return Texels(t.shape, t.rows[at], t.columns[at], t.faces[at], t.barycentric[at], 0)


def _texel_side(canvas: Canvas, texels: Texels) -> float:
    corners = canvas.vertices[canvas.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    ).sum()
    return float(np.sqrt(area / 2 / max(len(texels), 1)))


def _bytes(colors: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.rint(colors), 0, 255).astype(np.uint8)
