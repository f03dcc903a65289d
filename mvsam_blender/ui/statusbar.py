# SPDX-License-Identifier: GPL-3.0-or-later
"""Counted progress in the status bar, beside Blender's own, with a button to cancel."""

import bpy

from .messages import draw_install, draw_progress


def _draw(self, _context):
    row = self.layout.row()
    row.ui_units_x = 18
    draw_progress(row)
    draw_install(row)


def register() -> None:
    """Add it."""
    bpy.types.STATUSBAR_HT_header.append(_draw)


def unregister() -> None:
    """Take it out, and any text of ours with it."""
    bpy.types.STATUSBAR_HT_header.remove(_draw)
    for window in bpy.context.window_manager.windows:
        window.workspace.status_text_set(None)
