# SPDX-License-Identifier: GPL-3.0-or-later
"""MV-SAM's data in Blender: points, cameras, images, groups, and the jobs that fill them."""


def register() -> None:
    """Register properties, the session and the handlers."""
    from . import handlers, props, session

    props.register()
    session.register()
    handlers.register()


def unregister() -> None:
    """Inverse of `register`; stops the engine."""
    from . import handlers, props, session

    handlers.unregister()
    session.unregister()
    props.unregister()
