# SPDX-License-Identifier: GPL-3.0-or-later
"""From placed cameras to pointmaps: match, compare, fill, and lay out on the photos' grids."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import Pointmap
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.consistency import DepthMap, trusted_views
from mvsam_engine.reconstruct.classical.device import MatchDevice, pick_match_device
from mvsam_engine.reconstruct.classical.fill import complete
from mvsam_engine.reconstruct.classical.measure import measured
from mvsam_engine.reconstruct.classical.patchmatch import first_planes, second_planes
from mvsam_engine.reconstruct.classical.sources import depth_ranges, select_sources
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.store import ViewStore
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
    with tempfile.TemporaryDirectory(prefix="mvsam-", ignore_cleanup_errors=True) as folder:
        dense = Dense.prepare(model, read_photo, options, progress, Path(folder))
        dense.match()
        dense.refine()
        shares = dense.compare()
        for pointmap in dense.pointmaps(trust(shares)):
            put(pointmap)
    return {c.view: share for c, share in zip(model.cameras, shares, strict=True)}


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """The dense step, one stage after the other; between them all lies in files.

    Attributes:
        views: lens-corrected views, and what the stages found of them.
        sources: indices of the views that each view is matched with.
        device: where views are matched.
        options: what the person chose.
        progress: told every finished view.
    """

    views: ViewStore
    sources: list[list[int]]
    device: MatchDevice
    options: ReconstructOptions
    progress: Progress

    @classmethod
    def prepare(
        cls,
        model: SparseModel,
        read_photo: ReadPhoto,
        options: ReconstructOptions,
        progress: Progress,
        folder: Path,
    ) -> Dense:
        """Read and correct the photos of a sparse model.

        Args:
            model: cameras and points.
            read_photo: gives the photo of a camera and which of its pixels are used.
            options: what the person chose.
            progress: told every finished photo.
            folder: empty, for what does not stay in memory.
        """
        device = pick_match_device(options.device)
        sources = select_sources(model, options.numbers.sources)
        ranges = depth_ranges(model, sources)
        views = ViewStore(folder, at_hand=2 * options.numbers.sources + 2)
        progress.stage("Photos", len(model.cameras))
        for camera, (near, far) in zip(model.cameras, ranges, strict=True):
            photo, used = read_photo(camera)
            views.append(make_working_view(camera, photo, options.size, near, far, used))
            progress.step()
        return cls(views, sources, device, options, progress)

    def match(self) -> None:
        """Planes of every view, from the looks of its sources alone."""
        self.progress.stage("Depth", len(self.views))
        for index in range(len(self.views)):
            view, sources = self._with_sources(index)
            if sources:
                planes = first_planes(
                    view,
                    sources,
                    self.device,
                    self._seed(index),
                    self.progress,
                    self.options.numbers,
                )
            else:
                planes = np.zeros((*view.gray.shape, 3), np.float32)
            self.views.put(index, "planes", planes)
            self.views.put(index, "inverse", planes[..., 0])
            self.progress.step()

    def refine(self) -> None:
        """Depth and score of every view, its sources' planes considered."""
        self.progress.stage("Sharper depth", len(self.views))
        for index in range(len(self.views)):
            view, sources = self._with_sources(index)
            planes = self.views.get(index, "planes")
            depth, score = np.zeros((2, *view.gray.shape), np.float32)
            if sources:
                inverse = [self.views.get(j, "inverse") for j in self.sources[index]]
                planes, cost = second_planes(
                    view,
                    sources,
                    planes,
                    inverse,
                    self.device,
                    self._seed(index) + 50,
                    self.progress,
                )
                least, most = np.float32(1.0 / view.far), np.float32(1.0 / view.near)
                depth = np.float32(1.0) / np.clip(planes[..., 0], least, most)
                score = np.clip(np.float32(1.0) - cost, 0.0, 1.0)
            self.views.put(index, "depth", depth)
            self.views.put(index, "score", score)
            self.views.drop(index, "planes")
            self.progress.step()

    def compare(self) -> list[float]:
        """What the views confirm of one another's depth; gives each view's confirmed share."""
        self.progress.stage("Agreement", len(self.views))
        shares: list[float] = []
        for index in range(len(self.views)):
            view, sources = self._with_sources(index)
            own = DepthMap(self.views.get(index, "depth"), self.views.get(index, "score"))
            found = measured(view, own, self._others(index, "depth"), sources)
            self.views.put(index, "measured", found.depth)
            self.views.put(index, "confidence", found.score)
            shares.append(float((found.depth > 0).sum() / max((view.gray >= 0).sum(), 1)))
            self.progress.step()
        return shares

    def pointmaps(self, indices: list[int]) -> Iterator[Pointmap]:
        """Pointmaps of the trusted views `indices` on the photos' own grids, one by one."""
        self.progress.stage("Filling", len(indices))
        for index in indices:
            view = self.views.view(index)
            found = DepthMap(self.views.get(index, "measured"), self.views.get(index, "confidence"))
            if self.options.fill and (found.depth > 0).sum() >= LEAST_MEASURED:
                others = self._others(index, "measured")
                found = complete(view, found, others, self._seed(index))
            yield to_pointmap(view, found)
            self.progress.step()

    def _with_sources(self, index: int) -> tuple[WorkingView, list[WorkingView]]:
        return self.views.view(index), [self.views.view(j) for j in self.sources[index]]

    def _others(self, index: int, name: str) -> list[tuple[WorkingView, FloatMap]]:
        """Views matched with view `index`, either way, with a depth map; at most twice as many."""
        own = self.sources[index]
        back = [j for j, sources in enumerate(self.sources) if index in sources and j not in own]
        numbers = sorted([*own, *back[: self.options.numbers.sources]])
        return [(self.views.view(j), self.views.get(j, name)) for j in numbers]

    def _seed(self, index: int) -> int:
        return self.options.seed + 101 * index


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
