# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts a photo into regions that look like one surface: plain areas whole, the rest in cells."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Neighbouring colours of a plain area differ by less than this (0 to 255).
PLAIN = 9
# Plain areas with fewer pixels than this are no regions of their own.
LEAST_AREA = 60
# Distance of the cells' seeds where the photo is not plain, in pixels.
CELL = 12


def segments(guide: NDArray[np.uint8]) -> tuple[NDArray[np.int32], int]:
    """Regions of a photo [h, w, 3]: labels 0..n-1 [h, w], and n (watershed: Meyer 1992)."""
    smooth = cv2.GaussianBlur(guide, (0, 0), 0.8)
    steps = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=-1)
    plain = (steps < PLAIN).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(plain, connectivity=4)
    large = statistics[:, cv2.CC_STAT_AREA] >= LEAST_AREA
    large[0] = False
    number = np.where(large, np.cumsum(large), 0).astype(np.int32)
    markers = number[labels]
    count = int(large.sum())
    rows, columns = np.mgrid[CELL // 2 : guide.shape[0] : CELL, CELL // 2 : guide.shape[1] : CELL]
    free = markers[rows, columns] == 0
    rows, columns = rows[free], columns[free]
    markers[rows, columns] = np.arange(count + 1, count + 1 + len(rows), dtype=np.int32)
    relief = np.ascontiguousarray(np.repeat(steps[..., None], 3, axis=-1))
    cv2.watershed(relief, markers)
    # The lines between regions are -1, the border of the picture too: they go to a neighbour.
    lines = markers <= 0
    while lines.any():
        grown = cv2.dilate(markers.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
        markers = np.where(lines, np.maximum(grown, 0), markers)
        if (markers <= 0).sum() == lines.sum():
            break
        lines = markers <= 0
    return np.maximum(markers - 1, 0).astype(np.int32), count + len(rows)
