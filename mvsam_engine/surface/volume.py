# SPDX-License-Identifier: GPL-3.0-or-later
"""Truncated signed distances of an object, averaged over all views (Curless and Levoy 1996).

Every view adds, to each voxel near what it sees, the distance along the line of sight to the
surface, weighted by the confidence of that pixel (the weight falls to nothing behind the surface,
as in Bylow et al. 2013, so that thin things keep both sides). Pixels beside the object's mask add
free space up to what they see, and rule the object out behind it: together they carve the object's
visual hull, which closes what no photo shows. Only blocks of voxels near a surface are computed.

Convention: voxel (i, j, k) has its centre at ``origin + size * (i, j, k)`` in the person's frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mvsam_engine.errors import SurfaceError
from mvsam_engine.progress import Progress
from mvsam_engine.surface.kernels import add_view
from mvsam_engine.surface.views import SurfaceView

BLOCK = 8
# Truncation distance in voxels: wide enough to average noise, narrow enough for thin things.
BAND = 3.0
# Voxels: what 1 GB of sums hold.
MOST_VOXELS = 40_000_000
# Weight that points need to say where the object ends, and the share of them that is left out
# at each end of each axis as strays.
_BOX_WEIGHT, _STRAYS, _MARGIN = 0.1, 0.002, 0.03
# A voxel counts as known above this sum of weights, as ruled out from this sum of votes.
_KNOWN, _RULED_OUT = 0.15, 0.0
_POINTS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Signed distances on a grid.

    Attributes:
        origin: [3] centre of voxel (0, 0, 0), person's frame.
        size: of a voxel, person's units.
        distance: [I, J, K] float32 -1..1 in truncation distances, positive outside.
        support: [I, J, K] float32 sum of the confidences of what was seen of the surface here.
    """

    origin: NDArray[np.float64]
    size: float
    distance: NDArray[np.float32]
    support: NDArray[np.float32]


def fuse_views(
    views: Sequence[SurfaceView], voxels: int, progress: Progress, smooth: float = 1.0
) -> Volume:
    """Fuse the views into signed distances around the object.

    Args:
        views: what each view sees.
        voxels: wanted along the longest side; fewer where the photos do not resolve as many.
        progress: counts blocks of voxels.
        smooth: standard deviation in voxels of the filter against noise, 0 for none.

    Raises:
        SurfaceError: too few sure points.
    """
    low, high = object_box(views)
    size = max(float((high - low).max()) / voxels, 0.7 * _footprint(views, (low + high) / 2))
    size = max(size, float(np.prod((high - low) / MOST_VOXELS ** (1 / 3)) ** (1 / 3)))
    shape = np.ceil((high - low) / size).astype(int) + 2 * int(BAND)
    blocks = -(-shape // BLOCK)
    origin = (low + high) / 2 - size * (blocks * BLOCK - 1) / 2
    active, inside = _classify(views, origin, size, blocks)
    inside_fill = np.repeat(np.repeat(np.repeat(inside, BLOCK, 0), BLOCK, 1), BLOCK, 2)
    distance = np.where(inside_fill, np.float32(-1), np.float32(1))
    support = np.zeros(distance.shape, np.float32)
    _fill(views, origin, size, active, distance, support, progress)
    if smooth > 0:
        distance = ndimage.gaussian_filter(distance, smooth, mode="nearest", truncate=2.5)
    return Volume(origin, size, distance, support)


def object_box(views: Sequence[SurfaceView]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest corner [3] of the object's sure points, without strays.

    Raises:
        SurfaceError: there are too few.
    """
    points = np.concatenate([view.object_points(_BOX_WEIGHT)[::3] for view in views])
    if len(points) < 100:
        raise SurfaceError(
            "surface.points",
            f"Only {len(points)} points of it are sure enough; that is no surface.",
            "Take more photos around it, or click where more of it is seen.",
        )
    low, high = np.quantile(points, [_STRAYS, 1 - _STRAYS], axis=0)
    return low - _MARGIN * (high - low).max(), high + _MARGIN * (high - low).max()


def _footprint(views: Sequence[SurfaceView], middle: NDArray[np.float64]) -> float:
    """Size of a cell of the sharper views at the object."""
    sizes = [
        float(np.linalg.norm(view.camera.center - middle))
        * (view.camera.width / view.depth.shape[1])
        / abs(view.camera.param("fx"))
        for view in views
    ]
    return float(np.quantile(sizes, 0.25))


@dataclass(slots=True, eq=False)
class _Sums:
    """What all views say of n voxels."""

    value: NDArray[np.float32]
    weight: NDArray[np.float32]
    support: NDArray[np.float32]
    outside: NDArray[np.float32]

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.weight > _KNOWN

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Whether each is in the object: by what was seen, else by what rules nothing out."""
        return np.where(self.known, self.value < 0, self.outside < _RULED_OUT)


def _ask(views: Sequence[SurfaceView], points: NDArray[np.float64], band: float) -> _Sums:
    sums = _Sums(*(np.zeros(len(points), np.float32) for _ in range(4)))
    for view in views:
        pixels, depth = view.camera.project(points)
        rows, columns = view.depth.shape
        pixels *= (columns / view.camera.width, rows / view.camera.height)
        add_view(
            np.ascontiguousarray(pixels), np.ascontiguousarray(depth),
            view.depth, view.confidence, view.share, band, view.trust,
            sums.value, sums.weight, sums.support, sums.outside,
        )  # fmt: skip
    return sums


def _classify(
    views: Sequence[SurfaceView], origin: NDArray[np.float64], size: float, blocks: NDArray[np.int_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which blocks may hold surface, and which of the others are inside the object."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in blocks), indexing="ij"), axis=-1)
    centres = origin + size * (index.reshape(-1, 3) * BLOCK + (BLOCK - 1) / 2)
    # Any surface in the block is within this of its centre, and further off by a cell's slant.
    reach = size * (BAND + BLOCK * np.sqrt(3.0) / 2) * 1.25
    sums = _ask(views, centres, reach)
    near = (sums.support > 0).reshape(blocks)
    inside = sums.inside.reshape(blocks)
    # Where inside meets outside there is surface too, though nobody has seen it.
    border = ndimage.maximum_filter(inside, 3) & ~ndimage.minimum_filter(inside, 3)
    return near | border, inside


def _fill(
    views: Sequence[SurfaceView],
    origin: NDArray[np.float64],
    size: float,
    active: NDArray[np.bool_],
    distance: NDArray[np.float32],
    support: NDArray[np.float32],
    progress: Progress,
) -> None:
    """Compute the voxels of the active blocks, in place."""
    local = np.stack(np.meshgrid(*[np.arange(BLOCK)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    chosen = np.argwhere(active) * BLOCK
    at_once = max(1, _POINTS_AT_ONCE // len(local))
    progress.stage("Fusing views", len(chosen))
    for start in range(0, len(chosen), at_once):
        part = chosen[start : start + at_once]
        index = (part[:, None] + local).reshape(-1, 3)
        sums = _ask(views, origin + size * index, BAND * size)
        mean = sums.value / np.maximum(sums.weight, 1e-9)
        guess = np.where(sums.outside < _RULED_OUT, np.float32(-1), np.float32(1))
        where = tuple(index.T)
        distance[where] = np.where(sums.known, mean, guess)
        support[where] = sums.support
        progress.step(len(part))
