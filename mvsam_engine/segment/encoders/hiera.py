# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM 2.1's image encoder: Hiera trunk, feature pyramid, and what its decoder takes from them.

Methods: Hiera, https://arxiv.org/abs/2306.00989; its positions, "Window Attention is Bugged",
https://arxiv.org/abs/2311.05613; the pyramid, SAM 2, https://arxiv.org/abs/2408.00714. Names of
the tensors are those of the published checkpoints.

Convention: maps are [B, H, W, C] in the trunk and [B, C, H, W] in the pyramid. Stage s works at a
stride of 4 * 2**s pixels; its first block halves the map of the stage before and widens it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mvsam_engine.segment.encoders.windows import join, split


@dataclass(frozen=True, slots=True)
class HieraConfig:
    """Sizes of one Hiera encoder.

    Attributes:
        width: channels of the first stage; each stage has twice those of the stage before.
        heads: attention heads of the first stage; doubled like the width.
        blocks: blocks in each stage.
        global_blocks: numbers of the blocks, counted through all stages, that attend everywhere.
        background: side of the learned map of positions, which is stretched over the image.
        windows: side of each stage's attention windows, in its own tokens.
        embedding: channels of the pyramid.
    """

    width: int
    heads: int
    blocks: tuple[int, ...]
    global_blocks: tuple[int, ...]
    background: int = 7
    windows: tuple[int, ...] = (8, 4, 14, 7)
    embedding: int = 256


HIERA = {
    "t": HieraConfig(96, 1, (1, 2, 7, 2), (5, 7, 9)),
    "s": HieraConfig(96, 1, (1, 2, 11, 2), (7, 10, 13)),
    "b+": HieraConfig(112, 2, (2, 3, 16, 3), (12, 16, 20), background=14),
    "l": HieraConfig(144, 2, (2, 6, 36, 4), (23, 33, 43), windows=(8, 4, 16, 8)),
}


class HieraEncoder(nn.Module):
    """Image to the three maps that SAM 2.1's decoder reads.

    Args:
        config: sizes.
    """

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        self.trunk = Trunk(config)
        self.neck = Neck(config)
        channels = config.embedding
        # Stands for "no memory of earlier frames": single images are always without.
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, channels))
        # Part of the decoder in the checkpoint, but the same whatever is asked.
        self.conv_s0 = nn.Conv2d(channels, channels // 8, 1)
        self.conv_s1 = nn.Conv2d(channels, channels // 4, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at strides 16, 8 and 4.

        Args:
            images: [B, 3, S, S] normalised; S is 1024 in the published encoders.

        Returns:
            Embedding [B, 256, S/16, S/16], and high-resolution features [B, 64, S/8, S/8] and
            [B, 32, S/4, S/4].
        """
        stride4, stride8, stride16 = self.neck(self.trunk(images))
        embedding = stride16 + self.no_mem_embed.reshape(1, -1, 1, 1)
        return embedding, self.conv_s1(stride8), self.conv_s0(stride4)


class Trunk(nn.Module):
    """Hiera: attention inside windows, in four stages of falling resolution.

    Args:
        config: sizes.
    """

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, config.width, 7, 4, 3)})
        side, window = config.background, config.windows[0]
        self.pos_embed = nn.Parameter(torch.zeros(1, config.width, side, side))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, config.width, window, window))
        self.blocks = nn.ModuleList()
        self.last_blocks: list[int] = []  # of each stage
        for stage, count in enumerate(config.blocks):
            for place in range(count):
                first = stage > 0 and place == 0
                # A stage's first block still attends in the windows of the map that it halves.
                window = config.windows[stage - 1 if first else stage]
                if len(self.blocks) in config.global_blocks:
                    window = 0
                scale = 2**stage
                self.blocks.append(
                    Block(config.width * scale, config.heads * scale, window, halves=first)
                )
            self.last_blocks.append(len(self.blocks) - 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The last map of each stage, [B, C, H, W], finest first."""
        x = self.patch_embed["proj"](images)
        x = (x + self._positions(x.shape[2], x.shape[3])).permute(0, 2, 3, 1)
        maps: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.last_blocks:
                maps.append(x.permute(0, 3, 1, 2))
        return maps

    def _positions(self, rows: int, columns: int) -> Tensor:
        """Code of each token [1, C, rows, columns]: place in the image plus place in its window."""
        image = functional.interpolate(self.pos_embed, (rows, columns), mode="bicubic")
        side = self.pos_embed_window.shape[-1]
        return image + self.pos_embed_window.tile(1, 1, rows // side, columns // side)


class Block(nn.Module):
    """Attention and MLP; the first block of a later stage halves the map and doubles the width.

    Args:
        width: channels of the result.
        heads: attention heads.
        window: side of the attention windows in tokens of the input; 0 attends everywhere.
        halves: whether the map is halved.
    """

    def __init__(self, width: int, heads: int, window: int, halves: bool) -> None:
        super().__init__()
        taken = width // 2 if halves else width
        self.window, self.halves = window, halves
        self.norm1 = nn.LayerNorm(taken, eps=1e-6)
        self.attn = Attention(taken, width, heads, halves)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        if halves:
            self.proj = nn.Linear(taken, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, C] to the same, or to [B, H/2, W/2, 2C]."""
        normed = self.norm1(x)
        kept = halve(self.proj(normed)) if self.halves else x
        if self.window:
            windows = split(normed, self.window)
            side = self.window // 2 if self.halves else self.window
            attended = join(self.attn(windows), side, kept.shape[1], kept.shape[2])
        else:
            attended = self.attn(normed)
        x = kept + attended
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """Multi-head attention within each map of a batch; queries may be halved.

    Args:
        taken: channels of the input.
        width: channels of the result.
        heads: attention heads.
        halves: whether there is one query for each 2 x 2 tokens, their maximum.
    """

    def __init__(self, taken: int, width: int, heads: int, halves: bool) -> None:
        super().__init__()
        self.heads, self.halves = heads, halves
        self.qkv = nn.Linear(taken, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, taken] to [B, H, W, width], or half of H and W."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if self.halves:
            q = halve(q)
        rows, columns = q.shape[1:3]
        q, k, v = (
            t.flatten(1, 2).unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (q, k, v)
        )  # [B, heads, H * W, C / heads]
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).flatten(2).unflatten(1, (rows, columns)))


class Mlp(nn.Module):
    """Two linear layers, four times as wide between them.

    Args:
        width: channels in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, 4 * width), nn.Linear(4 * width, width)])

    def forward(self, x: Tensor) -> Tensor:
        """On the last axis."""
        return self.layers[1](functional.gelu(self.layers[0](x)))


class Neck(nn.Module):
    """Feature pyramid: every stage to the same channels, the coarsest added to the one above.

    Args:
        config: sizes.
    """

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        # The checkpoint numbers them from the coarsest stage.
        self.convs = nn.ModuleList(
            nn.ModuleDict({"conv": nn.Conv2d(config.width * 2**stage, config.embedding, 1)})
            for stage in reversed(range(len(config.blocks)))
        )

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at strides 4, 8 and 16, [B, C, H, W], from those of the four stages.

        Only stride 16 is helped by a coarser map; 4 and 8 stay as the trunk has them.
        """
        coarse, *fine = (
            conv["conv"](one) for conv, one in zip(self.convs, reversed(maps), strict=True)
        )
        stride16, stride8, stride4 = fine
        stride16 = stride16 + functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        return stride4, stride8, stride16


def halve(x: Tensor) -> Tensor:
    """Maximum of each 2 x 2 tokens: [B, H, W, C] to [B, H/2, W/2, C]."""
    return x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).amax((2, 4))
