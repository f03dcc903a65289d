# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that install and remove the engine's own environment, always after asking."""

import shutil
import sys
import threading
from pathlib import Path

import bpy
from bpy.props import BoolProperty

from mvsam_engine.errors import MvsamError

from ..core import installing
from ..core.install_run import InstallRun
from ..core.installing import InstallError, InstallPlan
from ..core.pythons import ask_python, find_python
from ..scene import jobs, redraw
from ..scene.session import session
from .preferences import home_of, preferences, torch_of
from .running import CANCELLED, FINISHED, poll_window, refuse, show_text_file

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
_POLL_SECONDS = 0.2


class MVSAM_OT_install_engine(bpy.types.Operator):
    """Install the engine that this add-on carries into an environment of its own"""

    bl_idname = "mvsam.install_engine"
    bl_label = "Install Engine"

    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        if preferences(context) is None:
            cls.poll_message_set("The add-on is not enabled")
            return False
        if session().install is not None:
            cls.poll_message_set("It is being installed")
            return False
        return True

    def invoke(self, context, _event):
        try:
            self._plan = _plan(context)
        except MvsamError as error:
            return refuse(self, error)
        return context.window_manager.invoke_props_dialog(
            self, width=560, title="Install the MV-SAM Engine", confirm_text="Install"
        )

    def draw(self, _context):
        _draw_plan(self.layout, self._plan)

    def execute(self, context):
        try:
            run = InstallRun(_plan(context))
        except MvsamError as error:
            return refuse(self, error)
        session().install = run
        session().tell("The engine is being installed. You can go on working.")
        if bpy.app.background or self.wait:
            while not run.ended:
                run.poll(_POLL_SECONDS)
            ended = _ended(run)
            self.report({"INFO" if ended else "ERROR"}, session().message.text)
            return FINISHED if ended else CANCELLED
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_cancel_install(bpy.types.Operator):
    """Stop installing; what was installed before stays"""

    bl_idname = "mvsam.cancel_install"
    bl_label = "Cancel Installation"

    @classmethod
    def poll(cls, _context):
        if session().install is None:
            cls.poll_message_set("Nothing is being installed")
            return False
        return True

    def execute(self, _context):
        session().install.cancel()
        return FINISHED


class MVSAM_OT_remove_engine(bpy.types.Operator):
    """Remove the installed engine from this machine; captures and weights stay"""

    bl_idname = "mvsam.remove_engine"
    bl_label = "Remove"

    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        found = preferences(context)
        if found is None or session().install is not None:
            cls.poll_message_set("It is being installed")
            return False
        state = installing.look(home_of(found))
        if state.installed is None and not state.unfinished:
            cls.poll_message_set("No engine is installed in this folder")
            return False
        if session().jobs:
            cls.poll_message_set("The engine is at work; cancel that first")
            return False
        return True

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Remove the MV-SAM Engine?",
            message=f"Everything of it in {home_of(preferences(context))} is deleted.",
            confirm_text="Remove",
            icon="WARNING",
        )

    def execute(self, context):
        home = home_of(preferences(context))
        state = session()
        if state.client is not None:
            state.client.stop()
            state.client = None
        state.report, state.check, state.check_ok = None, (), False
        removal = Removal(home)
        if bpy.app.background or self.wait:
            removal.join()
            removal.watch()
            if removal.error is not None:
                return refuse(self, removal.error)
        else:
            state.watchers.append(removal.watch)
            state.tell("The engine is being removed.")
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_open_install_log(bpy.types.Operator):
    """Load what pip said as a text, to read or to send with a report"""

    bl_idname = "mvsam.open_install_log"
    bl_label = "Open Installation Log"

    @classmethod
    def poll(cls, context):
        found = preferences(context)
        if found is None or not (home_of(found) / installing.LOG).is_file():
            cls.poll_message_set("Nothing was installed yet")
            return False
        return True

    def execute(self, context):
        return show_text_file(self, home_of(preferences(context)) / installing.LOG)


class MVSAM_OT_open_network_preferences(bpy.types.Operator):
    """Show where Blender may be allowed to go online"""

    bl_idname = "mvsam.open_network_preferences"
    bl_label = "Open System Preferences"

    @classmethod
    def poll(cls, _context):
        return poll_window(cls)

    def execute(self, _context):
        bpy.ops.screen.userpref_show(section="SYSTEM")
        return FINISHED


