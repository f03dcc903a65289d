# SPDX-License-Identifier: GPL-3.0-or-later
"""A reconstructed capture as the segmenters need it: everything on SAM's mask grid, in memory.

Convention: a view's cells are the h x w cells of its mask grid (long side 256, see
`segment.frame`), in rows, flattened to h * w where an array is called [cells]. A cell holds the
3D point that the pointmap has at the cell's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Capture, Photo, Pointmap
from mvsam_engine.capture.conventions import grid_pixels, pixels_to_grid
from mvsam_engine.progress import Progress
from mvsam_engine.segment.embeddings import embed_photos
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.frame import ModelFrame


@dataclass(frozen=True, slots=True, eq=False)
class SceneView:
    """One placed photo.

    Attributes:
        photo: the photo.
        camera: where it was taken from.
        frame: how SAM sees it.
        embedding: [256, 64, 64] float16; more channels for SAM 2.1's own decoder.
        points: [cells, 3] float32 world points, NaN where unknown.
        confidence: [cells] float32, 0 where the point is unknown.
        depth: [cells] float32 z-depth of `points` in this camera, NaN where unknown.
        pointmap_size: rows and columns of the capture's pointmap.
        unknown: [H, W] bool on the pointmap's grid, where it has no point.
    """

    photo: Photo
    camera: Camera
    frame: ModelFrame
    embedding: NDArray[np.float16]
    points: NDArray[np.float32]
    confidence: NDArray[np.float32]
    depth: NDArray[np.float32]
    pointmap_size: tuple[int, int]
    unknown: NDArray[np.bool_]

    @property
    def name(self) -> str:
        """Name of the view."""
        return self.photo.view

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the view's cells."""
        return self.frame.mask_size

    def to_photo(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """Photo positions [n, 2] (x, y) of positions [n, 2] in cells."""
        rows, columns = self.shape
        return positions * (np.array([self.photo.width, self.photo.height]) / [columns, rows])


def load_views(
    capture: Capture, encoder: ImageEncoder, progress: Progress
) -> tuple[SceneView, ...]:
    """Read all placed views, computing what embeddings are missing.

    Raises:
        CaptureError: not reconstructed, or damaged.
        Cancelled: cancellation was asked for.
    """
    reconstruction = capture.require_reconstruction()
    by_name = {photo.view: photo for photo in capture.photos()}
    photos = tuple(by_name[camera.view] for camera in reconstruction.cameras)
    embeddings = embed_photos(capture, photos, encoder, progress)
    progress.stage("Reading pointmaps", len(photos))
    views: list[SceneView] = []
    for photo, camera, embedding in zip(photos, reconstruction.cameras, embeddings, strict=True):
        frame = encoder.frame(photo.width, photo.height)
        views.append(make_view(photo, camera, embedding, capture.pointmap(photo.view), frame))
        progress.step()
    return tuple(views)


def make_view(
    photo: Photo,
    camera: Camera,
    embedding: NDArray[np.float16],
    pointmap: Pointmap,
    frame: ModelFrame | None = None,
) -> SceneView:
    """Sample a pointmap on the mask grid of its photo.

    Args:
        photo: the photo.
        camera: where it was taken from.
        embedding: its features.
        pointmap: its points.
        frame: how the encoder saw it; SAM's frame when it is not said.
    """
    frame = frame or ModelFrame(photo.width, photo.height)
    rows, columns = frame.mask_size
    height, width = pointmap.points.shape[:2]
    centers = grid_pixels(rows, columns, photo.width, photo.height).reshape(-1, 2)
    # The nearest point, not a mean: a mean across a depth edge lies on no surface.
    row, column, _ = pixels_to_grid(centers, height, width, photo.width, photo.height)
    points = pointmap.points[row, column]
    known = np.isfinite(points).all(axis=-1)
    local = points.astype(np.float64) @ camera.camera_from_world[2, :3]
    depth = (local + camera.camera_from_world[2, 3]).astype(np.float32)
    known &= depth > 0
    return SceneView(
        photo=photo,
        camera=camera,
        frame=frame,
        embedding=embedding,
        points=np.where(known[:, None], points, np.nan).astype(np.float32),
        confidence=np.where(known, pointmap.confidence[row, column], 0).astype(np.float32),
        depth=np.where(known, depth, np.nan).astype(np.float32),
        pointmap_size=(height, width),
        unknown=~np.isfinite(pointmap.points).all(axis=-1),
    )
