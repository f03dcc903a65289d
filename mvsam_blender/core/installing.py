# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's own environment: what is there, what making it takes, and how it is made.

Layout of the home folder, a user data folder (never the add-on's own, which Blender deletes):
    current.json                      which environment is in use
    mvsam-engine-<version>-<stamp>/   one environment each
        state.json                    what it was made of; "unfinished" until all is there
        venv/                         the virtual environment
    install.log, install.lock         of the last installation

`install_runner` does the work in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from mvsam_engine.errors import MvsamError
from mvsam_engine.fields import JsonObject

from .install_runner import CURRENT, LOCK, LOG, PREFIX, STATE
from .pythons import interpreter_in

TorchBuild = Literal["cpu", "cuda", "index"]

# The torch that this version of the engine was tested with.
TORCH = "torch==2.13.0"
# From a folder, whichever the person has.
ANY_TORCH = "torch>=2.4"
# PyTorch's own indexes: its CPU build for Linux, its CUDA build for Windows; elsewhere the package
# index has the build that is meant.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_INDEX = "https://download.pytorch.org/whl/cu130"

_WHEEL = re.compile(r"mvsam_engine-([^-]+)-.*\.whl")


@dataclass(frozen=True, slots=True)
class Size:
    """What an installation takes, in GB.

    Attributes:
        download: over the network.
        disk: once it is there, and while it is made.
    """

    download: float
    disk: float


# CPU: measured on Linux (docs/install.md). CUDA: as PyTorch's wheels and NVIDIA's libraries add up.
SIZES: Mapping[TorchBuild, Size] = {
    "cpu": Size(0.6, 2.5),
    "cuda": Size(3.5, 8.0),
    "index": Size(3.5, 8.0),
}

LICENCES = (
    "MV-SAM engine: GPL-3.0-or-later",
    "PyTorch, SciPy, NumPy, Numba, pycolmap: BSD",
    "kornia, OpenCV, Embree, safetensors, SAM: Apache-2.0",
    "ONNX Runtime, Pillow, MobileSAM: MIT",
    "PyAV and pillow-heif carry FFmpeg and libheif: LGPL",
)
CUDA_LICENCE = "CUDA libraries: NVIDIA's own licence"


class InstallError(MvsamError):
    """The engine cannot be installed or removed."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The environment in use.

    Attributes:
        folder: its folder in the home.
        python: its interpreter.
        version: of the engine in it.
        wheel: SHA-256 of the wheel that it was made from.
        torch: which build was asked for.
        broken: why it cannot be used any more, "" otherwise.
    """

    folder: Path
    python: Path
    version: str
    wheel: str
    torch: str
    broken: str = ""


@dataclass(frozen=True, slots=True)
class HomeState:
    """What lies in a home folder.

    Attributes:
        installed: the environment in use, None when there is none.
        unfinished: whether an interrupted installation left something.
    """

    installed: Installed | None
    unfinished: bool


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for engines in the person's data folder of this system."""
    home = Path.home()
    if sys.platform == "win32":
        data = Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return data / "mvsam" / "engine"


def look(home: Path) -> HomeState:
    """What lies in `home`; reads a few small files."""
    name = str(_read(home / CURRENT).get("folder", ""))
    safe = name.startswith(PREFIX) and "/" not in name and "\\" not in name
    installed = _installed(home / name) if safe else None
    used = installed.folder.name if installed else ""
    others = [f.name for f in home.glob(f"{PREFIX}*") if f.is_dir()] if home.is_dir() else []
    return HomeState(installed, any(other != used for other in others))


def _installed(folder: Path) -> Installed | None:
    state = _read(folder / STATE)
    if state.get("state") != "complete":
        return None
    python = interpreter_in(folder / "venv")
    base = str(state.get("base", ""))
    broken = ""
    if not python.exists():
        broken = (
            f"The Python it was made from, {base}, is gone."
            if base and not Path(base).exists()
            else "Its files are damaged."
        )
    return Installed(
        folder,
        python,
        str(state.get("version", "")),
        str(state.get("wheel", "")),
        str(state.get("torch", "")),
        broken,
    )


def find_wheel(package: Path) -> Path | None:
    """The engine's wheel that the extension in the folder `package` carries."""
    return next(iter(sorted((package / "wheels").glob("mvsam_engine-*.whl"))), None)


def wheel_version(wheel: Path) -> str:
    """The version in a wheel's name.

    Raises:
        InstallError: it is no wheel of the engine.
    """
    found = _WHEEL.fullmatch(wheel.name)
    if found is None:
        raise InstallError("install.wheel", f"{wheel.name} is not a wheel of the MV-SAM engine.")
    return found[1]


def is_outdated(installed: Installed, wheel: Path) -> bool:
    """Whether the add-on carries another engine than the one that is installed."""
    return installed.wheel != digest(wheel)


def digest(wheel: Path) -> str:
    """SHA-256 of a wheel."""
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """Everything that an installation is made of.

    Attributes:
        home: folder of the engines.
        python: interpreter that the environment is made from.
        wheel: of the engine.
        torch: which build of torch.
        folder: local folder with wheels that takes the place of the network; None for the network.
        stamp: tells this environment from others of the same version.
    """

    home: Path
    python: str
    wheel: Path
    torch: TorchBuild
    folder: Path | None = None
    stamp: str = ""

    @property
    def name(self) -> str:
        """Folder name of the environment to make."""
        # Two in the same second must not meet: the failing one would remove the other.
        stamp = self.stamp or f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
        return f"{PREFIX}{wheel_version(self.wheel)}-{stamp}"

    @property
    def uses_network(self) -> bool:
        """Whether anything is downloaded."""
        return self.folder is None

    @property
    def size(self) -> Size:
        """What it takes; nothing is downloaded from a folder."""
        size = SIZES[self.torch]
        return size if self.uses_network else Size(0.0, size.disk)

    @property
    def licences(self) -> tuple[str, ...]:
        """Of what is installed, for people."""
        return LICENCES if self.torch == "cpu" else (*LICENCES, CUDA_LICENCE)

    def to_json(self) -> JsonObject:
        """As the runner takes it."""
        name = self.name
        return {
            "home": str(self.home),
            "folder": name,
            "steps": self._steps(interpreter_in(self.home / name / "venv")),
            "record": {
                "version": wheel_version(self.wheel),
                "wheel": digest(self.wheel),
                "torch": self.torch,
                "base": self.python,
            },
        }

    def _steps(self, python: Path) -> list[JsonObject]:
        pip = [str(python), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        if self.folder is None:
            source, torch = [], [TORCH, *_torch_index(self.torch)]
        else:
            source, torch = ["--no-index", "--find-links", str(self.folder)], [ANY_TORCH]
        install = [*pip, "install", *source]
        venv = [self.python, "-I", "-m", "venv", str(python.parent.parent)]
        proof = "import mvsam_engine; print('engine', mvsam_engine.__version__)"
        return [
            {"name": "Making the environment", "command": venv},
            # Only a newer pip counts downloads; without it all goes as well.
            {
                "name": "Renewing pip",
                "command": [*install, "--upgrade", "pip"],
                "pip": True,
                "optional": True,
            },
            {"name": "PyTorch", "command": [*install, *torch], "pip": True},
            {"name": "The engine", "command": [*install, str(self.wheel)], "pip": True},
            {"name": "Trying it", "command": [str(python), "-I", "-c", proof]},
        ]


def _torch_index(build: TorchBuild) -> list[str]:
    if build == "cpu" and sys.platform == "linux":
        return ["--index-url", CPU_INDEX]
    if build == "cuda" and sys.platform == "win32":
        return ["--index-url", CUDA_INDEX]
    return []


def check_plan(plan: InstallPlan) -> None:
    """Refuse what cannot go well, before anything is made.

    Raises:
        InstallError: no wheel, an empty offline folder, a folder that cannot be written to, or a
            disk with too little space.
    """
    wheel_version(plan.wheel)
    if plan.folder is not None and not any(plan.folder.glob("*.whl")):
        raise InstallError(
            "install.folder",
            f"There are no wheels in {plan.folder}.",
            "Fill it on a machine with internet: docs/install.md shows the command.",
        )
    there = next(p for p in (plan.home, *plan.home.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InstallError(
            "install.home", f"{there} cannot be written to.", "Choose another folder."
        )
    free = shutil.disk_usage(there).free / 1e9
    if free < plan.size.disk:
        raise InstallError(
            "install.disk",
            f"{plan.home} needs about {plan.size.disk:.0f} GB, but only {free:.1f} GB are free.",
            "Free some space, or choose a folder on another disk.",
        )


def remove(home: Path) -> None:
    """Remove all engines in `home` and what belongs to them; other files stay.

    The switch goes first: what is half removed is never taken for an engine.

    Raises:
        InstallError: something cannot be removed, e.g. because it is in use.
    """
    try:
        (home / CURRENT).unlink(missing_ok=True)
        for folder in home.glob(f"{PREFIX}*"):
            if folder.is_dir():
                shutil.rmtree(folder)
        for name in (LOG, LOCK):
            (home / name).unlink(missing_ok=True)
        if home.is_dir() and not any(home.iterdir()):
            home.rmdir()
    except OSError as error:
        raise InstallError(
            "install.remove",
            f"{error.filename} could not be removed: {error.strerror or error}.",
            "Close other programs that use it, and remove it again.",
        ) from error


def tidy(home: Path) -> None:
    """Remove environments that are not in use any more; what cannot be removed now stays.

    Only when nothing is being installed and no engine runs in an older one.
    """
    installed = look(home).installed
    for folder in home.glob(f"{PREFIX}*"):
        if installed is not None and folder != installed.folder:
            shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> JsonObject:
    try:
        data: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast(JsonObject, data) if isinstance(data, dict) else {}
