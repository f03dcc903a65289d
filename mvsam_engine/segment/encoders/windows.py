# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting maps into the windows that attention stays in."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def split(x: Tensor, side: int) -> Tensor:
    """Cut [B, H, W, C] into windows [B * n, side, side, C], zeros below and right of the last."""
    rows, columns = x.shape[1:3]
    x = functional.pad(x, (0, 0, 0, -columns % side, 0, -rows % side))
    x = x.unflatten(2, (-1, side)).unflatten(1, (-1, side))  # [B, n, side, m, side, C]
    return x.transpose(2, 3).flatten(0, 2)


def join(windows: Tensor, side: int, rows: int, columns: int) -> Tensor:
    """Undo `split`: windows [B * n, side, side, C] to [B, rows, columns, C]."""
    down, across = -(-rows // side), -(-columns // side)
    x = windows.unflatten(0, (-1, down, across)).transpose(2, 3)  # [B, n, side, m, side, C]
    return x.flatten(3, 4).flatten(1, 2)[:, :rows, :columns]
