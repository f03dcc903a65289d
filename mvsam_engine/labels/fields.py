# SPDX-License-Identifier: GPL-3.0-or-later
"""A mask image as a field: how much a place is object, and how far the mask is to be trusted there.

Masks err at their edges, by a pixel or two of the photo and by as much as cameras and mesh are
off. So a place near an edge has little to say: another photo, in which it lies deeper inside or
further outside, says it better.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.errors import SegmentationError

# Larger masks are taken at this long side: their edges are no surer than that.
LONGEST = 2048
# Within this share of the photo's long side from an edge, trust grows from the least to full.
EDGE_REACH = 0.012
LEAST_EDGE_TRUST = 0.05
# Half width of the soft edge, as a share of the long side; at least half a pixel.
SOFTNESS = 0.0007


@dataclass(frozen=True, slots=True, eq=False)
class MaskField:
    """An object's mask in one view.

    Attributes:
        value: [h, w] float32, 0..1: 1 inside, 0 outside, 0.5 on the edge.
        trust: [h, w] float32, 0..1, low near the edges, times the view's confidence.
    """

    value: NDArray[np.float32]
    trust: NDArray[np.float32]

    def at(
        self, rows: NDArray[np.integer], columns: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Values and trust at cells [n] of the field's grid."""
        return self.value[rows, columns], self.trust[rows, columns]


def mask_field(mask: NDArray[np.bool_], confidence: float = 1.0) -> MaskField:
    """The field of a mask.

    Args:
        mask: [h, w].
        confidence: of the view, 0..1.
    """
    reach = max(mask.shape) * EDGE_REACH
    softness = max(0.5, max(mask.shape) * SOFTNESS)
    distance = _signed_distance(mask)
    value = np.clip(0.5 + distance / (2.0 * softness), 0.0, 1.0).astype(np.float32)
    trust = np.clip(np.abs(distance) / reach, LEAST_EDGE_TRUST, 1.0) * confidence
    return MaskField(value, trust.astype(np.float32))


def read_field(capture: Capture, item: SceneObject, view: str) -> MaskField | None:
    """The field of an object's stored mask; None for a view that has none.

    Raises:
        SegmentationError: the mask image is damaged.
    """
    path = capture.mask_path(item.id, view)
    if not path.is_file():
        return None
    score = next((s for s in item.scores if s.view == view), None)
    return mask_field(read_mask(path), score.confidence if score is not None else 1.0)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """A mask image [h, w], at most `LONGEST` pixels long.

    Raises:
        SegmentationError: it is damaged.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    if image is None:
        raise SegmentationError(
            "mask.damaged", f"The mask {path.name} cannot be read.", "Segment the object again."
        )
    scale = LONGEST / max(image.shape)
    if scale < 1:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image > 127


def _signed_distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pixels from each pixel's centre to the mask's edge: positive inside, negative outside.

    The photo's own border is no edge. Where there is none, everything is infinitely far from it.
    """
    values = mask.astype(np.uint8)
    if not values.any():
        return np.full(mask.shape, -np.inf, np.float32)
    if values.all():
        return np.full(mask.shape, np.inf, np.float32)
    inside = cv2.distanceTransform(values, cv2.DIST_L2, cv2.DIST_MASK_5)
    outside = cv2.distanceTransform(1 - values, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
