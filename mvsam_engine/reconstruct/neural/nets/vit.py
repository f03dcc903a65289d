# SPDX-License-Identifier: GPL-3.0-or-later
"""DINOv2's vision transformer: photos to tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mvsam_engine.reconstruct.neural.nets.blocks import Block, BlockStyle

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class VitShape:
    """Size and habits of a DINOv2.

    Attributes:
        width: channels of a token.
        depth: blocks.
        heads: of the attention.
        registers: tokens that stand for nothing (Darcet et al. 2024).
        smooth_positions: positions are resized with antialiasing and to the exact size (DINOv2
            with registers), not by a factor a little too large (the first DINOv2).
        gated: SwiGLU instead of an MLP.
        trained: patches on a side of the square photos that it was trained on.
    """

    width: int
    depth: int
    heads: int
    registers: int = 0
    smooth_positions: bool = False
    gated: bool = False
    trained: int = 37


SMALL, BASE = VitShape(384, 12, 6), VitShape(768, 12, 12)
LARGE, LARGE_REGISTERS = VitShape(1024, 24, 16), VitShape(1024, 24, 16, 4, True)


class PatchEmbed(nn.Module):
    """One token for each 14 x 14 pixels."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, N, width], row by row."""
        return self.proj(images).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """Class token, registers and patches through plain blocks.

    Args:
        shape: its size.
        patch: pixels on a side.
    """

    def __init__(self, shape: VitShape, patch: int = 14) -> None:
        super().__init__()
        self.shape, self.patch = shape, patch
        self.patch_embed = PatchEmbed(shape.width, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + shape.trained**2, shape.width))
        if shape.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, shape.registers, shape.width))
        style = BlockStyle(gated=shape.gated)
        self.blocks = nn.ModuleList(
            Block(shape.width, shape.heads, style) for _ in range(shape.depth)
        )
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)

    def tokens(self, images: Tensor) -> Tensor:
        """Tokens [B, 1 + registers + N, width] of normalised images, before the blocks."""
        b, _, height, width = images.shape
        x = torch.cat([self.cls_token.expand(b, -1, -1), self.patch_embed(images)], dim=1)
        x = x + self.positions(height // self.patch, width // self.patch).to(x.dtype)
        if not self.shape.registers:
            return x
        registers = self.register_tokens.expand(b, -1, -1)
        return torch.cat([x[:, :1], registers, x[:, 1:]], dim=1)

    def positions(self, rows: int, columns: int) -> Tensor:
        """Position embedding [1, 1 + rows * columns, width], resized from the trained square."""
        side = self.shape.trained
        if (rows, columns) == (side, side):
            return self.pos_embed
        of_class, grid = self.pos_embed.float().split([1, side * side], dim=1)
        grid = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        if self.shape.smooth_positions:
            grid = interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True)
        else:
            factors = ((rows + 0.1) / side, (columns + 0.1) / side)
            grid = interpolate(grid, scale_factor=factors, mode="bicubic")
        return torch.cat([of_class, grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised patch tokens [B, N, width] of normalised images [B, 3, H, W]."""
        x = self.tokens(images)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 1 + self.shape.registers :]


def normalised(images: Tensor) -> Tensor:
    """Images [..., 3, H, W], 0 to 1, as DINOv2 takes them."""
    mean = images.new_tensor(MEAN)[:, None, None]
    return (images - mean) / images.new_tensor(DEVIATION)[:, None, None]
