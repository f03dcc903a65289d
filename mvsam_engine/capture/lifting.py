# SPDX-License-Identifier: GPL-3.0-or-later
"""A place in a photo to the 3D point that it shows, from the pointmap around it.

A single pixel of a pointmap may be wrong, and at an object's edge its neighbours belong to what
lies behind. So the trusted pixels around the place are divided into surfaces by their depth, the
surface at the place itself (at an edge: the nearer one) is taken, and its depth there follows from
a robust fit: the inverse depth of a plane is linear over the photo.

Convention: `mvsam_engine.capture.conventions`; depth is along the camera's z axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import grid_pixels, pixels_to_grid, transform_points
from mvsam_engine.capture.model import Pointmap
from mvsam_engine.errors import CaptureError

# Points with less confidence are not measured from.
LEAST_CONFIDENCE = 0.5
# Half width of the window around a place, in pixels of the pointmap.
_REACH = 3
# Neighbours whose depths differ by more than this share of the depth are two surfaces.
_STEP = 0.02
_FEWEST = 4
_ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class LiftedPoint:
    """The 3D point that a place in a photo shows.

    Attributes:
        point: [3] world position.
        depth: along the camera's z axis, world units.
        spread: how much the depths around it scatter about a plane, world units.
        confidence: median confidence of the pixels it comes from, 0..1.
    """

    point: NDArray[np.float64]
    depth: float
    spread: float
    confidence: float


def lift(camera: Camera, pointmap: Pointmap, x: float, y: float) -> LiftedPoint:
    """The point that photo position (x, y) of `camera` shows.

    Raises:
        CaptureError: the place lies outside the photo, or too few trusted points are around it;
            the sentence names the confidence there.
    """
    height, width = pointmap.points.shape[:2]
    row, column, inside = (
        v.item()
        for v in pixels_to_grid(np.array([x, y]), height, width, camera.width, camera.height)
    )
    if not inside:
        raise CaptureError(
            "lift.outside",
            f"({x:g}, {y:g}) lies outside photo {camera.view!r}, which is {camera.width} x "
            f"{camera.height} pixels.",
            "Positions are x right, y down, from the top-left corner.",
        )
    rows = slice(max(0, row - _REACH), row + _REACH + 1)
    columns = slice(max(0, column - _REACH), column + _REACH + 1)
    pixels = grid_pixels(height, width, camera.width, camera.height)[rows, columns].reshape(-1, 2)
    points = pointmap.points[rows, columns].reshape(-1, 3).astype(np.float64)
    confidence = pointmap.confidence[rows, columns].reshape(-1).astype(np.float64)
    depth = transform_points(camera.camera_from_world, points)[:, 2].astype(np.float64)
    good = np.isfinite(depth) & (depth > 0) & (confidence >= LEAST_CONFIDENCE)
    step = camera.width / width
    offsets = (pixels[good] - (x, y)) / step
    surface = _surface_at(depth[good], np.linalg.norm(offsets, axis=1))
    if surface.sum() < _FEWEST:
        raise _too_uncertain(camera.view, x, y, depth, confidence)
    found, spread = _depth_at_origin(offsets[surface], depth[good][surface])
    return LiftedPoint(
        point=camera.unproject(np.array([x, y]), np.array(found)).astype(np.float64),
        depth=found,
        spread=spread,
        confidence=float(np.median(confidence[good][surface])),
    )


def _surface_at(depth: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pixels [n] show the surface at the place, by their depth [n] and distance [n] from it.

    The surface of the nearest pixel is taken, unless a nearer surface begins within about a pixel:
    people click on edges of objects, not on what is seen past them.
    """
    if len(depth) == 0:
        return np.zeros(0, bool)
    order = np.argsort(depth)
    steps = np.diff(depth[order]) > _STEP * depth[order][:-1]
    label = np.empty(len(depth), np.int64)
    label[order] = np.concatenate([[0], np.cumsum(steps)])
    counts = np.bincount(label)
    reach = np.array([distance[label == i].min() for i in range(len(counts))])
    candidates = np.flatnonzero((counts >= _FEWEST) & (reach <= reach.min() + 1.0))
    # Labels are sorted by depth, so the first candidate is the nearest surface.
    return label == candidates[0] if len(candidates) else np.zeros(len(depth), bool)


def _depth_at_origin(
    offsets: NDArray[np.float64], depth: NDArray[np.float64]
) -> tuple[float, float]:
    """Depth at offset (0, 0) and its spread, by a Huber fit of a plane to the inverse depth.

    Args:
        offsets: [n, 2] positions relative to the place, pixels of the pointmap.
        depth: [n] depths.
    """
    inverse = 1.0 / depth
    middle = float(np.median(inverse))
    spans = bool((np.linalg.matrix_rank(offsets - offsets.mean(axis=0), tol=0.5)) == 2)
    design = np.column_stack([np.ones(len(depth)), offsets])
    fitted, scatter = middle, float(np.median(np.abs(inverse - middle)))
    if spans and len(depth) >= 2 * _FEWEST:
        weights = np.ones(len(depth))
        solution = np.array([middle, 0.0, 0.0])
        for _ in range(_ROUNDS):
            root = np.sqrt(weights)
            solution = np.linalg.lstsq(design * root[:, None], inverse * root, rcond=None)[0]
            misfit = np.abs(inverse - design @ solution)
            scatter = float(np.median(misfit))
            weights = 1.0 / np.maximum(1.0, misfit / max(2.0 * scatter, 1e-12))
        # A fit from one side must not run away beyond what was seen.
        fitted = float(np.clip(solution[0], 0.97 * inverse.min(), 1.03 * inverse.max()))
    found = 1.0 / fitted
    return found, 1.4826 * scatter * found * found


def _too_uncertain(
    view: str,
    x: float,
    y: float,
    depth: NDArray[np.float64],
    confidence: NDArray[np.float64],
) -> CaptureError:
    known = np.isfinite(depth)
    if not known.any():
        text = f"Nothing is known of the place ({x:g}, {y:g}) in {view!r}: it has no 3D point."
    else:
        best = float(np.median(confidence[known]))
        text = (
            f"The 3D points around ({x:g}, {y:g}) in {view!r} are not sure enough to measure from: "
            f"their confidence is about {best:.2f}, {LEAST_CONFIDENCE:g} is needed."
        )
    return CaptureError(
        "lift.uncertain", text, "Choose a place with texture, or the same spot in another photo."
    )


__all__ = ["LEAST_CONFIDENCE", "LiftedPoint", "lift"]
