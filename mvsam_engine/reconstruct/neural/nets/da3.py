# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth Anything 3: one DINOv2 in which later blocks look at all photos; depth and cameras.

arXiv 2511.10647. What only serves other ends (rays, given cameras, Gaussians) is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mvsam_engine.reconstruct.neural.nets.blocks import Block, BlockStyle, Rotary, patch_positions
from mvsam_engine.reconstruct.neural.nets.dpt import DptHead, DptShape
from mvsam_engine.reconstruct.neural.nets.poses import decode_poses
from mvsam_engine.reconstruct.neural.nets.vit import (
    BASE,
    LARGE,
    SMALL,
    VisionTransformer,
    VitShape,
    normalised,
)

# From so many photos on, the network chooses which is the reference; before, the first is.
CHOOSES_FROM = 3


@dataclass(frozen=True, slots=True)
class Da3Shape:
    """Size of a Depth Anything 3.

    Attributes:
        vit: its DINOv2.
        joint_from: from this block on, tokens know their place, and every odd block sees all
            photos.
        taken: blocks whose tokens the head takes.
        head: its size.
    """

    vit: VitShape
    joint_from: int
    taken: tuple[int, int, int, int]
    head: DptShape


SHAPES = {
    "small": Da3Shape(SMALL, 4, (5, 7, 9, 11), DptShape(768, 64, (48, 96, 192, 384))),
    "base": Da3Shape(BASE, 4, (5, 7, 9, 11), DptShape(1536, 128, (96, 192, 384, 768))),
    "large": Da3Shape(LARGE, 8, (11, 15, 19, 23), DptShape(2048, 256, (256, 512, 1024, 1024))),
}


class Trunk(VisionTransformer):
    """A DINOv2 whose later blocks take turns: within each photo, over all photos."""

    def __init__(self, shape: Da3Shape) -> None:
        super().__init__(shape.vit)
        self.joint_from, self.taken = shape.joint_from, shape.taken
        width, heads = shape.vit.width, shape.vit.heads
        self.camera_token = nn.Parameter(torch.zeros(1, 2, width))
        for i in range(shape.joint_from, shape.vit.depth):
            self.blocks[i] = Block(width, heads, BlockStyle(qk_norm=True))
        self.norm = nn.LayerNorm(width)

    def layers(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Patch tokens [n, N, 2 C] of the taken blocks, and camera tokens [n, 2 C].

        Each token is what its photo alone made of it, beside what all photos made of it.
        """
        n, _, height, width = images.shape
        rows, columns = height // self.patch, width // self.patch
        places = patch_positions(rows, columns, 1, images.device)
        head_width = self.shape.width // self.shape.heads
        within = Rotary.at(places, head_width)
        # Over all photos, patches are only told from camera tokens.
        over = Rotary.at(places.clamp(max=1), head_width).repeated(n)
        x = alone = self.tokens(images)
        order = torch.arange(n, device=x.device)
        taken: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            if i == self.joint_from - 1 and n >= CHOOSES_FROM:
                order = reference_first(x[:, 0])
                x, alone = x[order], alone[order]
            if i == self.joint_from:
                others = self.camera_token[0, 1:].expand(n - 1, -1)
                camera = torch.cat([self.camera_token[0, :1], others]).to(x.dtype)
                x = torch.cat([camera[:, None], x[:, 1:]], dim=1)
            if i < self.joint_from:
                x = alone = block(x)
            elif i % 2 == 1:
                x = block(x.flatten(0, 1)[None], over)[0].unflatten(0, (n, -1))
            else:
                x = alone = block(x, within)
            if i in self.taken:
                taken.append(torch.cat([alone, x], dim=-1)[order.argsort()])
        cameras = taken[-1][:, 0]
        half = self.shape.width
        normed = [torch.cat([t[..., :half], self.norm(t[..., half:])], -1) for t in taken]
        return [t[:, 1:] for t in normed], cameras


def reference_first(class_tokens: Tensor) -> Tensor:
    """Order [n] that puts the photo first that is most ordinary; the others stay as they are.

    Ordinary: in the middle, among all photos, of likeness to the others, of strength and of
    spread.

    Args:
        class_tokens: [n, C].
    """
    n = len(class_tokens)
    directions = class_tokens / class_tokens.norm(dim=-1, keepdim=True)
    likeness = (directions @ directions.T - torch.eye(n, device=class_tokens.device)).sum(1)
    facts = (likeness / (n - 1), class_tokens.norm(dim=-1), directions.var(dim=-1))
    distance = sum(
        ((f - f.min()) / (f.max() - f.min() + 1e-8) - 0.5).abs() for f in (f.float() for f in facts)
    )
    first = torch.as_tensor(distance).argmin()
    rest = torch.arange(n, device=class_tokens.device)
    return torch.cat([first[None], rest[rest != first]])


class CameraDecoder(nn.Module):
    """A camera token to nine numbers of a world-from-camera pose."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.fc_t = nn.Linear(width, 3)
        self.fc_qvec = nn.Linear(width, 4)
        self.fc_fov = nn.Sequential(nn.Linear(width, 2), nn.ReLU())

    def forward(self, tokens: Tensor) -> Tensor:
        """[n, C] to [n, 9]."""
        x = self.backbone(tokens)
        return torch.cat([self.fc_t(x), self.fc_qvec(x), self.fc_fov(x)], dim=-1)


class Backbone(nn.Module):
    """Only gives the trunk its published name."""

    def __init__(self, shape: Da3Shape) -> None:
        super().__init__()
        self.pretrained = Trunk(shape)


class DepthAnything3(nn.Module):
    """Photos to depth, confidence, poses and lenses."""

    def __init__(self, shape: Da3Shape) -> None:
        super().__init__()
        self.backbone = Backbone(shape)
        self.head = DptHead(shape.head)
        self.cam_dec = CameraDecoder(2 * shape.vit.width)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images [n, 3, H, W], 0 to 1, to ``depth, confidence, camera_from_world, intrinsics``."""
        height, width = images.shape[-2:]
        layers, cameras = self.backbone.pretrained.layers(normalised(images))
        with torch.autocast(images.device.type, enabled=False):
            depth, confidence = self.head([t.float() for t in layers], height, width)
            poses, lenses = decode_poses(self.cam_dec(cameras.float()), height, width)
        return {
            "depth": depth,
            "confidence": confidence,
            "camera_from_world": torch.linalg.inv(poses),
            "intrinsics": lenses,
        }


__all__ = ["SHAPES", "Da3Shape", "DepthAnything3"]
