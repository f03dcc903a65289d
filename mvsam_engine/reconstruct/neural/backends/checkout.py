# SPDX-License-Identifier: GPL-3.0-or-later
"""Code of others that may not be shipped: found where the person has it, never copied."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

from mvsam_engine.errors import WeightsError


def folder_of(package: str) -> Path | None:
    """The checkout that $MVSAM_<PACKAGE> names; None when it names none."""
    chosen = os.environ.get(f"MVSAM_{package.upper()}")
    return Path(chosen).expanduser() if chosen else None


def missing(package: str, site: str) -> str:
    """What is missing to import `package`, as a sentence; "" when it is there."""
    folder = folder_of(package)
    if folder is not None:
        if (folder / package).is_dir():
            return ""
        return f"MVSAM_{package.upper()} is set to {folder}, which holds no {package}."
    if importlib.util.find_spec(package) is not None:
        return ""
    return (
        f"The code of {package} is needed, which its licence does not let MV-SAM bring along: "
        f"`git clone --recursive {site}` and set MVSAM_{package.upper()} to that folder."
    )


def load_module(package: str, module: str, site: str) -> ModuleType:
    """Import a module of a person's checkout or installed package.

    Raises:
        WeightsError: it is not there, or lacks something itself.
    """
    lacks = missing(package, site)
    if lacks:
        raise WeightsError("geometry.code", lacks)
    folder = folder_of(package)
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        with quiet():
            return importlib.import_module(module)
    except ImportError as error:
        raise WeightsError(
            "geometry.code",
            f"The code of {package} cannot be imported: {error}.",
            f"Install what {site} asks for in the engine's environment; clone it with --recursive.",
        ) from error


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """What others print goes to stderr: stdout is the add-on's line to the engine."""
    with contextlib.redirect_stdout(sys.stderr):
        yield
