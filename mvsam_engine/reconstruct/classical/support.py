# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a sparse model is supported, and whether to trust it.

The reprojection error does not tell right from wrong (wrong models fit their few matches within
0.2 to 0.4 pixels); points that three or more photos agree on do, so they are what counts here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.reconstruct.classical.sparse import SparseModel

# Focal length in long sides of the photo that a lens of a real camera may have, and how close to a
# bound, as a factor, it counts as having run into it.
FOCAL_BOUNDS = (0.4, 3.5)
FOCAL_MARGIN = 1.02
# A point of three or more photos counts one, a point of two photos a fifth of that.
TWO_VIEW_WEIGHT = 0.2
# Points at which a photo counts as fully supported, and below which it is not trusted.
FULL_SUPPORT = 120.0
LEAST_SUPPORT = 12.0
# Degrees between the rays to a point, over the middle half of the points, that show depth.
LEAST_ANGLE = 1.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Support of a model: comparable between models of the same photos.

    Attributes:
        support: sum over photos: nothing for one that is not trusted, else a half for being
            placed and up to a half for its points.
        shared: observations of points that three or more photos see.
    """

    support: float
    shared: int

    def beats(self, other: Quality) -> bool:
        """Whether this model is better: half a photo more, or as many with more shared points."""
        if self.support > other.support + 0.5:
            return True
        return self.support > other.support - 0.5 and self.shared > other.shared


def photo_support(model: SparseModel) -> NDArray[np.float64]:
    """Weighted number of points [cameras] that support each photo's place."""
    photos_of_point = np.bincount(model.seen_point, minlength=len(model.points))
    length = photos_of_point[model.seen_point]
    weight = np.where(length >= 3, 1.0 + TWO_VIEW_WEIGHT, np.where(length == 2, TWO_VIEW_WEIGHT, 0))
    return np.bincount(model.seen_by, weights=weight, minlength=len(model.cameras))


def quality(model: SparseModel) -> Quality:
    """Support of a model."""
    photos_of_point = np.bincount(model.seen_point, minlength=len(model.points))
    each = photo_support(model)
    share = 0.5 + 0.5 * np.minimum(1.0, each / FULL_SUPPORT)
    return Quality(
        support=float(share[each >= LEAST_SUPPORT].sum()),
        shared=int((photos_of_point[model.seen_point] >= 3).sum()),
    )


def drop_unsupported(model: SparseModel) -> SparseModel:
    """The model without the photos that too few points hold in place."""
    while len(model.cameras):
        keep = np.flatnonzero(photo_support(model) >= LEAST_SUPPORT)
        if len(keep) == len(model.cameras):
            break
        # Without the weakest photo its neighbours lose support too, so look again.
        model = model.keep([int(i) for i in keep])
    return model


def viewing_angle(model: SparseModel) -> float:
    """Median over the points of the widest angle, in degrees, between two rays that see it.

    The widest angle is approximated by twice the widest angle to the mean ray.
    """
    centers = np.array([c.center for c in model.cameras])
    rays = model.points[model.seen_point] - centers[model.seen_by]
    rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)
    mean = np.stack(
        [np.bincount(model.seen_point, rays[:, k], len(model.points)) for k in range(3)], axis=1
    )
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    cosine = np.clip((rays * mean[model.seen_point]).sum(axis=1), -1.0, 1.0)
    widest = np.zeros(len(model.points))
    np.maximum.at(widest, model.seen_point, np.degrees(np.arccos(cosine)))
    seen = np.bincount(model.seen_point, minlength=len(model.points)) >= 2
    return float(2.0 * np.median(widest[seen])) if seen.any() else 0.0


def plausible_focal(camera: Camera) -> bool:
    """Whether the focal length is one of a lens; one that ran to its bound was not measured."""
    share = camera.params[0] / max(camera.width, camera.height)
    return FOCAL_BOUNDS[0] * FOCAL_MARGIN < share < FOCAL_BOUNDS[1] / FOCAL_MARGIN
