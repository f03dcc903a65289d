# SPDX-License-Identifier: GPL-3.0-or-later
"""pi-3: no photo is the reference, so their order does not matter; local points and poses.

arXiv 2507.13347.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pixel_shuffle, relu

from mvsam_engine.reconstruct.neural.nets.blocks import Block, BlockStyle, Rotary, patch_positions
from mvsam_engine.reconstruct.neural.nets.vit import (
    LARGE_REGISTERS,
    VisionTransformer,
    VitShape,
    normalised,
)

REGISTERS = 5
PATCH = 14


@dataclass(frozen=True, slots=True)
class Pi3Shape:
    """Size of a pi-3.

    Attributes:
        vit: its DINOv2.
        depth: blocks that take turns, within each photo and over all.
        heads: of those, and of the last decoders.
        decoder: channels of the last decoders.
        decoder_depth: blocks of each of them.
        camera: channels of the camera head.
    """

    vit: VitShape
    depth: int
    heads: int
    decoder: int
    decoder_depth: int
    camera: int


PUBLISHED = Pi3Shape(LARGE_REGISTERS, 36, 16, 1024, 5, 512)


class Decoder(nn.Module):
    """Blocks within each photo, from the joint tokens to those of one kind of answer."""

    def __init__(self, shape: Pi3Shape, out: int) -> None:
        super().__init__()
        self.projects = nn.Linear(2 * shape.vit.width, shape.decoder)
        style = BlockStyle(scaled=False)
        self.blocks = nn.ModuleList(
            Block(shape.decoder, shape.heads, style) for _ in range(shape.decoder_depth)
        )
        self.linear_out = nn.Linear(shape.decoder, out)

    def forward(self, x: Tensor, rotary: Rotary) -> Tensor:
        """[n, N, 2 C] to [n, N, out]."""
        x = self.projects(x)
        for block in self.blocks:
            x = block(x, rotary)
        return self.linear_out(x)


class PatchHead(nn.Module):
    """All pixels of a patch from its token."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, values * PATCH**2)

    def forward(self, tokens: Tensor, rows: int) -> Tensor:
        """[n, N, C] to [n, values, H, W]."""
        return pixel_shuffle(self.proj(tokens).transpose(1, 2).unflatten(2, (rows, -1)), PATCH)


class ResidualLayers(nn.Module):
    """Three linear layers beside a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for i in (1, 2, 3):
            setattr(self, f"res_conv{i}", nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] to the same."""
        y = relu(self.res_conv2(relu(self.res_conv1(x))))
        return x + relu(self.res_conv3(y))


class CameraHead(nn.Module):
    """The mean of a photo's tokens to a world-from-camera matrix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv = nn.ModuleList(ResidualLayers(width) for _ in range(2))
        self.more_mlps = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.fc_t = nn.Linear(width, 3)
        self.fc_rot = nn.Linear(width, 9)

    def forward(self, tokens: Tensor) -> Tensor:
        """[n, N, C] to rigid [n, 4, 4]."""
        for layers in self.res_conv:
            tokens = layers(tokens)
        x = self.more_mlps(tokens.mean(dim=1))
        pose = torch.eye(4, device=x.device).repeat(len(x), 1, 1)
        pose[:, :3, :3] = nearest_rotation(self.fc_rot(x).unflatten(1, (3, 3)))
        pose[:, :3, 3] = self.fc_t(x)
        return pose


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotation [n, 3, 3] closest to a matrix whose rows are first made unit vectors."""
    u, _, vt = torch.linalg.svd(normalize(matrix, dim=-1))
    sign = torch.ones_like(matrix[:, 0])
    sign[:, 2] = torch.linalg.det(u @ vt)
    return (u * sign[:, None]) @ vt


class Pi3(nn.Module):
    """Photos to points in each camera's frame, their confidence, and poses."""

    def __init__(self, shape: Pi3Shape) -> None:
        super().__init__()
        width = shape.vit.width
        self.shape = shape
        self.encoder = VisionTransformer(shape.vit)
        style = BlockStyle(qk_norm=True)
        self.decoder = nn.ModuleList(Block(width, shape.heads, style) for _ in range(shape.depth))
        self.register_token = nn.Parameter(torch.zeros(1, 1, REGISTERS, width))
        self.point_decoder, self.conf_decoder = (Decoder(shape, shape.decoder) for _ in range(2))
        self.point_head, self.conf_head = PatchHead(shape.decoder, 3), PatchHead(shape.decoder, 1)
        self.camera_decoder = Decoder(shape, shape.camera)
        self.camera_head = CameraHead(shape.camera)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images [n, 3, H, W], 0 to 1, to what it makes of them.

        Returns:
            ``points`` [n, H, W, 3] camera frame, ``logits`` [n, H, W] of their being right,
            ``world_from_camera`` [n, 4, 4].
        """
        n, _, height, width = images.shape
        rows, columns = height // PATCH, width // PATCH
        places = patch_positions(rows, columns, REGISTERS, images.device)
        within = Rotary.at(places, self.shape.vit.width // self.shape.heads)
        tokens = self._joint(self.encoder(normalised(images)), within, n)
        rotary = Rotary.at(places, self.shape.decoder // self.shape.heads)
        points, logits, cameras = (
            decoder(tokens, rotary)[:, REGISTERS:]
            for decoder in (self.point_decoder, self.conf_decoder, self.camera_decoder)
        )
        with torch.autocast(images.device.type, enabled=False):
            xyz = self.point_head(points.float(), rows)
            z = xyz[:, 2:].exp()
            local = torch.cat([xyz[:, :2] * z, z], dim=1).permute(0, 2, 3, 1)
            return {
                "points": local,
                "logits": self.conf_head(logits.float(), rows)[:, 0],
                "world_from_camera": self.camera_head(cameras.float()),
            }

    def _joint(self, patches: Tensor, within: Rotary, n: int) -> Tensor:
        """Tokens [n, registers + N, 2 C]: of the last block within photos, and of the last."""
        registers = self.register_token[0].expand(n, -1, -1).to(patches.dtype)
        x = torch.cat([registers, patches], dim=1)
        over = within.repeated(n)
        before = x
        for i, block in enumerate(self.decoder):
            before = x
            if i % 2 == 0:
                x = block(x, within)
            else:
                x = block(x.flatten(0, 1)[None], over)[0].unflatten(0, (n, -1))
        return torch.cat([before, x], dim=-1)
