# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks by name, filled with their weights: image encoder and the decoder that fits it.

TinyViT and SAM's ViTs are kornia's classes, which bear the names of the published checkpoints;
SAM 2.1's encoder is ours (`hiera`), its decoder is kornia's SAM decoder with what SAM 2 adds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mvsam_engine.errors import SegmentationError
from mvsam_engine.weights import find_checkpoint, find_weights, load_state
from mvsam_engine.weights.checkpoint import fill, read_checkpoint, read_official

if TYPE_CHECKING:
    from torch import Tensor, nn

Family = Literal["tiny-vit", "sam", "sam2.1"]


@dataclass(frozen=True, slots=True)
class EncoderKind:
    """What an encoder's name stands for.

    Attributes:
        family: which classes hold it.
        size: its name there: kornia's, or a key of `hiera.HIERA`.
    """

    family: Family
    size: str


# By the names that people use; but for the first, which is shipped, also those of their weights.
ENCODERS: dict[str, EncoderKind] = {
    "tiny-vit": EncoderKind("tiny-vit", "mobile_sam"),
    "sam-vit-b": EncoderKind("sam", "vit_b"),
    "sam-vit-l": EncoderKind("sam", "vit_l"),
    "sam-vit-h": EncoderKind("sam", "vit_h"),
    "sam2.1-hiera-t": EncoderKind("sam2.1", "t"),
    "sam2.1-hiera-s": EncoderKind("sam2.1", "s"),
    "sam2.1-hiera-b+": EncoderKind("sam2.1", "b+"),
    "sam2.1-hiera-l": EncoderKind("sam2.1", "l"),
}

# Parts of SAM 2.1 that carry an object from one video frame to the next: nothing here has frames.
_MEMORY = re.compile(
    r"(memory_attention|memory_encoder|obj_ptr_proj|obj_ptr_tpos_proj|mask_downsample)\."
    r"|maskmem_tpos_enc$|no_mem_pos_enc$|no_obj_ptr$|no_obj_embed_spatial$"
)
# The one place where kornia's two-way transformer names its layers in its own way.
_MLP = re.compile(r"(transformer\.layers\.\d+\.mlp)\.layers\.(\d)\.")


@dataclass(frozen=True, slots=True, eq=False)
class SamModules:
    """A SAM in its parts, on the CPU, in evaluation mode.

    Attributes:
        key: name and first digits of the weights' hash; safe as a folder name.
        family: which SAM it is.
        image_encoder: kornia's `TinyViT` or `ImageEncoderViT`, or our `HieraEncoder`.
        prompt_encoder: kornia's `PromptEncoder`.
        mask_decoder: kornia's `MaskDecoder`.
    """

    key: str
    family: Family
    image_encoder: nn.Module
    prompt_encoder: Any
    mask_decoder: Any


def encoder_kind(name: str) -> EncoderKind:
    """The entry of `ENCODERS` called `name`.

    Raises:
        SegmentationError: there is none; the message names those that exist.
    """
    if name not in ENCODERS:
        raise SegmentationError(
            "encoder.unknown",
            f"There is no image encoder called {name!r}.",
            f"Known: {', '.join(ENCODERS)}.",
        )
    return ENCODERS[name]


def load_modules(name: str, file: Path | None = None) -> SamModules:
    """Make the networks called `name` and fill them.

    Args:
        name: a key of `ENCODERS`.
        file: a checkpoint of the same shape to read instead of the published one, such as a
            fine-tuned one; it is read as safely, and its hash becomes part of the key.

    Raises:
        SegmentationError: there is no such encoder.
        WeightsError: the weights are missing, damaged, or of another network.
    """
    kind = encoder_kind(name)
    if file is not None:
        state, digest = read_checkpoint(file)
        key, source = f"{name}-{digest[:8]}", file.name
    elif kind.family == "tiny-vit":
        shipped = find_weights(kind.size)
        state, key, source = load_state(shipped), shipped.key, shipped.name
    else:
        entry = find_checkpoint(name)
        state, key, source = read_official(entry), entry.key, entry.path.name
    if kind.family == "sam2.1":
        return sam2_modules(key, kind.size, state, source)
    return sam_modules(key, kind, state, source)


def sam_modules(key: str, kind: EncoderKind, state: dict[str, Tensor], source: str) -> SamModules:
    """SAM and MobileSAM from a checkpoint's state, which kornia's names fit as they are."""
    import torch
    from kornia.models.sam import Sam, SamConfig

    if kind.family == "tiny-vit":
        model = Sam.from_config(SamConfig(kind.size))
        # SAM has no use for TinyViT's classifier, so the file has no weights for it.
        model.image_encoder.head = model.image_encoder.norm_head = torch.nn.Identity()
    else:
        with torch.device("meta"):  # not to draw 600 million random numbers first
            model = Sam.from_config(SamConfig(kind.size))
    fill(model, state, source)
    return SamModules(
        key, kind.family, model.image_encoder, model.prompt_encoder, model.mask_decoder
    )


def sam2_modules(key: str, size: str, state: dict[str, Tensor], source: str) -> SamModules:
    """SAM 2.1 from a checkpoint's state; the memory of video frames is left aside."""
    import torch
    from torch import nn

    from mvsam_engine.segment.encoders.hiera import HIERA, HieraEncoder

    with torch.device("meta"):
        model = nn.ModuleDict(
            {
                "image_encoder": HieraEncoder(HIERA[size]),
                "sam_prompt_encoder": _prompt_encoder(),
                "sam_mask_decoder": _mask_decoder(),
            }
        )
    fill(model, {_our_name(k): v for k, v in state.items() if not _MEMORY.match(k)}, source)
    return SamModules(
        key,
        "sam2.1",
        model["image_encoder"],
        model["sam_prompt_encoder"],
        model["sam_mask_decoder"],
    )


def _our_name(name: str) -> str:
    """Where a tensor of SAM 2.1's checkpoint goes."""
    if name == "no_mem_embed":
        return "image_encoder.no_mem_embed"
    if name.startswith("sam_mask_decoder.conv_s"):
        return name.replace("sam_mask_decoder", "image_encoder", 1)
    return _MLP.sub(lambda found: f"{found[1]}.lin{int(found[2]) + 1}.", name)


def _prompt_encoder() -> nn.Module:
    from kornia.models.sam.architecture.prompt_encoder import PromptEncoder

    return PromptEncoder(256, (64, 64), (1024, 1024), mask_in_chans=16)


def _mask_decoder() -> nn.Module:
    """SAM's decoder with SAM 2's token for whether the object is there, and IoUs within 0..1."""
    from kornia.models.sam.architecture.mask_decoder import MLP, MaskDecoder
    from kornia.models.sam.architecture.transformer import TwoWayTransformer
    from torch import nn

    transformer = TwoWayTransformer(depth=2, embedding_dim=256, num_heads=8, mlp_dim=2048)
    decoder = MaskDecoder(
        transformer_dim=256,
        transformer=transformer,
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    )
    decoder.iou_prediction_head.sigmoid_output = True
    decoder.obj_score_token = nn.Embedding(1, 256)
    decoder.pred_obj_score_head = MLP(256, 256, 1, 3)
    return decoder
