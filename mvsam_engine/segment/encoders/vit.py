# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM's ViT with attention that does not keep every pair of tokens in memory.

kornia's class holds the weights and the layers. The forward pass is written here, because where a
block attends everywhere, kornia's builds the 4096 x 4096 scores of all heads several times over:
with ViT-B that takes 3.3 GB of memory and 27 s on a CPU, this 1.2 GB and 20 s. Method: Segment
Anything, https://arxiv.org/abs/2304.02643; positions, https://arxiv.org/abs/2112.01526.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from mvsam_engine.segment.encoders.windows import join, split

# Most scores in memory at a time: two heads of 4096 x 4096, 134 MB.
SCORES = 1 << 25


class SamVit(nn.Module):
    """The forward pass of SAM's image encoder.

    Args:
        vit: kornia's `ImageEncoderViT` with its weights.
    """

    def __init__(self, vit: nn.Module) -> None:
        super().__init__()
        self.vit: Any = vit

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [B, 3, 1024, 1024] to embeddings [B, 256, 64, 64]."""
        x = self.vit.patch_embed(images) + self.vit.pos_embed  # [B, 64, 64, C]
        rows, columns = x.shape[1:3]
        for block in self.vit.blocks:
            normed, side = block.norm1(x), block.window_size
            if side:
                x = x + join(attend(block.attn, split(normed, side)), side, rows, columns)
            else:
                x = x + attend(block.attn, normed)
            x = x + block.mlp(block.norm2(x))
        return self.vit.neck(x.permute(0, 3, 1, 2))


def attend(module: Any, x: Tensor, most: int = SCORES) -> Tensor:
    """Multi-head attention with relative positions, some heads at a time: [B, H, W, C] to the same.

    Args:
        module: kornia's `Attention`, made for maps of this size.
        x: the map.
        most: scores in memory at a time; one head always fits.
    """
    batch, rows, columns, _ = x.shape
    qkv = module.qkv(x).unflatten(-1, (3, module.num_heads, -1))
    q, k, v = qkv.permute(3, 0, 4, 1, 2, 5)  # each [B, heads, H, W, D]
    down, across = _table(module.rel_pos_h, rows), _table(module.rel_pos_w, columns)
    step = max(1, most // (batch * (rows * columns) ** 2))
    parts: list[Tensor] = []
    for start in range(0, module.num_heads, step):
        heads = slice(start, start + step)
        query = q[:, heads]
        vertical = torch.einsum("bnhwd,hkd->bnhwk", query, down)
        horizontal = torch.einsum("bnhwd,wkd->bnhwk", query, across)
        bias = vertical[..., :, None] + horizontal[..., None, :]  # [B, n, H, W, H, W]
        parts.append(
            scaled_dot_product_attention(
                query.flatten(2, 3),
                k[:, heads].flatten(2, 3),
                v[:, heads].flatten(2, 3),
                bias.flatten(4, 5).flatten(2, 3),
            )
        )
    y = torch.cat(parts, dim=1).transpose(1, 2).flatten(2)  # [B, H * W, C]
    return module.proj(y.unflatten(1, (rows, columns)))


def _table(offsets: Tensor, count: int) -> Tensor:
    """Codes [count, count, D] of query and key from those of their offsets [2 * count - 1, D]."""
    place = torch.arange(count, device=offsets.device)
    return offsets[place[:, None] - place[None, :] + count - 1]
