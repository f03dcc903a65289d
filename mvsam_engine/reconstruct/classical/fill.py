# SPDX-License-Identifier: GPL-3.0-or-later
"""Guesses the depth of what was not measured from the measured depth around it.

Inverse depth is regressed on the pixel position, locally and linearly, with the fast global
smoother (Min et al. 2014) as the window: measured planes are continued exactly, and the window
does not reach across edges of the photo.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.consistency import DepthMap
from mvsam_engine.reconstruct.classical.continuation import continue_planes
from mvsam_engine.reconstruct.classical.kernels.smoother import smooth_rows
from mvsam_engine.reconstruct.classical.undistort import FloatMap, WorkingView

# Strength of the smoothing and colour difference (0..1) that stops it: the near window, and the
# wide one that reaches across edges where nothing else is known.
STRENGTH, EDGE = 20000.0, 0.01
WIDE_STRENGTH, WIDE_EDGE, WIDE_WEIGHT = 2_000_000.0, 0.1, 1e-3
# What keeps the slope near zero where the points hardly determine it.
RIDGE = 2e-4
PASSES = 3
# Confidence of a filled pixel next to a measured one (those have more: `measure.LEAST_CHANCE`); how
# fast it falls with the distance (in widths of the photo), and with the spread of the inverse
# depths around it (as a share): between two surfaces a filled pixel hangs in the air. On rendered
# photos 65 % of filled pixels with a spread under 0.02 are within 1 % of the true depth, but only
# 5 % of those over 0.04.
MOST_CONFIDENCE = 0.29
REACH = 0.04
JUMP = 0.04
AROUND = np.ones((5, 5), np.uint8)


def smooth(
    values: NDArray[np.float32], guide: NDArray[np.float32], strength: float, edge: float
) -> NDArray[np.float32]:
    """Edge-aware smoothing of [h, w, channels] along a guide [h, w, 3] in 0..1."""
    steps_x = np.abs(np.diff(guide, axis=1, append=guide[:, -1:])).max(axis=-1)
    steps_y = np.abs(np.diff(guide, axis=0, append=guide[-1:])).max(axis=-1)
    affinity_x = np.exp(-steps_x / edge).astype(np.float32)
    affinity_y = np.ascontiguousarray(np.exp(-steps_y / edge).astype(np.float32).T)
    values = np.ascontiguousarray(values, np.float32).copy()
    for number in range(PASSES):
        # The smoother's schedule: strong first, so that streaks of early passes vanish.
        share = 1.5 * 4.0 ** (PASSES - number - 1) / (4.0**PASSES - 1.0)
        smooth_rows(values, affinity_x, np.float32(share * strength))
        turned = np.ascontiguousarray(values.transpose(1, 0, 2))
        smooth_rows(turned, affinity_y, np.float32(share * strength))
        values = np.ascontiguousarray(turned.transpose(1, 0, 2))
    return values


def complete(
    view: WorkingView,
    found: DepthMap,
    others: list[tuple[WorkingView, FloatMap]],
    seed: int,
) -> DepthMap:
    """A depth for every pixel: measured ones as they are, planes continued, the rest regressed.

    Args:
        view: the view.
        found: measured depth and confidence; at least one pixel is known.
        others: other views with their measured depth, which may speak against a guess.
        seed: of the random numbers.

    Returns:
        Depth everywhere; confidence at most `MOST_CONFIDENCE` where it was guessed.
    """
    guess = continue_planes(view, found.depth, others, seed)
    planar = guess.inverse > 0
    guessed = np.where(planar, 1.0 / np.where(planar, guess.inverse, 1.0), found.depth)
    score = np.where(planar, MOST_CONFIDENCE * guess.support, found.score)
    if not ((found.depth > 0) | planar).all():
        filled = fill(found, view.guide)
        rest = (found.depth <= 0) & ~planar
        guessed, score = np.where(rest, filled.depth, guessed), np.where(rest, filled.score, score)
    return DepthMap(guessed.astype(np.float32), score.astype(np.float32))


def fill(found: DepthMap, guide: NDArray[np.uint8]) -> DepthMap:
    """A depth for every pixel: the measured ones as they are, the others regressed.

    Args:
        found: measured depth and confidence; at least one pixel is known.
        guide: [h, w, 3] uint8 RGB photo.

    Returns:
        Depth everywhere; confidence at most `MOST_CONFIDENCE` where filled, falling with the
        distance to the nearest measured pixel and beside jumps of the depth.
    """
    known = found.depth > 0
    colors = guide.astype(np.float32) / np.float32(255.0)
    # Measured points count at least half, however unsure.
    weight = np.where(known, np.maximum(found.score, 0.51), 0.0).astype(np.float32)
    inverse = np.where(known, 1.0 / np.where(known, found.depth, 1.0), 0.0)
    unit = float(inverse[known].mean())
    regressed = _regress((inverse / unit).astype(np.float32), weight, colors)
    low, high = np.percentile(inverse[known] / unit, [0.2, 99.8])
    regressed = np.clip(regressed, low * 0.7, high * 1.3)
    complete = np.where(known, inverse / unit, regressed).astype(np.float32)
    spread = (cv2.dilate(complete, AROUND) - cv2.erode(complete, AROUND)) / complete
    distance = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3)
    doubt = np.exp(-distance / (REACH * guide.shape[1]) - spread / JUMP)
    return DepthMap(
        depth=np.where(known, found.depth, 1.0 / (complete * unit)).astype(np.float32),
        score=np.where(known, found.score, MOST_CONFIDENCE * doubt).astype(np.float32),
    )


def _regress(inverse: FloatMap, weight: FloatMap, guide: NDArray[np.float32]) -> FloatMap:
    """Local linear regression [h, w] of `inverse` on the position, from smoothed moments."""
    height, width = inverse.shape
    x, y = np.meshgrid(
        np.linspace(-1.0, 1.0, width, dtype=np.float32),
        np.linspace(-height / width, height / width, height, dtype=np.float32),
    )
    one = np.ones_like(x)
    terms = (one, x, y, x * x, x * y, y * y, inverse, x * inverse, y * inverse)
    moments = weight[..., None] * np.stack(terms, axis=-1)
    moments = (
        smooth(moments, guide, STRENGTH, EDGE)
        + WIDE_WEIGHT * smooth(moments, guide, WIDE_STRENGTH, WIDE_EDGE)
        + 1e-5 * moments.mean(axis=(0, 1))
    )
    moments = moments / np.maximum(moments[..., :1], 1e-12)
    mean_x, mean_y, mean_q = moments[..., 1], moments[..., 2], moments[..., 6]
    xx = moments[..., 3] - mean_x * mean_x + RIDGE
    yy = moments[..., 5] - mean_y * mean_y + RIDGE
    xy = moments[..., 4] - mean_x * mean_y
    xq = moments[..., 7] - mean_x * mean_q
    yq = moments[..., 8] - mean_y * mean_q
    determinant = xx * yy - xy * xy
    slope_x = (xq * yy - yq * xy) / determinant
    slope_y = (yq * xx - xq * xy) / determinant
    return mean_q + slope_x * (x - mean_x) + slope_y * (y - mean_y)
