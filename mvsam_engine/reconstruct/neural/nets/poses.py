# SPDX-License-Identifier: GPL-3.0-or-later
"""Nine numbers of a camera (translation, quaternion, two fields of view) to matrices."""

from __future__ import annotations

import torch
from torch import Tensor

# Tangents below this would be lenses longer than any.
LEAST_TANGENT = 1e-6


def rotations(quaternions: Tensor) -> Tensor:
    """Matrices [..., 3, 3] of quaternions [..., 4] (x, y, z, w) of any length but 0."""
    x, y, z, w = quaternions.unbind(-1)
    s = 2 / (quaternions * quaternions).sum(-1)
    rows = (
        1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w),
        s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w),
        s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def decode_poses(code: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Rigid matrices [n, 4, 4] and lenses [n, 3, 3] in pixels, of codes [n, 9].

    The principal point is the middle; the fields of view are the vertical, then the horizontal.
    """
    pose = torch.eye(4, device=code.device).repeat(len(code), 1, 1)
    pose[:, :3, :3] = rotations(code[:, 3:7])
    pose[:, :3, 3] = code[:, :3]
    lens = torch.eye(3, device=code.device).repeat(len(code), 1, 1)
    tangents = (code[:, 7:] / 2).tan().clamp(min=LEAST_TANGENT)
    lens[:, 1, 1], lens[:, 0, 0] = height / 2 / tangents[:, 0], width / 2 / tangents[:, 1]
    lens[:, 0, 2], lens[:, 1, 2] = width / 2, height / 2
    return pose, lens
