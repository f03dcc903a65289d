# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of four layers to a value and a confidence per pixel (DPT, Ranftl et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

# Of the position code that is added to the features.
POSITION_SHARE, POSITION_BASE = 0.1, 100.0
# Photos that a head works on at a time.
CHUNK = 8


@dataclass(frozen=True, slots=True)
class DptShape:
    """Size of a head.

    Attributes:
        tokens: channels of the tokens.
        features: channels of the fused maps.
        levels: channels of each of the four levels before fusion.
        outputs: values per pixel, the last is the confidence.
        relu_skip: what goes past the two convolutions of a residual unit is rectified too, as
            where the authors rectified in place.
    """

    tokens: int
    features: int
    levels: tuple[int, int, int, int]
    outputs: int = 2
    relu_skip: bool = False


class ResidualUnit(nn.Module):
    """Two convolutions beside a skip."""

    def __init__(self, features: int, relu_skip: bool) -> None:
        super().__init__()
        self.relu_skip = relu_skip
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same."""
        rectified = relu(x)
        skip = rectified if self.relu_skip else x
        return self.conv2(relu(self.conv1(rectified))) + skip


class Fusion(nn.Module):
    """A finer level added to a coarser one, then enlarged."""

    def __init__(self, features: int, relu_skip: bool, coarsest: bool) -> None:
        super().__init__()
        if not coarsest:
            self.resConfUnit1 = ResidualUnit(features, relu_skip)
        self.resConfUnit2 = ResidualUnit(features, relu_skip)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, x: Tensor, finer: Tensor | None, size: tuple[int, int]) -> Tensor:
        """[B, C, h, w] to [B, C, *size]."""
        if finer is not None:
            x = x + self.resConfUnit1(finer)
        x = self.resConfUnit2(x)
        return self.out_conv(interpolate(x, size, mode="bilinear", align_corners=True))


class Scratch(nn.Module):
    """The convolutional half of the head (named as in the first DPT)."""

    def __init__(self, shape: DptShape) -> None:
        super().__init__()
        features = shape.features
        for i, channels in enumerate(shape.levels, 1):
            setattr(self, f"layer{i}_rn", nn.Conv2d(channels, features, 3, padding=1, bias=False))
            setattr(self, f"refinenet{i}", Fusion(features, shape.relu_skip, coarsest=i == 4))
        self.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, shape.outputs, 1)
        )

    def fuse(self, levels: Sequence[Tensor]) -> Tensor:
        """Four maps, finest first, to one at twice the finest's size."""
        maps = [getattr(self, f"layer{i}_rn")(x) for i, x in enumerate(levels, 1)]
        x = self.refinenet4(maps[3], None, maps[2].shape[2:])
        x = self.refinenet3(x, maps[2], maps[1].shape[2:])
        x = self.refinenet2(x, maps[1], maps[0].shape[2:])
        height, width = x.shape[2:]
        x = self.refinenet1(x, maps[0], (2 * height, 2 * width))
        return self.output_conv1(x)


class DptHead(nn.Module):
    """Depth and confidence from the tokens of four layers."""

    def __init__(self, shape: DptShape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.tokens)
        self.projects = nn.ModuleList(nn.Conv2d(shape.tokens, c, 1) for c in shape.levels)
        first, second, _, fourth = shape.levels
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(first, first, 4, stride=4),
                nn.ConvTranspose2d(second, second, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(fourth, fourth, 3, stride=2, padding=1),
            ]
        )
        self.scratch = Scratch(shape)

    def forward(self, layers: Sequence[Tensor], height: int, width: int) -> tuple[Tensor, Tensor]:
        """Depth [n, H, W], positive, and confidence [n, H, W], above 1.

        Args:
            layers: four layers' patch tokens [n, N, C].
            height: of the images, pixels.
            width: of the images.
        """
        parts = [
            self._part([layer[i : i + CHUNK] for layer in layers], height, width)
            for i in range(0, len(layers[0]), CHUNK)
        ]
        maps = torch.cat(parts)
        return maps[:, 0].exp(), 1 + maps[:, 1].exp()

    def _part(self, layers: Sequence[Tensor], height: int, width: int) -> Tensor:
        patch_rows = round((layers[0].shape[1] * height / width) ** 0.5)
        levels = []
        for layer, project, resize in zip(layers, self.projects, self.resize_layers, strict=True):
            x = self.norm(layer).transpose(1, 2).unflatten(2, (patch_rows, -1))
            levels.append(resize(with_positions(project(x), width / height)))
        x = interpolate(
            self.scratch.fuse(levels), (height, width), mode="bilinear", align_corners=True
        )
        return self.scratch.output_conv2(with_positions(x, width / height))


def with_positions(x: Tensor, aspect: float) -> Tensor:
    """Features [B, C, h, w] plus a sinusoidal code of where in the photo they lie.

    Positions run over the photo's rectangle of diagonal 2, from pixel centre to pixel centre.
    """
    channels, rows, columns = x.shape[1:]
    diagonal = (aspect**2 + 1) ** 0.5
    codes = []
    for count, span in ((columns, aspect / diagonal), (rows, 1 / diagonal)):
        last = span * (count - 1) / count
        places = torch.linspace(-last, last, count, dtype=x.dtype, device=x.device)
        steps = torch.arange(channels // 4, dtype=torch.float32, device=x.device)
        angles = torch.outer(places.float(), POSITION_BASE ** -(steps / (channels / 4)))
        codes.append(torch.cat([angles.sin(), angles.cos()], dim=1).T)  # [C / 2, count]
    across = codes[0][:, None, :].expand(-1, rows, -1)
    down = codes[1][:, :, None].expand(-1, -1, columns)
    return x + POSITION_SHARE * torch.cat([across, down]).to(x.dtype)
