# SPDX-License-Identifier: GPL-3.0-or-later
"""One method's cameras and depth, measured against the truth of the set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.evaluate.metrics import Calibration, DepthScore, PoseErrors, depth_score
from mvsam_engine.evaluate.outcome import DepthSummary, PoseSummary
from mvsam_engine.evaluate.truth import Truth

# A view to its depth [h, w] and confidence [h, w] or None; None for a view without depth.
DepthOf = Callable[[str], tuple[NDArray[np.float64], NDArray[np.floating] | None] | None]


def summarise_poses(errors: PoseErrors) -> PoseSummary:
    """Medians and maxima."""
    return PoseSummary(
        degrees_median=float(np.median(errors.degrees)),
        degrees_max=float(errors.degrees.max()),
        centre_median=float(np.median(errors.centre_share)),
        centre_max=float(errors.centre_share.max()),
        wrong=errors.wrong,
    )


def judge_depth(
    cameras: Mapping[str, NDArray[np.float64]], depth_of: DepthOf, truth: Truth, scale: float
) -> tuple[DepthSummary | None, list[list[int]] | None]:
    """Means of the views' depth scores, and the calibration of their confidences.

    Args:
        cameras: the placed views.
        depth_of: see `DepthOf`; in the estimate's units.
        truth: of the set.
        scale: true units per unit of the estimate.
    """
    scores, calibration, confident = [], Calibration(), False
    for view in cameras:
        true, found = truth.depth(view), depth_of(view)
        if true is None or found is None:
            continue
        depth, confidence = found
        confident |= confidence is not None
        scores.append(depth_score(depth * scale, confidence, true, calibration))
    if not scores:
        return None, None
    counts = [calibration.count.tolist(), calibration.right.tolist()]
    return summarise_depth(scores), counts if confident else None


def summarise_depth(scores: list[DepthScore]) -> DepthSummary:
    """Means over views; a share that no view has is None."""
    return DepthSummary(
        views=len(scores),
        measured=float(np.mean([s.measured for s in scores])),
        measured_within=_means([s.measured_within for s in scores]),
        measured_median=_means([(s.measured_median,) for s in scores])[0],
        full_within=np.mean([s.full_within for s in scores], axis=0).tolist(),
        nothing=_means([(s.nothing,) for s in scores])[0],
    )


def _means(rows: list[tuple[float, ...]]) -> list[float | None]:
    """Column means over the rows where the value is a number."""
    means: list[float | None] = []
    for column in zip(*rows, strict=True):
        known = [value for value in column if not math.isnan(value)]
        means.append(float(np.mean(known)) if known else None)
    return means
