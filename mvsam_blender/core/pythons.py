# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a Python that the engine's environment can be made from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .process import no_window_flag, scrubbed_environment

OLDEST = (3, 11)
_SECONDS = 20.0
_NAMES = ("python3.13", "python3.12", "python3.11", "python3", "python")

# Asked of an interpreter: who it is, and whether it can make environments with pip in them.
_QUESTION = """
import importlib.util, json, os, platform, struct, sys
print(json.dumps({
    "version": platform.python_version(),
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
    "bits": 8 * struct.calcsize("P"),
}))
"""


@dataclass(frozen=True, slots=True)
class FoundPython:
    """An interpreter that was asked.

    Attributes:
        path: the interpreter itself, not a link that may mean another one tomorrow.
        version: as ``"3.11.7"``.
        lack: why no environment can be made from it, as a sentence; "" when it will do.
    """

    path: str
    version: str
    lack: str = ""


def ask_python(path: str) -> FoundPython:
    """Ask an interpreter who it is; what is none has a `lack` too."""
    try:
        answer = subprocess.run(
            [path, "-I", "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
            env=scrubbed_environment(os.environ),
            creationflags=no_window_flag(),
        )
        said = json.loads(answer.stdout)
        version, real = str(said["version"]), str(said["executable"])
        numbers = tuple(int(part) for part in version.split(".")[:2])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return FoundPython(path, "", f"{path} is no Python that runs here.")
    if numbers < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return FoundPython(
            real, version, f"{real} is Python {version}; the engine needs {wanted} or newer."
        )
    if said.get("bits") != 64:
        return FoundPython(real, version, f"{real} is a 32-bit Python; the engine needs 64 bits.")
    if not said.get("venv"):
        short = ".".join(version.split(".")[:2])
        return FoundPython(
            real,
            version,
            f"{real} has no venv module. Install it (on Debian: python{short}-venv), or choose "
            "another Python.",
        )
    return FoundPython(real, version)


def find_python(first: Sequence[str]) -> FoundPython:
    """A Python that will do: one of `first`, else one on PATH; when none will, the first asked.

    Args:
        first: interpreters to ask before all others, e.g. Blender's own.
    """
    refused: FoundPython | None = None
    for path in _candidates(first):
        found = ask_python(path)
        if not found.lack:
            return found
        refused = refused or found
    return refused or FoundPython("", "", "There is no Python on this machine.")


def _candidates(first: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    named = [path for path in first if path]
    for path in (*named, *(shutil.which(name) or "" for name in _NAMES)):
        if path and path not in seen and Path(path).exists():
            seen.add(path)
            yield path


def interpreter_in(environment: Path) -> Path:
    """The interpreter of the virtual environment in a folder."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
