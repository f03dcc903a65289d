# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences for people in panels, each with the button that mends what went wrong."""

from __future__ import annotations

import textwrap

import bpy

from ..scene.session import session

_ICONS = {"INFO": "INFO", "WARNING": "ERROR", "ERROR": "CANCEL"}

# code of an error -> operators that help
_FIXES: dict[str, tuple[str, ...]] = {
    "engine.unset": ("mvsam.find_engine", "mvsam.open_preferences"),
    "engine.start": ("mvsam.find_engine", "mvsam.open_preferences"),
    "engine.died": ("mvsam.check_engine", "mvsam.open_log"),
    "engine.fault": ("mvsam.open_log",),
    "engine.protocol": ("mvsam.open_preferences", "mvsam.open_log"),
    "protocol.mismatch": ("mvsam.open_preferences", "mvsam.open_log"),
    "capture.unset": ("mvsam.import_photos", "mvsam.open_capture"),
    "capture.missing": ("mvsam.open_capture",),
    "weights.grid": ("mvsam.segment",),
}


def draw_message(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Show the last message, wrapped to the region's width, with its buttons."""
    message = session().message
    if message is None:
        return
    box = layout.box()
    box.alert = message.level == "ERROR"
    column = box.column(align=True)
    lines = textwrap.wrap(message.text, _characters(context), break_on_hyphens=False)
    for index, line in enumerate(lines):
        row = column.row()
        row.label(text=line, icon=_ICONS[message.level] if index == 0 else "BLANK1")
        if index == 0:
            row.operator("mvsam.dismiss", text="", icon="X", emboss=False)
    for operator in _FIXES.get(message.code, ()):
        box.operator(operator)


def draw_progress(layout: bpy.types.UILayout) -> None:
    """Show what the engine is at, counted, with a button to cancel it."""
    job = session().leading_job()
    if job is None:
        return
    row = layout.row(align=True)
    row.progress(factor=job.done / job.total if job.total else 0.0, text=job.title)
    row.operator("mvsam.cancel", text="", icon="X")


def _characters(context: bpy.types.Context) -> int:
    """How many characters fit between an icon and a button into the region."""
    scale = context.preferences.system.ui_scale
    return max(20, int((context.region.width / scale - 110) / 6.3)) if context.region else 60
