# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts made from the truth of the reference photo, with published seeds.

Clicks: positives inside the true mask eroded by 3 pixels, negatives in a band 4 to 30 pixels
outside it, both drawn without replacement by ``numpy.random.default_rng(seed)`` from the pixels in
the order of rows, positives first; a click lies at its pixel's centre. Where the truth is a pair
of scribbles, the clicks are drawn from their pixels instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Photo, Prompt
from mvsam_engine.errors import SegmentationError, UsageError
from mvsam_engine.evaluate.segmentation.sets import TrueMasks, read_scribble

Kind = Literal["clicks", "box", "mask", "scribbles", "at"]

# Points that each of the two scribbles is worth with "scribbles".
SCRIBBLE_POINTS = 10
_CLICKS = re.compile(r"(\d+)(?:\+(\d+))?")
KNOWN = "clicks such as 8+2, 3 or 1; box; mask; scribbles"


@dataclass(frozen=True, slots=True)
class PromptPlan:
    """How a task is asked for.

    Attributes:
        label: for tables.
        kind: what is given.
        positives: clicks on the object.
        negatives: clicks beside it.
        at: one click there, pixels of the upright reference photo.
    """

    label: str
    kind: Kind
    positives: int = 0
    negatives: int = 0
    at: tuple[float, float] = (0.0, 0.0)

    @property
    def drawn(self) -> bool:
        """Whether chance decides it, so that it depends on the seed."""
        return self.kind in ("clicks", "scribbles")


def parse_plans(text: str, at: str = "") -> tuple[PromptPlan, ...]:
    """Plans of a list such as ``8+2,1,box,mask``; a click position `at` replaces it.

    Raises:
        UsageError: something else.
    """
    if at:
        try:
            x, y = (float(v) for v in at.split(","))
        except ValueError as error:
            raise UsageError("evaluate.at", f"{at!r} is no position.", "Write X,Y.") from error
        return (PromptPlan(f"at {x:g},{y:g}", "at", positives=1, at=(x, y)),)
    words = dict.fromkeys(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise UsageError("evaluate.prompts", "No prompts are named.", f"Known: {KNOWN}.")
    return tuple(_parse(word) for word in words)


def _parse(word: str) -> PromptPlan:
    if word == "box":
        return PromptPlan(word, "box")
    if word == "mask":
        return PromptPlan(word, "mask")
    if word == "scribbles":
        return PromptPlan(word, "scribbles", SCRIBBLE_POINTS, SCRIBBLE_POINTS)
    match = _CLICKS.fullmatch(word)
    if match is None or int(match[1]) == 0:
        raise UsageError("evaluate.prompts", f"There is no prompt {word!r}.", f"Known: {KNOWN}.")
    return PromptPlan(word, "clicks", int(match[1]), int(match[2] or 0))


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Prompts of one run.

    Attributes:
        prompts: points and boxes; without the mask.
        mask: [H, W] bool of the whole reference photo when that is given, else None.
    """

    prompts: tuple[Prompt, ...]
    mask: NDArray[np.bool_] | None = None


def ask(plan: PromptPlan, truth: TrueMasks, photo: Photo, seed: int) -> Asked:
    """The prompts of a task.

    Args:
        plan: how it is asked for.
        truth: masks of the task.
        photo: the reference photo.
        seed: of the random numbers, where chance decides.

    Raises:
        SegmentationError: the layout has not what the plan needs, or the reference does not show
            the object.
    """
    task = truth.task
    if plan.kind == "at":
        return Asked((Prompt("point", photo.view, xy=(plan.at,)),))
    if task.scribbles is not None and plan.kind in ("clicks", "scribbles"):
        areas = (
            read_scribble(task.scribbles.positive, photo),
            read_scribble(task.scribbles.negative, photo),
        )
        return Asked(_points(areas, plan, photo, seed))
    if plan.kind == "scribbles" or task.reference not in task.masks:
        has = "no scribbles" if plan.kind == "scribbles" else "scribbles, no true mask"
        raise SegmentationError(
            "evaluate.prompts",
            f"The reference photo {task.reference} of {task.name} has {has}: prompt "
            f"{plan.label!r} cannot be made.",
            "",
        )
    mask = truth.read(task.reference)
    if not mask.any():
        raise SegmentationError(
            "evaluate.reference",
            f"Object {task.name!r} is not seen in the reference photo {task.reference}.",
            "Choose another with --reference.",
        )
    if plan.kind == "mask":
        return Asked((), mask)
    if plan.kind == "box":
        y, x = np.nonzero(mask)
        corners = np.array([[x.min(), y.min()], [x.max() + 1, y.max() + 1]])
        return Asked((Prompt("box", photo.view, xy=_on_photo(corners, mask.shape, photo)),))
    return Asked(_points(click_areas(mask), plan, photo, seed))


def click_areas(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where clicks are drawn: inside the mask eroded by 3 px, and in a band 4 to 30 px off.

    Args:
        mask: [H, W] bool, not empty.

    Returns:
        Two arrays [H, W] bool. An object too thin to be eroded is all there is inside; where there
        is no room for the band, everything outside counts.
    """
    values = mask.astype(np.uint8)

    def grown(side: int) -> NDArray[np.bool_]:
        return cv2.dilate(values, np.ones((side, side), np.uint8)) > 0

    inside = cv2.erode(values, np.ones((7, 7), np.uint8)) > 0
    band = grown(61) & ~grown(7)
    return (inside if inside.any() else mask, band if band.any() else ~mask)


def _points(
    areas: tuple[NDArray[np.bool_], NDArray[np.bool_]], plan: PromptPlan, photo: Photo, seed: int
) -> tuple[Prompt, ...]:
    """Clicks drawn from two areas [h, w] that cover the photo; fewer where an area is smaller."""
    rng = np.random.default_rng(seed)
    prompts: list[Prompt] = []
    for area, count, include in zip(
        areas, (plan.positives, plan.negatives), (True, False), strict=True
    ):
        y, x = np.nonzero(area)
        chosen = rng.choice(len(x), min(count, len(x)), replace=False)
        centers = np.stack([x[chosen], y[chosen]], axis=1) + 0.5
        prompts += [
            Prompt("point", photo.view, include, (xy,))
            for xy in _on_photo(centers, area.shape, photo)
        ]
    if not any(prompt.include for prompt in prompts):
        raise SegmentationError("evaluate.scribbles", f"Nothing is painted on {photo.view}.", "")
    return tuple(prompts)


def _on_photo(
    pixels: NDArray[np.floating] | NDArray[np.integer], shape: tuple[int, ...], photo: Photo
) -> tuple[tuple[float, float], ...]:
    """Positions [n, 2] in an image [h, w] as positions in the photo that it covers."""
    scale = np.array([photo.width / shape[1], photo.height / shape[0]])
    return tuple((float(x), float(y)) for x, y in np.asarray(pixels, np.float64) * scale)
