# SPDX-License-Identifier: GPL-3.0-or-later
"""Grey values between pixels, and sums over windows, in torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d


def bilinear(flat: Tensor, x: Tensor, y: Tensor, width: int, start: Tensor | int = 0) -> Tensor:
    """Grey values at positions, interpolated linearly.

    Args:
        flat: [n] pixels of one or more images of the same size, rows one after the other.
        x: [...] columns, 0 <= x < width - 1.
        y: [...] rows, likewise.
        width: of an image.
        start: index of the image's first pixel, broadcast to the positions.
    """
    j, i = x.long(), y.long()
    fx, fy = x - j, y - i
    at = start + i * width + j
    upper = torch.lerp(flat[at], flat[at + 1], fx)
    lower = torch.lerp(flat[at + width], flat[at + width + 1], fx)
    return torch.lerp(upper, lower, fy)


def window_mean(values: Tensor, side: int, repeat_border: bool) -> Tensor:
    """Mean over side x side around every pixel of [..., h, w].

    Args:
        values: [..., h, w].
        side: odd.
        repeat_border: whether the mirror stands on the border pixels' outer edge, so that they
            count twice (OpenCV's BORDER_REFLECT), or on their middle (BORDER_REFLECT_101).
    """
    reach, height, width = side // 2, *values.shape[-2:]
    rows = _mirrored(height, reach, repeat_border, values.device)
    columns = _mirrored(width, reach, repeat_border, values.device)
    padded = values.index_select(-2, rows).index_select(-1, columns)
    shape = padded.shape
    return avg_pool2d(padded.reshape(-1, 1, *shape[-2:]), side, stride=1).reshape(values.shape)


def _mirrored(length: int, reach: int, repeat_border: bool, device: torch.device) -> Tensor:
    """Indices [length + 2 * reach] of a line continued by its mirror image."""
    place = torch.arange(-reach, length + reach, device=device)
    if repeat_border:
        place = torch.where(place < 0, -1 - place, place)
        return torch.where(place >= length, 2 * length - 1 - place, place)
    return (length - 1) - ((length - 1) - place.abs()).abs()
