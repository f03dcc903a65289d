# SPDX-License-Identifier: GPL-3.0-or-later
"""From a model's answer, whatever it holds, to cameras and depth on every pixel.

Each point is put on the ray of its own pixel and keeps its depth, so that camera and pointmap
agree exactly whatever small contradictions the model left between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import transform_points
from mvsam_engine.capture.model import Photo
from mvsam_engine.reconstruct.neural.answer import Answer
from mvsam_engine.reconstruct.neural.framing import Framing
from mvsam_engine.reconstruct.neural.lens_fit import FittedCamera, fit_focal, fit_pose

# A fitted camera whose points miss their pixels by more than this, as a share of the photo's long
# side, is none: the model did not understand the photo.
MOST_ERROR = 0.03
# Fitted focal lengths of one lens that differ more than this were zoomed in between.
ONE_LENS = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class SettledView:
    """One photo's camera, and its depth on the network's grid.

    Attributes:
        camera: in the world of its run; intrinsics in photo pixels.
        framing: how the photo lies in that grid.
        depth: [h, w] float32 z-depth, NaN where unknown.
        confidence: [h, w] float32, raw.
    """

    camera: Camera
    framing: Framing
    depth: NDArray[np.float32]
    confidence: NDArray[np.float32]

    def world_points(self) -> NDArray[np.float32]:
        """World points [h, w, 3], each on its pixel's ray."""
        points = self.camera.unproject(self.framing.centers(), self.depth)
        return points.astype(np.float32)

    def moved(self, scale: float, world_from_old: NDArray[np.float64]) -> SettledView:
        """In another world: ``X_new = world_from_old @ (scale * X_old)``."""
        old = self.camera.camera_from_world
        pose = old.copy()
        pose[:3, 3] *= scale
        pose = pose @ np.linalg.inv(world_from_old)
        return replace(
            self,
            camera=replace(self.camera, camera_from_world=pose),
            depth=(self.depth * np.float32(scale)).astype(np.float32),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A run's views, by their number among its photos, and why others have none."""

    views: dict[int, SettledView]
    left_out: dict[int, str]
    metric: bool = False


def settle(answer: Answer, photos: Sequence[Photo], framings: Sequence[Framing]) -> Settled:
    """Cameras and depth from a model's answer for `photos`, in their order."""
    points, confidence = _cleaned(answer, framings)
    cameras, left_out = _cameras(answer, points, confidence, photos, framings)
    views: dict[int, SettledView] = {}
    for i, camera in cameras.items():
        depth = points[i][..., 2]
        if answer.frame == "world":
            depth = transform_points(camera.camera_from_world, points[i].astype(np.float64))[..., 2]
        depth = np.where(depth > 0, depth, np.nan).astype(np.float32)
        if np.isfinite(depth).mean() < 0.02:
            left_out[i] = "The model found nothing in front of its camera."
            continue
        views[i] = SettledView(camera, framings[i], depth, confidence[i])
    return Settled(views, left_out, answer.metric)


def _cleaned(
    answer: Answer, framings: Sequence[Framing]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points and confidence without padding, infinities and half-known points."""
    points = np.array(answer.points, np.float32)
    confidence = np.array(answer.confidence, np.float32)
    known = np.isfinite(points).all(axis=-1) & np.isfinite(confidence)
    known &= np.stack([framing.inside() for framing in framings])
    points[~known] = np.nan
    confidence[~known] = 0.0
    return points, confidence


def _cameras(
    answer: Answer,
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    photos: Sequence[Photo],
    framings: Sequence[Framing],
) -> tuple[dict[int, Camera], dict[int, str]]:
    """Given cameras in photo pixels, or fitted ones; and why a photo has none."""
    cameras: dict[int, Camera] = {}
    left_out: dict[int, str] = {}
    fitted = {} if answer.intrinsics is not None else _fitted(answer, points, confidence, framings)
    if answer.frame == "world" and answer.camera_from_world is None:
        fitted = _same_lens(fitted, points, confidence, photos, framings)
    for i, (photo, framing) in enumerate(zip(photos, framings, strict=True)):
        pose = None if answer.camera_from_world is None else _rigid(answer.camera_from_world[i])
        if answer.intrinsics is not None:
            lens = _photo_lens(answer.intrinsics[i], framing)
            if pose is None:
                pose = _pose_known_lens(answer, points[i], confidence[i], framing, lens)
        else:
            fit = fitted.get(i)
            lens = None if fit is None else _square_lens(fit.focal, photo)
            if pose is None and fit is not None:
                pose = fit.camera_from_world
            if fit is not None and fit.error > MOST_ERROR * max(photo.width, photo.height):
                lens = None
        if lens is None or pose is None:
            left_out[i] = "The model's points for this photo fit no camera."
            continue
        cameras[i] = Camera(photo.view, "PINHOLE", photo.width, photo.height, lens, pose)
    return cameras, left_out


def _fitted(
    answer: Answer,
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    framings: Sequence[Framing],
) -> dict[int, FittedCamera]:
    """A camera fitted to each photo's points."""
    found: dict[int, FittedCamera] = {}
    for i, framing in enumerate(framings):
        xyz = points[i].reshape(-1, 3).astype(np.float64)
        pixels, trust = framing.centers().reshape(-1, 2), confidence[i].ravel()
        size = (framing.photo_width, framing.photo_height)
        if answer.frame == "world" and answer.camera_from_world is None:
            fit = fit_pose(xyz, pixels, size, trust)
        else:
            if answer.frame == "world" and answer.camera_from_world is not None:
                xyz = transform_points(answer.camera_from_world[i], xyz)
            fit = fit_focal(xyz, pixels, (size[0] / 2, size[1] / 2), trust)
        if fit is not None:
            found[i] = fit
    return found


def _same_lens(
    fitted: dict[int, FittedCamera],
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    photos: Sequence[Photo],
    framings: Sequence[Framing],
) -> dict[int, FittedCamera]:
    """Poses again, with one focal length for photos of one lens.

    Alone, a photo's focal length and distance can trade against each other; together they cannot.
    """
    groups: dict[object, list[int]] = {}
    for i in fitted:
        photo = photos[i]
        lens = (photo.width, photo.height, photo.camera_model, photo.focal)
        groups.setdefault(lens, []).append(i)
    out = dict(fitted)
    for members in groups.values():
        middle = float(np.median([fitted[i].focal for i in members]))
        if len(members) < 2:
            continue
        for i in members:
            if abs(fitted[i].focal / middle - 1) > ONE_LENS:
                continue
            size = (framings[i].photo_width, framings[i].photo_height)
            again = fit_pose(
                points[i].reshape(-1, 3).astype(np.float64),
                framings[i].centers().reshape(-1, 2),
                size,
                confidence[i].ravel(),
                middle,
            )
            out[i] = again or fitted[i]
    return out


def _pose_known_lens(
    answer: Answer,
    points: NDArray[np.float32],
    confidence: NDArray[np.float32],
    framing: Framing,
    lens: tuple[float, ...] | None,
) -> NDArray[np.float64] | None:
    """The pose when the model gives a lens but no pose."""
    if answer.frame == "camera" or lens is None:
        return np.eye(4)
    fit = fit_pose(
        points.reshape(-1, 3).astype(np.float64),
        framing.centers().reshape(-1, 2),
        (framing.photo_width, framing.photo_height),
        confidence.ravel(),
        (lens[0] + lens[1]) / 2,
    )
    return None if fit is None else fit.camera_from_world


def _photo_lens(
    intrinsics: NDArray[np.float64], framing: Framing
) -> tuple[float, float, float, float] | None:
    """fx, fy, cx, cy in photo pixels of a matrix in network pixels; None when it is nonsense."""
    fx, fy = intrinsics[0, 0] / framing.scale_x, intrinsics[1, 1] / framing.scale_y
    cx, cy = framing.to_photo(np.array([intrinsics[0, 2], intrinsics[1, 2]]))
    lens = (float(fx), float(fy), float(cx), float(cy))
    long_side = max(framing.photo_width, framing.photo_height)
    good = np.isfinite(lens).all() and min(fx, fy) > 0.05 * long_side
    return lens if good else None


def _square_lens(focal: float, photo: Photo) -> tuple[float, float, float, float]:
    return focal, focal, photo.width / 2, photo.height / 2


def _rigid(pose: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """The nearest rotation with the translation; None when there is none."""
    if not np.isfinite(pose).all():
        return None
    u, singular, vt = np.linalg.svd(np.asarray(pose, np.float64)[:3, :3])
    if singular.min() < 1e-3:
        return None
    out = np.eye(4)
    out[:3, :3] = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    out[:3, 3] = pose[:3, 3]
    return out
