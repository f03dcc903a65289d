# SPDX-License-Identifier: GPL-3.0-or-later
"""When to ask what a click would mark, and which answer still holds. No clock and no Blender here.

At most one question is under way. An engine that is slow is left alone for a while: a preview that
comes late says nothing, and would keep a click waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.protocol import PreviewResult

# The mouse rests when it has not moved for so long (seconds).
REST = 0.08
# Answers that take the engine longer than this are too late to be of use.
TOO_SLOW = 0.15
# How long an engine that was too slow, or not ready, is left alone.
PAUSE = 4.0
# The mouse may have left the photo without a word: then the preview goes too.
FORGOTTEN = 3.0
# Nearer than this to where it was asked, in photo pixels, an answer holds.
SAME_PLACE = 2.0


@dataclass(frozen=True, slots=True)
class Question:
    """What a click would be.

    Attributes:
        capture: folder of the capture.
        object_id: the object that it would go to; "" for a new one.
        revision: of that object's prompts.
        view: the photo.
        x: photo pixels.
        y: photo pixels.
    """

    capture: str
    object_id: str
    revision: int
    view: str
    x: float
    y: float

    def holds_at(self, other: Question) -> bool:
        """Whether its answer is one to `other` too."""
        near = abs(self.x - other.x) < SAME_PLACE and abs(self.y - other.y) < SAME_PLACE
        return near and self.same_photo(other)

    def same_photo(self, other: Question) -> bool:
        """Whether they differ in nothing but the place."""
        mine = (self.capture, self.object_id, self.revision, self.view)
        return mine == (other.capture, other.object_id, other.revision, other.view)


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """An answer: the mask [h, w] float32, 1 is object, on a coarse grid over the photo."""

    question: Question
    mask: NDArray[np.float32]

    def covers(self, question: Question, width: int, height: int) -> bool:
        """Whether a place in the photo, `width` x `height` pixels, lies inside the mask."""
        rows, columns = self.mask.shape
        row = min(int(question.y / height * rows), rows - 1)
        return bool(self.mask[row, min(int(question.x / width * columns), columns - 1)] > 0.5)


class Hover:
    """Follows the mouse and the engine's answers; times are seconds of any one clock."""

    def __init__(self) -> None:
        self.preview: Preview | None = None
        self._place: Question | None = None
        self._moved = 0.0
        self._open: tuple[int, Question] | None = None
        self._paused_until = 0.0
        self._refused: Question | None = None

    def follow(self, place: Question | None, size: tuple[int, int], now: float) -> bool:
        """The mouse is at a place of a photo of `size`, or at none; whether to redraw."""
        if place is not None and self._place is not None and self._place.holds_at(place):
            return False
        self._place, self._moved = place, now
        preview = self.preview
        if preview is None:
            return False
        same = place is not None and preview.question.same_photo(place)
        # Inside what it shows the preview stays until the next one is there: it is likely the same.
        if not same or not preview.covers(place, *size):  # type: ignore[arg-type]
            self.preview = None
            return True
        return False

    def wanted(self, now: float) -> Question | None:
        """What to ask now, None when nothing."""
        place = self._place
        if place is None or self._open is not None or now < self._paused_until:
            return None
        if now - self._moved < REST or now - self._moved > FORGOTTEN:
            return None
        shown = self.preview is not None and self.preview.question.holds_at(place)
        refused = self._refused is not None and self._refused.holds_at(place)
        return None if shown or refused else place

    def asked(self, request: int, question: Question) -> None:
        """The question is under way."""
        self._open = (request, question)

    def is_open(self, request: int) -> bool:
        """Whether it is ours, and under way."""
        return self._open is not None and self._open[0] == request

    @property
    def waits(self) -> bool:
        """Whether an answer is to come."""
        return self._open is not None

    def answered(self, result: PreviewResult, now: float) -> bool:
        """The answer to the open question is there; whether to redraw."""
        if self._open is None:
            return False
        question, self._open = self._open[1], None
        if not result.ready or result.seconds > TOO_SLOW:
            self._paused_until = now + PAUSE
            return False
        if self._place is None or not question.holds_at(self._place):
            return False  # the mouse is elsewhere already
        cells = np.repeat(np.arange(len(result.runs)) % 2 == 1, result.runs)
        mask = cells.reshape(result.height, result.width).astype(np.float32)
        self.preview = Preview(question, mask)
        return True

    def failed(self) -> None:
        """The open question was refused: it is not asked again there."""
        if self._open is not None:
            self._refused, self._open = self._open[1], None

    def fade(self, now: float) -> bool:
        """Drop a preview that is long forgotten; whether to redraw."""
        if self.preview is None or now - self._moved <= FORGOTTEN:
            return False
        self.preview = None
        return True

    def clear(self) -> bool:
        """Show nothing any more; whether to redraw."""
        had, self.preview, self._place = self.preview is not None, None, None
        return had
