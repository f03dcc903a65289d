# SPDX-License-Identifier: GPL-3.0-or-later
"""MV-SAM's operators, tool, panels, overlays and preferences."""


def _classes() -> tuple[type, ...]:
    from . import (
        operators_box,
        operators_brush,
        operators_capture,
        operators_click,
        operators_engine,
        operators_install,
        operators_mask,
        operators_object,
        operators_pick,
        operators_place,
        operators_recovery,
        operators_view3d,
        operators_views,
        panels,
        preferences,
    )

    modules = (
        preferences,
        operators_engine,
        operators_install,
        operators_recovery,
        operators_capture,
        operators_object,
        operators_click,
        operators_box,
        operators_brush,
        operators_mask,
        operators_pick,
        operators_view3d,
        operators_place,
        operators_views,
        panels,
    )
    return tuple(cls for module in modules for cls in module.CLASSES)


def register() -> None:
    """Register everything that people see, and tell the session how to start the engine."""
    import bpy

    from ..scene.session import session
    from . import operators_install, overlays, preferences, statusbar, tool

    for cls in _classes():
        bpy.utils.register_class(cls)
    tool.register()
    overlays.register()
    statusbar.register()
    session().settings = preferences.engine_settings
    session().watchers.append(operators_install.watch_install)


def unregister() -> None:
    """Inverse of `register`."""
    import bpy

    from . import overlays, statusbar, tool

    statusbar.unregister()
    overlays.unregister()
    tool.unregister()
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
