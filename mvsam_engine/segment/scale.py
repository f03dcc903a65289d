# SPDX-License-Identifier: GPL-3.0-or-later
"""Part or whole: which of SAM's candidates a click means.

SAM answers an ambiguous click with three masks of different size. In the clicked photo alone they
are told apart by SAM's own score, by how sharply each mask ends (the stability score of SAM's
automatic mask generator), and by a mild preference for the larger one: people click on objects
more often than on their parts. Other photos settle it better: a candidate is carried to the
photos that share its surface, and one that is no object of its own (half a box, or a mug with all
that stands behind it) finds no mask there that agrees with it.

Mean IoU of the chosen candidate in the clicked photo, over nine objects (the sample's eight and
the kitchen's bulldozer) with four clicks each: SAM's score alone 0.53, the largest of about equal
score 0.39, the rule for one photo 0.58, the rule for several 0.62, the best of the three (which
nobody knows) 0.73.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.segment.frame import CELL
from mvsam_engine.segment.sam import FIRST_CHOICE, SINGLE, SamAnswer, SamPrompts

# With this many points, or a box or mask, SAM's single-mask output is the trained choice.
UNAMBIGUOUS_POINTS = 3

# What a mask that is e times as large is worth, against a score of 0..1: for one photo, and with
# the agreement of other photos.
SIZE_GAIN_ALONE, SIZE_GAIN_TOGETHER = 0.05, 0.1

# Logits this far on both sides of the border measure how sharply a mask ends.
_STABILITY_OFFSET = 1.0
_LEAST_AREA = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question about one view, and the answer to it.

    Attributes:
        prompts: what was asked.
        answer: four masks and their scores.
        by_score: whether of clear prompts the best-scored mask is taken. SAM's single mask was
            trained for these; MV-SAM's single mask is a mean of what a click could mean, and one of
            the three is better (0.94 to 0.81 in the prompted photo of the kitchen's bulldozer,
            three seeds).
    """

    prompts: SamPrompts
    answer: SamAnswer
    by_score: bool = False

    @property
    def candidates(self) -> list[int]:
        """Rows of the answer that the prompts leave open; a single one when nothing is open."""
        fits = point_fit(self.answer.logits, self.prompts)
        fitting = fits >= fits.max()
        clear = is_clear(self.prompts)
        if clear and self.by_score:
            return [max(np.flatnonzero(fitting).tolist(), key=lambda k: self.answer.scores[k])]
        choices = [k for k in range(FIRST_CHOICE, len(fits)) if fitting[k]]
        return [SINGLE] if fitting[SINGLE] and (clear or not choices) else choices


def is_clear(prompts: SamPrompts) -> bool:
    """Whether prompts say what is meant: a box, a mask, or several points."""
    return (
        prompts.box is not None
        or prompts.mask is not None
        or len(prompts.points) >= UNAMBIGUOUS_POINTS
    )


def likely_choice(asked: Asked) -> int:
    """Row of the mask to take when nothing but the decoder and the prompts can tell."""
    merit = _plausibility(asked.answer) + SIZE_GAIN_ALONE * _log_area(asked.answer)
    return max(asked.candidates, key=lambda k: merit[k])


def settled_choice(asked: Asked, agreement_elsewhere: Callable[[int], float | None]) -> int:
    """Row of the mask to take, with the help of other views.

    Args:
        asked: the question and its answer.
        agreement_elsewhere: for a row, how well (0..1) what it marks is answered in other views;
            None when no other view sees it.
    """
    candidates = asked.candidates
    if len(candidates) == 1:
        return candidates[0]
    agreed = {k: agreement_elsewhere(k) for k in candidates}
    if all(value is None for value in agreed.values()):
        return likely_choice(asked)
    merit = _plausibility(asked.answer) + SIZE_GAIN_TOGETHER * _log_area(asked.answer)
    return max(candidates, key=lambda k: merit[k] + (agreed[k] or 0.0))


def point_fit(logits: NDArray[np.float32], prompts: SamPrompts) -> NDArray[np.float64]:
    """Share of the points that lie on the right side of each mask.

    Args:
        logits: [n, 256, 256], or the part of it that the photo fills.
        prompts: with points in the 1024-square.

    Returns:
        [n], 0..1; all 1 without points.
    """
    if len(prompts.points) == 0:
        return np.ones(len(logits))
    column, row = (prompts.points / CELL).astype(int).T
    row, column = row.clip(0, logits.shape[1] - 1), column.clip(0, logits.shape[2] - 1)
    return ((logits[:, row, column] > 0) == prompts.labels).mean(axis=1)


def stability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """How little each mask [n, h, w] changes with the threshold: IoU of the tight and the wide."""
    tight = (logits > _STABILITY_OFFSET).sum(axis=(1, 2))
    wide = (logits > -_STABILITY_OFFSET).sum(axis=(1, 2))
    return tight / np.maximum(wide, 1)


def _plausibility(answer: SamAnswer) -> NDArray[np.float64]:
    return 0.5 * (answer.scores + stability(answer.logits))


def _log_area(answer: SamAnswer) -> NDArray[np.float64]:
    return np.log((answer.logits > 0).mean(axis=(1, 2)) + _LEAST_AREA)
