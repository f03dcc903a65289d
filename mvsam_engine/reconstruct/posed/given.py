# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras that a person gives, brought to the photos of a capture and near the origin.

Convention: the world stays the person's, so that their mesh and their program's other files line
up with the pointmaps. Only map coordinates, which single precision cannot hold, are moved by a
round offset: ``X_person = X_world + offset``. It is recorded with the reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import Photo, Reconstruction, Setting, Unplaced
from mvsam_engine.capture.placement import Placement
from mvsam_engine.capture.store import Capture
from mvsam_engine.errors import ReconstructionError, UsageError
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import OWN_CAMERAS
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.posed.cameras import CameraSet, match_cameras, read_cameras

# Coordinates beyond so many sizes of the scene lose too much in single precision: 1e4 sizes times
# 6e-8 is a resolution of 6e-4 of the scene.
FAR_FROM_ORIGIN = 1e4
OFFSETS = ("offset_x", "offset_y", "offset_z")


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """Cameras of the capture's photos, with what else their file knows.

    Attributes:
        model: cameras in the order of the photos, and the file's points with tracks, if any.
        unplaced: photos without a camera.
        source: name of the format, for people.
        metric: whether one unit is one metre.
        upright: whether +Z is up.
        offset: [3] ``X_person = X_world + offset``.
        placement: where the person had put this world already.
    """

    model: SparseModel
    unplaced: tuple[Unplaced, ...]
    source: str
    metric: bool
    upright: bool
    offset: NDArray[np.float64]
    placement: Placement = field(default_factory=Placement)

    def offset_settings(self) -> dict[str, Setting]:
        """The offset as settings of the reconstruction; empty when there is none."""
        if not self.offset.any():
            return {}
        return {name: float(v) for name, v in zip(OFFSETS, self.offset, strict=True)}


def given_cameras(
    capture: Capture, photos: tuple[Photo, ...], cameras: Path | None, progress: Progress
) -> Given:
    """Read cameras, or take those that the capture has.

    Args:
        capture: with its photos.
        photos: of the capture.
        cameras: file or folder; `OWN_CAMERAS` or None for those of the capture.
        progress: told what was left out.

    Raises:
        UsageError: the capture has no cameras yet.
        ReconstructionError: the file cannot be read, or fits none of the photos.
    """
    if cameras is None or (str(cameras) == OWN_CAMERAS and not cameras.exists()):
        return _own(capture, photos)
    found = read_cameras(cameras)
    for remark in found.remarks:
        progress.warn("cameras.remark", remark)
    return _matched(photos, found, progress)


def _own(capture: Capture, photos: tuple[Photo, ...]) -> Given:
    stored = capture.reconstruction()
    if stored is None or not stored.cameras:
        raise UsageError(
            "cameras.none",
            "No cameras were given, and the capture has none yet.",
            "Give them with --cameras PATH, or reconstruct the photos without a mesh first.",
        )
    known = {photo.view for photo in photos}
    reasons = {u.view: u.reason for u in stored.unplaced}
    placed = tuple(c for c in stored.cameras if c.view in known)
    views = {c.view for c in placed}
    return Given(
        model=without_points(placed),
        unplaced=tuple(
            Unplaced(p.view, reasons.get(p.view, "The capture has no camera for it yet."))
            for p in photos
            if p.view not in views
        ),
        source=OWN_CAMERAS,
        metric=stored.metric,
        upright=stored.upright,
        offset=recorded_offset(stored),
        placement=stored.placement,
    )


def recorded_offset(reconstruction: Reconstruction) -> NDArray[np.float64]:
    """Offset [3] from a reconstruction's world to the person's: ``X_person = X_world + offset``."""
    settings: Mapping[str, Setting] = reconstruction.settings
    values = [settings.get(name, 0.0) for name in OFFSETS]
    return np.array([float(v) if isinstance(v, int | float) else 0.0 for v in values])


def _matched(photos: tuple[Photo, ...], found: CameraSet, progress: Progress) -> Given:
    matched = match_cameras(photos, found)
    if not matched.cameras:
        raise ReconstructionError(
            "cameras.names",
            f"None of the {len(photos)} photos has a camera among the {len(found.photos)} of the "
            f"{found.format} file: photos are called {_some(p.original_name for p in photos)}, "
            f"cameras {_some(p.name for p in found.photos)}.",
            "Use the photos that the cameras were computed from, with their names unchanged.",
        )
    for remark in matched.remarks:
        progress.warn("cameras.remark", remark)
    if matched.cameras_without:
        progress.warn(
            "cameras.spare",
            f"{len(matched.cameras_without)} of the {len(found.photos)} cameras have no photo "
            f"here, such as {_some(matched.cameras_without)}.",
            "Add their photos when they belong to the scene; more photos see more.",
        )
    model = _with_points(matched.cameras, matched.indices, found)
    offset = offset_of(model)
    return Given(
        model=model.transformed(1.0, _shift(-offset)) if offset.any() else model,
        unplaced=tuple(Unplaced(p.view, p.reason) for p in matched.photos_without),
        source=found.format,
        metric=found.metric,
        upright=found.upright,
        offset=offset,
    )


def _some(names: object) -> str:
    """Two of the names, as an example."""
    listed = list(names)  # type: ignore[call-overload]
    return ", ".join(listed[:2]) + (", ..." if len(listed) > 2 else "")


def _shift(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def without_points(cameras: tuple[Camera, ...]) -> SparseModel:
    """Cameras alone as a sparse model."""
    none = np.zeros(0, np.int64)
    return SparseModel(cameras, np.zeros((0, 3)), none, none, "given")


def _with_points(
    cameras: tuple[Camera, ...], indices: tuple[int, ...], found: CameraSet
) -> SparseModel:
    """The cameras with those of the file's points that two or more of them see."""
    if not len(found.points) or not len(found.seen_by):
        return without_points(cameras)
    place = np.full(len(found.photos), -1, np.int64)
    place[list(indices)] = np.arange(len(indices))
    seen_by = place[found.seen_by]
    kept = seen_by >= 0
    # A point that a camera saw twice counts once.
    pairs = np.unique(np.stack([seen_by[kept], found.seen_point[kept]], axis=1), axis=0)
    often = np.bincount(pairs[:, 1], minlength=len(found.points)) >= 2
    pairs = pairs[often[pairs[:, 1]] & np.isfinite(found.points[pairs[:, 1]]).all(axis=1)]
    return replace(
        without_points(cameras), points=found.points, seen_by=pairs[:, 0], seen_point=pairs[:, 1]
    )


def offset_of(model: SparseModel) -> NDArray[np.float64]:
    """Round offset [3] that brings the cameras near the origin; zero where single precision does.

    Rounded to a power of ten near the size of the scene, so that people recognise it.
    """
    centers = np.array([camera.center for camera in model.cameras])
    size = float(np.linalg.norm(np.ptp(centers, axis=0)))
    if len(model.seen_point):
        points = model.points[model.seen_point]
        rays = np.linalg.norm(points - centers[model.seen_by], axis=1)
        size = max(size, float(np.median(rays)))
    middle = np.median(centers, axis=0)
    far = float(np.abs(middle).max())
    if size == 0 or far < FAR_FROM_ORIGIN * size:
        return np.zeros(3)
    unit = 10.0 ** np.ceil(np.log10(size))
    return np.round(middle / unit) * unit
