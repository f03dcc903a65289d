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

    Where no hash is known, the network that takes the tensors checks their names and shapes.

    Raises:
        WeightsError: not added yet, of another hash, or damaged.
    """
    get = f"Run `mvsam weights get {entry.name}`, or `mvsam weights add {entry.name} FILE`."
    if not entry.path.is_file():
        raise WeightsError(
            "weights.missing", f"The weights {entry.name!r} are not on this machine.", get
        )
    state, digest = read_checkpoint(entry.path)
    if entry.sha256 and digest != entry.sha256:
        raise WeightsError(
            "weights.changed",
            f"The weights {entry.name!r} in {entry.path} are damaged or not the published ones "
            "(their SHA-256 differs).",
            get,
        )
    return state


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read tensors by name from a file of ``torch.save`` or safetensors.

    A state dict may lie bare in a torch file or under the key ``model``; settings beside it
    (DUSt3R's) are left out.

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
    except OSError as error:
        raise _unreadable(path, error) from error
    state = load_tensors(path, "cpu")
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    return {k: v for k, v in tensors.items() if isinstance(v, torch.Tensor)}, digest


def load_tensors(path: Path, device: str) -> dict[str, Tensor]:
    """Tensors by name; on ``meta`` their numbers are not read.

    Raises:
        WeightsError: missing, damaged, or something else than tensors by name.
    """
    import argparse

    import torch
    from safetensors import SafetensorError

    try:
        with path.open("rb") as file:
            head = file.read(9)
            file.seek(0)
            if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
                return _from_safetensors(path, device)
            # A Namespace is only a bag of settings; nothing of it is used.
            with torch.serialization.safe_globals([argparse.Namespace]):
                data = torch.load(file, map_location=device, weights_only=True)
    except OSError as error:
        raise _unreadable(path, error) from error
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, KeyError,
            ValueError, SafetensorError) as error:  # fmt: skip
        raise WeightsError(
            "weights.damaged",
            f"{path.name} is not a checkpoint that can be read safely ({_why(error)}).",
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
            "Give a checkpoint as its authors publish it; `mvsam weights list` names them.",
        )
    return dict(data)


def _why(error: Exception) -> str:
    """What is wrong with a file, in a few words."""
    if isinstance(error, pickle.UnpicklingError):
        # Torch's own sentence tells how to run the code that it refuses.
        unsafe = "Unsupported" in str(error)
        return "it holds other things than tensors, perhaps code" if unsafe else "it is damaged"
    return str(error).splitlines()[0].strip(" .") if str(error) else type(error).__name__


def _from_safetensors(path: Path, device: str) -> dict[str, Tensor]:
    import torch
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as opened:
        if device != "meta":
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        shapes = {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(
        "weights.missing",
        f"The weights in {path} cannot be read: {error.strerror or error}.",
        "Check the path.",
    )


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
