# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained network in a file: float16 safetensors, its settings in the header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvsam_engine.capture.files import write_atomic
from mvsam_engine.errors import WeightsError
from mvsam_engine.weights import find_weights
from mvsam_engine.weights.load import check_hash

if TYPE_CHECKING:
    from mvsam_engine.segment.network import MVSam
    from mvsam_engine.segment.sam import Sam

# In the header of the file: settings of the network (`network.Config`) as JSON, and the name of the
# encoder that it was trained on the features of.
CONFIG, ENCODER = "config", "encoder"
# In the catalogue of weights.
SHIPPED = "mvsam"

_REMEDY = "Give a file that `mvsam train run` wrote, of the same version of MV-SAM."


def write_network(network: MVSam, path: Path, encoder: str, about: dict[str, str]) -> None:
    """Write a network, whole or not at all.

    Args:
        network: trained.
        path: file to write.
        encoder: name of the image encoder whose features it reads.
        about: what it was trained on and how, for its model card.
    """
    from safetensors.torch import save

    state = {
        name: value.detach().cpu().half().contiguous()
        for name, value in network.state_dict().items()
    }
    metadata = {**about, CONFIG: json.dumps(asdict(network.config)), ENCODER: encoder}
    write_atomic(path, save(state, metadata=metadata))


def shipped_network(sam: Sam) -> MVSam:
    """The trained network that comes with MV-SAM.

    Raises:
        WeightsError: missing, or changed since it was shipped.
    """
    entry = find_weights(SHIPPED)
    check_hash(entry)
    return read_network(entry.path, sam)


def read_network(path: Path, sam: Sam) -> MVSam:
    """Read a network that was written by `write_network`.

    Args:
        path: the file.
        sam: gives the classes to fill, and the device.

    Raises:
        WeightsError: missing, no network, one of other settings than this program knows, or one
            for another image encoder.
    """
    from safetensors import SafetensorError, safe_open

    from mvsam_engine.segment.network import Config, MVSam

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            values: dict[str, Any] = json.loads(header[CONFIG])
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        network = MVSam.from_sam(sam, Config.from_dict(values))
        network.load_state_dict(state)
    except FileNotFoundError as error:
        raise WeightsError("weights.missing", f"There is no network in {path}.", _REMEDY) from error
    # A header without settings, settings of a newer program, tensors of other names or shapes.
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            "weights.damaged", f"{path.name} is not a network of MV-SAM: {error}.", _REMEDY
        ) from error
    if header.get(ENCODER) != sam.encoder.name:
        raise WeightsError(
            "weights.encoder",
            f"{path.name} reads the features of the image encoder {header.get(ENCODER)!r}, not "
            f"those of {sam.encoder.name!r}.",
            "Train a network on this encoder (`mvsam train run`), or choose the other one.",
        )
    return network.to(sam.device).eval().requires_grad_(False)
