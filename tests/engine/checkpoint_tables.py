# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and shapes of the tensors in the published SAM and SAM 2.1 checkpoints.

Facts from https://github.com/facebookresearch/segment-anything and .../sam2, written down without
regard to the classes that are tested with them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Table = dict[str, tuple[int, ...]]

# width, depth, heads, blocks that attend everywhere
SAM_SIZES = {
    "sam-vit-b": (768, 12, 12, (2, 5, 8, 11)),
    "sam-vit-l": (1024, 24, 16, (5, 11, 17, 23)),
    "sam-vit-h": (1280, 32, 16, (7, 15, 23, 31)),
}
# width, blocks of the stages, side of the background positions
HIERA_SIZES = {
    "sam2.1-hiera-t": (96, (1, 2, 7, 2), 7),
    "sam2.1-hiera-s": (96, (1, 2, 11, 2), 7),
    "sam2.1-hiera-b+": (112, (2, 3, 16, 3), 14),
    "sam2.1-hiera-l": (144, (2, 6, 36, 4), 7),
}
MEMORY: Table = {
    "maskmem_tpos_enc": (7, 1, 1, 64),
    "no_mem_pos_enc": (1, 1, 256),
    "no_obj_ptr": (1, 256),
    "no_obj_embed_spatial": (1, 64),
    "mask_downsample.weight": (1, 1, 4, 4),
    "mask_downsample.bias": (1,),
    "obj_ptr_proj.layers.0.weight": (256, 256),
    "obj_ptr_tpos_proj.weight": (64, 256),
    "memory_encoder.out_proj.weight": (64, 256, 1, 1),
    "memory_attention.layers.3.self_attn.q_proj.weight": (256, 256),
}


