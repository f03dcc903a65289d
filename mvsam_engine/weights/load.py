# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading trained weights: only safetensors, only with the hash that the catalogue names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mvsam_engine.errors import WeightsError
from mvsam_engine.weights.catalogue import WeightsEntry

if TYPE_CHECKING:
    from torch import Tensor

_REMEDY = "Install MV-SAM again, or run `python scripts/make_weights.py` in its source folder."


def load_state(entry: WeightsEntry) -> dict[str, Tensor]:
    """Load a state dict and check that it is the file the catalogue means.

    Args:
        entry: what to load.

    Returns:
        Tensors by name on the CPU, floating-point ones in float32.

    Raises:
        WeightsError: missing, of another hash, or not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = check_hash(entry)
    try:
        state = load(data)
    except SafetensorError as error:
        raise WeightsError(
            "weights.damaged",
            f"The weights {entry.name!r} are not a safetensors file: {error}.",
            _REMEDY,
        ) from error
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def check_hash(entry: WeightsEntry) -> bytes:
    """The content of the file that the catalogue means.

    Raises:
        WeightsError: missing, or of another hash.
    """
    try:
        data = entry.path.read_bytes()
    except OSError as error:
        raise WeightsError(
            "weights.missing",
            f"The weights {entry.name!r} are missing: {entry.path} cannot be read.",
            _REMEDY,
        ) from error
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise WeightsError(
            "weights.changed",
            f"The weights {entry.name!r} in {entry.path} are damaged or not the ones expected "
            "(their SHA-256 differs).",
            _REMEDY,
        )
    return data
