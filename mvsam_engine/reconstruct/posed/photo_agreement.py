# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the photos look alike where the mesh says that they show the same?

Each pixel's patch is warped by the plane of the face that it sees into the neighbouring photos
that see the same place, and correlated there (the cost of `kernels.plane_match`). The same is
asked a little in front of the mesh and behind it: where the photos look alike at the mesh's depth
and less alike beside it, they confirm it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.patchmatch import Match
from mvsam_engine.reconstruct.classical.undistort import FloatMap, warp_between
from mvsam_engine.reconstruct.posed.surface_views import SurfaceView

# How far in front and behind the photos are compared too, as shares of the depth.
BESIDE = 0.015
# Another view sees the same place when its own depth there agrees to this share.
SAME_DEPTH = 0.01
# Costs at this or above were not compared at all: the patch leaves the other photo.
NOT_COMPARED = 1.15
PATCH = 9
# What is lost of a perfect match by noise and resampling, in units of the correlation.
NOISE = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class PhotoAgreement:
    """What the photos say of a mesh's depth, on the canvas of one view.

    Attributes:
        score: [h, w] mean correlation -0.2..1 with the photos that see the same place.
        margin: [h, w] -1..1, how much of the correlation is lost beside the mesh's depth, in units
            of what is missing at it; negative where the photos look more alike beside it.
        around: [h, w] the same of the means over the patch: a steadier answer.
        photos: [h, w] how many photos were compared; 0 leaves the three above 0.
        texture: [h, w] standard deviation of the grey values 0..1 of the patch.
    """

    score: FloatMap
    margin: FloatMap
    around: FloatMap
    photos: NDArray[np.uint8]
    texture: FloatMap


def compare_photos(reference: SurfaceView, sources: list[SurfaceView]) -> PhotoAgreement:
    """Compare a view with others along the mesh."""
    shape = reference.depth.shape
    at, beside = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    photos = np.zeros(shape, np.uint8)
    known = (reference.depth > 0) & (reference.view.gray >= 0)
    for source in sources:
        here = _cost(reference, source, 0.0)
        nearby = np.minimum(_cost(reference, source, BESIDE), _cost(reference, source, -BESIDE))
        seen = known & (here < NOT_COMPARED) & _same_place(reference, source)
        at += np.where(seen, 1.0 - here, np.float32(0.0))
        beside += np.where(seen, 1.0 - nearby, np.float32(0.0))
        photos += seen
    count = np.maximum(photos, 1).astype(np.float32)
    score, lost = at / count, (at - beside) / count
    seen_once = (photos > 0).astype(np.float32)
    return PhotoAgreement(
        score=score,
        margin=_relative(lost, score) * seen_once,
        around=_relative(_mean(lost, seen_once), _mean(score, seen_once)) * seen_once,
        photos=photos,
        texture=_texture(reference.view.filled),
    )


def _relative(lost: FloatMap, score: FloatMap) -> FloatMap:
    """Correlation lost beside the mesh in units of what is missing at it, -1..1."""
    missing = np.clip(1.0 - score, 0.0, 2.0) + np.float32(NOISE)
    return np.clip(lost / missing, -1.0, 1.0).astype(np.float32)


def _mean(values: FloatMap, seen: FloatMap) -> FloatMap:
    """Mean over the patch around each pixel of what was seen; 0 where nothing was."""
    weight = cv2.blur(seen, (PATCH, PATCH))
    total = cv2.blur(values * seen, (PATCH, PATCH))
    return (total / np.maximum(weight, 1e-3)).astype(np.float32)


def _cost(reference: SurfaceView, source: SurfaceView, share: float) -> FloatMap:
    """1 - correlation [h, w] with one source, at the mesh's depth made longer by a share."""
    planes = (reference.planes / np.float32(1.0 + share)).astype(np.float32)
    return Match.of(reference.view, [source.view]).costs(np.ascontiguousarray(planes))[0]


def _same_place(reference: SurfaceView, source: SurfaceView) -> NDArray[np.bool_]:
    """Where the mesh in the source's view lies as deep as the reference says: not hidden."""
    height, width = reference.depth.shape
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    matrix, shift = warp_between(reference.view, source.view)
    place = np.stack([columns, rows, np.ones_like(rows)], axis=-1) * reference.depth[..., None]
    place = place @ matrix.T.astype(np.float32) + shift.astype(np.float32)
    depth = place[..., 2]
    safe = np.where(depth > 0, depth, np.float32(1.0))
    x, y = place[..., 0] / safe, place[..., 1] / safe
    there = cv2.remap(
        source.depth,
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
    )
    return (depth > 0) & (there > 0) & (np.abs(there - depth) <= SAME_DEPTH * depth)


def _texture(gray: FloatMap) -> FloatMap:
    """Standard deviation [h, w] of the grey values of the patch around every pixel."""
    mean = cv2.blur(gray, (PATCH, PATCH), borderType=cv2.BORDER_REFLECT)
    square = cv2.blur(gray * gray, (PATCH, PATCH), borderType=cv2.BORDER_REFLECT)
    return np.sqrt(np.maximum(square - mean * mean, 0.0)).astype(np.float32)
