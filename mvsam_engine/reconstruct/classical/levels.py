# SPDX-License-Identifier: GPL-3.0-or-later
"""Working views at half their size, and planes from one size to the next."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.undistort import OUTSIDE, FloatMap, WorkingView

# From index coordinates of a view to those of its half: (x + 0.5) / 2 - 0.5.
_HALVE = np.array([[0.5, 0.0, -0.25], [0.0, 0.5, -0.25], [0.0, 0.0, 1.0]])


def halved(view: WorkingView) -> WorkingView:
    """The view at half its size, with the pictures that matching needs (`guide` is as it was)."""
    height, width = view.gray.shape
    even_height, even_width = height + height % 2, width + width % 2

    def mean(image: FloatMap) -> FloatMap:
        if image.shape != (even_height, even_width):
            image = np.pad(image, ((0, height % 2), (0, width % 2)), mode="edge")
        size = (even_width // 2, even_height // 2)
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)

    gray = mean(view.gray)
    return replace(
        view,
        intrinsics=_HALVE @ view.intrinsics,
        gray=np.where(gray < 0, np.float32(OUTSIDE), gray),
        filled=mean(view.filled),
    )


def doubled(planes: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Planes [h, w, 3] of a halved view at the pixels [height, width, 3] of the whole one."""
    rows, columns = np.arange(height), np.arange(width)
    result = planes[rows[:, None] // 2, columns[None] // 2].astype(np.float32)
    result[..., 1:] *= np.float32(0.5)
    # Each pixel lies a quarter of a coarse pixel, half of its own, beside the coarse middle.
    dx = np.where(columns % 2 == 0, np.float32(-0.5), np.float32(0.5))
    dy = np.where(rows % 2 == 0, np.float32(-0.5), np.float32(0.5))
    result[..., 0] += result[..., 1] * dx[None] + result[..., 2] * dy[:, None]
    return np.ascontiguousarray(result)
