# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM's two-way transformer, for batches whose images have different numbers of prompts.

kornia's classes hold the weights; the forward pass is written here, because it must keep padded
tokens out of every attention. Method: Segment Anything, https://arxiv.org/abs/2304.02643.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def two_way(
    transformer: Any, images: Tensor, image_code: Tensor, tokens: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """SAM's two-way transformer with padded tokens kept out of every attention.

    Args:
        transformer: kornia's `TwoWayTransformer`.
        images: [B, 256, 64, 64].
        image_code: [1 or B, 256, 64, 64] positional code.
        tokens: [B, T, 256].
        valid: [B, T] bool, False for padding.

    Returns:
        Tokens [B, T, 256] and image features [B, 4096, 256].
    """
    keys = images.flatten(2).transpose(1, 2).contiguous()  # [B, 4096, 256]
    code = image_code.flatten(2).transpose(1, 2)
    mask = None if bool(valid.all()) else valid[:, None, None, :]
    queries = tokens
    for layer in transformer.layers:
        if layer.skip_first_layer_pe:
            queries = attend(layer.self_attn, queries, queries, queries, mask)
        else:
            q = queries + tokens
            queries = queries + attend(layer.self_attn, q, q, queries, mask)
        queries = layer.norm1(queries)
        k = keys + code
        q = queries + tokens
        queries = layer.norm2(queries + attend(layer.cross_attn_token_to_image, q, k, keys))
        queries = layer.norm3(queries + layer.mlp(queries))
        q = queries + tokens
        seen = attend(layer.cross_attn_image_to_token, k, q, queries, mask)
        keys = layer.norm4(keys + seen)
    attended = attend(transformer.final_attn_token_to_image, queries + tokens, keys + code, keys)
    return transformer.norm_final_attn(queries + attended), keys


def attend(module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Multi-head attention of kornia's `Attention`; `mask` [B, 1, 1, K] is False for padding."""
    from torch.nn.functional import scaled_dot_product_attention

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(2, (module.num_heads, -1)).transpose(1, 2)

    q, k, v = heads(module.q_proj(q)), heads(module.k_proj(k)), heads(module.v_proj(v))
    return module.out_proj(scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2))