def layer(name: str, *shape: int) -> Table:
    """A linear layer or convolution with its bias; `shape` is the weight's."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def sam_table(name: str) -> Table:
    """All tensors of SAM with a ViT."""
    width, depth, heads, everywhere = SAM_SIZES[name]
    table: Table = {"image_encoder.pos_embed": (1, 64, 64, width)}
    table |= layer("image_encoder.patch_embed.proj", width, 3, 16, 16)
    for i in range(depth):
        block, span = f"image_encoder.blocks.{i}", 127 if i in everywhere else 27
        for norm in ("norm1", "norm2"):
            table |= layer(f"{block}.{norm}", width)
        table |= layer(f"{block}.attn.qkv", 3 * width, width)
        table |= layer(f"{block}.attn.proj", width, width)
        table |= {f"{block}.attn.rel_pos_{axis}": (span, width // heads) for axis in "hw"}
        table |= layer(f"{block}.mlp.lin1", 4 * width, width)
        table |= layer(f"{block}.mlp.lin2", width, 4 * width)
    table["image_encoder.neck.0.weight"] = (256, width, 1, 1)
    table["image_encoder.neck.2.weight"] = (256, 256, 3, 3)
    table |= layer("image_encoder.neck.1", 256) | layer("image_encoder.neck.3", 256)
    return table | prompt_table("prompt_encoder") | decoder_table("mask_decoder", ("lin1", "lin2"))


def sam2_table(name: str) -> Table:
    """What SAM 2.1 has for single images, with some of what it has for video."""
    width, stages, background = HIERA_SIZES[name]
    trunk = "image_encoder.trunk"
    table: Table = {
        f"{trunk}.pos_embed": (1, width, background, background),
        f"{trunk}.pos_embed_window": (1, width, 8, 8),
        "no_mem_embed": (1, 1, 256),
    }
    table |= layer(f"{trunk}.patch_embed.proj", width, 3, 7, 7)
    starts = [sum(stages[:s]) for s in range(4)]
    for i in range(sum(stages)):
        stage = sum(i >= start for start in starts) - 1
        out = width * 2**stage
        taken = out // 2 if stage and i == starts[stage] else out
        block = f"{trunk}.blocks.{i}"
        table |= layer(f"{block}.norm1", taken) | layer(f"{block}.norm2", out)
        table |= layer(f"{block}.attn.qkv", 3 * out, taken)
        table |= layer(f"{block}.attn.proj", out, out)
        table |= layer(f"{block}.mlp.layers.0", 4 * out, out)
        table |= layer(f"{block}.mlp.layers.1", out, 4 * out)
        if taken != out:
            table |= layer(f"{block}.proj", out, taken)
    for i in range(4):
        table |= layer(f"image_encoder.neck.convs.{i}.conv", 256, width * 2 ** (3 - i), 1, 1)
    decoder = "sam_mask_decoder"
    table |= decoder_table(decoder, ("layers.0", "layers.1"))
    table |= layer(f"{decoder}.conv_s0", 32, 256, 1, 1) | layer(f"{decoder}.conv_s1", 64, 256, 1, 1)
    table[f"{decoder}.obj_score_token.weight"] = (1, 256)
    table |= mlp(f"{decoder}.pred_obj_score_head", 1)
    return table | prompt_table("sam_prompt_encoder") | MEMORY


def prompt_table(root: str) -> Table:
    """The prompt encoder of both."""
    table: Table = {f"{root}.pe_layer.positional_encoding_gaussian_matrix": (2, 128)}
    names = [f"point_embeddings.{i}" for i in range(4)] + ["not_a_point_embed", "no_mask_embed"]
    table |= {f"{root}.{name}.weight": (1, 256) for name in names}
    down = f"{root}.mask_downscaling"
    table |= layer(f"{down}.0", 4, 1, 2, 2) | layer(f"{down}.1", 4)
    table |= layer(f"{down}.3", 16, 4, 2, 2) | layer(f"{down}.4", 16)
    return table | layer(f"{down}.6", 256, 16, 1, 1)


def decoder_table(root: str, mlp_names: tuple[str, str]) -> Table:
    """The part of the mask decoder that both have; only its MLPs have other names."""
    table: Table = {
        f"{root}.iou_token.weight": (1, 256),
        f"{root}.mask_tokens.weight": (4, 256),
    }
    transformer = f"{root}.transformer"
    for i in range(2):
        block = f"{transformer}.layers.{i}"
        table |= attention(f"{block}.self_attn", 256)
        table |= attention(f"{block}.cross_attn_token_to_image", 128)
        table |= attention(f"{block}.cross_attn_image_to_token", 128)
        table |= layer(f"{block}.mlp.{mlp_names[0]}", 2048, 256)
        table |= layer(f"{block}.mlp.{mlp_names[1]}", 256, 2048)
        for norm in range(1, 5):
            table |= layer(f"{block}.norm{norm}", 256)
    table |= attention(f"{transformer}.final_attn_token_to_image", 128)
    table |= layer(f"{transformer}.norm_final_attn", 256)
    up = f"{root}.output_upscaling"
    # A transposed convolution's weight has its inputs first.
    table |= {f"{up}.0.weight": (256, 64, 2, 2), f"{up}.0.bias": (64,)} | layer(f"{up}.1", 64)
    table |= {f"{up}.3.weight": (64, 32, 2, 2), f"{up}.3.bias": (32,)}
    for i in range(4):
        table |= mlp(f"{root}.output_hypernetworks_mlps.{i}", 32)
    return table | mlp(f"{root}.iou_prediction_head", 4)


def attention(root: str, inner: int) -> Table:
    """Four projections."""
    table = layer(f"{root}.out_proj", 256, inner)
    for name in ("q_proj", "k_proj", "v_proj"):
        table |= layer(f"{root}.{name}", inner, 256)
    return table


def mlp(root: str, out: int) -> Table:
    """Three layers."""
    return (
        layer(f"{root}.layers.0", 256, 256)
        | layer(f"{root}.layers.1", 256, 256)
        | layer(f"{root}.layers.2", out, 256)
    )


def zeros(table: Table) -> dict[str, Tensor]:
    """A state of these shapes that takes no memory."""
    return {name: torch.zeros(1).expand(shape) for name, shape in table.items()}


def chance(table: Table, seed: int) -> dict[str, Tensor]:
    """A state of these shapes with values that keep activations near 1.

    Embeddings and the projections to queries and keys are larger, so that tokens differ and
    attention is uneven: a network of chance would else answer the same whatever it is asked.
    """
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for name, shape in table.items():
        value = torch.randn(shape, generator=generator)
        inputs = math.prod(shape[1:])
        if "norm" in name and name.endswith(".weight"):
            value = 1 + value / 10
        elif len(shape) == 1:
            value = value / 10
        elif not (shape[0] < 5 and inputs == 256):  # an embedding
            value = value * (4 if "q_proj" in name or "k_proj" in name else 1) / inputs**0.5
        state[name] = value
    return state
