# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos at the size that a step works at."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def shrink(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize [H, W, 3] to width x height by averaging areas (meant for shrinking)."""
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
