# SPDX-License-Identifier: GPL-3.0-or-later
"""Slanted-plane matching in torch; conventions and method as in `kernels.plane_match`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.kernels import plane_match as cpu
from mvsam_engine.reconstruct.classical.on_gpu.sampling import bilinear, window_mean
from mvsam_engine.reconstruct.classical.patchmatch import CHOICE_WINDOW, CHOSEN, Match, Planes
from mvsam_engine.reconstruct.classical.undistort import FloatMap, WorkingView

SAMPLES = cpu.REAL_SAMPLES
WORST, FLAT = float(cpu.WORST_COST), 1.0
# A linear congruential generator's multiplier and increment (Numerical Recipes), modulo 2^32.
MULTIPLIER, INCREMENT, MODULUS = 1664525, 1013904223, 1 << 32
# Random numbers that one pixel draws in one visit.
DRAWS = 3 * cpu.RANDOM_TRIES


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    """Some pixels of the reference and what they look like.

    Attributes:
        index: [n] in the flattened reference.
        x: [n] column.
        y: [n] row.
        weight: [n, SAMPLES] of the patch's samples; they sum to 1.
        centred: [n, SAMPLES] weight * (grey - mean).
        variance: [n] of the patch.
    """

    index: Tensor
    x: Tensor
    y: Tensor
    weight: Tensor
    centred: Tensor
    variance: Tensor

    def take(self, rows: Tensor) -> _Pixels:
        """Some of them."""
        return _Pixels(
            self.index[rows], self.x[rows], self.y[rows],
            self.weight[rows], self.centred[rows], self.variance[rows],
        )  # fmt: skip


class TorchMatch:
    """One view against its sources at one size: what `patchmatch.Match` does, on a device.

    Args:
        match: prepared for the CPU.
        device: where to work.
    """

    def __init__(self, match: Match, device: torch.device) -> None:
        self._cpu, self._device = match, device
        images, matrix, shift = (torch.from_numpy(a).to(device) for a in match.bundle)
        self._images, self._matrix, self._shift = images.reshape(-1), matrix, shift
        self._size = images.shape[1:]
        inverse, gain, weight = match.neighbours
        self._inverse = torch.from_numpy(inverse).to(device)
        self._gain, self._geometric = torch.from_numpy(gain).to(device), float(weight)
        self._image = torch.from_numpy(match.reference.gray).to(device)
        self._offsets_x = torch.from_numpy(cpu.OFFSETS_X[:SAMPLES]).to(device)
        self._offsets_y = torch.from_numpy(cpu.OFFSETS_Y[:SAMPLES]).to(device)

    @property
    def reference(self) -> WorkingView:
        """The view to measure."""
        return self._cpu.reference

    @property
    def bundle(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """The sources as the CPU's kernels take them."""
        return self._cpu.bundle

    def limits(self) -> tuple[np.float32, np.float32]:
        """Least and greatest inverse depth."""
        return self._cpu.limits()

    def all_sources(self) -> NDArray[np.uint8]:
        """See `Match.all_sources`."""
        return self._cpu.all_sources()

    def choose(self, planes: Planes) -> NDArray[np.uint8]:
        """See `Match.choose`."""
        if len(self._matrix) <= CHOSEN:
            return self.all_sources()
        with torch.inference_mode():
            costs = self._costs(torch.from_numpy(planes).to(self._device))
            smooth = window_mean(costs, CHOICE_WINDOW, repeat_border=False)
            best = smooth.topk(CHOSEN, dim=0, largest=False).indices
            return best.permute(1, 2, 0).to(torch.uint8).contiguous().cpu().numpy()

    def costs(self, planes: Planes) -> NDArray[np.float32]:
        """See `Match.costs`."""
        with torch.inference_mode():
            return self._costs(torch.from_numpy(planes).to(self._device)).cpu().numpy()

    def improve(
        self,
        planes: Planes,
        chosen: NDArray[np.uint8],
        step: float,
        iterations: int,
        seed: int,
        progress: Progress,
    ) -> FloatMap:
        """See `Match.improve`."""
        with torch.inference_mode():
            state = torch.from_numpy(planes).to(self._device).reshape(-1, 3).clone()
            mine = torch.from_numpy(chosen.astype(np.int64)).to(self._device).flatten(0, 1)
            everything = self._pixels(torch.arange(len(state), device=self._device))
            cost = self._plane_cost(everything, state, mine)
            for iteration in range(iterations):
                reach = step * 0.5**iteration
                for colour in (0, 1):
                    progress.check()
                    self._visit(everything, state, cost, mine, reach, colour,
                                seed + 2 * iteration + colour)  # fmt: skip
            planes[...] = state.reshape(planes.shape).cpu().numpy()
            return cost.reshape(planes.shape[:2]).cpu().numpy()

    def _costs(self, planes: Tensor) -> Tensor:
        """[s, h, w]: cost of planes [h, w, 3] against each source."""
        flat = planes.reshape(-1, 3)
        pixels = self._pixels(torch.arange(len(flat), device=self._device))
        costs = [
            self._source_cost(pixels, flat, torch.full_like(pixels.index, s))
            for s in range(len(self._matrix))
        ]
        return torch.stack(costs).reshape(-1, *self._image.shape)

    def _pixels(self, index: Tensor) -> _Pixels:
        """Describe the patches around pixels [n]; see `kernels.plane_match.gather`."""
        height, width = self._image.shape
        row, column = index // width, index % width
        y = row[:, None] + self._offsets_y.long()
        x = column[:, None] + self._offsets_x.long()
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        grey = self._image[y.clamp(0, height - 1), x.clamp(0, width - 1)]
        centre = self._image.reshape(-1)[index][:, None]
        share = 1.0 / (1.0 + (grey - centre).square() * float(cpu.BILATERAL))
        share = torch.where(inside & (grey >= 0) & (centre >= 0), share, 0.0)
        grey = torch.where(share > 0, grey, 0.0)
        weight = share / share.sum(dim=1, keepdim=True).clamp_min(1e-12)
        mean = (weight * grey).sum(dim=1, keepdim=True)
        variance = ((weight * grey.square()).sum(dim=1) - mean[:, 0].square()).clamp_min(0.0)
        return _Pixels(
            index=index,
            x=column.float(),
            y=row.float(),
            weight=weight,
            centred=weight * (grey - mean),
            variance=variance,
        )

    def _source_cost(self, pixels: _Pixels, planes: Tensor, source: Tensor) -> Tensor:
        """Cost [n] of planes [n, 3] against sources [n]."""
        m, t = self._matrix[source], self._shift[source]
        x, y = pixels.x, pixels.y
        q, a, b = planes.unbind(1)
        z = m[:, 2, 0] * x + m[:, 2, 1] * y + m[:, 2, 2] + t[:, 2] * q
        behind = z <= 1e-6
        scale = 1.0 / torch.where(behind, 1.0, z)
        u = (m[:, 0, 0] * x + m[:, 0, 1] * y + m[:, 0, 2] + t[:, 0] * q) * scale
        v = (m[:, 1, 0] * x + m[:, 1, 1] * y + m[:, 1, 2] + t[:, 1] * q) * scale
        z_dx, z_dy = m[:, 2, 0] + t[:, 2] * a, m[:, 2, 1] + t[:, 2] * b
        warp = (
            (m[:, 0, 0] + t[:, 0] * a - u * z_dx) * scale,
            (m[:, 1, 0] + t[:, 1] * a - v * z_dx) * scale,
            (m[:, 0, 1] + t[:, 0] * b - u * z_dy) * scale,
            (m[:, 1, 1] + t[:, 1] * b - v * z_dy) * scale,
        )
        cost = self._photo_cost(pixels, source, u, v, warp)
        cost = torch.where(behind, WORST, cost)
        if self._geometric > 0:
            off = self._depth_off(source, u, v, q * scale)
            off = torch.where(behind, float(cpu.MOST_OFF), off)
            cost = cost + self._geometric * off / float(cpu.MOST_OFF)
        return cost

    def _photo_cost(
        self, pixels: _Pixels, source: Tensor, u: Tensor, v: Tensor, warp: tuple[Tensor, ...]
    ) -> Tensor:
        """Photo cost [n] of patches whose middles lie at (u, v) [n] of their sources."""
        height, width = self._size
        right, bottom = width - 1.001, height - 1.001
        within = (u >= 0) & (v >= 0) & (u <= right) & (v <= bottom)
        u, v = torch.where(within, u, 0.0), torch.where(within, v, 0.0)
        x_dx, y_dx, x_dy, y_dy = (w[:, None] for w in warp)
        x = u[:, None] + self._offsets_x * x_dx + self._offsets_y * x_dy
        y = v[:, None] + self._offsets_x * y_dx + self._offsets_y * y_dy
        x = torch.nan_to_num(x).clamp(0.0, right)
        y = torch.nan_to_num(y).clamp(0.0, bottom)
        grey = bilinear(self._images, x, y, width, source[:, None] * (height * width))
        mean = (pixels.weight * grey).sum(dim=1)
        other = (pixels.weight * grey.square()).sum(dim=1) - mean.square()
        product = (pixels.centred * grey).sum(dim=1)
        flat = (pixels.variance <= float(cpu.LEAST_VARIANCE)) | (other <= float(cpu.LEAST_VARIANCE))
        spread = (pixels.variance * other.clamp_min(1e-12)).clamp_min(1e-24).sqrt()
        cost = torch.where(flat, FLAT, (1.0 - product / spread).clamp_max(WORST))
        # A patch that touches something outside; known before the source's texture is looked at,
        # but not before the reference's.
        touching = (mean < 0) & (pixels.variance > float(cpu.LEAST_VARIANCE))
        return torch.where(within & ~touching, cost, WORST)

    def _depth_off(self, source: Tensor, u: Tensor, v: Tensor, inverse: Tensor) -> Tensor:
        """Pixels [n] that the sources' own depth differs by, at most `MOST_OFF`."""
        most = float(cpu.MOST_OFF)
        height, width = self._inverse.shape[1:]
        positive = (u >= 0) & (v >= 0)
        i = torch.where(positive, v + 0.5, -1.0).clamp_max(height).long()
        j = torch.where(positive, u + 0.5, -1.0).clamp_max(width).long()
        within = positive & (i < height) & (j < width)
        i, j = torch.where(within, i, 0), torch.where(within, j, 0)
        theirs = self._inverse[source, i, j]
        off = ((inverse - theirs).abs() * self._gain[source]).clamp_max(most)
        return torch.where(within & (theirs > 0), off, most)

    def _plane_cost(self, pixels: _Pixels, planes: Tensor, chosen: Tensor) -> Tensor:
        """Mean cost [n] over the two best of the chosen sources [n, k]."""
        costs = torch.stack(
            [self._source_cost(pixels, planes, chosen[:, k]) for k in range(chosen.shape[1])]
        )
        return costs[0] if len(costs) == 1 else costs.topk(2, dim=0, largest=False).values.mean(0)

    def _visit(
        self,
        everything: _Pixels,
        planes: Tensor,
        cost: Tensor,
        chosen: Tensor,
        reach: float,
        colour: int,
        seed: int,
    ) -> None:
        """Half an iteration; changes `planes` [h * w, 3] and `cost` [h * w] in place."""
        height, width = self._image.shape
        row, column = everything.index // width, everything.index % width
        visited = ((row + column) % 2 == colour) & (self._image.reshape(-1) >= 0)
        pixels = everything.take(visited)
        mine, best, sources = planes[pixels.index], cost[pixels.index], chosen[pixels.index]
        least, most = (float(limit) for limit in self.limits())
        same = reach * float(cpu.SAME_PLANE)

        def attempt(new: Tensor, worth: Tensor) -> None:
            worth &= (new[:, 0] >= least) & (new[:, 0] <= most)
            tried = worth.nonzero()[:, 0]
            price = self._plane_cost(pixels.take(tried), new[tried], sources[tried])
            better = price < best[tried]
            won = tried[better]
            best[won], mine[won] = price[better], new[won]

        for dy, dx in cpu.NEIGHBOURS:
            i, j = pixels.y.long() + dy, pixels.x.long() + dx
            there = (i >= 0) & (i < height) & (j >= 0) & (j < width)
            at = torch.where(there, i * width + j, 0)
            near = planes[at].clone()
            near[:, 0] -= near[:, 1] * dx + near[:, 2] * dy
            change = (near[:, 1:] - mine[:, 1:]).abs().sum(dim=1)
            new = (near[:, 0] - mine[:, 0]).abs() + cpu.REACH * change >= same
            attempt(near, there & new & (cost[at] <= best + float(cpu.HOPELESS)))
        draws = random_signed(visited.reshape(height, width), seed)
        for k in range(cpu.RANDOM_TRIES):
            size = reach * 0.4**k
            scale = torch.tensor([1.0, float(cpu.SLOPE_SHARE), float(cpu.SLOPE_SHARE)])
            change = draws[:, 3 * k : 3 * k + 3] * (size * scale).to(mine)
            attempt(mine + change, torch.ones_like(best, dtype=torch.bool))
        planes[pixels.index], cost[pixels.index] = mine, best


