# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs, and the last thing to tell, above all other panels."""

from ..scene.session import session
from .messages import draw_install, draw_message, draw_progress
from .panel_part import Part


class Status(Part):
    """Progress and the last message."""

    bl_label = "MV-SAM"
    bl_options = {"HIDE_HEADER"}
    bl_order = 0

    @classmethod
    def poll(cls, _context):
        """Only when there is something to tell."""
        state = session()
        return bool(state.jobs) or state.message is not None or state.install is not None

    def draw(self, context):
        """Progress and the last message."""
        draw_progress(self.layout)
        draw_install(self.layout)
        draw_message(self.layout, context)
