# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where the engine is, on what it computes, and whether it answers."""

import shlex
import sys
from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..core.process import engine_command
from ..scene.session import EngineSettings, session
from .messages import draw_message

PACKAGE = __package__.rpartition(".")[0]


class MVSAM_AddonPreferences(bpy.types.AddonPreferences):
    """The machine; the work itself is in the scene."""

    bl_idname = PACKAGE

    engine_mode: EnumProperty(
        name="Engine",
        items=[
            ("PYTHON", "Python", "The Python that mvsam-engine is installed in"),
            ("COMMAND", "Command", "Any command that serves an engine, e.g. over ssh"),
        ],
        default="PYTHON",
    )
    engine_python: StringProperty(
        name="Engine's Python",
        description="The Python that mvsam-engine is installed in",
        subtype="FILE_PATH",
    )
    engine_command: StringProperty(
        name="Command", description="For example: ssh gpu-box mvsam serve"
    )
    device: EnumProperty(
        name="Device",
        items=[
            ("auto", "Automatic", "The fastest that is there"),
            ("cpu", "Processor", "Always works"),
            ("cuda", "NVIDIA GPU", "CUDA"),
            ("mps", "Apple GPU", "Metal"),
        ],
        default="auto",
    )

    def draw(self, context: bpy.types.Context) -> None:
        """Show the settings and what the engine said of itself."""
        layout = self.layout
        layout.use_property_split = True
        layout.row().prop(self, "engine_mode", expand=True)
        if self.engine_mode == "PYTHON":
            layout.prop(self, "engine_python")
        else:
            layout.prop(self, "engine_command")
        layout.prop(self, "device")
        row = layout.row()
        row.operator("mvsam.check_engine", icon="CHECKMARK")
        row.operator("mvsam.find_engine", icon="VIEWZOOM")
        _draw_check(layout)
        draw_message(layout, context)


def preferences(context: bpy.types.Context) -> MVSAM_AddonPreferences | None:
    """Our preferences, None when the package runs without being enabled as an add-on."""
    addon = context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon is not None else None


def engine_settings() -> EngineSettings:
    """How the person wants the engine to be started."""
    found = preferences(bpy.context)
    if found is None:
        return EngineSettings(())
    if found.engine_mode == "COMMAND":
        command = shlex.split(found.engine_command, posix=sys.platform != "win32")
    elif found.engine_python:
        command = engine_command(bpy.path.abspath(found.engine_python))
    else:
        command = []
    return EngineSettings(tuple(command), found.device, _log_file())


def _log_file() -> Path:
    """The engine's log, in the folder that Blender gives to an extension."""
    if not PACKAGE.startswith("bl_ext."):
        return EngineSettings(()).log
    return Path(bpy.utils.extension_path_user(PACKAGE, create=True)) / "engine.log"


def _draw_check(layout: bpy.types.UILayout) -> None:
    state = session()
    if not state.check:
        return
    box = layout.box()
    for index, line in enumerate(state.check):
        good = state.check_ok and index == 0
        box.label(text=line, icon="CHECKMARK" if good else "BLANK1")


CLASSES = (MVSAM_AddonPreferences,)
