# SPDX-License-Identifier: GPL-3.0-or-later
"""Slanted-plane matching of one view, coarse to fine; see `kernels.plane_match` for conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.kernels.edge_match import exchange
from mvsam_engine.reconstruct.classical.kernels.plane_match import (
    costs_by_source,
    improve,
    plane_costs,
)
from mvsam_engine.reconstruct.classical.levels import doubled, halved
from mvsam_engine.reconstruct.classical.sweep import FEWEST_PLANES, plane_count
from mvsam_engine.reconstruct.classical.undistort import (
    OUTSIDE,
    FloatMap,
    WorkingView,
    warp_between,
)
from mvsam_engine.reconstruct.presets import PRESETS, Preset

if TYPE_CHECKING:
    from mvsam_engine.reconstruct.classical.device import MatchDevice

Planes = NDArray[np.float32]

# Visits to every pixel at the coarse size.
COARSE_ITERATIONS = 2
# Slopes of swept depth, in planes of the sweep per pixel, that are edges.
STEEP = 0.7
# What the sources' own depth counts for, beside the looks (cost 0 to 1.2).
GEOMETRIC = 0.3
# Depth edges: jumps of the inverse depth by this share between neighbours; how far beside them
# depth can be wrong; planes nearer to each other than this share of the range are one surface.
JUMP = 0.02
BESIDE = np.ones((3, 3), np.uint8)
HALF_PATCH = np.ones((9, 9), np.uint8)
SAME_SURFACE = 0.002
# Sources that each pixel is compared with at full size; the sweep and the coarse size use all.
CHOSEN = 2
# Sources are chosen by their cost over this many pixels square.
CHOICE_WINDOW = 5


class Matching(Protocol):
    """What improves planes, on whatever device; `Match` is the one on the CPU."""

    @property
    def reference(self) -> WorkingView:
        """The view to measure."""
        ...

    @property
    def bundle(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """The sources as the kernels take them."""
        ...

    def limits(self) -> tuple[np.float32, np.float32]:
        """See `Match.limits`."""
        ...

    def all_sources(self) -> NDArray[np.uint8]:
        """See `Match.all_sources`."""
        ...

    def choose(self, planes: Planes) -> NDArray[np.uint8]:
        """See `Match.choose`."""
        ...

    def improve(
        self,
        planes: Planes,
        chosen: NDArray[np.uint8],
        step: float,
        iterations: int,
        seed: int,
        progress: Progress,
    ) -> FloatMap:
        """See `Match.improve`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """One view against its sources at one size.

    Attributes:
        reference: the view to measure.
        sources: at least one other view.
        bundle: the sources as the kernels take them.
        neighbours: depth of the sources as the kernels take it.
    """

    reference: WorkingView
    sources: list[WorkingView]
    bundle: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    neighbours: tuple[NDArray[np.float32], NDArray[np.float32], np.float32]

    @classmethod
    def of(
        cls,
        reference: WorkingView,
        sources: list[WorkingView],
        inverse: list[FloatMap] | None = None,
        weight: float = 0.0,
    ) -> Match:
        """Prepare a view and its sources.

        Args:
            reference: the view to measure.
            sources: at least one other view.
            inverse: inverse depth of every source, 0 unknown; None when there is none yet.
            weight: of the geometric term.
        """
        warps = [warp_between(reference, source) for source in sources]
        grey = _stack([source.gray for source in sources], OUTSIDE)
        bundle = (
            grey,
            np.array([matrix for matrix, _ in warps], np.float32),
            np.array([shift for _, shift in warps], np.float32),
        )
        if inverse is None:
            near = (
                np.zeros((1, 1, 1), np.float32),
                np.zeros(1, np.float32),
                np.float32(0.0),
            )
        else:
            gain = [pixels_per_inverse(source, reference) for source in sources]
            near = _stack(inverse, 0.0), np.array(gain, np.float32), np.float32(weight)
        return cls(reference, sources, bundle, near)

    def limits(self) -> tuple[np.float32, np.float32]:
        """Least and greatest inverse depth."""
        return np.float32(1.0 / self.reference.far), np.float32(1.0 / self.reference.near)

    def all_sources(self) -> NDArray[np.uint8]:
        """[h, w, s]: every pixel is compared with every source."""
        every = np.arange(len(self.sources), dtype=np.uint8)
        return np.ascontiguousarray(
            np.broadcast_to(every, (*self.reference.gray.shape, len(every)))
        )

    def choose(self, planes: Planes) -> NDArray[np.uint8]:
        """[h, w, CHOSEN]: the sources that look most like each pixel's neighbourhood."""
        count = len(self.sources)
        if count <= CHOSEN:
            return self.all_sources()
        costs = self.costs(planes)
        window = (CHOICE_WINDOW, CHOICE_WINDOW)
        smooth = np.stack([cv2.blur(cost, window) for cost in costs], axis=-1)
        best = np.argpartition(smooth, CHOSEN - 1, axis=-1)[..., :CHOSEN]
        return np.ascontiguousarray(best.astype(np.uint8))

    def costs(self, planes: Planes) -> NDArray[np.float32]:
        """[s, h, w]: cost against each source."""
        costs = np.empty((len(self.sources), *self.reference.gray.shape), np.float32)
        costs_by_source(planes, self.reference.gray, self.bundle, self.neighbours, costs)
        return costs

    def improve(
        self,
        planes: Planes,
        chosen: NDArray[np.uint8],
        step: float,
        iterations: int,
        seed: int,
        progress: Progress,
    ) -> FloatMap:
        """Improve `planes` in place; gives their cost [h, w].

        Args:
            planes: [h, w, 3].
            chosen: [h, w, k] sources of each pixel.
            step: range of the first random change of inverse depth.
            iterations: how often every pixel is visited; the range is halved each time.
            seed: of the random numbers.
            progress: asked between half iterations whether to stop.
        """
        image, cost = self.reference.gray, np.empty(planes.shape[:2], np.float32)
        plane_costs(planes, cost, image, self.bundle, self.neighbours, chosen)
        for iteration in range(iterations):
            limits = (*self.limits(), np.float32(step * 0.5**iteration))
            for colour in (0, 1):
                progress.check()
                turn = (colour, seed + 2 * iteration + colour)
                improve(planes, cost, image, self.bundle, self.neighbours, chosen, limits, turn)
        return cost


