# SPDX-License-Identifier: GPL-3.0-or-later
"""Plane sweep (Collins, CVPR 1996) with semi-global aggregation: a first depth for every pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.kernels.sgm import aggregate_direction, winner
from mvsam_engine.reconstruct.classical.undistort import (
    OUTSIDE,
    FloatMap,
    WorkingView,
    warp_between,
)

WINDOW = 5
# Prices of a change by one plane and of a jump, in units of the matching cost (0 to 2).
SMALL_CHANGE = np.float32(0.05)
LARGE_CHANGE = np.float32(0.6)
LEAST_VARIANCE = 1e-5
# Planes lie about this many pixels apart in the source that moves most, within these numbers.
PIXELS_PER_PLANE = 1.5
FEWEST_PLANES, MOST_PLANES = 48, 128

DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))


def plane_count(reference: WorkingView, sources: list[WorkingView]) -> int:
    """How many planes it takes so that no source moves much between two of them."""
    height, width = reference.filled.shape
    pixel = np.array([width / 2, height / 2, 1.0])
    moves = []
    for source in sources:
        matrix, shift = warp_between(reference, source)
        near, far = (matrix @ pixel * z + shift for z in (reference.near, reference.far))
        if near[2] > 0 and far[2] > 0:
            moves.append(np.linalg.norm(near[:2] / near[2] - far[:2] / far[2]))
    most = max(moves, default=0.0)
    return int(np.clip(np.ceil(most / PIXELS_PER_PLANE), FEWEST_PLANES, MOST_PLANES))


def inverse_depths(view: WorkingView, planes: int) -> NDArray[np.float32]:
    """Inverse depths [planes] of the sweep, evenly spaced from far to near."""
    return np.linspace(1.0 / view.far, 1.0 / view.near, planes).astype(np.float32)


def sweep_depth(
    reference: WorkingView, sources: list[WorkingView], planes: int, progress: Progress
) -> FloatMap:
    """Depth of every canvas pixel of `reference`, right or wrong.

    Args:
        reference: the view to measure.
        sources: at least one other view.
        planes: number of fronto-parallel planes.
        progress: asked between planes whether to stop.

    Returns:
        [h, w] z-depth, everywhere positive.
    """
    inverse = inverse_depths(reference, planes)
    cost = cost_volume(reference, sources, inverse, progress)
    total = np.zeros_like(cost)
    for dy, dx in DIRECTIONS:
        progress.check()
        aggregate_direction(cost, total, reference.filled, dy, dx, SMALL_CHANGE, LARGE_CHANGE)
    plane = np.empty(reference.filled.shape, np.float32)
    winner(total, plane)
    return 1.0 / (inverse[0] + plane * (inverse[1] - inverse[0]))


def cost_volume(
    reference: WorkingView,
    sources: list[WorkingView],
    inverse: NDArray[np.float32],
    progress: Progress,
) -> NDArray[np.float32]:
    """1 - normalised cross-correlation [h, w, planes], the mean of the two best sources."""
    height, width = reference.filled.shape
    image = reference.filled
    mean = _box(image)
    variance = np.maximum(_box(image * image) - mean * mean, LEAST_VARIANCE)
    warps = [warp_between(reference, source) for source in sources]
    cost = np.empty((height, width, len(inverse)), np.float32)
    for plane, q in enumerate(inverse):
        progress.check()
        best = np.full((height, width), 2.0, np.float32)
        second = best
        for source, (matrix, shift) in zip(sources, warps, strict=True):
            homography = matrix + np.outer(shift, [0.0, 0.0, float(q)])
            found = _correlation_cost(image, mean, variance, source.gray, homography)
            second = np.minimum(second, np.maximum(best, found))
            best = np.minimum(best, found)
        cost[:, :, plane] = best if len(sources) == 1 else (best + second) * np.float32(0.5)
    return cost


def _box(values: FloatMap) -> FloatMap:
    return cv2.blur(values, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT).astype(np.float32)


def _correlation_cost(
    image: FloatMap,
    mean: FloatMap,
    variance: FloatMap,
    source: FloatMap,
    homography: NDArray[np.float64],
) -> FloatMap:
    """1 - correlation [h, w], at most 1, of `image` with `source` warped onto it."""
    height, width = image.shape
    warped = cv2.warpPerspective(
        source,
        homography,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=OUTSIDE,
    )
    outside = warped < 0
    warped[outside] = 0.0
    other_mean = _box(warped)
    other_variance = np.maximum(_box(warped * warped) - other_mean * other_mean, LEAST_VARIANCE)
    covariance = _box(image * warped) - mean * other_mean
    cost = np.minimum(1.0 - covariance / np.sqrt(variance * other_variance), 1.0)
    cost[outside] = 1.0
    return cost.astype(np.float32)
