# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP models, text and binary, with or without rigs, through pycolmap.

Format: https://colmap.github.io/format.html. COLMAP's axes, pixels and lens models are ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

import mvsam_engine
from mvsam_engine.capture.camera import CAMERA_MODELS
from mvsam_engine.reconstruct.posed.camera_set import CameraSet, PosedPhoto
from mvsam_engine.reconstruct.posed.formats.colmap_check import check_binary
from mvsam_engine.reconstruct.posed.formats.colmap_worker import REFUSED
from mvsam_engine.reconstruct.posed.formats.common import (
    damaged,
    make_camera,
    rotation,
    slashes,
    unknown_lens,
)

NAME = "COLMAP"

# The child starts isolated (-I) and is told where this package lies.
_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from mvsam_engine.reconstruct.posed.formats.colmap_worker import main; main()"
)

# Where COLMAP and the programs around it put a model, below the folder that people name.
USUAL_PLACES = (".", "sparse/0", "sparse", "0", "colmap/sparse/0", "colmap/sparse")
# Reading takes seconds per hundred megabytes; a damaged count makes it run for ever.
_SECONDS, _SECONDS_PER_BYTE = 60.0, 2e-6
_MEMORY, _MEMORY_PER_BYTE = 6 << 30, 60


def model_folder(folder: Path) -> Path | None:
    """Where the COLMAP model in or below `folder` lies, None when there is none."""
    for place in USUAL_PLACES:
        found = folder / place
        for ending in ("bin", "txt"):
            if (found / f"cameras.{ending}").is_file() and (found / f"images.{ending}").is_file():
                return found
    return None


def read(folder: Path) -> CameraSet:
    """Read the COLMAP model in `folder`.

    Raises:
        ReconstructionError: damaged, or with a lens that is no perspective camera.
    """
    where = f"The COLMAP model {folder.name or folder}"
    if (folder / "cameras.bin").is_file() and (folder / "images.bin").is_file():
        check_binary(folder)
    with tempfile.TemporaryDirectory(prefix="mvsam-colmap-") as work:
        result = Path(work) / "model.npz"
        _run_worker(folder, result, where)
        try:
            with np.load(result, allow_pickle=False) as arrays:
                photos = json.loads(arrays["photos"].tobytes())
                poses, points, seen = arrays["poses"], arrays["points"], arrays["seen"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise damaged(where, f"could not be read: {error}") from error
    return CameraSet(
        format=NAME,
        photos=tuple(
            _photo(where, name, camera, pose)
            for (name, camera), pose in zip(photos, poses, strict=True)
        ),
        points=points,
        seen_by=seen[:, 0],
        seen_point=seen[:, 1],
    )


def _photo(where: str, name: str, camera: list, pose: np.ndarray) -> PosedPhoto:
    model, width, height, params = camera
    if model not in CAMERA_MODELS:
        raise unknown_lens(where, name, model, [m for m in CAMERA_MODELS if m[:5] != "MVSAM"])
    matrix = np.eye(4)
    matrix[:3] = pose
    matrix[:3, :3] = rotation(where, pose[:, :3], name)
    return PosedPhoto(
        slashes(name), make_camera(where, name, model, (width, height), params, matrix)
    )


def _run_worker(folder: Path, result: Path, where: str) -> None:
    """Have the child process read the model into `result`."""
    size = sum(p.stat().st_size for p in folder.iterdir() if p.suffix in (".bin", ".txt"))
    package_root = Path(mvsam_engine.__file__).resolve().parents[1]
    command = [
        *(sys.executable, "-I", "-u", "-c", _BOOTSTRAP, str(package_root)),
        *(str(folder.resolve()), str(result), str(_MEMORY + _MEMORY_PER_BYTE * size)),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # Its stack traces take half a minute, and nobody reads them.
            env=os.environ | {"GLOG_symbolize_stacktrace": "0"},
            timeout=_SECONDS + _SECONDS_PER_BYTE * size,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise damaged(where, "did not come to an end while it was read") from error
    if done.returncode == 0:
        return
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == REFUSED and "REFUSED " in said:
        reason = said.rpartition("REFUSED ")[2].strip()[:200]
        raise damaged(where, f"is damaged or cut short ({reason})")
    raise damaged(where, "is damaged or cut short; COLMAP's reader gave up on it")
