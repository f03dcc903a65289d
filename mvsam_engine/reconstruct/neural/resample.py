# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth and confidence of the network's grid on the grid of a pointmap, which covers the photo."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import fit_size, grid_pixels
from mvsam_engine.reconstruct.neural.framing import Framing
from mvsam_engine.reconstruct.neural.settle import SettledView

# Neighbouring depths that differ more than this stand on two sides of an edge: a mean of the two
# would hang in the air between them.
EDGE = 0.05


def grid_size(framing: Framing, long_side: int) -> tuple[int, int]:
    """Width and height of a pointmap: not finer than the network's own image."""
    photo = (framing.photo_width, framing.photo_height)
    whole = abs(framing.covers - 1) < 1e-6 and framing.inside().all()
    if whole and max(framing.width, framing.height) <= long_side:
        return framing.width, framing.height  # its own grid: nothing is resampled
    own = max(framing.scale_x * photo[0], framing.scale_y * photo[1])
    return fit_size(*photo, int(min(long_side, max(64, round(own)))))


def to_grid(
    view: SettledView, width: int, height: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Depth [h, w] and raw confidence [h, w] on a grid over the photo, and its photo positions.

    NaN and 0 where the network's image does not reach.
    """
    framing = view.framing
    pixels = grid_pixels(height, width, framing.photo_width, framing.photo_height)
    at = framing.to_network(pixels) - 0.5  # pixel centres as whole numbers
    at = np.where(np.abs(at - np.round(at)) < 1e-6, np.round(at), at)
    x, y = at[..., 0].astype(np.float32), at[..., 1].astype(np.float32)
    rows, columns = np.round(y).astype(np.int64), np.round(x).astype(np.int64)
    inside = (rows >= 0) & (columns >= 0) & (rows < framing.height) & (columns < framing.width)
    r, c = np.where(inside, rows, 0), np.where(inside, columns, 0)
    nearest = np.where(inside, view.depth[r, c], np.nan).astype(np.float32)
    confidence = np.where(inside, view.confidence[r, c], 0.0).astype(np.float32)
    # Inverse depth is linear over a plane in the photo. A NaN or an edge in the neighbourhood
    # leaves the nearest value.
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = (1.0 / view.depth).astype(np.float32)
        between = 1.0 / cv2.remap(inverse, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        smooth = np.abs(between - nearest) < EDGE * nearest
    depth = np.where(smooth & ~_beside_edge(view.depth)[r, c], between, nearest)
    return depth.astype(np.float32), confidence, pixels


def _beside_edge(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels [h, w] whose neighbourhood holds an edge of depth."""
    filled = np.nan_to_num(depth, nan=0.0)
    around = np.ones((3, 3), np.uint8)
    return cv2.dilate(filled, around) > (1 + 2 * EDGE) * cv2.erode(filled, around)
