# SPDX-License-Identifier: GPL-3.0-or-later
"""The points of all views with what is known of each, for files of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Capture, Pointmap, SceneObject
from mvsam_engine.capture.conventions import grid_pixels, pixels_to_grid
from mvsam_engine.errors import CaptureError, SegmentationError
from mvsam_engine.export.mask_images import object_mask
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.world import World
from mvsam_engine.progress import Progress

# A point belongs to an object from this weight on.
INSIDE = 0.5
# Where the steps to the two neighbours of a point differ by more than this share of both together,
# they do not lie on one surface.
_SAME_SURFACE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points with one row for each.

    Attributes:
        position: [N, 3] float64, the export's frame.
        color: [N, 3] uint8, sRGB.
        normal: [N, 3] float32, unit length towards the camera; zeros where not known.
        confidence: [N] float32, 0..1.
        view: [N] int32 index into `views`.
        cell: [N, 2] int32 row and column in that view's pointmap.
        weights: object id to [N] float32, 0..1.
        views: names of the views.
    """

    position: NDArray[np.float64]
    color: NDArray[np.uint8]
    normal: NDArray[np.float32]
    confidence: NDArray[np.float32]
    view: NDArray[np.int32]
    cell: NDArray[np.int32]
    weights: dict[str, NDArray[np.float32]]
    views: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.position)

    def take(self, keep: NDArray[np.generic]) -> Points:
        """The points that `keep` (indices or [N] bool) names."""
        return replace(
            self,
            position=self.position[keep],
            color=self.color[keep],
            normal=self.normal[keep],
            confidence=self.confidence[keep],
            view=self.view[keep],
            cell=self.cell[keep],
            weights={name: w[keep] for name, w in self.weights.items()},
        )


def gather_points(
    capture: Capture,
    items: Sequence[SceneObject],
    options: ExportOptions,
    world: World,
    progress: Progress,
) -> Points:
    """The trusted points of all placed views, thinned evenly to `options.max_points`.

    Args:
        capture: with a reconstruction.
        items: objects whose weights are wanted.
        options: least confidence, most points, and whether only the objects' points are meant.
        world: frame that the points shall be in.
        progress: counts views.

    Raises:
        CaptureError: no point is trusted enough.
        SegmentationError: only the objects' points are wanted, and there is no object or no point.
    """
    cameras = capture.require_reconstruction().cameras
    if options.isolate and not items:
        raise SegmentationError(
            "object.none", "This capture has no masks yet.", "Run `mvsam segment` first."
        )
    progress.stage("Gathering points", len(cameras))
    parts: list[Points] = []
    for index, camera in enumerate(cameras):
        part = _of_view(capture, index, camera, items, options.min_confidence)
        if options.isolate:
            part = part.take(_is_wanted(part, options.remove))
        parts.append(part)
        progress.step()
    whole = _joined(parts, tuple(c.view for c in cameras), items)
    if not len(whole):
        raise CaptureError(
            "export.points",
            "No point is left to export.",
            "Choose a lower --min-confidence, or other objects.",
        )
    if options.max_points and len(whole) > options.max_points:
        random = np.random.default_rng(0)
        whole = whole.take(np.sort(random.choice(len(whole), options.max_points, replace=False)))
    return replace(
        whole,
        position=world.points(whole.position),
        normal=world.directions(whole.normal).astype(np.float32),
    )


def _is_wanted(points: Points, remove: bool) -> NDArray[np.bool_]:
    """[N]: which points belong to one of the objects, or to none when `remove`."""
    inside = np.zeros(len(points), dtype=bool)
    for weight in points.weights.values():
        inside |= weight >= INSIDE
    return inside != remove


def _of_view(
    capture: Capture,
    index: int,
    camera: Camera,
    items: Sequence[SceneObject],
    min_confidence: float,
) -> Points:
    pointmap = capture.pointmap(camera.view)
    confidence = pointmap.confidence.astype(np.float32)
    known = np.isfinite(pointmap.points).all(axis=-1) & (confidence >= min_confidence)
    cell = np.argwhere(known)
    weights = {
        item.id: weights_of(capture, item, pointmap)[known].astype(np.float32) for item in items
    }
    return Points(
        position=pointmap.points[known].astype(np.float64),
        color=pointmap.colors[known],
        normal=_normals(pointmap, camera)[known],
        confidence=confidence[known],
        view=np.full(len(cell), index, dtype=np.int32),
        cell=cell.astype(np.int32),
        weights=weights,
        views=(camera.view,),
    )


def _joined(
    parts: Sequence[Points], views: tuple[str, ...], items: Sequence[SceneObject]
) -> Points:
    return Points(
        position=np.concatenate([p.position for p in parts]),
        color=np.concatenate([p.color for p in parts]),
        normal=np.concatenate([p.normal for p in parts]),
        confidence=np.concatenate([p.confidence for p in parts]),
        view=np.concatenate([p.view for p in parts]),
        cell=np.concatenate([p.cell for p in parts]),
        weights={i.id: np.concatenate([p.weights[i.id] for p in parts]) for i in items},
        views=views,
    )


def weights_of(capture: Capture, item: SceneObject, pointmap: Pointmap) -> NDArray[np.float32]:
    """[h, w] 0..1: an object's weight on each point of a view, 0 where nothing is known.

    What was fused from all views; where the points are newer than that, the view's own mask.
    """
    shape = pointmap.points.shape[:2]
    try:
        fused = capture.fused(item.id, pointmap.view)
    except CaptureError:
        fused = None
    if fused is not None and fused.shape == shape:
        return np.nan_to_num(fused.astype(np.float32), nan=0.0)
    photo = capture.photo(pointmap.view)
    mask = object_mask(capture, item, photo)
    if mask is None:
        return np.zeros(shape, dtype=np.float32)
    places = grid_pixels(*shape, photo.width, photo.height)
    rows, columns, _ = pixels_to_grid(places, photo.height, photo.width, photo.width, photo.height)
    return mask[rows, columns].astype(np.float32)


def _normals(pointmap: Pointmap, camera: Camera) -> NDArray[np.float32]:
    """[h, w, 3] unit normals towards the camera from the neighbours of each point; else zeros."""
    points = pointmap.points.astype(np.float64)
    down, even_down = _steps(points)
    across, even_across = (a.swapaxes(0, 1) for a in _steps(points.swapaxes(0, 1)))
    towards = camera.center - points
    with np.errstate(invalid="ignore", divide="ignore"):
        normal = np.cross(across, down)
        length = np.linalg.norm(normal, axis=-1)
        normal = normal / length[..., None]
        facing = np.sign(np.sum(normal * towards, axis=-1))
        good = even_down & even_across & (length > 0) & np.isfinite(facing)
    return np.where(good[..., None], normal * facing[..., None], 0.0).astype(np.float32)


def _steps(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """From the row before to the row after each point, and whether both lie on its surface.

    Returns:
        [h, w, 3], NaN in the first and last row, and [h, w].
    """
    step = np.full_like(points, np.nan)
    bend = np.full_like(points, np.nan)
    step[1:-1] = points[2:] - points[:-2]
    bend[1:-1] = points[2:] + points[:-2] - 2.0 * points[1:-1]
    with np.errstate(invalid="ignore"):
        even = np.linalg.norm(bend, axis=-1) < _SAME_SURFACE * np.linalg.norm(step, axis=-1)
    return step, even