class Removal:
    """Removes an engine in a thread: tens of thousands of files take seconds.

    Args:
        home: folder of the engines.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.error: InstallError | None = None
        self._thread = threading.Thread(target=self._work, name="mvsam-remove", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def watch(self) -> bool:
        """Tell the end; whether it is still under way."""
        if self._thread.is_alive():
            return True
        state = session()
        if self.error is not None:
            state.tell_error(self.error)
        else:
            state.tell("The engine was removed. Captures and weights are untouched.")
        if self.watch in state.watchers:
            state.watchers.remove(self.watch)
        redraw.redraw_all()
        return False

    def _work(self) -> None:
        try:
            installing.remove(self.home)
        except InstallError as error:
            self.error = error


def watch_install() -> bool:
    """Follow an installation; whether one is under way. Called at every turn of the timer."""
    run = session().install
    if run is None:
        return False
    if run.poll():
        redraw.redraw_all()
        redraw.refresh_status()
    if run.ended:
        _ended(run)
    return not run.ended


def _ended(run: InstallRun) -> bool:
    """Tell how an installation ended and use what it made; whether it went well."""
    state = session()
    state.install = None
    if run.cancelled:
        state.tell("The installation was cancelled. What was installed before is unchanged.")
    elif run.error is not None:
        state.tell_error(run.error)
    else:
        state.tell("The engine is installed.")
        _use(run.plan.home)
    redraw.redraw_all()
    redraw.refresh_status()
    return run.error is None and not run.cancelled


def _use(home: Path) -> None:
    """Switch to the engine that was just installed, and check it."""
    state, found = session(), preferences(bpy.context)
    found.engine_mode = "INSTALLED"
    bpy.context.preferences.is_dirty = True
    if state.jobs:
        return  # the old one finishes its work; the next question starts the new one
    if state.client is not None:
        state.client.stop()
        state.client = None
    threading.Thread(target=installing.tidy, args=(home,), name="mvsam-tidy", daemon=True).start()
    if not bpy.app.background:
        try:
            jobs.start_doctor()
        except MvsamError as error:
            state.tell_error(error)


def _plan(context: bpy.types.Context) -> InstallPlan:
    """What would be installed, checked.

    Raises:
        InstallError: it cannot be, in a sentence.
    """
    found = preferences(context)
    wheel = installing.find_wheel(PACKAGE_FOLDER)
    if wheel is None:
        raise InstallError(
            "install.wheel",
            "This copy of the add-on carries no engine.",
            "Install the add-on from its zip, or choose a Python that has mvsam-engine.",
        )
    folder = Path(bpy.path.abspath(found.wheel_folder)) if found.wheel_folder else None
    if folder is None and not bpy.app.online_access:
        raise InstallError(
            "install.online",
            "Blender may not go online, so nothing can be downloaded.",
            "Allow Online Access in the system preferences, or set an offline folder.",
        )
    named = bpy.path.abspath(found.base_python) if found.base_python else ""
    python = ask_python(named) if named else find_python([sys.executable])
    if python.lack:
        remedy = "Name a Python 3.11 or newer under Made From in the preferences."
        raise InstallError("install.python", python.lack, remedy)
    plan = InstallPlan(home_of(found), python.path, wheel, torch_of(found), folder)
    installing.check_plan(plan)
    return plan


def _draw_plan(layout: bpy.types.UILayout, plan: InstallPlan) -> None:
    free = shutil.disk_usage(next(p for p in (plan.home, *plan.home.parents) if p.exists())).free
    builds = {"cpu": "for the processor", "cuda": "for NVIDIA GPUs", "index": "as the index has it"}
    source = (
        f"about {plan.size.download:.1f} GB, from the Python Package Index and pytorch.org"
        if plan.uses_network
        else f"nothing; wheels are taken from {plan.folder}"
    )
    rows = (
        ("Folder", str(plan.home)),
        ("Disk", f"about {plan.size.disk:.1f} GB; {free / 1e9:.0f} GB are free"),
        ("Download", source),
        ("Engine", installing.wheel_version(plan.wheel)),
        ("PyTorch", builds[plan.torch]),
        ("Made From", plan.python),
    )
    column = layout.column(align=True)
    for label, text in rows:
        split = column.split(factor=0.18)
        split.label(text=label)
        split.label(text=text)
    box = layout.box().column(align=True)
    box.label(text="Licences of what is installed", icon="INFO")
    for line in plan.licences:
        box.label(text=line, icon="BLANK1")
    layout.label(text="Blender and its own Python are not changed. Remove it at any time.")


CLASSES = (
    MVSAM_OT_install_engine,
    MVSAM_OT_cancel_install,
    MVSAM_OT_remove_engine,
    MVSAM_OT_open_install_log,
    MVSAM_OT_open_network_preferences,
)
