# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides, beside depth edges, which of two surfaces a pixel shows; conventions of `plane_match`.

A whole patch beside an edge shows both surfaces, so that the one with more contrast spreads over
the other by half a patch. Here the patch is dense and small, and only its better half counts
(shiftable windows: Bobick and Intille, IJCV 1999; Kang et al., CVPR 2001): the half that looks
away from the edge shows one surface alone. Planes are not changed, only exchanged between pixels.
"""

import numpy as np
from numba import prange

from mvsam_engine.jit import kernel
from mvsam_engine.reconstruct.classical.kernels.plane_match import WORST_COST

# The patch: all pixels of 7 x 7; samples of no weight make up four vectors of 16.
REACH = 3
_GRID = [(dx, dy) for dy in range(-REACH, REACH + 1) for dx in range(-REACH, REACH + 1)]
REAL_SAMPLES = len(_GRID)
SAMPLES = 64
_ALL = _GRID + [(0, 0)] * (SAMPLES - REAL_SAMPLES)
OFFSETS_X = np.array([dx for dx, _ in _ALL], np.float32)
OFFSETS_Y = np.array([dy for _, dy in _ALL], np.float32)
LEAST_VARIANCE = np.float32(3e-5)
BILATERAL = np.float32(60.0)
# Pixels whose plane is tried: beyond half a patch of `plane_match` on every side.
CANDIDATES = (
    (0, -1), (0, 1), (-1, 0), (1, 0), (0, -3), (0, 3), (-3, 0), (3, 0), (0, -6), (0, 6), (-6, 0),
    (6, 0), (-4, -4), (-4, 4), (4, -4), (4, 4),
)  # fmt: skip
# A plane must be better by this to replace another.
MARGIN = np.float32(0.02)

_IMAGE = "float32[:,::1]"
_ROW = "float32[::1]"
_HALVES = "float32[:,::1]"
_SOURCES = "Tuple((float32[:,:,::1], float32[:,:,::1], float32[:,::1]))"


@kernel(f"void({_IMAGE}, int64, int64, {_HALVES}, {_HALVES}, {_ROW})", parallel=False)
def gather_halves(image, row, column, weight, centred, variance):
    """Describe the four halves (left, right, upper, lower) of the patch around a pixel.

    Args:
        image: [h, w] reference, below zero where it is ignored.
        row: of the pixel.
        column: of the pixel.
        weight: [4, SAMPLES] becomes the weight of each sample; each half sums to 1.
        centred: [4, SAMPLES] becomes weight * (grey - mean of the half).
        variance: [4] becomes the variance of each half.
    """
    height, width = image.shape
    centre = image[row, column]
    for half in range(4):
        total, mean, square = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for k in range(SAMPLES):
            weight[half, k], centred[half, k] = np.float32(0.0), np.float32(0.0)
        for k in range(REAL_SAMPLES):
            dx, dy = np.int64(OFFSETS_X[k]), np.int64(OFFSETS_Y[k])
            y, x = row + dy, column + dx
            if not (0 <= y < height and 0 <= x < width) or image[y, x] < np.float32(0.0):
                continue
            if (half == 0 and dx > 0) or (half == 1 and dx < 0):
                continue
            if (half == 2 and dy > 0) or (half == 3 and dy < 0):
                continue
            grey = image[y, x]
            share = np.float32(1.0) / (np.float32(1.0) + (grey - centre) ** 2 * BILATERAL)
            weight[half, k], centred[half, k] = share, grey
            total += share
            mean += share * grey
            square += share * grey * grey
        scale = np.float32(1.0) / total
        mean *= scale
        for k in range(REAL_SAMPLES):
            weight[half, k] *= scale
            centred[half, k] = weight[half, k] * (centred[half, k] - mean)
        variance[half] = max(square * scale - mean * mean, np.float32(0.0))


@kernel("float32(float32, float32, float32, float32)", parallel=False)
def _cost(variance, mean, square, product):
    """1 - correlation from the moments of a half."""
    if mean < np.float32(0.0):
        return WORST_COST
    other = square - mean * mean
    if variance <= LEAST_VARIANCE or other <= LEAST_VARIANCE:
        return np.float32(1.0)
    return min(np.float32(1.0) - product / np.sqrt(variance * other), WORST_COST)


@kernel(
    f"void({_HALVES}, {_HALVES}, {_ROW}, {_SOURCES}, int64, UniTuple(float32, 2), "
    f"UniTuple(float32, 3), {_ROW})",
    parallel=False,
)
def half_costs(weight, centred, variance, sources, s, pixel, plane, costs):
    """Photo cost of each half of a patch against source `s`, into `costs` [4]."""
    images, matrix, shift = sources
    x, y = pixel
    q, a, b = plane
    m, t = matrix[s], shift[s]
    height, width = images.shape[1], images.shape[2]
    for half in range(4):
        costs[half] = WORST_COST
    z = m[2, 0] * x + m[2, 1] * y + m[2, 2] + t[2] * q
    if z <= np.float32(1e-6):
        return
    scale = np.float32(1.0) / z
    x0 = (m[0, 0] * x + m[0, 1] * y + m[0, 2] + t[0] * q) * scale
    y0 = (m[1, 0] * x + m[1, 1] * y + m[1, 2] + t[1] * q) * scale
    right, bottom = (
        np.float32(width) - np.float32(1.001),
        np.float32(height) - np.float32(1.001),
    )
    if not (x0 >= np.float32(0.0) and y0 >= np.float32(0.0) and x0 <= right and y0 <= bottom):
        return
    z_dx, z_dy = m[2, 0] + t[2] * a, m[2, 1] + t[2] * b
    x_dx, y_dx = (
        (m[0, 0] + t[0] * a - x0 * z_dx) * scale,
        (m[1, 0] + t[1] * a - y0 * z_dx) * scale,
    )
    x_dy, y_dy = (
        (m[0, 1] + t[0] * b - x0 * z_dy) * scale,
        (m[1, 1] + t[1] * b - y0 * z_dy) * scale,
    )
    source = images[s].reshape(-1)
    step = np.int32(width)
    zero = np.float32(0.0)
    m0 = m1 = m2 = m3 = q0 = q1 = q2 = q3 = p0 = p1 = p2 = p3 = zero
    for k in range(SAMPLES):
        u = x0 + OFFSETS_X[k] * x_dx + OFFSETS_Y[k] * x_dy
        v = y0 + OFFSETS_X[k] * y_dx + OFFSETS_Y[k] * y_dy
        u = min(max(u, zero), right)
        v = min(max(v, zero), bottom)
        j, i = np.int32(u), np.int32(v)
        fx, fy = u - np.float32(j), v - np.float32(i)
        at = np.uint32(i * step + j)
        below = np.uint32(i * step + j + step)
        upper = source[at] + fx * (source[at + np.uint32(1)] - source[at])
        lower = source[below] + fx * (source[below + np.uint32(1)] - source[below])
        grey = upper + fy * (lower - upper)
        square = grey * grey
        m0 += weight[0, k] * grey
        m1 += weight[1, k] * grey
        m2 += weight[2, k] * grey
        m3 += weight[3, k] * grey
        q0 += weight[0, k] * square
        q1 += weight[1, k] * square
        q2 += weight[2, k] * square
        q3 += weight[3, k] * square
        p0 += centred[0, k] * grey
        p1 += centred[1, k] * grey
        p2 += centred[2, k] * grey
        p3 += centred[3, k] * grey
    costs[0] = _cost(variance[0], m0, q0, p0)
    costs[1] = _cost(variance[1], m1, q1, p1)
    costs[2] = _cost(variance[2], m2, q2, p2)
    costs[3] = _cost(variance[3], m3, q3, p3)


@kernel(
    f"float32({_HALVES}, {_HALVES}, {_ROW}, {_SOURCES}, UniTuple(float32, 2), "
    f"UniTuple(float32, 3), {_HALVES})",
    parallel=False,
)
def better_half(weight, centred, variance, sources, pixel, plane, scratch):
    """Cost of a plane: of the best half, the mean over its two best sources.

    `scratch` is [3, 4]: costs of a source, lowest and second lowest of each half.
    """
    for half in range(4):
        scratch[1, half], scratch[2, half] = np.float32(9.0), np.float32(9.0)
    count = sources[0].shape[0]
    for s in range(count):
        half_costs(weight, centred, variance, sources, s, pixel, plane, scratch[0])
        for half in range(4):
            cost = scratch[0, half]
            if cost < scratch[1, half]:
                scratch[2, half] = scratch[1, half]
                scratch[1, half] = cost
            elif cost < scratch[2, half]:
                scratch[2, half] = cost
    best = np.float32(9.0)
    for half in range(4):
        cost = scratch[1, half]
        if count > 1:
            cost = np.float32(0.5) * (cost + scratch[2, half])
        best = min(best, cost)
    return best


@kernel(f"void(float32[:,:,::1], float32[:,:,::1], {_IMAGE}, {_SOURCES}, uint8[:,::1], float32)")
def exchange(planes, result, image, sources, band, apart):
    """Give each pixel of `band` the plane, its own or one nearby, that fits it best.

    Args:
        planes: [h, w, 3], only read.
        result: [h, w, 3], a copy of `planes`, written to.
        image: [h, w] grey reference.
        sources: see `plane_match`.
        band: [h, w] 1 beside depth edges.
        apart: planes whose inverse depth at the pixel differs by less are the same surface.
    """
    height, width = image.shape
    for row in prange(height):
        weight, centred = (
            np.empty((4, SAMPLES), np.float32),
            np.empty((4, SAMPLES), np.float32),
        )
        variance, scratch = np.empty(4, np.float32), np.empty((3, 4), np.float32)
        tried = np.empty(len(CANDIDATES) + 1, np.float32)
        for column in range(width):
            if band[row, column] == 0 or image[row, column] < np.float32(0.0):
                continue
            gather_halves(image, row, column, weight, centred, variance)
            pixel = (np.float32(column), np.float32(row))
            own = (
                planes[row, column, 0],
                planes[row, column, 1],
                planes[row, column, 2],
            )
            best = better_half(weight, centred, variance, sources, pixel, own, scratch) - MARGIN
            tried[0] = own[0]
            count = 1
            for dy, dx in CANDIDATES:
                i, j = row + dy, column + dx
                if i < 0 or i >= height or j < 0 or j >= width:
                    continue
                a, b = planes[i, j, 1], planes[i, j, 2]
                q = planes[i, j, 0] - a * np.float32(dx) - b * np.float32(dy)
                known = q <= np.float32(0.0)
                for k in range(count):
                    known = known or abs(q - tried[k]) < apart
                if known:
                    continue
                tried[count] = q
                count += 1
                cost = better_half(weight, centred, variance, sources, pixel, (q, a, b), scratch)
                if cost < best:
                    best = cost
                    result[row, column, 0], result[row, column, 1] = q, a
                    result[row, column, 2] = b
