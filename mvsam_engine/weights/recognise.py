# SPDX-License-Identifier: GPL-3.0-or-later
"""Which published checkpoint a file is: by its tensors' names and shapes, whatever it is called."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mvsam_engine.errors import WeightsError
from mvsam_engine.weights.official import CHECKPOINTS, OfficialCheckpoint

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """What tells a checkpoint from all others.

    Attributes:
        has: tensors that are there, with their shapes.
        lacks: names of tensors that are not.
    """

    has: Mapping[str, Shape]
    lacks: tuple[str, ...] = ()

    def fits(self, shapes: Mapping[str, Shape]) -> bool:
        """Whether a file with tensors of these shapes is such a checkpoint."""
        return all(shapes.get(name) == shape for name, shape in self.has.items()) and not any(
            name in shapes for name in self.lacks
        )


def _sam(width: int, last: int) -> Signature:
    return Signature(
        {
            "image_encoder.pos_embed": (1, 64, 64, width),
            f"image_encoder.blocks.{last}.attn.qkv.weight": (3 * width, width),
            "mask_decoder.iou_token.weight": (1, 256),
        },
        (f"image_encoder.blocks.{last + 1}.attn.qkv.weight",),
    )


def _sam2(width: int, last: int) -> Signature:
    trunk = "image_encoder.trunk."
    return Signature(
        {
            f"{trunk}patch_embed.proj.weight": (width, 3, 7, 7),
            f"{trunk}blocks.{last}.norm1.weight": (8 * width,),
            "no_obj_embed_spatial": (1, 64),  # SAM 2.0 has none
        },
        (f"{trunk}blocks.{last + 1}.norm1.weight",),
    )


def _da3(width: int, last: int, features: int) -> Signature:
    vit = "model.backbone.pretrained."
    return Signature(
        {
            f"{vit}camera_token": (1, 2, width),
            f"{vit}blocks.{last}.attn.qkv.weight": (3 * width, width),
            "model.head.scratch.layer1_rn.weight": (features, features * 3 // 4, 3, 3)
            if features < 256
            else (features, 256, 3, 3),
            "model.cam_dec.fc_t.weight": (3, 2 * width),
        },
        (f"{vit}blocks.{last + 1}.attn.qkv.weight",),
    )


_VGGT = Signature(
    {
        "aggregator.camera_token": (1, 2, 1, 1024),
        "aggregator.global_blocks.23.attn.qkv.weight": (3072, 1024),
        "depth_head.scratch.output_conv2.2.weight": (2, 32, 1, 1),
    }
)
_PI3 = Signature(
    {
        "register_token": (1, 1, 5, 1024),
        "decoder.35.attn.qkv.weight": (3072, 1024),
        "point_head.proj.weight": (588, 1024),
        "conf_head.proj.weight": (196, 1024),
        "camera_head.fc_rot.weight": (9, 512),
    }
)

# DUSt3R and MASt3R differ in their heads: MASt3R's also describes what it sees.
_CROCO: Mapping[str, Shape] = {
    "enc_blocks.23.attn.qkv.weight": (3072, 1024),
    "dec_blocks.11.attn.qkv.weight": (2304, 768),
    "downstream_head1.dpt.head.4.weight": (4, 128, 1, 1),
}
_DESCRIBES = "downstream_head1.head_local_features.fc2.weight"

SIGNATURES: Mapping[str, Signature] = MappingProxyType(
    {
        "sam-vit-b": _sam(768, 11),
        "sam-vit-l": _sam(1024, 23),
        "sam-vit-h": _sam(1280, 31),
        "sam2.1-hiera-t": _sam2(96, 11),
        "sam2.1-hiera-s": _sam2(96, 15),
        "sam2.1-hiera-b+": _sam2(112, 23),
        "sam2.1-hiera-l": _sam2(144, 47),
        "da3-small": _da3(384, 11, 64),
        "da3-base": _da3(768, 11, 128),
        "da3-large": _da3(1024, 23, 256),
        "vggt": _VGGT,
        "vggt-commercial": _VGGT,
        "pi3": _PI3,
        "dust3r": Signature(_CROCO, (_DESCRIBES,)),
        "mast3r": Signature({**_CROCO, _DESCRIBES: (6400, 7168)}),
    }
)


def recognise(file: Path) -> OfficialCheckpoint:
    """The published checkpoint that `file` is.

    Its tensors tell the network; where several checkpoints fill the same network, the file's
    hash tells which.

    Raises:
        WeightsError: it cannot be read safely, or is none of the known.
    """
    fitting = fitting_names(tensor_shapes(file))
    entries = [entry for entry in CHECKPOINTS if entry.name in fitting]
    if not entries:
        raise WeightsError(
            "weights.unknown",
            f"{file.name} holds tensors by name, but of no network that MV-SAM knows.",
            f"Known: {', '.join(SIGNATURES)}.",
        )
    if len(entries) == 1:
        return entries[0]
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return next((entry for entry in entries if entry.sha256 == digest), entries[0])


def check_tensors(entry: OfficialCheckpoint, file: Path) -> None:
    """Refuse a file whose tensors are not those of `entry`.

    Raises:
        WeightsError: they are not; the sentence names what it is where that is known.
    """
    fitting = fitting_names(tensor_shapes(file))
    if entry.name in fitting:
        return
    raise WeightsError(
        "weights.changed",
        f"{file.name} is not {entry.name!r}: its tensors have other names or shapes.",
        f"It is {fitting[0]!r}: add it under that name."
        if fitting
        else f"Download it from {entry.url}.",
    )


def fitting_names(shapes: Mapping[str, Shape]) -> list[str]:
    """Names of the checkpoints that have tensors of these shapes."""
    return [name for name, signature in SIGNATURES.items() if signature.fits(shapes)]


def tensor_shapes(file: Path) -> dict[str, Shape]:
    """Shapes of a file's tensors; their numbers are not read, and no code in it is run.

    Raises:
        WeightsError: it cannot be read safely.
    """
    from mvsam_engine.weights.checkpoint import load_tensors

    return {name: tuple(tensor.shape) for name, tensor in load_tensors(file, "meta").items()}
