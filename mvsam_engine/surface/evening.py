# SPDX-License-Identifier: GPL-3.0-or-later
"""Differences of exposure between photos evened, from colours that several see of one place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Dark and burnt pixels say nothing about exposure.
_DARKEST, _BRIGHTEST = 8.0, 247.0
# Weight of "no change" beside that of the places seen, and most change: a stop.
_PRIOR, _MOST = 0.02, np.log(2.0)


def gains(colors: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """Factor for each photo and channel that makes photos agree (gain compensation).

    Least squares in logarithms, after Brown and Lowe, Automatic Panoramic Image Stitching using
    Invariant Features (IJCV 2007), with the place's own colour eliminated. The factors of all
    photos have the geometric mean 1.

    Args:
        colors: [n, views, 3] 0..255, of places in photos.
        weights: [n, views] 0 where a photo does not see a place.

    Returns:
        [views, 3].
    """
    usable = ((colors > _DARKEST) & (colors < _BRIGHTEST)).all(axis=2)
    seen = np.where(usable, weights > 0, False).astype(np.float64)
    count = seen.sum(axis=1)
    seen[count < 2] = 0.0
    share = seen / np.maximum(count, 1.0)[:, None]
    # Normal equations: sum over places of (I - 1/n) restricted to the photos that see it.
    system = np.diag(seen.sum(axis=0)) - seen.T @ share
    scale = max(float(np.trace(system)) / len(system), 1e-9)
    system += _PRIOR * scale * np.eye(len(system))
    logs = np.log(np.maximum(colors, 1.0).astype(np.float64))
    found = np.empty((colors.shape[1], 3))
    for channel in range(3):
        value = logs[:, :, channel] * seen
        mean = value.sum(axis=1) / np.maximum(count, 1.0)
        wanted = seen.T @ mean - value.sum(axis=0)
        found[:, channel] = np.linalg.solve(system, wanted)
    found -= found.mean(axis=0)
    return np.exp(np.clip(found, -_MOST, _MOST))
