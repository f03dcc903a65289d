# SPDX-License-Identifier: GPL-3.0-or-later
"""From placed cameras to pointmaps: match, compare, fill, and lay out on the photos' grids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import Pointmap
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.consistency import DepthMap, measured, trusted_views
from mvsam_engine.reconstruct.classical.fill import fill
from mvsam_engine.reconstruct.classical.patchmatch import refine_depth
from mvsam_engine.reconstruct.classical.sources import depth_ranges, select_sources
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.sweep import plane_count, sweep_depth
from mvsam_engine.reconstruct.classical.undistort import (
    FloatMap,
    WorkingView,
    make_working_view,
    photo_grid,
)

# Fewer measured pixels than this give nothing to continue from.
LEAST_MEASURED = 200

# The upright photo [H, W, 3] RGB of a camera, and which of its pixels are used (None: all).
ReadPhoto = Callable[[Camera], tuple[NDArray[np.uint8], NDArray[np.bool_] | None]]


def densify(
    model: SparseModel,
    read_photo: ReadPhoto,
    options: ReconstructOptions,
    progress: Progress,
    put: Callable[[Pointmap], None],
    trust: Callable[[list[float]], list[int]] = trusted_views,
) -> dict[str, float]:
    """Measure the depth of every view of a sparse model, in the model's frame.

    Args:
        model: cameras and points, of whatever scale.
        read_photo: gives the photo of a camera and which of its pixels are used. The others
            match nothing and get no points.
        options: what the person chose.
        progress: told every finished view of every stage.
        put: called with the pointmap of every trusted view, one after the other.
        trust: by view, the share of its pixels whose depth other views confirm -> the indices of
            the views to trust; may raise.

    Returns:
        View to the share of its pixels whose depth other views confirm.

    Raises:
        ReconstructionError: from `trust`: the views contradict each other.
        Cancelled: cancellation was asked for.
    """
    dense = Dense.prepare(model, read_photo, options, progress)
    found = dense.compare(dense.match())
    shares = [float((depth_map.depth > 0).mean()) for depth_map in found]
    for pointmap in dense.pointmaps(found, trust(shares)):
        put(pointmap)
    return {c.view: share for c, share in zip(model.cameras, shares, strict=True)}


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """The dense step, one stage after the other.

    Attributes:
        views: lens-corrected views.
        sources: indices of the views that each view is matched with.
        options: what the person chose.
        progress: told every finished view.
    """

    views: list[WorkingView]
    sources: list[list[int]]
    options: ReconstructOptions
    progress: Progress

    @classmethod
    def prepare(
        cls,
        model: SparseModel,
        read_photo: ReadPhoto,
        options: ReconstructOptions,
        progress: Progress,
    ) -> Dense:
        """Read and correct the photos of a sparse model.

        Args:
            model: cameras and points.
            read_photo: gives the photo of a camera and which of its pixels are used.
            options: what the person chose.
            progress: told every finished photo.
        """
        sources = select_sources(model, options.numbers.sources)
        ranges = depth_ranges(model, sources)
        progress.stage("Photos", len(model.cameras))
        views: list[WorkingView] = []
        for camera, (near, far) in zip(model.cameras, ranges, strict=True):
            photo, used = read_photo(camera)
            views.append(make_working_view(camera, photo, options.size, near, far, used))
            progress.step()
        return cls(views, sources, options, progress)

    def match(self) -> list[DepthMap]:
        """Depth and patch score of every view, from its sources alone."""
        self.progress.stage("Depth", len(self.views))
        maps: list[DepthMap] = []
        for index, view in enumerate(self.views):
            sources = [self.views[j] for j in self.sources[index]]
            if sources:
                planes = plane_count(view, sources)
                depth = sweep_depth(view, sources, planes, self.progress)
                seed = self.options.seed + 101 * index
                depth, score = refine_depth(view, sources, depth, planes, seed, self.progress)
            else:
                depth = score = np.zeros(view.filled.shape, np.float32)
            maps.append(DepthMap(depth, score))
            self.progress.step()
        return maps

    def compare(self, maps: list[DepthMap]) -> list[DepthMap]:
        """What the views confirm of one another's depth."""
        self.progress.stage("Agreement", len(self.views))
        found: list[DepthMap] = []
        for index in range(len(self.views)):
            found.append(measured(self.views, maps, index, self._neighbours(index)))
            self.progress.step()
        return found

    def _neighbours(self, index: int) -> list[int]:
        """Views matched with view `index`, either way."""
        back = [j for j, sources in enumerate(self.sources) if index in sources]
        return sorted({*self.sources[index], *back})

    def pointmaps(self, found: list[DepthMap], indices: list[int]) -> Iterator[Pointmap]:
        """Pointmaps on the photos' own grids, one by one.

        Args:
            found: what `compare` gave.
            indices: the views that are trusted.
        """
        self.progress.stage("Filling", len(indices))
        for index in indices:
            view, depth_map = self.views[index], found[index]
            if self.options.fill and (depth_map.depth > 0).sum() >= LEAST_MEASURED:
                depth_map = fill(depth_map, view.guide)
            yield to_pointmap(view, depth_map)
            self.progress.step()


def to_pointmap(view: WorkingView, found: DepthMap) -> Pointmap:
    """A canvas' depth as world points on the original photo's grid, each on its pixel's ray."""
    grid = photo_grid(view)
    depth: FloatMap = grid.depth(found.depth)
    if view.used is not None:
        depth = np.where(view.used, depth, np.float32(0.0))
    points = view.camera.unproject(grid.pixels, depth).astype(np.float32)
    points[depth <= 0] = np.nan
    confidence = np.where(depth > 0, grid.nearest(found.score), 0.0)
    return Pointmap(
        view=view.camera.view,
        points=points,
        confidence=confidence.astype(np.float16),
        colors=view.colors,
    )
