# SPDX-License-Identifier: GPL-3.0-or-later
"""What a geometry model takes and gives, in one form for all of them.

Convention: network pixels count from the top-left corner (`framing`); a depth or point of row i,
column j belongs to the middle of that pixel, (j + 0.5, i + 0.5). Cameras are OpenCV's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.neural.framing import InputNeeds

# From the model's raw confidence [...] to a guess at the chance of lying within 1 % of the depth,
# for photos where nothing can be measured (see `calibrate`).
Prior = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a model says of n photos at once.

    Attributes:
        points: [n, h, w, 3] float32, NaN where it knows nothing.
        frame: whose points: each photo's own ``camera``, or one ``world`` for all.
        confidence: [n, h, w] float32, in the model's own units; more is surer.
        camera_from_world: [n, 4, 4] float64, None when the model gives no poses.
        intrinsics: [n, 3, 3] float64 in network pixels, None when the model gives none.
        metric: whether its unit is a metre.
    """

    points: NDArray[np.float32]
    frame: Literal["camera", "world"]
    confidence: NDArray[np.float32]
    camera_from_world: NDArray[np.float64] | None = None
    intrinsics: NDArray[np.float64] | None = None
    metric: bool = False

    def of(self, indices: list[int]) -> Answer:
        """The answer for some of the photos."""
        poses, lenses = self.camera_from_world, self.intrinsics
        return replace(
            self,
            points=self.points[indices],
            confidence=self.confidence[indices],
            camera_from_world=None if poses is None else poses[indices],
            intrinsics=None if lenses is None else lenses[indices],
        )


@dataclass(frozen=True, slots=True)
class MemoryNeeds:
    """Memory of a run in megabytes: a formula whose numbers docs/models.md has.

    Attributes:
        weights: the network itself, four bytes a number: half precision is only computed in.
        base: beyond it, whatever the number of photos.
        per_view: for each photo of `usual_pixels`, at four bytes a number; grows with the pixels.
        usual_pixels: pixels of one network image at which `per_view` was measured.
    """

    weights: float
    base: float
    per_view: float
    usual_pixels: int

    def megabytes(self, views: int, pixels: int, bytes_per_number: int = 4) -> float:
        """Memory for `views` photos of `pixels` network pixels each."""
        photos = self.per_view * views * pixels / self.usual_pixels * bytes_per_number / 4
        return self.weights + self.base + photos


class GeometryModel(Protocol):
    """One back end: a network with its weights, ready to run."""

    @property
    def name(self) -> str:
        """As in ``--geometry NAME``."""
        ...

    @property
    def needs(self) -> InputNeeds:
        """The pixels it takes."""
        ...

    @property
    def memory(self) -> MemoryNeeds:
        """What a run takes."""
        ...

    @property
    def prior(self) -> Prior:
        """What its confidence means where nothing can be measured."""
        ...

    def to(self, device: str, precision: str) -> None:
        """Move to a device; `precision` is ``float32``, ``bfloat16`` or ``float16``."""
        ...

    def answer(self, images: NDArray[np.uint8]) -> Answer:
        """Run on n images [n, h, w, 3], RGB, all of one size that fits `needs`."""
        ...


def points_from_depth(
    depth: NDArray[np.floating], intrinsics: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Camera-frame points [n, h, w, 3] of z-depths [n, h, w] seen through [n, 3, 3]."""
    n, h, w = depth.shape
    x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    fx, fy = intrinsics[:, 0, 0], intrinsics[:, 1, 1]
    cx, cy = intrinsics[:, 0, 2], intrinsics[:, 1, 2]
    points = np.empty((n, h, w, 3), np.float32)
    points[..., 0] = (x - cx[:, None, None]) / fx[:, None, None] * depth
    points[..., 1] = (y - cy[:, None, None]) / fy[:, None, None] * depth
    points[..., 2] = depth
    return points
