# SPDX-License-Identifier: GPL-3.0-or-later
"""How the preferences look: the engine, what it can do on its machine, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import bpy

from ..core import installing
from ..core.report import EngineReport, Row
from ..scene.session import session
from .messages import draw_install, draw_message, draw_progress, wrap

_ICONS = {"good": "CHECKMARK", "plain": "BLANK1", "bad": "ERROR"}
_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent


def draw_preferences(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    settings: bpy.types.AddonPreferences,
    home: Path,
) -> None:
    """Draw everything.

    Args:
        layout: of the preferences.
        context: of the window.
        settings: the preferences.
        home: folder that engines are installed in.
    """
    layout.use_property_split = True
    layout.use_property_decorate = False
    layout.row().prop(settings, "engine_mode", expand=True)
    if settings.engine_mode == "INSTALLED":
        _draw_installed(layout, context, settings, home)
    elif settings.engine_mode == "PYTHON":
        row = layout.row(align=True)
        row.prop(settings, "engine_python")
        row.operator("mvsam.find_engine", text="", icon="VIEWZOOM")
    else:
        layout.prop(settings, "engine_command")
        _draw_text(layout, context, "It must see the captures under the same paths as Blender.")
    column = layout.column()
    column.prop(settings, "device")
    column.prop(settings, "weights_folder")
    row = layout.row()
    row.operator("mvsam.check_engine", icon="CHECKMARK")
    row.operator("mvsam.restart_engine", icon="FILE_REFRESH")
    row.operator("mvsam.open_log", icon="TEXT")
    draw_progress(layout)
    draw_message(layout, context)
    if session().report is not None:
        _draw_report(layout, context, session().report)


def _draw_installed(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    settings: bpy.types.AddonPreferences,
    home: Path,
) -> None:
    state = installing.look(home)
    installed = state.installed
    box = layout.box()
    if installed is None:
        text = (
            "An installation was interrupted. Install again; downloads are not repeated."
            if state.unfinished and session().install is None
            else "No engine is installed yet. It is a program of its own, outside of Blender."
        )
        _draw_text(box, context, text, "INFO")
    elif installed.broken:
        text = f"The engine cannot be used any more. {installed.broken} Install it again."
        _draw_text(box, context, text, "ERROR")
    else:
        text = f"Engine {installed.version} is installed in {installed.folder}"
        _draw_text(box, context, text, "CHECKMARK")
    row = box.row()
    wheel = installing.find_wheel(_PACKAGE_FOLDER)
    newer = installed is not None and wheel is not None and _outdated(installed, wheel)
    if newer:
        text = f"The add-on carries another engine ({installing.wheel_version(wheel)}). Update."
        _draw_text(box, context, text, "INFO")
        row = box.row()
    word = "Install Engine" if installed is None else "Update Engine" if newer else "Reinstall"
    row.operator("mvsam.install_engine", text=word, icon="IMPORT")
    row.operator("mvsam.remove_engine", icon="TRASH")
    draw_install(box)
    column = box.column()
    column.prop(settings, "engine_home", placeholder=str(home))
    column.prop(settings, "torch_build")
    column.prop(settings, "wheel_folder")
    column.prop(settings, "base_python")


def _outdated(installed: installing.Installed, wheel: Path) -> bool:
    stamp = wheel.stat()
    return installed.wheel != _digest(wheel, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=2)
def _digest(wheel: Path, _modified: int, _size: int) -> str:
    """A wheel's hash, once for each file: this runs at every redraw."""
    return installing.digest(wheel)


def _draw_report(
    layout: bpy.types.UILayout, context: bpy.types.Context, report: EngineReport
) -> None:
    box = layout.box()
    for problem in report.problems:
        _draw_text(box, context, problem, "ERROR", alert=True)
    if not report.problems:
        box.label(text="Everything that MV-SAM needs is there.", icon="CHECKMARK")
    _draw_rows(box, report.rows)
    box.separator()
    box.label(text="What Each Preset Takes")
    _draw_rows(box, report.presets)
    box.separator()
    box.label(text="Weights and Their Licences")
    _draw_rows(box, report.weights)
    if report.optional:
        text = f"{report.optional} more can be added with `mvsam weights get`; none is needed."
        _draw_text(box, context, text, "BLANK1")


def _draw_rows(layout: bpy.types.UILayout, rows: Sequence[Row]) -> None:
    column = layout.column(align=True)
    for row in rows:
        split = column.split(factor=0.22)
        label = split.row()
        label.label(text=row.label, icon=_ICONS[row.standing])
        text = split.row()
        text.alert = row.standing == "bad"
        text.label(text=row.text)


def _draw_text(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    text: str,
    icon: str = "NONE",
    alert: bool = False,
) -> None:
    column = layout.column(align=True)
    column.alert = alert
    for index, line in enumerate(wrap(context, text)):
        column.label(text=line, icon=icon if index == 0 or icon == "NONE" else "BLANK1")
