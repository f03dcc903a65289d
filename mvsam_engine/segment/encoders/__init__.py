# SPDX-License-Identifier: GPL-3.0-or-later
"""Image encoders by name: TinyViT (shipped), SAM's ViTs and SAM 2.1's Hieras (docs/encoders.md).

Importing this package is cheap; `load_encoder` imports torch and reads the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mvsam_engine.segment.encoder import ImageEncoder, OnnxEncoder, TorchEncoder
from mvsam_engine.segment.encoders.modules import ENCODERS, SamModules, load_modules

if TYPE_CHECKING:
    import torch


def load_encoder(
    name: str = "tiny-vit", device: str = "auto", file: Path | None = None
) -> ImageEncoder:
    """Make an image encoder with its weights.

    Args:
        name: a key of `ENCODERS`.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        file: a checkpoint of the same shape instead of the published one.

    Raises:
        SegmentationError: there is no such encoder or device.
        WeightsError: its weights are missing, damaged, or of another network.
    """
    from mvsam_engine.segment.sam import pick_device

    where = pick_device(device)
    return make_encoder(load_modules(name, file), where)


def make_encoder(modules: SamModules, device: torch.device) -> ImageEncoder:
    """The encoder of a SAM, in what runs it fastest on `device`."""
    from mvsam_engine.segment.encoders.fine import Sam2Encoder

    key, network = modules.key, modules.image_encoder
    if modules.family == "sam2.1":
        return Sam2Encoder(key, network, device)
    if modules.family == "sam":
        from mvsam_engine.segment.encoders.vit import SamVit

        return TorchEncoder(key, SamVit(network), device)
    if device.type == "cpu":
        return OnnxEncoder(key, network)
    return TorchEncoder(key, network, device)


__all__ = ["ENCODERS", "load_encoder", "load_modules", "make_encoder"]
