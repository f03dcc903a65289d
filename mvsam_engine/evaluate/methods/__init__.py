# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that can be compared; each runs as a process of its own.

A method's module is run as ``python -m MODULE JOB.json``; it reads the job, writes
`exchange.write_result` and ends with code 0, also when it refuses. When whoever started it is
gone, its standard input ends, and so does it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

OURS = "mvsam"


@dataclass(frozen=True, slots=True)
class Method:
    """A program that can be compared.

    Attributes:
        name: on the command line and in tables.
        module: run as a process.
        package: import name that it needs.
        install: how to get it.
        about: what it gives.
        variant: handed to the module.
    """

    name: str
    module: str
    package: str
    install: str
    about: str
    variant: str = ""

    @property
    def absent(self) -> str:
        """Why it cannot be run here; "" when it can."""
        if importlib.util.find_spec(self.package) is not None:
            return ""
        return f"The package {self.package} is not installed. Install it with: {self.install}"


_HERE = "mvsam_engine.evaluate.methods."
_COMPARE = "pip install 'mvsam-engine[compare]'"

METHODS = {
    method.name: method
    for method in (
        Method(OURS, _HERE + "own", "pycolmap", "pip install mvsam-engine", "cameras, pointmaps"),
        Method(
            "pycolmap",
            _HERE + "colmap",
            "pycolmap",
            "pip install pycolmap",
            "cameras; incremental mapper with its default options",
            "incremental",
        ),
        Method(
            "pycolmap-global",
            _HERE + "colmap",
            "pycolmap",
            "pip install pycolmap",
            "cameras; global mapper with its default options",
            "global",
        ),
        Method(
            "pixelmap",
            _HERE + "pixelmap",
            "pixelmap_multiview",
            _COMPARE,
            "cameras and a mesh, quality medium; photos scaled to 1200 px by its own loader",
        ),
        Method(
            "openmvg",
            _HERE + "openmvg",
            "openmvg_rs",
            _COMPARE,
            "cameras; incremental engine with its default options",
            "incremental",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Job:
    """What a method's process is told.

    Attributes:
        photos: folder with exactly the photos to use.
        out: existing empty folder for what it makes.
        seed: of random numbers.
        preset: of this engine; others have their own defaults.
        max_size: long side of this engine's pointmaps, None for the preset's.
        depth_size: long side of the depth that a mesh is turned into.
        variant: of the method.
    """

    photos: str
    out: str
    seed: int = 0
    preset: str = "normal"
    max_size: int | None = None
    depth_size: int = 512
    variant: str = ""

    def save(self, path: Path) -> None:
        """Write the job file."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @property
    def files(self) -> list[Path]:
        """The photos, in the order of their names."""
        return sorted(Path(self.photos).iterdir())


def read_job() -> Job:
    """The job that this process was started with; from now on it ends with its parent."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    return Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))


def _exit_with_parent() -> None:
    # Not by way of sys.stdin: a thread that waits in its buffer would hold up a normal end.
    while os.read(0, 4096):
        pass
    os._exit(1)
