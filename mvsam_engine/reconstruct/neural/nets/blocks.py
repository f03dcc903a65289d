# SPDX-License-Identifier: GPL-3.0-or-later
"""Transformer blocks that all of the models are made of, and where their tokens lie.

Convention: tokens [B, N, C]; token positions [N, 2] are (row, column) of the patch, counted from 1,
and (0, 0) for tokens that stand for no patch (class, camera, register).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu


@dataclass(frozen=True, slots=True)
class BlockStyle:
    """In what the models' blocks differ.

    Attributes:
        eps: of the layer norms.
        qk_norm: queries and keys are normalised for each head.
        scaled: each residual is scaled by a learned factor per channel.
        gated: the feed-forward half is a SwiGLU (DINOv2's giant).
    """

    eps: float = 1e-6
    qk_norm: bool = False
    scaled: bool = True
    gated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Rotary:
    """Rotary embedding in two dimensions (Heo et al. 2024), ready for some tokens.

    The first half of each head turns with the row, the second with the column.

    Attributes:
        cosine: [N, D] for each token and channel of a head.
        sine: [N, D].
    """

    cosine: Tensor
    sine: Tensor

    @staticmethod
    def at(positions: Tensor, head_width: int, base: float = 100.0) -> Rotary:
        """For tokens at positions [N, 2]."""
        half = head_width // 2
        rates = base ** -(torch.arange(0, half, 2, device=positions.device).float() / half)
        angles = positions.float()[:, :, None] * rates  # [N, 2, half / 2]
        angles = torch.cat([angles, angles], dim=-1).flatten(1)  # [N, D]
        return Rotary(angles.cos(), angles.sin())

    def repeated(self, times: int) -> Rotary:
        """The same positions for the tokens of `times` photos in a row."""
        return Rotary(self.cosine.repeat(times, 1), self.sine.repeat(times, 1))

    def turn(self, heads: Tensor) -> Tensor:
        """Turned queries or keys [B, heads, N, D]."""
        a, b, c, d = heads.chunk(4, dim=-1)
        quarter = torch.cat([-b, a, -d, c], dim=-1)
        return heads * self.cosine.to(heads.dtype) + quarter * self.sine.to(heads.dtype)


def patch_positions(rows: int, columns: int, special: int, device: torch.device) -> Tensor:
    """Positions [special + rows * columns, 2] of a photo's tokens, special ones first."""
    grid = torch.cartesian_prod(
        torch.arange(1, rows + 1, device=device), torch.arange(1, columns + 1, device=device)
    )
    return torch.cat([grid.new_zeros(special, 2), grid])


class Attention(nn.Module):
    """Self-attention over all tokens of a sequence."""

    def __init__(self, width: int, heads: int, qk_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.LayerNorm(width // heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(width // heads) if qk_norm else nn.Identity()
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rotary: Rotary | None) -> Tensor:
        """[B, N, C] to [B, N, C]."""
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        if rotary is not None:
            q, k = rotary.turn(q), rotary.turn(k)
        return self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, width: int, hidden: int, out: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, out or width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] to [..., out]."""
        return self.fc2(self.act(self.fc1(x)))


class GatedMlp(nn.Module):
    """SwiGLU (Shazeer 2020); two thirds as wide, in multiples of eight."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        hidden = (int(hidden * 2 / 3) + 7) // 8 * 8
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] to [..., width]."""
        gate, value = self.w12(x).chunk(2, dim=-1)
        return self.w3(silu(gate) * value)


class LayerScale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] to [..., width]."""
        return x * self.gamma


class Block(nn.Module):
    """Attention, then feed-forward, each on normalised tokens and added to them."""

    def __init__(self, width: int, heads: int, style: BlockStyle, hidden: int = 0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=style.eps)
        self.attn = Attention(width, heads, style.qk_norm)
        self.ls1 = LayerScale(width) if style.scaled else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=style.eps)
        hidden = hidden or 4 * width
        self.mlp = GatedMlp(width, hidden) if style.gated else Mlp(width, hidden)
        self.ls2 = LayerScale(width) if style.scaled else nn.Identity()

    def forward(self, x: Tensor, rotary: Rotary | None = None) -> Tensor:
        """[B, N, C] to [B, N, C]."""
        x = x + self.ls1(self.attn(self.norm1(x), rotary))
        return x + self.ls2(self.mlp(self.norm2(x)))
