# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a mask answers the true one, view by view.

Formulas with found mask M and true mask G, both [H, W] bool at the true mask's resolution; TP, FP,
FN, TN count pixels:

    IoU             TP / (TP + FP + FN)
    recall          TP / (TP + FN)                       of the foreground
    pixel accuracy  (TP + TN) / (TP + FP + FN + TN)
    boundary F      2 P R / (P + R), P the share of M's boundary within r of G's, R the reverse

Boundary F is DAVIS's (Perazzi et al., CVPR 2016): r = ceil(0.008 * diagonal) pixels, a disc.
DAVIS matches with morphology, Euclidean distance to the boundary gives the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

# Tolerance of the boundary measure, as a share of the image's diagonal.
BOUNDARY_TOLERANCE = 0.008


@dataclass(frozen=True, slots=True)
class ViewScores:
    """Scores 0..1 of one view that shows the object."""

    iou: float
    boundary: float
    accuracy: float
    recall: float


def score_view(found: Mask, truth: Mask) -> ViewScores:
    """All scores of a view.

    Args:
        found: [H, W] bool.
        truth: [H, W] bool, not empty.

    Raises:
        ValueError: the truth is empty, or the shapes differ.
    """
    if found.shape != truth.shape:
        raise ValueError(f"the mask is {found.shape}, the truth {truth.shape}")
    shown = int(truth.sum())
    if not shown:
        raise ValueError("a view that does not show the object is scored as absent")
    both, either = int((found & truth).sum()), int((found | truth).sum())
    return ViewScores(
        iou=both / either,
        boundary=boundary_f(found, truth),
        accuracy=1.0 - (either - both) / truth.size,
        recall=both / shown,
    )


def iou(found: Mask, truth: Mask) -> float:
    """Intersection over union; 1 where both are empty."""
    either = int((found | truth).sum())
    return int((found & truth).sum()) / either if either else 1.0


def boundary_radius(shape: tuple[int, ...]) -> int:
    """Pixels that a boundary may lie off in an image [H, W]."""
    return math.ceil(BOUNDARY_TOLERANCE * math.hypot(*shape))


def boundary(mask: Mask) -> Mask:
    """[H, W] bool: pixels that differ from the one to the right, below, or right below.

    The image's own edge is no boundary (as in DAVIS's ``seg2bmap``).
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, corner = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ corner)


def boundary_f(found: Mask, truth: Mask) -> float:
    """The boundary measure of two masks [H, W]; 1 where neither has a boundary."""
    radius = boundary_radius(truth.shape)
    edges = (boundary(found), boundary(truth))
    counts = [int(edge.sum()) for edge in edges]
    if not all(counts):
        # DAVIS: without a boundary to judge, precision or recall is 1 by convention; of two
        # masks of which one has a boundary, nothing agrees.
        return float(counts[0] == counts[1])
    window = _around(edges[0] | edges[1], radius)
    of_found, of_truth = edges[0][window], edges[1][window]
    precision = (of_found & _near(of_truth, radius)).sum() / counts[0]
    recall = (of_truth & _near(of_found, radius)).sum() / counts[1]
    total = precision + recall
    return float(2 * precision * recall / total) if total else 0.0


def _near(edge: Mask, radius: int) -> Mask:
    """Pixels within `radius` of any of `edge`."""
    distance = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares of distances are whole numbers: the next one above r is farther off than this.
    return distance <= radius + 1e-3


def _around(mask: Mask, margin: int) -> tuple[slice, slice]:
    """Rows and columns of all set pixels, with a margin."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
