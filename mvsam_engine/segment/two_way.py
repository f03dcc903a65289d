# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM's two-way transformer and mask head, for batches of images with different numbers of prompts.

kornia's classes hold the weights; the forward pass is written here, because it must keep padded
tokens out of every attention, and because with the channels last all of it is matrix products:
on a CPU that takes two thirds of the time. Method: Segment Anything, https://arxiv.org/abs/2304.02643.
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
        images: [B, RC, 256].
        image_code: [1 or B, RC, 256] positional code.
        tokens: [B, T, 256].
        valid: [B, T] bool, False for padding.

    Returns:
        Tokens [B, T, 256] and image features [B, RC, 256].
    """
    keys, code = images, image_code
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


def mask_logits(decoder: Any, mask_tokens: Tensor, keys: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits [B, M, 4R, 4C]: SAM's upscaling of the image features, times the mask tokens.

    The two transposed convolutions have stride and kernel two, so each is one product per token
    whose result is laid out as 2 x 2 cells; only the logits, not the features, are put in order.

    Args:
        decoder: kornia's `MaskDecoder`.
        mask_tokens: [B, M, 256].
        keys: [B, RC, 256].
        size: R and C.
    """
    import torch
    from torch.nn.functional import gelu, layer_norm

    first, norm, _, second, _ = decoder.output_upscaling
    fine = _upscaled(first, keys)  # [B, RC, 4, 64]
    fine = gelu(layer_norm(fine, fine.shape[-1:], norm.weight, norm.bias, norm.eps))
    fine = gelu(_upscaled(second, fine))  # [B, RC, 4, 4, 32]
    heads = decoder.output_hypernetworks_mlps
    weights = torch.stack([head(mask_tokens[:, i]) for i, head in enumerate(heads)], dim=1)
    logits = fine.flatten(1, 3) @ weights.transpose(1, 2)  # [B, RC * 16, M]
    rows, columns = size
    logits = logits.unflatten(1, (rows, columns, 2, 2, 2, 2))  # R, C, then y, x of each doubling
    return logits.permute(0, 7, 1, 3, 5, 2, 4, 6).flatten(5, 7).flatten(2, 4)


def _upscaled(convolution: Any, features: Tensor) -> Tensor:
    """Transposed convolution of stride and kernel two, [..., C] to [..., 4, D] (y, x of a cell)."""
    weight = convolution.weight.permute(0, 2, 3, 1)  # [C, 2, 2, D]
    out = (features @ weight.flatten(1)).unflatten(-1, (4, -1))
    return out + convolution.bias
