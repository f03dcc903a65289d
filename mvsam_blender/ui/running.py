# SPDX-License-Identifier: GPL-3.0-or-later
"""How operators run: at once, or as a job that they wait for in background mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy

from mvsam_engine.errors import Cancelled, MvsamError

from ..scene import loop, redraw
from ..scene.session import session

FINISHED, CANCELLED = {"FINISHED"}, {"CANCELLED"}


def run_job(
    operator: bpy.types.Operator, start: Callable[[], int], level: str = "ERROR"
) -> set[str]:
    """Start a job; wait for its end in background mode and where ``operator.wait`` asks for it.

    Args:
        operator: reports what went wrong, as a sentence.
        start: sends the request and returns its id.
        level: of that report; scripts get "ERROR" as an exception.
    """
    try:
        request = start()
        if bpy.app.background or operator.wait:
            loop.finish(request)
    except Cancelled:
        operator.report({"WARNING"}, "Cancelled. What was there before is unchanged.")
        return CANCELLED
    except MvsamError as error:
        return refuse(operator, error, level)
    redraw.redraw_all()
    return FINISHED


def poll_window(cls: type[bpy.types.Operator]) -> bool:
    """Whether there is a window to show something in; says so when not."""
    if bpy.app.background:
        cls.poll_message_set("There is no window to show them in")
        return False
    return True


def show_text_file(operator: bpy.types.Operator, path: Path) -> set[str]:
    """Load a log into a text of the same name, and say where it is."""
    text = bpy.data.texts.get(path.name) or bpy.data.texts.new(path.name)
    text.from_string(path.read_text(encoding="utf-8", errors="replace"))
    operator.report({"INFO"}, f"See the text {text.name!r} in a Text Editor.")
    return FINISHED


def refuse(operator: bpy.types.Operator, error: MvsamError, level: str = "ERROR") -> set[str]:
    """Tell an error as a report and in the panel."""
    session().tell_error(error)
    operator.report({level}, str(error))
    redraw.redraw_all()
    return CANCELLED
