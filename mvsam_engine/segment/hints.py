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

# A stroke, an excluded box or an excluded mask is worth this many points.
POINTS_PER_AREA = 6

# Strokes whose half width is less, in cells, are lines: their points lie on them.
THINNEST_AREA = 1.5

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
        xy = _points_in_box(xy)
    elif prompt.kind == "stroke":
        xy = _points_of_stroke(xy, prompt.radius, view)
    return _with_points(hints, xy, prompt.include)


def _points_in_box(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middle of a box and of its four quarters, [5, 2]: what an excluded box says."""
    low, size = corners.min(axis=0), np.ptp(corners, axis=0)
    shares = np.array([(0.5, 0.5), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)])
    return low + shares * size


def _points_of_stroke(
    path: NDArray[np.float64], radius: float, view: SceneView
) -> NDArray[np.float64]:
    """Points [n, 2] that stand for a brush stroke.

    Of a thin one they lie evenly on its line, however unevenly the mouse was read; of a wide one
    all over what it covers.

    Args:
        path: [n, 2] photo pixels.
        radius: half its width in photo pixels.
        view: the photo.
    """
    rows, columns = view.shape
    cell = view.photo.width / columns
    if radius < THINNEST_AREA * cell:
        return _along(path, POINTS_PER_AREA)
    covered = np.zeros((rows, columns), np.uint8)
    cells = np.floor(path / [view.photo.width / columns, view.photo.height / rows]).astype(np.int32)
    half = round(radius / cell)
    cv2.polylines(covered, [cells.reshape(-1, 1, 2)], isClosed=False, color=1, thickness=2 * half)
    for x, y in cells.tolist():
        cv2.circle(covered, (x, y), half, 1, -1)
    return view.to_photo(spread_points(covered > 0, POINTS_PER_AREA))


def _along(path: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """At most `most` points [n, 2] at even distances along a path [m, 2], its ends included."""
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    if length[-1] == 0.0:
        return path[:1]
    places = np.linspace(0.0, length[-1], min(most, len(path)))
    return np.stack([np.interp(places, length, path[:, i]) for i in range(2)], axis=1)


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
