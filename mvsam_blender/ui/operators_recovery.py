# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators for when something went wrong: a new engine, a smaller setting, the processor."""

import bpy
from bpy.props import BoolProperty

from mvsam_engine.errors import MvsamError

from ..scene import jobs, recovery, redraw, restarting
from ..scene.placement import capture_path
from ..scene.session import session
from .preferences import preferences
from .running import FINISHED, refuse


class MVSAM_OT_restart_engine(bpy.types.Operator):
    """Start the engine anew; clicks that still wait for an answer are asked again"""

    bl_idname = "mvsam.restart_engine"
    bl_label = "Restart Engine"

    resume: BoolProperty(
        name="Ask Again",
        description="Ask again what still waits for an answer",
        default=True,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, _context):
        if session().settings().command:
            return True
        cls.poll_message_set("No engine is set in the preferences")
        return False

    def execute(self, _context):
        try:
            asked = restarting.restart(self.resume)
        except MvsamError as error:
            return refuse(self, error)
        again = f" {asked} questions are asked again." if asked > 1 else ""
        again = " One question is asked again." if asked == 1 else again
        session().tell(f"The engine was started anew.{again}")
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_stop_engine(bpy.types.Operator):
    """End an engine that does not listen; clicks and complete results are kept"""

    bl_idname = "mvsam.stop_engine"
    bl_label = "Stop Engine"

    @classmethod
    def poll(cls, _context):
        client = session().client
        if client is not None and client.running:
            return True
        cls.poll_message_set("No engine is running")
        return False

    def execute(self, _context):
        recovery.stop_hard()
        redraw.redraw_all()
        return FINISHED


class MVSAM_OT_reconstruct_smaller(bpy.types.Operator):
    """Reconstruct with the next smaller setting, which needs less memory"""

    bl_idname = "mvsam.reconstruct_smaller"
    bl_label = "Reconstruct with a Smaller Setting"
    bl_options = {"UNDO"}

    wait: BoolProperty(description="Block until it is done", options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def poll(cls, context):
        setback = session().setback
        if setback is None or setback.smaller is None:
            cls.poll_message_set("There is no smaller setting to try")
            return False
        if str(capture_path(context.scene)) != setback.capture:
            cls.poll_message_set("That was in another scene")
            return False
        return bpy.ops.mvsam.reconstruct.poll()

    def execute(self, context):
        smaller = session().setback.smaller
        settings = context.scene.mvsam
        settings.given.preset, settings.max_size = smaller.preset, smaller.max_size
        done = bpy.ops.mvsam.reconstruct(max_size=smaller.max_size, wait=self.wait)
        return set(done)


class MVSAM_OT_use_processor(bpy.types.Operator):
    """Compute on the processor from now on, and do again what the GPU's memory was too small for"""

    bl_idname = "mvsam.use_processor"
    bl_label = "Compute on the Processor"

    @classmethod
    def poll(cls, context):
        if preferences(context) is not None:
            return True
        cls.poll_message_set("The add-on is not enabled")
        return False

    def execute(self, context):
        setback = session().setback
        preferences(context).device = "cpu"
        try:
            if setback is None:
                return FINISHED
            if setback.kind == "reconstruct":
                size = setback.setting.max_size
                return set(bpy.ops.mvsam.reconstruct(max_size=size))
            if setback.kind == "prepare":
                jobs.start_prepare(context.scene)
            else:
                restarting.ask_again()
        except MvsamError as error:
            return refuse(self, error)
        redraw.redraw_all()
        return FINISHED


CLASSES = (
    MVSAM_OT_restart_engine,
    MVSAM_OT_stop_engine,
    MVSAM_OT_reconstruct_smaller,
    MVSAM_OT_use_processor,
)
