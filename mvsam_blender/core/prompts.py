# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts of an object: every change is a new revision, every answer belongs to one revision.

Undo brings an earlier revision back together with its prompts, so one number must never name two
different sets of prompts. `Revisions` therefore counts on from the highest number ever given out,
not from the current one.
"""

from __future__ import annotations

from collections.abc import Sequence

from mvsam_engine.capture import Prompt, SceneObject

from .strokes import distance_to_path


class Revisions:
    """Gives out revisions that were never used before for an object in this session."""

    def __init__(self) -> None:
        self._highest: dict[str, int] = {}

    def observe(self, object_id: str, revision: int) -> None:
        """Remember a revision that was met, e.g. in a capture that was opened."""
        self._highest[object_id] = max(revision, self._highest.get(object_id, 0))

    def next(self, object_id: str, current: int) -> int:
        """A revision for changed prompts, higher than all before."""
        self.observe(object_id, current)
        self._highest[object_id] += 1
        return self._highest[object_id]


def nearest_prompt(
    prompts: Sequence[Prompt], view: str, xy: tuple[float, float], reach: float
) -> int | None:
    """Index of the prompt of `view` nearest to photo pixel `xy`, None beyond `reach` pixels.

    Boxes are their frames, strokes all that they cover. Masks have no place of their own.
    """
    best: tuple[float, int] | None = None
    for index, prompt in enumerate(prompts):
        if prompt.view != view or not prompt.xy:
            continue
        distance = distance_to(prompt, xy)
        # Of two at the same place the newer one, which lies on top.
        if distance <= reach and (best is None or distance <= best[0]):
            best = (distance, index)
    return None if best is None else best[1]


def distance_to(prompt: Prompt, xy: tuple[float, float]) -> float:
    """How far photo pixel `xy` is from what a prompt's mark covers, in pixels."""
    if prompt.kind == "box":
        (x0, y0), (x1, y1) = prompt.xy
        return distance_to_path(xy, ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)))
    return max(0.0, distance_to_path(xy, prompt.xy) - prompt.radius)


def is_pending(item: SceneObject) -> bool:
    """Whether the object has prompts that no complete answer covers."""
    return bool(item.prompts) and item.answered != item.revision


def is_stale(revision: int, item: SceneObject | None) -> bool:
    """Whether an answer to `revision` comes too late: prompts changed, or the object is gone."""
    return item is None or item.revision != revision


def can_segment(item: SceneObject) -> bool:
    """Whether there is something to segment: at least one prompt that says "this is it"."""
    return any(prompt.include for prompt in item.prompts)
