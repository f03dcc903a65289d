# SPDX-License-Identifier: GPL-3.0-or-later
"""Refines a depth map with slanted planes; see `kernels.plane_match` for the convention."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.kernels.plane_match import improve, initial_cost
from mvsam_engine.reconstruct.classical.undistort import (
    OUTSIDE,
    FloatMap,
    WorkingView,
    warp_between,
)

ITERATIONS = 2


def refine_depth(
    reference: WorkingView,
    sources: list[WorkingView],
    depth: FloatMap,
    planes: int,
    seed: int,
    progress: Progress,
) -> tuple[FloatMap, FloatMap]:
    """Refine `depth` by matching slanted patches.

    Args:
        reference: the view to measure.
        sources: at least one other view.
        depth: [h, w] first depth of every canvas pixel, e.g. of the sweep.
        planes: how many planes the sweep had; sets the range of random changes.
        seed: of the random numbers.
        progress: asked between half iterations whether to stop.

    Returns:
        [h, w] z-depth, and [h, w] score 0..1, how well the patches look alike.
    """
    least, most = np.float32(1.0 / reference.far), np.float32(1.0 / reference.near)
    step = np.float32((most - least) / planes)
    hypotheses = _first_planes(np.clip(1.0 / depth, least, most).astype(np.float32), step)
    cost = np.empty(depth.shape, np.float32)
    warps = [warp_between(reference, source) for source in sources]
    bundle = (
        _stack(sources),
        np.array([matrix for matrix, _ in warps], np.float32),
        np.array([shift for _, shift in warps], np.float32),
    )
    image = reference.filled
    initial_cost(hypotheses, cost, image, bundle)
    for iteration in range(ITERATIONS):
        limits = (least, most, np.float32(step * 0.5**iteration))
        for colour in (0, 1):
            progress.check()
            turn = seed + 2 * iteration + colour
            improve(hypotheses, cost, image, bundle, limits, colour, turn)
    refined = 1.0 / np.clip(hypotheses[..., 0], least, most)
    return refined.astype(np.float32), np.clip(1.0 - cost, 0.0, 1.0).astype(np.float32)


def _first_planes(inverse: FloatMap, step: np.float32) -> NDArray[np.float32]:
    """Hypotheses [h, w, 3] through an inverse depth map, with the slopes of its smooth parts."""
    smooth = cv2.medianBlur(inverse, 5)
    # The 5 x 5 Sobel kernel sums to 128 times the slope.
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=5, scale=1 / 128)
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=5, scale=1 / 128)
    # A steeper slope is an edge between two surfaces.
    limit = step * np.float32(0.7)
    slope_x[np.abs(slope_x) >= limit] = 0.0
    slope_y[np.abs(slope_y) >= limit] = 0.0
    return np.ascontiguousarray(np.stack([inverse, slope_x, slope_y], axis=-1))


def _stack(sources: list[WorkingView]) -> NDArray[np.float32]:
    """Grey sources of any sizes in one array [s, H, W]."""
    height, width = np.array([source.gray.shape for source in sources]).max(axis=0)
    stack = np.full((len(sources), height, width), OUTSIDE, np.float32)
    for target, source in zip(stack, sources, strict=True):
        target[: source.gray.shape[0], : source.gray.shape[1]] = source.gray
    return stack
