# SPDX-License-Identifier: GPL-3.0-or-later
"""Plane sweep with semi-global aggregation in torch; see `classical.sweep` and `kernels.sgm`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.kernels.sgm import EDGE_GAIN
from mvsam_engine.reconstruct.classical.on_gpu.sampling import bilinear, window_mean
from mvsam_engine.reconstruct.classical.sweep import (
    DIRECTIONS,
    LARGE_CHANGE,
    LEAST_VARIANCE,
    SMALL_CHANGE,
    WINDOW,
    inverse_depths,
)
from mvsam_engine.reconstruct.classical.undistort import FloatMap, WorkingView, warp_between

# Planes warped in one call.
CHUNK = 16


def sweep_depth(
    reference: WorkingView,
    sources: list[WorkingView],
    planes: int,
    progress: Progress,
    device: torch.device,
) -> FloatMap:
    """As `classical.sweep.sweep_depth`, on `device`."""
    inverse = inverse_depths(reference, planes)
    with torch.inference_mode():
        cost = cost_volume(reference, sources, inverse, progress, device)
        guide = torch.from_numpy(reference.filled).to(device)
        total = torch.zeros_like(cost)
        for dy, dx in DIRECTIONS:
            progress.check()
            total += aggregated(cost, guide, dy, dx)
        plane = winner(total).cpu().numpy()
    return 1.0 / (inverse[0] + plane * (inverse[1] - inverse[0]))


def cost_volume(
    reference: WorkingView,
    sources: list[WorkingView],
    inverse: NDArray[np.float32],
    progress: Progress,
    device: torch.device,
) -> Tensor:
    """1 - normalised cross-correlation [h, w, planes], the mean of the two best sources."""
    image = torch.from_numpy(reference.filled).to(device)
    mean = window_mean(image, WINDOW, repeat_border=True)
    variance = (window_mean(image * image, WINDOW, True) - mean * mean).clamp_min(LEAST_VARIANCE)
    best = torch.full((len(inverse), *image.shape), 2.0, device=device)
    second = best.clone()
    for source in sources:
        grey = torch.from_numpy(source.gray).to(device)
        matrix, shift = warp_between(reference, source)
        for start in range(0, len(inverse), CHUNK):
            progress.check()
            part = slice(start, start + CHUNK)
            homography = matrix + np.einsum("p,i,j->pij", inverse[part], shift, [0.0, 0.0, 1.0])
            warped, outside = _warped(grey, homography, image.shape)
            other = window_mean(warped, WINDOW, True)
            spread = window_mean(warped * warped, WINDOW, True) - other * other
            spread = spread.clamp_min(LEAST_VARIANCE)
            covariance = window_mean(image * warped, WINDOW, True) - mean * other
            found = (1.0 - covariance / (variance * spread).sqrt()).clamp_max(1.0)
            found = torch.where(outside, 1.0, found)
            second[part] = torch.minimum(second[part], torch.maximum(best[part], found))
            best[part] = torch.minimum(best[part], found)
    cost = best if len(sources) == 1 else (best + second) * 0.5
    return cost.permute(1, 2, 0).contiguous()


def _warped(
    grey: Tensor, homography: NDArray[np.float64], shape: torch.Size
) -> tuple[Tensor, Tensor]:
    """A source warped onto the reference by each homography [p, 3, 3], and what is outside it.

    Returns:
        Grey values [p, h, w], 0 outside, and [p, h, w] bool.
    """
    height, width = shape
    device = grey.device
    h = torch.from_numpy(homography.astype(np.float32)).to(device)[:, :, :, None, None]
    x = torch.arange(width, device=device, dtype=torch.float32)[None, None, :]
    y = torch.arange(height, device=device, dtype=torch.float32)[None, :, None]
    place = h[:, :, 0] * x[:, None] + h[:, :, 1] * y[:, None] + h[:, :, 2]  # [p, 3, h, w]
    z = place[:, 2]
    behind = z <= 1e-9
    safe = torch.where(behind, 1.0, z)
    u, v = place[:, 0] / safe, place[:, 1] / safe
    right, bottom = grey.shape[1] - 1, grey.shape[0] - 1
    outside = behind | ~((u >= 0) & (v >= 0) & (u <= right) & (v <= bottom))
    inner = bilinear(
        grey.reshape(-1),
        torch.nan_to_num(u).clamp(0, right - 1e-3),
        torch.nan_to_num(v).clamp(0, bottom - 1e-3),
        grey.shape[1],
    )
    outside |= inner < 0
    return torch.where(outside, 0.0, inner), outside


def aggregated(cost: Tensor, guide: Tensor, dy: int, dx: int) -> Tensor:
    """Cheapest path cost [h, w, planes] along one direction; see `kernels.sgm`.

    All paths advance together, row by row, or column by column where the direction is level.

    Args:
        cost: [h, w, planes].
        guide: [h, w] grey photo, 0..1.
        dy: row step of the direction: -1, 0 or 1.
        dx: column step.
    """
    if dy == 0:
        return aggregated(cost.transpose(0, 1), guide.T, dx, 0).transpose(0, 1)
    height, width, _ = cost.shape
    total = torch.empty_like(cost)
    rows = range(height) if dy > 0 else range(height - 1, -1, -1)
    small, large = float(SMALL_CHANGE), float(LARGE_CHANGE)
    previous = before = None
    for row in rows:
        value = cost[row]
        if previous is not None and before is not None:
            earlier = torch.roll(previous, dx, 0)
            cheapest = earlier.min(dim=1, keepdim=True).values
            step = (guide[row] - torch.roll(before, dx, 0)).abs()
            jump = (large / (1 + step * float(EDGE_GAIN))).clamp_min(small * 1.5)[:, None]
            best = torch.minimum(earlier, cheapest + jump)
            best[:, 1:] = torch.minimum(best[:, 1:], earlier[:, :-1] + small)
            best[:, :-1] = torch.minimum(best[:, :-1], earlier[:, 1:] + small)
            value = cost[row] + best - cheapest
            if dx:  # a path that enters at the side begins here
                side = 0 if dx > 0 else width - 1
                value[side] = cost[row, side]
        total[row] = value
        previous, before = value, guide[row]
    return total


def winner(total: Tensor) -> Tensor:
    """The cheapest plane [h, w] of each pixel, refined by a parabola."""
    planes = total.shape[2]
    k = total.argmin(dim=2, keepdim=True)
    inner = (k > 0) & (k < planes - 1)
    safe = k.clamp(1, planes - 2)
    left, mid, right = (total.gather(2, safe + d) for d in (-1, 0, 1))
    bend = left - 2 * mid + right
    offset = torch.where(bend > 1e-6, 0.5 * (left - right) / bend.clamp_min(1e-6), 0.0)
    return (k + torch.where(inner, offset, 0.0))[..., 0]
