# SPDX-License-Identifier: GPL-3.0-or-later
"""MV-SAM in Blender: click on an object in one photo, get it in all photos and on the points.

Only `register` and `unregister` touch Blender, so that `core` can be used without it.
"""


def register() -> None:
    """Make the add-on's data, tools and panels known to Blender."""
    from . import scene, ui

    scene.register()
    ui.register()


def unregister() -> None:
    """Take everything back that `register` did, and stop the engine."""
    from . import scene, ui

    ui.unregister()
    scene.unregister()
