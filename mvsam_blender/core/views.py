# SPDX-License-Identifier: GPL-3.0-or-later
"""How an object stands in each photo, and which photos a person should look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

# A photo shows the object when its presence is at least this.
PRESENT = 0.5
# A check holds on when a new answer changes the mask's area by no more than this share of it.
_SAME_AREA = 0.1


class ViewState(Enum):
    """What is known of an object in a photo; the value is what people read."""

    NOT_PLACED = "not placed"
    UNANSWERED = "no answer"
    PENDING = "pending"
    ABSENT = "absent"
    LOW = "low confidence"
    ANSWERED = "answered"
    CHECKED = "checked"


@dataclass(frozen=True, slots=True)
class ViewAnswer:
    """The last answer about one object in one photo.

    Attributes:
        presence: 0..1, whether the photo shows the object.
        confidence: 0..1, how well its mask agrees with the object's points.
        area: share of the photo inside the mask, 0..1.
        checked: a person has looked at it and agrees.
    """

    presence: float
    confidence: float
    area: float = 0.0
    checked: bool = False

    @property
    def present(self) -> bool:
        """Whether the photo shows the object."""
        return self.presence >= PRESENT


def state_of(
    placed: bool, answer: ViewAnswer | None, pending: bool, check_below: float
) -> ViewState:
    """How an object stands in a photo.

    Args:
        placed: whether the photo's camera is known.
        answer: the last answer there, None when there is none.
        pending: whether the object's prompts have changed since.
        check_below: a lower confidence is low.
    """
    if not placed:
        return ViewState.NOT_PLACED
    if pending:
        return ViewState.PENDING
    if answer is None:
        return ViewState.UNANSWERED
    if answer.checked:
        return ViewState.CHECKED
    if not answer.present:
        return ViewState.ABSENT
    return ViewState.LOW if answer.confidence < check_below else ViewState.ANSWERED


def to_check(answers: Mapping[str, ViewAnswer], check_below: float) -> list[str]:
    """Views that a person should look at, the least sure first.

    Those that show the object at a confidence below `check_below` and are not checked yet.
    """
    doubtful = [
        (answer.confidence, view)
        for view, answer in answers.items()
        if answer.present and not answer.checked and answer.confidence < check_below
    ]
    return [view for _, view in sorted(doubtful)]


def next_in(order: list[str], current: str) -> str | None:
    """The view after `current`, or the first; None when there is none but `current`."""
    if not order:
        return None
    if current not in order:
        return order[0]
    after = order[(order.index(current) + 1) % len(order)]
    return after if after != current else None


def least_sure(answers: Mapping[str, ViewAnswer]) -> str:
    """The view with the lowest confidence of those that show the object, "" when none does."""
    present = [(a.confidence, view) for view, a in answers.items() if a.present]
    return min(present)[1] if present else ""


def carry_checks(
    before: Mapping[str, ViewAnswer], after: Iterable[tuple[str, ViewAnswer]]
) -> dict[str, ViewAnswer]:
    """New answers, with the checks of those that say the same as before.

    A check is a person's word on a mask: it ends when the object appears, disappears, grows or
    shrinks there, so that the photo is asked about again.
    """
    return {view: _with_check(before.get(view), answer) for view, answer in after}


def _with_check(before: ViewAnswer | None, now: ViewAnswer) -> ViewAnswer:
    same = (
        before is not None
        and before.checked
        and before.present == now.present
        and abs(before.area - now.area) <= _SAME_AREA * max(before.area, now.area)
    )
    return ViewAnswer(now.presence, now.confidence, now.area, same)
