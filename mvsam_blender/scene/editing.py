# SPDX-License-Identifier: GPL-3.0-or-later
"""Working on the points while a person has them in Edit Mode."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import bpy


@contextmanager
def outside_edit_mode(item: bpy.types.Object) -> Generator[None]:
    """Leave Edit Mode for a while: in it, attributes read as empty and groups cannot be written.

    What was edited so far is taken in, and Edit Mode comes back afterwards.
    """
    if item.mode != "EDIT":
        yield
        return
    bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        bpy.ops.object.mode_set(mode="EDIT")
