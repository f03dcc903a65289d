# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers by photo: kept in the scene, with what a person has checked."""

from __future__ import annotations

import bpy

from mvsam_engine.capture import SceneObject
from mvsam_engine.errors import SegmentationError

from ..core.prompts import is_pending
from ..core.views import (
    ViewAnswer,
    ViewState,
    carry_checks,
    least_sure,
    state_of,
    to_check,
)
from . import objects
from .props import MVSAM_PG_object, MVSAM_PG_photo
from .props_views import MVSAM_PG_view


def answers_of(item: MVSAM_PG_object) -> dict[str, ViewAnswer]:
    """The object's last answers by view."""
    return {entry.name: _answer(entry) for entry in item.views}


def book_answers(item: MVSAM_PG_object, stored: SceneObject) -> None:
    """Keep the scores of a complete answer; checks stay where the mask did."""
    new = ((s.view, ViewAnswer(s.presence, s.confidence, s.area)) for s in stored.scores)
    answers = carry_checks(answers_of(item), new)
    item.views.clear()
    for view, answer in answers.items():
        entry = item.views.add()
        entry.name = view
        entry.presence, entry.confidence = answer.presence, answer.confidence
        entry.area, entry.checked = answer.area, answer.checked
    item.lowest_view = least_sure(answers)
    lowest = answers.get(item.lowest_view)
    item.lowest_confidence = lowest.confidence if lowest else 0.0


def states(scene: bpy.types.Scene, item: MVSAM_PG_object | None) -> dict[str, ViewState]:
    """How the object stands in every photo, in the order of the photos."""
    answers = answers_of(item) if item is not None else {}
    pending = item is not None and is_pending(objects.to_scene_object(item))
    below = scene.mvsam.views.check_below
    return {
        photo.view: state_of(photo.placed, answers.get(photo.view), pending, below)
        for photo in scene.mvsam.photos
    }


def state(
    scene: bpy.types.Scene, item: MVSAM_PG_object | None, photo: MVSAM_PG_photo
) -> tuple[ViewState, ViewAnswer | None]:
    """How the object stands in one photo, and the last answer there, None when there is none."""
    entry = item.views.get(photo.view) if item is not None else None
    answer = _answer(entry) if entry is not None else None
    pending = item is not None and is_pending(objects.to_scene_object(item))
    below = scene.mvsam.views.check_below
    return state_of(photo.placed, answer, pending, below), answer


def queue(scene: bpy.types.Scene, item: MVSAM_PG_object) -> list[str]:
    """The photos to check for an object, the least sure first."""
    listed = {photo.view for photo in scene.mvsam.photos if photo.placed}
    found = to_check(answers_of(item), scene.mvsam.views.check_below)
    return [view for view in found if view in listed]


def active_photo(scene: bpy.types.Scene) -> MVSAM_PG_photo | None:
    """The photo that is active in the list."""
    settings = scene.mvsam
    if 0 <= settings.active_photo < len(settings.photos):
        return settings.photos[settings.active_photo]
    return None


def active_view(scene: bpy.types.Scene) -> str:
    """Name of the photo that is active in the list, "" when none is."""
    photo = active_photo(scene)
    return photo.view if photo is not None else ""


def show(scene: bpy.types.Scene, view: str) -> None:
    """Make a photo the active one, which shows it in the Image Editor.

    Raises:
        SegmentationError: there is no such photo.
    """
    views = [photo.view for photo in scene.mvsam.photos]
    if view not in views:
        raise SegmentationError(
            "view.unknown", f"There is no photo {view!r}.", "Names have no ending such as .jpg."
        )
    scene.mvsam.active_photo = views.index(view)


def set_checked(item: MVSAM_PG_object, view: str, checked: bool) -> None:
    """Mark an object's mask in a photo as looked at, or take the mark back.

    Raises:
        SegmentationError: the object has no mask there.
    """
    entry = item.views.get(view)
    if entry is None:
        raise SegmentationError(
            "view.unanswered",
            f"{item.name} has no mask in {view} to check.",
            "Segment the object first; photos that could not be placed have no masks.",
        )
    entry.checked = checked


def _answer(entry: MVSAM_PG_view) -> ViewAnswer:
    return ViewAnswer(entry.presence, entry.confidence, entry.area, entry.checked)
