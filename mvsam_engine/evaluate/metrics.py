# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of cameras and depth against known truth, after ONE similarity.

Convention: camera-from-world 4x4, OpenCV axes (`capture.conventions`). Cameras are dictionaries
from view to matrix. Nothing here reads files; nothing here knows which program made the estimate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import camera_center, grid_pixels
from mvsam_engine.reconstruct.similarity import Similarity, align

Poses = Mapping[str, NDArray[np.float64]]

# A model that nobody flagged counts as wrong when any placed photo is off by more than this.
WRONG_DEGREES = 2.0
WRONG_SHARE_OF_RIG = 0.05
# Points with at least this confidence count as measured; the engine's filled ones stay below it.
MEASURED = 0.3
LIMITS = (0.01, 0.03, 0.10)
_ROUNDS = 10  # of weighing directions against centres


@dataclass(frozen=True, slots=True, eq=False)
class PoseErrors:
    """How far the placed cameras are from the truth.

    Attributes:
        views: the placed views that have a true camera, in the order of the arrays.
        degrees: [n] rotation errors.
        centre_share: [n] distances of the camera centres, as a share of the rig (the largest
            distance between two true centres).
        similarity: from the estimate's world to the true one.
    """

    views: tuple[str, ...]
    degrees: NDArray[np.float64]
    centre_share: NDArray[np.float64]
    similarity: Similarity

    @property
    def wrong(self) -> bool:
        """Whether any placed photo is so far off that the model misleads whoever trusts it."""
        return bool(
            (self.degrees > WRONG_DEGREES).any() or (self.centre_share > WRONG_SHARE_OF_RIG).any()
        )


def rotation_degrees(rotation: NDArray[np.floating]) -> float:
    """Degrees that a rotation matrix [3, 3] turns by; exact for tiny angles too."""
    # The arc cosine of the trace alone loses everything below about 1e-6 degrees.
    sine = np.linalg.norm(rotation - rotation.T) / math.sqrt(8.0)
    cosine = (np.trace(rotation) - 1.0) / 2.0
    return math.degrees(math.atan2(sine, cosine))


def pose_errors(estimated: Poses, true: Poses, common_rotation: bool = False) -> PoseErrors | None:
    """Compare cameras after one similarity.

    Scale is that between the centres. Rotation is the best for centres and viewing directions
    together: along a walk or an arc the centres lie almost on a line, and then a thousandth of
    the rig in one of them would turn the whole world by degrees about it. With fewer than three
    shared views, or all centres in one place, nothing can be said.

    Args:
        estimated: view to camera-from-world, in any world.
        true: the same, in the true world.
        common_rotation: take out one rotation common to all camera frames, for truth whose stated
            principal point the estimate does not share; the similarity is then that of the
            centres alone.

    Returns:
        The errors, or None when fewer than three views are shared.
    """
    views = tuple(view for view in estimated if view in true)
    if len(views) < 3:
        return None
    centres = np.array([camera_center(estimated[view]) for view in views])
    goal = np.array([camera_center(true[view]) for view in views])
    if np.ptp(centres, axis=0).max() <= 0:
        return None
    similarity = align(centres, goal)
    if not common_rotation and similarity.scale > 0:
        turns = ([p[view][:3, :3] for view in views] for p in (estimated, true))
        similarity = _with_directions(similarity, centres, goal, *map(np.array, turns))
    # What is left of each camera's rotation, in its own frame.
    turns = [true[v][:3, :3] @ similarity.rotation @ estimated[v][:3, :3].T for v in views]
    if common_rotation:
        u, _, vt = np.linalg.svd(sum(turns))
        turns = [turn @ (u @ vt).T for turn in turns]
    off = np.linalg.norm(similarity.apply(centres) - goal, axis=1)
    return PoseErrors(
        views=views,
        degrees=np.array([rotation_degrees(turn) for turn in turns]),
        centre_share=off / rig_size(true),
        similarity=similarity,
    )


def _with_directions(
    by_centres: Similarity,
    centres: NDArray[np.float64],
    goal: NDArray[np.float64],
    turns: NDArray[np.float64],
    true_turns: NDArray[np.float64],
) -> Similarity:
    """The similarity with its rotation fitted to centres and camera axes together.

    To each centre come the tips of the camera's three axes. Their length weighs directions against
    centres, each by its own scatter (variance components, as in Foerstner and Wrobel 2016, 4.2):
    where the directions err by an angle and the centres by a distance, it is distance over angle.

    Args:
        by_centres: similarity of the centres; its scale is kept.
        centres: [n, 3] of the estimate.
        goal: [n, 3] of the truth.
        turns: [n, 3, 3] camera-from-world rotations of the estimate; rows are axes.
        true_turns: [n, 3, 3] of the truth.
    """
    rig = float(np.linalg.norm(goal[:, None] - goal[None], axis=-1).max())
    scale = by_centres.scale

    def scatter(fit: Similarity) -> tuple[float, float]:
        off = np.linalg.norm(fit.apply(centres) - goal, axis=1)
        # The distance of two rotation matrices over sqrt(2) is the angle, when it is small.
        angle = np.linalg.norm(turns @ fit.rotation.T - true_turns, axis=(1, 2)) / math.sqrt(2)
        return _rms(off), max(_rms(angle), 1e-15)

    def fitted(length: float) -> Similarity:
        tips = (centres[:, None] + turns * (length / scale)).reshape(-1, 3)
        true_tips = (goal[:, None] + true_turns * length).reshape(-1, 3)
        both = align(np.concatenate([centres, tips]), np.concatenate([goal, true_tips]))
        shift = goal.mean(axis=0) - scale * both.rotation @ centres.mean(axis=0)
        return Similarity(scale, both.rotation, shift)

    # Trust in the centres and trust in the directions each confirm themselves: both are tried, and
    # the likelier is kept, which is the one with the smaller product of scatters.
    found = []
    for start in (by_centres, fitted(rig)):
        settled = start
        for _ in range(_ROUNDS):
            off, angle = scatter(settled)
            settled = fitted(min(off / angle, rig))
        found.append(settled)
    return min(found, key=lambda fit: math.prod(scatter(fit)))


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def rig_size(true: Poses) -> float:
    """Largest distance between two camera centres, in the truth's units."""
    centres = np.array([camera_center(matrix) for matrix in true.values()])
    return float(np.linalg.norm(centres[:, None] - centres[None], axis=-1).max())


