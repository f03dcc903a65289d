# SPDX-License-Identifier: GPL-3.0-or-later
"""What several depth maps agree on is measured; the rest is not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.kernels.agreement import count_agreement
from mvsam_engine.reconstruct.classical.reasons import no_agreement
from mvsam_engine.reconstruct.classical.undistort import FloatMap, WorkingView

# Two views agree on a point that comes back within this many pixels and this share of its depth.
PIXELS = 1.5
DEPTH_SHARE = 0.01
# Connected patches of similar depth with fewer pixels than this are chance.
SPECKLE = 120
# Depths of neighbours in one patch differ by less than this share.
SPECKLE_SHARE = 0.03
# Share of a photo's pixels whose depth other photos must confirm. Rightly placed photos reach 0.2
# to 0.9 on scenes with some texture, wrongly placed ones at most 0.03.
LEAST_AGREEMENT = 0.05
# The same, as a mean over the placed photos, for the model as a whole. Right models reached 0.63 to
# 0.85 (sample, kitchen, fountain), wrong ones whose photos pass one by one 0.14 and 0.15 (photos
# very far apart, repeated wallpaper).
LEAST_MEAN_AGREEMENT = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class DepthMap:
    """Depth of one view's canvas.

    Attributes:
        depth: [h, w] float32 z-depth, 0 unknown.
        score: [h, w] float32 0..1: of a matched map, how alike the patches look; of a measured
            map, the confidence.
    """

    depth: FloatMap
    score: FloatMap


def _projection(a: WorkingView, b: WorkingView) -> NDArray[np.float64]:
    """[3, 4]: canvas pixel times depth of `a`, and 1, to pixel times depth of `b`."""
    rotation = b.rotation @ a.rotation.T
    translation = b.translation - rotation @ a.translation
    matrix = b.intrinsics @ rotation @ np.linalg.inv(a.intrinsics)
    return np.ascontiguousarray(np.column_stack([matrix, b.intrinsics @ translation]))


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """What other views say about each pixel's depth.

    Attributes:
        agree: [h, w] uint8 views that see the same point.
        against: [h, w] uint8 views that look through it.
        depth: [h, w] mean of the agreeing depths and the own one.
        spread: [h, w] root mean square difference of the agreeing depths, as a share.
    """

    agree: NDArray[np.uint8]
    against: NDArray[np.uint8]
    depth: FloatMap
    spread: FloatMap


def ask(view: WorkingView, depth: FloatMap, others: list[tuple[WorkingView, FloatMap]]) -> Votes:
    """Ask other views about the depth [h, w] of `view`; `others` come with their own depth."""
    agree, against = np.zeros(depth.shape, np.uint8), np.zeros(depth.shape, np.uint8)
    total, square = depth.copy(), np.zeros_like(depth)
    limits = (PIXELS, DEPTH_SHARE)
    for other, found in others:
        forth, back = _projection(view, other), _projection(other, view)
        count_agreement(depth, found, forth, back, limits, (agree, against), (total, square))
    return Votes(
        agree=agree,
        against=against,
        depth=(total / (np.float32(1.0) + agree)).astype(np.float32),
        spread=np.sqrt(square / np.maximum(agree, 1)).astype(np.float32),
    )


def without_speckles(found: DepthMap) -> DepthMap:
    """Forget small patches that float on their own."""
    known = found.depth > 0
    if not known.any():
        return found
    # OpenCV filters 16-bit images: levels of the logarithm, 16 to one SPECKLE_SHARE.
    levels = np.log(np.where(known, found.depth, 1.0)) * (16.0 / SPECKLE_SHARE)
    levels = np.clip(levels - levels[known].min() + 100.0, 0.0, 32000.0)
    image = np.where(known, levels, -32000.0).astype(np.int16)
    cv2.filterSpeckles(image, -32000, SPECKLE, 16)
    kept = image != -32000
    return DepthMap(
        depth=np.where(kept, found.depth, np.float32(0.0)),
        score=np.where(kept, found.score, np.float32(0.0)),
    )


def trusted_views(shares: list[float]) -> list[int]:
    """Indices of the views whose places the dense depth confirms.

    Args:
        shares: by view, share of its pixels whose depth other views confirm.

    Raises:
        ReconstructionError: too few views are confirmed, or all of them too weakly.
    """
    trusted = [i for i, share in enumerate(shares) if share >= LEAST_AGREEMENT]
    if len(trusted) < 2 or np.mean([shares[i] for i in trusted]) < LEAST_MEAN_AGREEMENT:
        raise no_agreement()
    return trusted
