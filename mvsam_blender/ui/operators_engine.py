# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators on the engine: check, find, cancel, log."""

import shutil
import sys
from pathlib import Path

import bpy
from bpy.props import BoolProperty

from ..scene import jobs, redraw
from ..scene.session import session
from .preferences import PACKAGE, preferences
from .running import CANCELLED, FINISHED, poll_window, run_job, show_text_file


class MVSAM_OT_check_engine(bpy.types.Operator):
    """Start the engine and ask it what it has and what it lacks"""

    bl_idname = "mvsam.check_engine"
    bl_label = "Check Engine"

    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    def execute(self, _context):
        state = session()
        state.check, state.check_ok, state.report = (), False, None
        return run_job(self, jobs.start_doctor)


class MVSAM_OT_find_engine(bpy.types.Operator):
    """Look for an installed mvsam command and use its Python"""

    bl_idname = "mvsam.find_engine"
    bl_label = "Find Engine"

    def execute(self, context):
        settings = preferences(context)
        command = shutil.which("mvsam")
        python = _python_beside(Path(command)) if command else None
        if settings is None or python is None:
            text = (
                "No mvsam command was found on this machine. Install the engine in the "
                "preferences, or set the Python that has it."
            )
            session().tell(text, "WARNING")
            self.report({"WARNING"}, text)
            return CANCELLED
        settings.engine_mode, settings.engine_python = "PYTHON", str(python)
        session().tell(f"The engine's Python is {python}.")
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_open_preferences(bpy.types.Operator):
    """Show the add-on's preferences"""

    bl_idname = "mvsam.open_preferences"
    bl_label = "Open Preferences"

    @classmethod
    def poll(cls, _context):
        return poll_window(cls)

    def execute(self, _context):
        bpy.ops.preferences.addon_show(module=PACKAGE)
        return FINISHED


class MVSAM_OT_cancel(bpy.types.Operator):
    """Stop what the engine is doing; what was there before stays as it was"""

    bl_idname = "mvsam.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context):
        if session().jobs:
            return True
        cls.poll_message_set("Nothing is running")
        return False

    def execute(self, _context):
        jobs.cancel_all()
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_open_log(bpy.types.Operator):
    """Load the engine's log as a text, to read or to send with a report"""

    bl_idname = "mvsam.open_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, _context):
        if session().settings().log.is_file():
            return True
        cls.poll_message_set("The engine has not written a log yet")
        return False

    def execute(self, _context):
        return show_text_file(self, session().settings().log)


class MVSAM_OT_dismiss(bpy.types.Operator):
    """Hide this message"""

    bl_idname = "mvsam.dismiss"
    bl_label = "Dismiss"
    bl_options = {"INTERNAL"}

    def execute(self, _context):
        session().message = None
        redraw.redraw_all()
        return FINISHED


def _python_beside(command: Path) -> Path | None:
    """The interpreter of the environment that a console script belongs to."""
    names = ("python.exe",) if sys.platform == "win32" else ("python", "python3")
    folders = (command.parent, command.resolve().parent, command.resolve().parent.parent)
    return next((f / n for f in folders for n in names if (f / n).is_file()), None)


CLASSES = (
    MVSAM_OT_check_engine,
    MVSAM_OT_find_engine,
    MVSAM_OT_open_preferences,
    MVSAM_OT_cancel,
    MVSAM_OT_open_log,
    MVSAM_OT_dismiss,
)
