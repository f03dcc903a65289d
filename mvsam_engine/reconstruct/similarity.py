# SPDX-License-Identifier: GPL-3.0-or-later
"""The similarity that best carries one set of points onto another (Umeyama, PAMI 1991)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """``X_target = scale * rotation @ X_source + translation``.

    Attributes:
        scale: positive factor.
        rotation: [3, 3], determinant 1.
        translation: [3], target units.
    """

    scale: float
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def apply(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Carry points [..., 3] of the source frame into the target frame."""
        return self.scale * (points @ self.rotation.T) + self.translation


def align(
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
) -> Similarity:
    """Least-squares similarity from `source` [n, 3] to `target` [n, 3].

    Points on one line leave the turn about that line open.

    Args:
        source: points in the old frame.
        target: the same points in the new one.
        weights: [n] of the pairs, not negative; None when all count alike.

    Raises:
        ValueError: fewer than three pairs, or all source points in one place.
    """
    if source.shape != target.shape or len(source) < 3:
        raise ValueError(f"align takes three or more pairs, got {source.shape}, {target.shape}")
    counts = np.ones(len(source)) if weights is None else weights
    share = counts / counts.sum()
    mean_source, mean_target = share @ source, share @ target
    centred, goal = source - mean_source, target - mean_target
    spread = float(share @ (centred**2).sum(axis=1))
    if spread <= 0:
        raise ValueError("align cannot use points that all lie in one place")
    u, singular, vt = np.linalg.svd(goal.T @ (share[:, None] * centred))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = float((singular * sign).sum() / spread)
    return Similarity(scale, rotation, mean_target - scale * rotation @ mean_source)
