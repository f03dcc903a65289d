# SPDX-License-Identifier: GPL-3.0-or-later
"""The libraries that make surfaces; compiled, so some machine may lack one."""

from __future__ import annotations

import importlib
from typing import Any

from mvsam_engine.errors import SurfaceError

# Module to the package that brings it.
PACKAGES = {
    "skimage.measure": "scikit-image",
    "fast_simplification": "fast-simplification",
    "xatlas": "xatlas",
}


def library(module: str) -> Any:
    """Import one of `PACKAGES`.

    Raises:
        SurfaceError: it is not installed; the remedy names the command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SurfaceError(
            "surface.library",
            f"{PACKAGES[module]}, which makes meshes of points, is not installed.",
            f"Run `pip install {PACKAGES[module]}` with the engine's Python.",
        ) from error


def check_libraries() -> None:
    """Refuse before any work is done.

    Raises:
        SurfaceError: one is missing.
    """
    for module in PACKAGES:
        library(module)
