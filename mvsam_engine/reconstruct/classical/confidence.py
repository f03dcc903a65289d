# SPDX-License-Identifier: GPL-3.0-or-later
"""The chance that a measured depth is within 1 % of the true one.

A logistic model of what is known of a pixel, fitted by maximum likelihood to rendered photos with
known depth. docs/geometry.md has the sets it was fitted to, and how it does on others.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import cv2
import numpy as np

from mvsam_engine.reconstruct.classical.consistency import Votes
from mvsam_engine.reconstruct.classical.undistort import FloatMap, WorkingView

# Differences of the agreeing depths, and jumps of the inverse depth around, above which more of
# them does not say more (shares).
MOST_SPREAD, MOST_JUMP = 0.01, 0.05
AROUND = np.ones((5, 5), np.uint8)
# Side of the window in which the photo's texture is measured: the patch that was matched.
PATCH = 9
# Taken off the log of the odds: the model was fitted with true cameras, and cameras that are found
# add errors of their own (docs/geometry.md).
FOUND_CAMERAS = 0.5
MOST_AGAINST = 3


@dataclass(frozen=True, slots=True)
class Weights:
    """What each fact adds to the log of the odds.

    Attributes:
        base: of every point that one other view sees too.
        second: a second view sees it,
        third: a third,
        fourth: a fourth.
        against: each view that looks through it, up to `MOST_AGAINST`.
        score: how alike the patches look, 0 to 1.
        spread: how much the agreeing depths differ, as a share of `MOST_SPREAD`.
        reach: logarithm of the change of depth, as a share, that moves it by a pixel in a source.
        jump: how much the depth changes around it, as a share of `MOST_JUMP`: points beside an
            edge may belong to the other side, or hang between the two.
        texture: logarithm of the standard deviation of the grey values around it,
        texture_squared: and its square: without any texture (sky) views agree on nonsense.
        half_texture: the same on its plainest side: beside an edge of the photo a plain background
            takes the depth of what stands before it.
        half_texture_squared: its square.
    """

    base: float
    second: float
    third: float
    fourth: float
    against: float
    score: float
    spread: float
    reach: float
    jump: float
    texture: float
    texture_squared: float
    half_texture: float
    half_texture_squared: float


FITTED = Weights(
    base=2.159,
    second=0.839,
    third=0.279,
    fourth=0.595,
    against=-1.064,
    score=0.136,
    spread=-1.43,
    reach=0.048,
    jump=-2.853,
    texture=-1.499,
    texture_squared=-0.143,
    half_texture=0.156,
    half_texture_squared=-0.054,
)


def chance_within_one_percent(
    view: WorkingView, votes: Votes, score: FloatMap, pixels_per_inverse: float
) -> FloatMap:
    """Confidence [h, w] of the depth that other views agree on; 0 where none does.

    Args:
        view: whose depth it is.
        votes: what the other views say.
        score: [h, w] how alike the patches look, 0 to 1.
        pixels_per_inverse: how far a point moves in the view's sources per unit of inverse depth.
    """
    odds = np.full_like(score, -FOUND_CAMERAS)
    found = facts(view, votes, score, pixels_per_inverse)
    for weight, fact in zip(astuple(FITTED), found, strict=True):
        odds += np.float32(weight) * fact
    chance = np.float32(1.0) / (np.float32(1.0) + np.exp(-odds))
    return np.where(votes.agree > 0, chance, np.float32(0.0)).astype(np.float32)


def facts(
    view: WorkingView, votes: Votes, score: FloatMap, pixels_per_inverse: float
) -> list[FloatMap]:
    """What `Weights` weighs, in its order, each [h, w] float32."""
    inverse = (1.0 / np.maximum(votes.depth, 1e-12)).astype(np.float32)
    jump = (cv2.dilate(inverse, AROUND) - cv2.erode(inverse, AROUND)) / inverse
    half, end = PATCH // 2 + 1, PATCH // 2
    sides = (
        _variance(view.filled, (half, PATCH), (end, end)),
        _variance(view.filled, (half, PATCH), (0, end)),
        _variance(view.filled, (PATCH, half), (end, end)),
        _variance(view.filled, (PATCH, half), (end, 0)),
    )
    texture = 0.5 * np.log(_variance(view.filled, (PATCH, PATCH), (end, end)))
    half_texture = 0.5 * np.log(np.minimum.reduce(sides))
    found = [
        np.ones_like(score),
        votes.agree >= 2,
        votes.agree >= 3,
        votes.agree >= 4,
        np.minimum(votes.against, MOST_AGAINST),
        score,
        np.minimum(votes.spread / MOST_SPREAD, 1.0),
        np.log(np.maximum(votes.depth / pixels_per_inverse, 1e-5)),
        np.minimum(jump / MOST_JUMP, 1.0),
        texture,
        texture * texture,
        half_texture,
        half_texture * half_texture,
    ]
    return [np.asarray(fact, np.float32) for fact in found]


def _variance(gray: FloatMap, size: tuple[int, int], anchor: tuple[int, int]) -> FloatMap:
    """Variance [h, w] of the grey values in a window; `anchor` is the pixel's place in it."""
    mean = cv2.blur(gray, size, anchor=anchor)
    square = cv2.blur(gray * gray, size, anchor=anchor)
    return np.maximum(square - mean * mean, np.float32(1e-8)).astype(np.float32)
