# SPDX-License-Identifier: GPL-3.0-or-later
"""How operators run: at once, or as a job that they wait for in background mode."""

from __future__ import annotations

from collections.abc import Callable

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


def refuse(operator: bpy.types.Operator, error: MvsamError, level: str = "ERROR") -> set[str]:
    """Tell an error as a report and in the panel."""
    session().tell_error(error)
    operator.report({level}, str(error))
    redraw.redraw_all()
    return CANCELLED
