# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: where the engine is, and on what it computes; the work is in scenes."""

import shlex
import shutil
import sys
from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..core import installing
from ..core.process import engine_command
from ..scene.session import EngineSettings
from .preferences_draw import draw_preferences

PACKAGE = __package__.rpartition(".")[0]


def _python_chosen(self, _context):
    """Whoever names a Python means it."""
    if self.engine_python and self.engine_mode == "INSTALLED":
        self.engine_mode = "PYTHON"


class MVSAM_AddonPreferences(bpy.types.AddonPreferences):
    """The machine; the work itself is in the scene."""

    bl_idname = PACKAGE

    engine_mode: EnumProperty(
        name="Engine",
        items=[
            ("INSTALLED", "Installed Here", "The engine that the button below installs"),
            ("PYTHON", "My Python", "A Python that mvsam-engine is installed in"),
            ("COMMAND", "Command", "Any command that serves an engine, e.g. over ssh"),
        ],
        default="INSTALLED",
    )
    engine_python: StringProperty(
        name="Engine's Python",
        description="The Python that mvsam-engine is installed in",
        subtype="FILE_PATH",
        update=_python_chosen,
    )
    engine_command: StringProperty(
        name="Command", description="For example: ssh gpu-box mvsam serve"
    )
    engine_home: StringProperty(
        name="Folder",
        description="Where the engine is installed; empty: your data folder of this system",
        subtype="DIR_PATH",
    )
    torch_build: EnumProperty(
        name="PyTorch",
        items=[
            ("AUTO", "Automatic", "For the GPU where an NVIDIA driver is found"),
            ("CPU", "Processor", "Small; works everywhere"),
            ("CUDA", "NVIDIA GPU", "Large; needs an NVIDIA GPU and its driver"),
            ("INDEX", "As the Index Has It", "Whatever your pip's package index offers"),
        ],
        default="AUTO",
    )
    wheel_folder: StringProperty(
        name="Offline Folder",
        description="A folder with all wheels, to install without internet; empty: download them",
        subtype="DIR_PATH",
    )
    base_python: StringProperty(
        name="Made From",
        description="Python 3.11 or newer that the environment is made from; empty: Blender's own",
        subtype="FILE_PATH",
    )
    weights_folder: StringProperty(
        name="Weights Folder",
        description="Where weights that you add lie; empty: your data folder of this system",
        subtype="DIR_PATH",
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
        draw_preferences(self.layout, context, self, home_of(self))


def preferences(context: bpy.types.Context) -> MVSAM_AddonPreferences | None:
    """Our preferences, None when the package runs without being enabled as an add-on."""
    addon = context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon is not None else None


def home_of(found: MVSAM_AddonPreferences) -> Path:
    """The folder that engines are installed in."""
    named = found.engine_home.strip()
    return Path(bpy.path.abspath(named)) if named else installing.default_home()


def torch_of(found: MVSAM_AddonPreferences) -> installing.TorchBuild:
    """Which build of torch to install."""
    if found.torch_build == "AUTO":
        return "cuda" if shutil.which("nvidia-smi") and sys.platform != "darwin" else "cpu"
    return {"CPU": "cpu", "CUDA": "cuda", "INDEX": "index"}[found.torch_build]


def engine_settings() -> EngineSettings:
    """How the person wants the engine to be started."""
    found = preferences(bpy.context)
    if found is None:
        return EngineSettings(())
    weights = bpy.path.abspath(found.weights_folder) if found.weights_folder else ""
    return EngineSettings(tuple(_command(found)), found.device, _log_file(), weights)


def _command(found: MVSAM_AddonPreferences) -> list[str]:
    if found.engine_mode == "COMMAND":
        return shlex.split(found.engine_command, posix=sys.platform != "win32")
    if found.engine_mode == "PYTHON":
        return engine_command(bpy.path.abspath(found.engine_python)) if found.engine_python else []
    installed = installing.look(home_of(found)).installed
    return engine_command(str(installed.python)) if installed and not installed.broken else []


def _log_file() -> Path:
    """The engine's log, in the folder that Blender gives to an extension."""
    if not PACKAGE.startswith("bl_ext."):
        return EngineSettings(()).log
    return Path(bpy.utils.extension_path_user(PACKAGE, create=True)) / "engine.log"


CLASSES = (MVSAM_AddonPreferences,)