def random_signed(visited: Tensor, seed: int) -> Tensor:
    """The numbers in -1..1 that the CPU's kernel draws, [n, DRAWS] for the n visited pixels.

    Each row has a generator of its own; a pixel takes the numbers after those of the visited
    pixels to its left. The n-th state of a linear congruential generator is found directly.
    """
    height, width = visited.shape
    device = visited.device
    multiplier, increment = np.empty(width * DRAWS, np.int64), np.empty(width * DRAWS, np.int64)
    a, c = 1, 0
    for n in range(width * DRAWS):
        a, c = a * MULTIPLIER % MODULUS, (c * MULTIPLIER + INCREMENT) % MODULUS
        multiplier[n], increment[n] = a, c
    start = (seed * 9781 + torch.arange(height, device=device) * 6271 + 1) % MODULUS
    rank = visited.cumsum(dim=1) - 1  # [h, w]
    row, column = visited.nonzero(as_tuple=True)
    index = rank[row, column][:, None] * DRAWS + torch.arange(DRAWS, device=device)
    a_n = torch.from_numpy(multiplier).to(device)[index]
    c_n = torch.from_numpy(increment).to(device)[index]
    # Products of two 32-bit numbers may pass 63 bits: the high and low halves apart.
    s = start[row][:, None]
    product = ((a_n >> 16) * s % MODULUS * 65536 + (a_n & 65535) * s) % MODULUS
    state = (product + c_n) % MODULUS
    return (state >> 8).float() / float(1 << 23) - 1.0
