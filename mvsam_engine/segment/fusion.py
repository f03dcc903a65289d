# SPDX-License-Identifier: GPL-3.0-or-later
"""One weight per 3D point from the masks of all views that see it, and back to prompts.

Convention: cells as in `segment.scene`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.segment.frame import CELL, ModelFrame
from mvsam_engine.segment.kernels import add_opinion
from mvsam_engine.segment.points import spread_points
from mvsam_engine.segment.sam import SamPrompts
from mvsam_engine.segment.scene import SceneView
from mvsam_engine.segment.visibility import VisibilityTables

# Weights above are object, below are background, in between is undecided.
OBJECT, BACKGROUND = 0.6, 0.3

# Least sum of evidence (products of confidences) for a cell to count as known.
LEAST_EVIDENCE = 0.05

# Fused weights 0..1 become mask prompts of -8..8, about the range of SAM's own logits.
PROMPT_GAIN = 16.0

MOST_INCLUDED, MOST_EXCLUDED = 6, 4

# What a mask has too much counts this much of what it lacks (Tversky index): SAM's candidates err
# towards parts of an object, and so does what is fused from them.
EXCESS_WEIGHT = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """The opinion of all views about one view's cells.

    Attributes:
        weight: [cells] float32, 0..1: how much its 3D point belongs to the object; 0.5 where
            nothing is known.
        evidence: [cells] float32, sum of the confidences that stand behind it.
    """

    weight: NDArray[np.float32]
    evidence: NDArray[np.float32]

    @property
    def known(self) -> NDArray[np.bool_]:
        """[cells] where there is enough evidence."""
        return self.evidence > LEAST_EVIDENCE

    @property
    def object(self) -> NDArray[np.bool_]:
        """[cells] that are known to be object."""
        return self.known & (self.weight > OBJECT)

    def solid_area(self, shape: tuple[int, int]) -> float:
        """Share of all cells that are object and lie among object.

        A mask that reaches one cell over the object's border marks points of whatever is behind,
        and from elsewhere these show as a thin rim: the median filter removes it.
        """
        return float((cv2.medianBlur(self.object.reshape(shape).astype(np.uint8), 5) > 0).mean())

    @property
    def background(self) -> NDArray[np.bool_]:
        """[cells] that are known to be something else."""
        return self.known & (self.weight < BACKGROUND)


def fuse(
    i: int,
    views: Sequence[SceneView],
    tables: VisibilityTables,
    masks: dict[int, NDArray[np.float32]],
    trust: dict[int, float],
) -> Fused:
    """Average the masks of all views that see the points of view `i`.

    Each view's say is the product of both points' confidences and of its own trust.

    Args:
        i: index of the view.
        views: all views.
        tables: their visibility.
        masks: [cells] 0..1 by index of the view; views without one have no say.
        trust: by index of the view.

    Returns:
        The fused weights of the view's cells.
    """
    own = views[i].confidence
    total = np.zeros(len(own), dtype=np.float32)
    evidence = np.zeros(len(own), dtype=np.float32)
    if i in masks:
        # A view sees its own points for sure, however uncertain their depth.
        total += trust[i] * masks[i]
        evidence += trust[i]
    for j, table in tables.partners(i).items():
        if j not in masks or trust[j] <= 0:
            continue
        mask = np.ascontiguousarray(masks[j], np.float32)
        add_opinion(table, own, views[j].confidence, mask, trust[j], total, evidence)
    weight = np.where(evidence > LEAST_EVIDENCE, total / np.maximum(evidence, 1e-6), 0.5)
    return Fused(weight.astype(np.float32), evidence)


def prompts_from_fused(fused: Fused, frame: ModelFrame) -> SamPrompts | None:
    """What to ask SAM in a view, from the other views' opinion.

    Points deep inside what is surely object and surely not, and the weights themselves as a mask.
    No box: what the other views know ends where they saw the object last, and a box would cut the
    view's mask off there.

    Returns:
        None when nothing in the view is known to be object.
    """
    shape = frame.mask_size
    inside = fused.object.reshape(shape).astype(np.uint8)
    if not inside.any():
        return None
    closed = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    near = cv2.dilate(inside, np.ones((21, 21), np.uint8)) > 0
    outside = fused.background.reshape(shape) & near
    included = spread_points(closed > 0, MOST_INCLUDED, margin=1.0)
    excluded = spread_points(outside, MOST_EXCLUDED, margin=1.5)
    positions = np.concatenate([included, excluded]) * CELL
    logits = fused_logits(fused).reshape(shape)
    return SamPrompts(
        points=positions.astype(np.float32),
        labels=np.arange(len(positions)) < len(included),
        mask=frame.pad(logits, -PROMPT_GAIN / 2),
    )


def fused_logits(fused: Fused) -> NDArray[np.float32]:
    """Fused weights as logits [cells] of a dense prompt, 0 where nothing is known."""
    logits = np.where(fused.known, (fused.weight - 0.5) * PROMPT_GAIN, 0.0)
    return logits.astype(np.float32)


def joined_prompts(first: SamPrompts, second: SamPrompts) -> SamPrompts:
    """A person's prompts together with derived ones; the person's box and mask win."""
    return SamPrompts(
        points=np.concatenate([first.points, second.points]),
        labels=np.concatenate([first.labels, second.labels]),
        box=second.box if first.box is None else first.box,
        mask=second.mask if first.mask is None else first.mask,
    )


def agreement(mask: NDArray[np.float32], fused: Fused) -> float:
    """How well a view's mask [cells], 0..1, fits the fused weights, where these are known.

    A soft Tversky index (Tversky 1977): both / (both + lacking + `EXCESS_WEIGHT` * excess), each
    summed with the cells' evidence.
    """
    say = np.minimum(fused.evidence, 1.0) * fused.known
    both = float((say * np.minimum(mask, fused.weight)).sum())
    excess = float((say * np.maximum(mask - fused.weight, 0.0)).sum())
    lacking = float((say * np.maximum(fused.weight - mask, 0.0)).sum())
    total = both + lacking + EXCESS_WEIGHT * excess
    return both / total if total > 0 else 0.0