@dataclass(frozen=True, slots=True)
class DepthScore:
    """How right one view's depth map is; shares are 0..1.

    Attributes:
        measured: of the pixels whose true depth is known, how many are measured.
        measured_within: of the measured, how many lie within each of `LIMITS`.
        measured_median: median relative error of the measured; nan when there are none.
        full_within: of ALL pixels whose true depth is known, how many lie within each of
            `LIMITS`; a pixel without a point counts as missed.
        nothing: of the pixels where truth says that no surface is (sky), how many are measured
            nonetheless; nan where every pixel shows a surface.
    """

    measured: float
    measured_within: tuple[float, ...]
    measured_median: float
    full_within: tuple[float, ...]
    nothing: float


@dataclass(slots=True, eq=False)
class Calibration:
    """How often points of each tenth of confidence are within 1 % of their depth.

    Attributes:
        count: [10] pixels by tenth of confidence.
        right: [10] how many of them are within 1 %.
    """

    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(10, np.int64))
    right: NDArray[np.int64] = field(default_factory=lambda: np.zeros(10, np.int64))

    def add(self, confidence: NDArray[np.floating], error: NDArray[np.floating]) -> None:
        """Count pixels: confidence [n] 0..1 and relative depth error [n]."""
        # float16 stores 0.9 as 0.8999: a hair is added so that it falls where it was meant to.
        tenth = np.clip((confidence.astype(float) * 10 + 5e-3).astype(int), 0, 9)
        self.count += np.bincount(tenth, minlength=10)
        self.right += np.bincount(tenth[error < LIMITS[0]], minlength=10)

    @property
    def share(self) -> NDArray[np.float64]:
        """[10] share within 1 %; nan where no pixel is."""
        return np.where(self.count > 0, self.right / np.maximum(self.count, 1), np.nan)


def depth_score(
    depth: NDArray[np.floating],
    confidence: NDArray[np.floating] | None,
    true: NDArray[np.floating],
    calibration: Calibration | None = None,
) -> DepthScore:
    """Compare one view's depth with the truth.

    Args:
        depth: [h, w] z-depth in the truth's units, nan where nothing is known.
        confidence: [h, w] 0..1; None counts every finite pixel as measured.
        true: [H, W] true z-depth over the whole photo at any size, 0 where the ray hits nothing,
            nan where truth is not known.
        calibration: counts are added to it where there is a confidence.
    """
    here = sample_depth(true, *depth.shape)
    valid = here > 0
    empty = here == 0
    error = np.abs(depth / np.where(valid, here, 1.0) - 1.0)
    error = np.where(np.isfinite(error), error, np.inf)
    known = np.isfinite(depth)
    sure = known if confidence is None else known & (confidence.astype(float) > MEASURED)
    if calibration is not None and confidence is not None:
        calibration.add(confidence[valid & known], error[valid & known])
    measured = error[valid & sure]
    total = max(int(valid.sum()), 1)
    return DepthScore(
        measured=len(measured) / total,
        measured_within=tuple(_share(measured < limit) for limit in LIMITS),
        measured_median=float(np.median(measured)) if len(measured) else math.nan,
        full_within=tuple(float((error[valid] < limit).sum()) / total for limit in LIMITS),
        nothing=_share(sure[empty]),
    )


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else math.nan


def sample_depth(true: NDArray[np.floating], height: int, width: int) -> NDArray[np.float64]:
    """True depth at the centres of an h x w grid over the same photo.

    Between samples of one surface inverse depth is interpolated, which is exact on planes; across
    an edge the nearest sample is taken, since a mean of two surfaces lies on neither.

    Args:
        true: [H, W] z-depth, 0 or nan where there is none.
        height: rows of the wanted grid.
        width: columns of the wanted grid.
    """
    rows, columns = true.shape
    if (rows, columns) == (height, width):
        return true.astype(np.float64)
    position = grid_pixels(height, width, columns, rows)
    x, y = position[..., 0], position[..., 1]
    nearest = true[y.astype(int), x.astype(int)].astype(np.float64)
    left = np.clip(np.floor(x - 0.5).astype(int), 0, columns - 2)
    top = np.clip(np.floor(y - 0.5).astype(int), 0, rows - 2)
    u, v = np.clip(x - 0.5 - left, 0, 1), np.clip(y - 0.5 - top, 0, 1)
    corners = np.stack([true[top + i, left + j] for i in (0, 1) for j in (0, 1)]).astype(float)
    weights = np.stack([(1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u])
    with np.errstate(divide="ignore", invalid="ignore"):
        smooth = 1.0 / (weights / corners).sum(axis=0)
        one_surface = (corners.min(axis=0) > 0) & (corners.max(axis=0) < 1.03 * corners.min(axis=0))
    return np.where(one_surface, smooth, nearest)
