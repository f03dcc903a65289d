# SPDX-License-Identifier: GPL-3.0-or-later
"""VGGT: a DINOv2, then blocks within each photo and over all photos in turn; depth and cameras.

arXiv 2503.11651. Its point and track heads are left out: depth with cameras is, by the authors'
own numbers, the better pointmap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mvsam_engine.reconstruct.neural.nets.blocks import (
    Block,
    BlockStyle,
    Mlp,
    Rotary,
    patch_positions,
)
from mvsam_engine.reconstruct.neural.nets.dpt import DptHead, DptShape
from mvsam_engine.reconstruct.neural.nets.poses import decode_poses
from mvsam_engine.reconstruct.neural.nets.vit import (
    LARGE_REGISTERS,
    VisionTransformer,
    VitShape,
    normalised,
)

SPECIAL = 5  # a camera token and four registers
ITERATIONS = 4  # of the camera head
CODE = 9


@dataclass(frozen=True, slots=True)
class VggtShape:
    """Size of a VGGT.

    Attributes:
        vit: its DINOv2.
        depth: pairs of blocks, within each photo and over all.
        taken: pairs whose tokens the depth head takes.
        head: size of the depth head.
        camera_heads: attention heads of the camera head.
    """

    vit: VitShape
    depth: int
    taken: tuple[int, int, int, int]
    head: DptShape
    camera_heads: int


PUBLISHED = VggtShape(
    LARGE_REGISTERS, 24, (4, 11, 17, 23),
    DptShape(2048, 256, (256, 512, 1024, 1024), relu_skip=True), 16,
)  # fmt: skip


class Aggregator(nn.Module):
    """Photos to tokens that know of each other."""

    def __init__(self, shape: VggtShape) -> None:
        super().__init__()
        width, heads = shape.vit.width, shape.vit.heads
        self.taken, self.head_width = shape.taken, width // heads
        self.patch_embed = VisionTransformer(shape.vit)
        style = BlockStyle(eps=1e-5, qk_norm=True)
        self.frame_blocks, self.global_blocks = (
            nn.ModuleList(Block(width, heads, style) for _ in range(shape.depth)) for _ in range(2)
        )
        # One for the first photo, whose camera is the world, and one for all others.
        self.camera_token = nn.Parameter(torch.zeros(1, 2, 1, width))
        self.register_token = nn.Parameter(torch.zeros(1, 2, SPECIAL - 1, width))

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Patch tokens [n, N, 2 C] of the taken pairs, and camera tokens [n, 2 C] of the last."""
        n, _, height, width = images.shape
        patch = self.patch_embed.patch
        patches = self.patch_embed(normalised(images))
        special = torch.cat([self.camera_token, self.register_token], dim=2)[0]
        first = torch.cat([special[:1], special[1:].expand(n - 1, -1, -1)])
        x = torch.cat([first.to(patches.dtype), patches], dim=1)
        places = patch_positions(height // patch, width // patch, SPECIAL, images.device)
        within = Rotary.at(places, self.head_width)
        over = within.repeated(n)
        taken: list[Tensor] = []
        for i, (frame, across) in enumerate(
            zip(self.frame_blocks, self.global_blocks, strict=True)
        ):
            alone = frame(x, within)
            x = across(alone.flatten(0, 1)[None], over)[0].unflatten(0, (n, -1))
            if i in self.taken:
                taken.append(torch.cat([alone, x], dim=-1))
        return [t[:, SPECIAL:] for t in taken], taken[-1][:, 0]


class CameraHead(nn.Module):
    """Camera tokens to nine numbers each, improved a few times."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        style = BlockStyle(eps=1e-5)
        self.trunk = nn.ModuleList(Block(width, heads, style) for _ in range(4))
        self.token_norm, self.trunk_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, CODE))
        self.embed_pose = nn.Linear(CODE, width)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))
        self.adaln_norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.pose_branch = Mlp(width, width // 2, CODE)

    def forward(self, tokens: Tensor) -> Tensor:
        """[n, C] to [n, 9]; fields of view are not negative."""
        tokens = self.token_norm(tokens)[None]
        code = self.empty_pose_tokens.expand(1, tokens.shape[1], -1)
        found = torch.zeros_like(code)
        for _ in range(ITERATIONS):
            shift, scale, gate = self.poseLN_modulation(self.embed_pose(code)).chunk(3, dim=-1)
            x = tokens + gate * (self.adaln_norm(tokens) * (1 + scale) + shift)
            for block in self.trunk:
                x = block(x)
            found = code = found + self.pose_branch(self.trunk_norm(x))
        return torch.cat([code[..., :7], code[..., 7:].relu()], dim=-1)[0]


class Vggt(nn.Module):
    """Photos to depth, confidence, poses and lenses."""

    def __init__(self, shape: VggtShape) -> None:
        super().__init__()
        self.aggregator = Aggregator(shape)
        self.camera_head = CameraHead(2 * shape.vit.width, shape.camera_heads)
        self.depth_head = DptHead(shape.head)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images [n, 3, H, W], 0 to 1, to ``depth, confidence, camera_from_world, intrinsics``."""
        height, width = images.shape[-2:]
        layers, cameras = self.aggregator(images)
        with torch.autocast(images.device.type, enabled=False):
            depth, confidence = self.depth_head([t.float() for t in layers], height, width)
            poses, lenses = decode_poses(self.camera_head(cameras.float()), height, width)
        return {
            "depth": depth,
            "confidence": confidence,
            "camera_from_world": poses,
            "intrinsics": lenses,
        }
