# SPDX-License-Identifier: GPL-3.0-or-later
"""MV-SAM's operators, tool, panels, overlays and preferences."""


def register() -> None:
    """Register everything that people see."""


def unregister() -> None:
    """Inverse of `register`."""