def first_planes(
    view: WorkingView,
    sources: list[WorkingView],
    device: MatchDevice,
    seed: int,
    progress: Progress,
    effort: Preset = PRESETS["normal"],
) -> Planes:
    """Planes of a view from its sources' looks alone, coarse to fine.

    Args:
        view: the view to measure.
        sources: at least one other view.
        device: where to work.
        seed: of the random numbers.
        progress: asked now and then whether to stop.
        effort: how coarse to begin, and how often to visit every pixel.

    Returns:
        [h, w, 3] planes, see `kernels.plane_match`.
    """
    sizes = [(view, sources)]
    while max(sizes[-1][0].gray.shape) > effort.coarse:
        finer, others = sizes[-1]
        sizes.append((halved(finer), [halved(source) for source in others]))
    coarse, others = sizes.pop()
    count = plane_count(coarse, others)
    depth = device.sweep(coarse, others, count, progress)
    match = device.matching(Match.of(coarse, others))
    least, most = match.limits()
    step = float(most - least) / count
    inverse = np.clip(1.0 / depth, least, most).astype(np.float32)
    planes = planes_through(inverse, STEEP * step)
    match.improve(planes, match.all_sources(), step, COARSE_ITERATIONS, seed, progress)
    while sizes:
        finer, others = sizes.pop()
        match = device.matching(Match.of(finer, others))
        planes = doubled(planes, *finer.gray.shape)
        step *= 0.25 if not sizes else 0.5
        seed += 2 * COARSE_ITERATIONS
        match.improve(planes, match.choose(planes), step, effort.visits, seed, progress)
    return planes


def second_planes(
    view: WorkingView,
    sources: list[WorkingView],
    planes: Planes,
    inverse: list[FloatMap],
    device: MatchDevice,
    seed: int,
    progress: Progress,
) -> tuple[Planes, FloatMap]:
    """Planes that fit the sources' own depth too, with sharp edges.

    Args:
        view: the view to measure.
        sources: at least one other view.
        planes: what `first_planes` gave.
        inverse: inverse depth that `first_planes` gave for each source.
        device: where to work.
        seed: of the random numbers.
        progress: asked now and then whether to stop.

    Returns:
        [h, w, 3] planes, and their cost [h, w].
    """
    match = device.matching(Match.of(view, sources, inverse, GEOMETRIC))
    least, most = match.limits()
    planes = planes.copy()
    step = float(most - least) / FEWEST_PLANES * 0.1
    chosen = match.choose(planes)
    cost = match.improve(planes, chosen, step, 1, seed, progress)
    return sharpened(match, planes), cost


def sharpened(match: Matching, planes: Planes) -> Planes:
    """Planes [h, w, 3] with edges where the photo has them, not half a patch beside."""
    inverse = np.ascontiguousarray(planes[..., 0])
    near, far = cv2.dilate(inverse, BESIDE), cv2.erode(inverse, BESIDE)
    band = cv2.dilate((near - far > JUMP * inverse).astype(np.uint8), HALF_PATCH)
    result = planes.copy()
    least, most = match.limits()
    apart = np.float32((most - least) * SAME_SURFACE)
    exchange(planes, result, match.reference.gray, match.bundle, band, apart)
    return result


def pixels_per_inverse(a: WorkingView, b: WorkingView) -> float:
    """How far the middle of view `a` moves in view `b`, in pixels, per unit of inverse depth."""
    matrix, shift = warp_between(a, b)
    height, width = a.gray.shape
    place = matrix @ np.array([width / 2, height / 2, 1.0])
    place = place / max(place[2], 1e-6)
    return float(np.hypot(*(shift[:2] - place[:2] * shift[2])))


def planes_through(inverse: FloatMap, limit: float) -> Planes:
    """Planes [h, w, 3] through an inverse depth map, with the slopes of its smooth parts.

    Args:
        inverse: [h, w].
        limit: steeper slopes than this, per pixel, are edges between two surfaces.
    """
    smooth = cv2.medianBlur(inverse, 5)
    # The 5 x 5 Sobel kernel sums to 128 times the slope.
    slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=5, scale=1 / 128)
    slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=5, scale=1 / 128)
    slope_x[np.abs(slope_x) >= limit] = 0.0
    slope_y[np.abs(slope_y) >= limit] = 0.0
    return np.ascontiguousarray(np.stack([inverse, slope_x, slope_y], axis=-1), dtype=np.float32)


def _stack(images: list[FloatMap], outside: float) -> NDArray[np.float32]:
    """Maps of any sizes in one array [s, H, W]."""
    height, width = np.array([image.shape for image in images]).max(axis=0)
    stack = np.full((len(images), height, width), outside, np.float32)
    for target, image in zip(stack, images, strict=True):
        target[: image.shape[0], : image.shape[1]] = image
    return stack
