# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences for people in panels, each with the button that mends what went wrong."""

from __future__ import annotations

import textwrap

import bpy

from ..scene import recovery
from ..scene.session import session

_ICONS = {"INFO": "INFO", "WARNING": "ERROR", "ERROR": "CANCEL"}

# code of an error -> operators that help
_FIXES: dict[str, tuple[str, ...]] = {
    "engine.unset": ("mvsam.install_engine", "mvsam.open_preferences"),
    "engine.start": ("mvsam.find_engine", "mvsam.open_preferences"),
    "engine.missing": ("mvsam.install_engine", "mvsam.open_preferences"),
    "engine.died": ("mvsam.restart_engine", "mvsam.open_log"),
    "engine.silent": ("mvsam.stop_engine", "mvsam.open_preferences", "mvsam.open_log"),
    "engine.fault": ("mvsam.open_log",),
    "engine.protocol": ("mvsam.install_engine", "mvsam.open_preferences"),
    "protocol.mismatch": ("mvsam.open_preferences", "mvsam.open_log"),
    "protocol.method": ("mvsam.install_engine", "mvsam.open_preferences"),
    "install.online": ("mvsam.open_network_preferences",),
    "install.failed": ("mvsam.open_install_log",),
    "memory.killed": ("mvsam.restart_engine",),
    "capture.unset": ("mvsam.import_photos", "mvsam.open_capture"),
    "capture.missing": ("mvsam.open_capture",),
    "weights.grid": ("mvsam.segment",),
}

# The preferences draw the message too; there these would lead to where one is.
_ELSEWHERE = frozenset({"mvsam.open_preferences", "mvsam.install_engine"})


def draw_message(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Show the last message, wrapped to the region's width, with its buttons."""
    message = session().message
    if message is None:
        return
    box = layout.box()
    box.alert = message.level == "ERROR"
    column = box.column(align=True)
    for index, line in enumerate(wrap(context, message.text)):
        row = column.row()
        row.label(text=line, icon=_ICONS[message.level] if index == 0 else "BLANK1")
        if index == 0:
            row.operator("mvsam.dismiss", text="", icon="X", emboss=False)
    # Buttons are no alarm.
    buttons = layout.column(align=True)
    inside = context.area is not None and context.area.type == "PREFERENCES"
    for operator in _FIXES.get(message.code, ()):
        if not (inside and operator in _ELSEWHERE):
            buttons.operator(operator)
    if message.code in recovery.TOO_MUCH or message.code == "engine.died":
        _draw_smaller(buttons)


def _draw_smaller(layout: bpy.types.UILayout) -> None:
    """Buttons for the next smaller setting, as far as the last work has one."""
    setback = session().setback
    if setback is None:
        return
    if setback.on_processor is not None:
        layout.operator("mvsam.use_processor")
    if setback.smaller is not None:
        words = setback.smaller.words.removeprefix("the preset ")
        layout.operator("mvsam.reconstruct_smaller", text=f"Reconstruct with {words.capitalize()}")
    if setback.code == "memory.forecast":
        layout.operator("mvsam.reconstruct", text="Reconstruct Anyway").anyway = True


def draw_progress(layout: bpy.types.UILayout) -> None:
    """Show what the engine is at, counted, with a button to cancel it."""
    job = session().leading_job()
    if job is None:
        return
    row = layout.row(align=True)
    row.progress(factor=job.done / job.total if job.total else 0.0, text=job.title)
    if recovery.is_stuck():
        row.operator("mvsam.stop_engine", text="", icon="CANCEL")
    else:
        row.operator("mvsam.cancel", text="", icon="X")


def draw_install(layout: bpy.types.UILayout) -> None:
    """Show an installation under way, with a button to cancel it."""
    run = session().install
    if run is None or run.ended:
        return
    row = layout.row(align=True)
    row.progress(factor=run.progress.share, text=run.progress.title)
    row.operator("mvsam.cancel_install", text="", icon="X")


def wrap(context: bpy.types.Context, text: str) -> list[str]:
    """Lines that fit between an icon and a button into the region."""
    scale = context.preferences.system.ui_scale
    width = max(20, int((context.region.width / scale - 110) / 6.3)) if context.region else 60
    return textwrap.wrap(text, width, break_on_hyphens=False)
