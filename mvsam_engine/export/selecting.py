# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects are meant, and whether their masks can be relied on."""

from __future__ import annotations

from collections.abc import Sequence

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.errors import SegmentationError
from mvsam_engine.progress import Progress


def chosen_objects(capture: Capture, names: Sequence[str], progress: Progress) -> list[SceneObject]:
    """The objects called `names`, all that have masks when there are none; may be empty then.

    Raises:
        SegmentationError: an object that does not exist or has no masks; the sentence names those
            that do.
    """
    if names:
        items = [_segmented(capture, name) for name in dict.fromkeys(names)]
    else:
        items = [item for item in capture.objects() if item.segmenter]
    for item in items:
        if item.answered != item.revision:
            progress.warn(
                "object.stale",
                f"The masks of {item.name!r} are older than its prompts or cameras.",
                "Segment it again before you rely on them.",
            )
    return items


def some_objects(capture: Capture, names: Sequence[str], progress: Progress) -> list[SceneObject]:
    """Like `chosen_objects`, for exports that are nothing without an object.

    Raises:
        SegmentationError: also when no object has masks.
    """
    items = chosen_objects(capture, names, progress)
    if not items:
        raise SegmentationError(
            "object.none", "This capture has no masks yet.", "Run `mvsam segment` first."
        )
    return items


def _segmented(capture: Capture, name: str) -> SceneObject:
    item = capture.find_object(name)
    if item is None:
        there = ", ".join(repr(o.name) for o in capture.objects()) or "none yet"
        raise SegmentationError(
            "object.missing", f"There is no object {name!r}.", f"Objects are: {there}."
        )
    if not item.segmenter:
        raise SegmentationError(
            "object.unsegmented", f"Object {name!r} has no masks yet.", "Run `mvsam segment` first."
        )
    return item
