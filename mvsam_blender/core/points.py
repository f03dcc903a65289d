# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing the points that Blender shows from the pointmaps of all views.

Convention: see `mvsam_engine.capture.conventions`; points are in the capture's world frame, which
Blender's world takes over as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Pointmap

DEFAULT_CAP = 1_000_000
DEFAULT_MIN_CONFIDENCE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    """Chosen points, each with the pixel it comes from.

    Attributes:
        position: [N, 3] float32, world frame.
        color: [N, 3] uint8 RGB as in the photo (sRGB).
        confidence: [N] float32, 0..1.
        view: [N] int32 index into `views`.
        row: [N] int32 row in the view's pointmap.
        column: [N] int32 column in the view's pointmap.
        views: names of the views.
        grids: (rows, columns) of each view's pointmap.
        full_count: how many trusted points there were before thinning.
    """

    position: NDArray[np.float32]
    color: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    view: NDArray[np.int32]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    views: tuple[str, ...]
    grids: tuple[tuple[int, int], ...] = ()
    full_count: int = 0

    def __len__(self) -> int:
        return len(self.position)


def choose_points(
    pointmaps: Iterable[Pointmap],
    min_confidence: float = DEFAULT_MIN_CONFIDENCE,
    cap: int = DEFAULT_CAP,
) -> PointCloud:
    """Take the trustworthy points of all pointmaps, thinned evenly to at most `cap`.

    Args:
        pointmaps: one per view; read one by one, so that they need not be in memory together.
        min_confidence: points below are left out; NaN points always are.
        cap: most points; thinning is deterministic and takes the same share of every view.

    Returns:
        The cloud, ordered by view, row, column.
    """
    parts = [_trusted(i, pointmap, min_confidence) for i, pointmap in enumerate(pointmaps)]
    if not parts:
        return _empty()
    cloud = PointCloud(
        position=np.concatenate([p.position for p in parts]),
        color=np.concatenate([p.color for p in parts]),
        confidence=np.concatenate([p.confidence for p in parts]),
        view=np.concatenate([p.view for p in parts]),
        row=np.concatenate([p.row for p in parts]),
        column=np.concatenate([p.column for p in parts]),
        views=tuple(p.views[0] for p in parts),
        grids=tuple(p.grids[0] for p in parts),
        full_count=sum(len(p) for p in parts),
    )
    return _take(cloud, even_subset(len(cloud), cap)) if len(cloud) > cap else cloud


def even_subset(count: int, cap: int) -> NDArray[np.int64]:
    """Sorted indices of `cap` of `count` items, scattered evenly, always the same ones."""
    if count <= cap:
        return np.arange(count)
    return np.sort(np.argpartition(_scattered(count), cap)[:cap])


def typical_spacing(cloud: PointCloud, cameras: Sequence[Camera]) -> float:
    """Typical distance between neighbouring points, in world units; 0 for an empty cloud.

    A pixel of a pointmap that sees a surface at distance d covers about d / focal length of it;
    thinning widens the gaps by the square root of the share that was left out.
    """
    found: list[float] = []
    for index, camera in enumerate(cameras):
        seen = cloud.position[cloud.view == index]
        if len(seen) == 0:
            continue
        distance = float(np.median(np.linalg.norm(seen - camera.center, axis=1)))
        pixel = camera.width / cloud.grids[index][1] / abs(camera.param("fx"))
        found.append(distance * pixel * math.sqrt(cloud.full_count / max(1, len(cloud))))
    return float(np.median(found)) if found else 0.0


def _scattered(count: int) -> NDArray[np.uint32]:
    """Numbers 0..count-1 in a fixed disorder, so that thinning a grid leaves no stripes.

    The mixing steps are those of MurmurHash3's 32-bit finaliser (Appleby, public domain).
    """
    mixed = np.arange(count, dtype=np.uint32)
    mixed = (mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return mixed ^ (mixed >> np.uint32(16))


def _trusted(index: int, pointmap: Pointmap, min_confidence: float) -> PointCloud:
    known = np.isfinite(pointmap.points).all(axis=-1)
    confidence = pointmap.confidence.astype(np.float32)
    row, column = np.nonzero(known & (confidence >= min_confidence))
    return PointCloud(
        position=pointmap.points[row, column],
        color=pointmap.colors[row, column],
        confidence=confidence[row, column],
        view=np.full(len(row), index, dtype=np.int32),
        row=row.astype(np.int32),
        column=column.astype(np.int32),
        views=(pointmap.view,),
        grids=((pointmap.points.shape[0], pointmap.points.shape[1]),),
    )


def _take(cloud: PointCloud, keep: NDArray[np.int64]) -> PointCloud:
    return PointCloud(
        position=cloud.position[keep],
        color=cloud.color[keep],
        confidence=cloud.confidence[keep],
        view=cloud.view[keep],
        row=cloud.row[keep],
        column=cloud.column[keep],
        views=cloud.views,
        grids=cloud.grids,
        full_count=cloud.full_count,
    )


def _empty() -> PointCloud:
    none = np.zeros(0, dtype=np.int32)
    return PointCloud(
        position=np.zeros((0, 3), dtype=np.float32),
        color=np.zeros((0, 3), dtype=np.uint8),
        confidence=np.zeros(0, dtype=np.float32),
        view=none,
        row=none,
        column=none,
        views=(),
    )
