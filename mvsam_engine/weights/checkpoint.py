# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading published checkpoints (torch files) without running code from them."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mvsam_engine.errors import WeightsError
from mvsam_engine.weights.official import OfficialCheckpoint

if TYPE_CHECKING:
    from torch import Tensor, nn

_NAMED = 3  # keys or shapes named in a sentence


def read_official(entry: OfficialCheckpoint) -> dict[str, Tensor]:
    """Read an added checkpoint and check that it is the published file.

    Raises:
        WeightsError: not added yet, of another hash, or damaged.
    """
    get = f"Run `mvsam weights get {entry.name}`, or `mvsam weights add {entry.name} FILE`."
    if not entry.path.is_file():
        raise WeightsError(
            "weights.missing", f"The weights {entry.name!r} are not on this machine.", get
        )
    state, digest = read_checkpoint(entry.path)
    if digest != entry.sha256:
        raise WeightsError(
            "weights.changed",
            f"The weights {entry.name!r} in {entry.path} are damaged or not the published ones "
            "(their SHA-256 differs).",
            get,
        )
    return state


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a state dict that ``torch.save`` wrote, bare or under the key ``model``.

    Args:
        path: the file.

    Returns:
        Tensors by name on the CPU, floating-point ones in float32; SHA-256 of the file.

    Raises:
        WeightsError: missing, damaged, or something else than tensors by name.
    """
    import torch

    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            data = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(
            "weights.missing",
            f"The weights in {path} cannot be read: {error.strerror or error}.",
            "Check the path.",
        ) from error
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, KeyError,
            ValueError) as error:  # fmt: skip
        raise WeightsError(
            "weights.damaged",
            f"{path.name} is not a checkpoint that can be read safely "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}).",
            "Download it again from where its authors publish it.",
        ) from error
    if isinstance(data, Mapping) and isinstance(data.get("model"), Mapping):
        data = data["model"]  # as SAM 2's files are
    if not isinstance(data, Mapping) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in data.items()
    ):
        raise WeightsError(
            "weights.kind",
            f"{path.name} holds something else than tensors by name.",
            "Give a checkpoint of SAM or SAM 2.1 as its authors publish it.",
        )
    return {k: v.float() if v.is_floating_point() else v for k, v in data.items()}, digest


def fill(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Give a module exactly the tensors of `state`, after checking every name and shape.

    The module may stand on the ``meta`` device, where it costs nothing to make; it takes the
    tensors themselves.

    Args:
        module: what to fill; in evaluation mode and without gradients afterwards.
        state: tensors by the module's own names.
        source: where they come from, for the sentence.

    Raises:
        WeightsError: a tensor is missing, left over, or of another shape.
    """
    expected = module.state_dict()
    missing = [k for k in expected if k not in state]
    extra = [k for k in state if k not in expected]
    shaped = [
        f"{k} is {tuple(state[k].shape)} instead of {tuple(expected[k].shape)}"
        for k in expected
        if k in state and state[k].shape != expected[k].shape
    ]
    faults = [
        f"{len(names)} {what} ({', '.join(names[:_NAMED])}{', ...' if len(names) > _NAMED else ''})"
        for names, what in ((missing, "missing"), (extra, "unknown"), (shaped, "of another shape"))
        if names
    ]
    if faults:
        raise WeightsError(
            "weights.shape",
            f"The tensors in {source} do not fit this network: {'; '.join(faults)}.",
            "Check that the checkpoint and the name of the encoder belong together.",
        )
    module.load_state_dict(dict(state), assign=True)
    module.eval().requires_grad_(False)
