# SPDX-License-Identifier: GPL-3.0-or-later
"""A place in a photo to the 3D point that it shows, from the pointmap around it.

A single pixel of a pointmap may be wrong, and at an object's edge its neighbours belong to what
lies behind. So the trusted pixels around the place are divided into surfaces, each a plane: its
inverse depth is linear over the photo, however slanted it is (sequential RANSAC). The surface at
the place itself, at an edge the nearer one, gives the depth there by a robust fit.

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
# Pixels whose depths differ by less than this share from a plane belong to it.
_TOLERANCE = 0.01
# A surface has at least so many pixels, and this share of the trusted ones.
_FEWEST, _LEAST_SHARE = 5, 0.2
_SURFACES, _TRIES, _ROUNDS = 3, 120, 5


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
    surface = _surface_at(offsets, 1.0 / depth[good])
    if surface is None:
        raise _too_uncertain(camera.view, x, y, depth, confidence)
    found, spread = _depth_at_origin(offsets[surface], depth[good][surface])
    return LiftedPoint(
        point=camera.unproject(np.array([x, y]), np.array(found)).astype(np.float64),
        depth=found,
        spread=spread,
        confidence=float(np.median(confidence[good][surface])),
    )


def _surface_at(
    offsets: NDArray[np.float64], inverse: NDArray[np.float64]
) -> NDArray[np.bool_] | None:
    """Which pixels [n] show the surface at the place; None where there is no surface.

    Of the surfaces that come within a pixel of being the nearest to the place, the one nearest to
    the camera is taken: people click on edges of objects, not on what is seen past them.

    Args:
        offsets: [n, 2] positions relative to the place, pixels of the pointmap.
        inverse: [n] inverse depths.
    """
    random = np.random.default_rng(0)
    fewest = max(_FEWEST, _LEAST_SHARE * len(inverse))
    left = np.ones(len(inverse), bool)
    found: list[tuple[float, float, NDArray[np.bool_]]] = []
    while left.sum() >= fewest and len(found) < _SURFACES:
        on = _largest_plane(offsets, inverse, left, random)
        if on.sum() < fewest:
            break
        reach = float(np.linalg.norm(offsets[on], axis=1).min())
        closest = on & (np.linalg.norm(offsets, axis=1) <= reach + 1.0)
        found.append((reach, float(np.median(inverse[closest])), on))
        left &= ~on
    if not found:
        return None
    nearest = min(reach for reach, _, _ in found)
    return max((f for f in found if f[0] <= nearest + 1.0), key=lambda f: f[1])[2]


def _largest_plane(
    offsets: NDArray[np.float64],
    inverse: NDArray[np.float64],
    left: NDArray[np.bool_],
    random: np.random.Generator,
) -> NDArray[np.bool_]:
    """Which of the pixels `left` [n] lie on the plane that most of them lie on."""
    indices = np.flatnonzero(left)
    design = np.column_stack([np.ones(len(inverse)), offsets])
    corners = random.choice(indices, (_TRIES, 3))
    spans = np.abs(np.linalg.det(design[corners])) > 0.5
    if not spans.any():
        return np.zeros(len(inverse), bool)
    planes = np.linalg.solve(design[corners[spans]], inverse[corners[spans]][..., None])[..., 0]
    on = left & (np.abs(planes @ design.T - inverse) < _TOLERANCE * inverse)
    return on[int(np.argmax(on.sum(axis=1)))]


def _depth_at_origin(
    offsets: NDArray[np.float64], depth: NDArray[np.float64]
) -> tuple[float, float]:
    """Depth at offset (0, 0) and its spread, by a Huber fit of a plane to the inverse depth.

    Args:
        offsets: [n, 2] positions relative to the place, pixels of the pointmap.
        depth: [n] depths.
    """
    inverse = 1.0 / depth
    design = np.column_stack([np.ones(len(depth)), offsets])
    weights = np.ones(len(depth))
    solution, scatter = np.zeros(3), 0.0
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(design * root[:, None], inverse * root, rcond=None)[0]
        misfit = np.abs(inverse - design @ solution)
        scatter = float(np.median(misfit))
        weights = 1.0 / np.maximum(1.0, misfit / max(2.0 * scatter, 1e-12))
    # A fit to pixels of one side must not run away.
    found = 1.0 / float(np.clip(solution[0], 0.8 * inverse.min(), 1.25 * inverse.max()))
    return found, 1.4826 * scatter * found * found


def _too_uncertain(
    view: str,
    x: float,
    y: float,
    depth: NDArray[np.float64],
    confidence: NDArray[np.float64],
) -> CaptureError:
    known = np.isfinite(depth)
    place = f"({x:g}, {y:g}) in {view!r}"
    best = float(np.median(confidence[known])) if known.any() else 0.0
    if not known.any():
        text = f"Nothing is known of the place {place}: it has no 3D point."
    elif best < LEAST_CONFIDENCE:
        text = (
            f"The 3D points around {place} are not sure enough to measure from: their confidence "
            f"is about {best:.2f}, {LEAST_CONFIDENCE:g} is needed."
        )
    else:
        text = (
            f"The 3D points around {place} form no surface to measure from, though their "
            f"confidence is about {best:.2f}."
        )
    return CaptureError(
        "lift.uncertain", text, "Choose a place with texture, or the same spot in another photo."
    )


__all__ = ["LEAST_CONFIDENCE", "LiftedPoint", "lift"]
