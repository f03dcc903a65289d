# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's prompts, sorted by view and turned into what SAM takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture import Capture, Prompt, SceneObject
from mvsam_engine.capture.files import inside
from mvsam_engine.errors import SegmentationError
from mvsam_engine.segment.frame import MASK_SIDE, ModelFrame
from mvsam_engine.segment.points import spread_points
from mvsam_engine.segment.sam import SamPrompts
from mvsam_engine.segment.scene import SceneView

# A stroke or an excluded mask is worth this many points.
POINTS_PER_AREA = 6

# Logits that a painted mask stands for.
MASK_LOGIT = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """All that a person said about one view, in photo pixels.

    Attributes:
        points: [n, 2] positions (x, y).
        labels: [n] bool, True for "this is it".
        box: [4] x0, y0, x1, y1 around all included boxes and masks, or None.
        mask: [h, w] bool on the view's cells, the union of included masks, or None.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.bool_]
    box: NDArray[np.float64] | None = None
    mask: NDArray[np.bool_] | None = None

    @property
    def says_where(self) -> bool:
        """Whether anything is included, not only excluded."""
        return bool(self.labels.any()) or self.box is not None or self.mask is not None

    def sam_prompts(self, frame: ModelFrame) -> SamPrompts:
        """The hints as SAM takes them."""
        mask = None
        if self.mask is not None:
            logits = np.where(self.mask, MASK_LOGIT, -MASK_LOGIT)
            mask = frame.pad(logits, -MASK_LOGIT)
        box = None
        if self.box is not None:
            box = frame.to_model(self.box.reshape(2, 2)).reshape(4)
        return SamPrompts(frame.to_model(self.points), self.labels, box, mask)


NO_HINTS = Hints(np.zeros((0, 2)), np.zeros(0, dtype=bool))


def gather_hints(
    item: SceneObject, views: Sequence[SceneView], capture: Capture
) -> dict[int, Hints]:
    """Hints by index of the view.

    Args:
        item: the object with its prompts.
        views: all placed views.
        capture: holds the mask images of prompts.

    Raises:
        SegmentationError: nothing is included, a prompt's view was not placed, or its mask image
            cannot be read.
    """
    index = {view.name: i for i, view in enumerate(views)}
    hints: dict[int, Hints] = {}
    for prompt in item.prompts:
        if prompt.view not in index:
            raise SegmentationError(
                "prompt.unplaced",
                f"Photo {prompt.view!r} could not be placed, so a click in it reaches no other.",
                "Click in a photo that has a camera.",
            )
        i = index[prompt.view]
        hints[i] = _with(hints.get(i, NO_HINTS), prompt, views[i], capture)
    if not any(h.says_where for h in hints.values()):
        raise SegmentationError(
            "prompt.none",
            f"Object {item.name!r} has no prompt that includes anything.",
            "Click on the object in one of the photos first.",
        )
    return hints


def _with(hints: Hints, prompt: Prompt, view: SceneView, capture: Capture) -> Hints:
    """`hints` and one prompt more."""
    if prompt.kind == "mask":
        return _with_mask(hints, _read_mask(prompt, view, capture), prompt.include, view)
    xy = np.array(prompt.xy, dtype=np.float64)
    if prompt.kind == "box":
        if prompt.include:
            corners = np.concatenate([xy.min(axis=0), xy.max(axis=0)])
            return replace(hints, box=_joined(hints.box, corners))
        xy = xy.mean(axis=0, keepdims=True)
    elif prompt.kind == "stroke" and len(xy) > POINTS_PER_AREA:
        xy = xy[np.linspace(0, len(xy) - 1, POINTS_PER_AREA).round().astype(int)]
    return _with_points(hints, xy, prompt.include)


def _with_mask(hints: Hints, mask: NDArray[np.bool_], include: bool, view: SceneView) -> Hints:
    if not mask.any():
        return hints
    rows, columns = view.shape
    scale = np.array([view.photo.width / columns, view.photo.height / rows])
    if not include:
        return _with_points(hints, spread_points(mask, POINTS_PER_AREA) * scale, False)
    y, x = np.nonzero(mask)
    box = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) * np.tile(scale, 2)
    union = mask if hints.mask is None else hints.mask | mask
    return replace(hints, mask=union, box=_joined(hints.box, box))


def _with_points(hints: Hints, xy: NDArray[np.float64], include: bool) -> Hints:
    labels = np.full(len(xy), include)
    return replace(
        hints,
        points=np.concatenate([hints.points, xy]),
        labels=np.concatenate([hints.labels, labels]),
    )


def _joined(box: NDArray[np.float64] | None, other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest box around both."""
    if box is None:
        return other
    return np.concatenate([np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])])


def _read_mask(prompt: Prompt, view: SceneView, capture: Capture) -> NDArray[np.bool_]:
    """A prompt's mask image on the view's cells."""
    path = inside(capture.root, prompt.mask)
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L"), dtype=np.float32)
    except OSError as error:
        raise SegmentationError(
            "prompt.mask",
            f"The mask {prompt.mask!r} of view {prompt.view!r} cannot be read.",
            "Give the mask again.",
        ) from error
    rows, columns = view.shape
    interpolation = cv2.INTER_AREA if max(values.shape) > MASK_SIDE else cv2.INTER_LINEAR
    return cv2.resize(values, (columns, rows), interpolation=interpolation) > 127
