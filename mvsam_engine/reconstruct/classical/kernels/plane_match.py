# SPDX-License-Identifier: GPL-3.0-or-later
"""Slanted-plane PatchMatch against several photos at once.

After Bleyer et al. (BMVC 2011), with checkerboard propagation (Galliani et al., ICCV 2015) and
the geometric term of Schoenberger et al. (ECCV 2016).

Convention:
    pixels      whole numbers are pixel centres (array indices), x right, y down.
    plane       (q, a, b) at a pixel: the inverse depth q + a * dx + b * dy at offset (dx, dy);
                planes in space are exactly affine in inverse depth.
    sources     (images [s, H, W] grey, far below zero outside a photo or where it is ignored;
                matrix [s, 3, 3]; shift [s, 3]): pixel (x, y) at inverse depth q lies in source s at
                p = matrix[s] @ (x, y, 1) + shift[s] * q, dehomogenised; its inverse depth there is
                q / p[2].
    neighbours  (inverse [s, H, W], gain [s], weight): inverse depth of every source, 0 where
                unknown; how many pixels a unit of it is; what the geometric term counts for.
                Weight 0 leaves it out.
    chosen      [h, w, k] uint8: the sources that a pixel is compared with.
    patch       grey values at `OFFSETS_X`, `OFFSETS_Y` around a pixel, each weighted with how much
                it looks like the middle; samples outside the reference have no weight. In a source
                the patch is warped affinely (the plane's homography, linearised at the middle).
    photo cost  1 - weighted normalised cross-correlation, 0 to `WORST_COST`, which it is where the
                pixel leaves the source or its patch touches something outside; 1 where either
                patch has no texture.
    cost        photo cost + weight * (off / MOST_OFF), off: how many pixels, at most MOST_OFF, the
                source's own depth differs; the mean over the two best of the chosen sources.

The loops over samples have no branches, so that the compiler turns them into vector code.
"""

import numpy as np
from numba import prange

from mvsam_engine.jit import kernel

# The patch: every second pixel of 9 x 9; samples of no weight make up two vectors of 16.
REACH = 4
_GRID = [(dx, dy) for dy in range(-REACH, REACH + 1, 2) for dx in range(-REACH, REACH + 1, 2)]
SAMPLES = 32
_PADDING = [(0, 0)] * (SAMPLES - len(_GRID))
REAL_SAMPLES = len(_GRID)
OFFSETS_X = np.array([dx for dx, _ in _GRID + _PADDING], np.float32)
OFFSETS_Y = np.array([dy for _, dy in _GRID + _PADDING], np.float32)
# Cost where nothing can be compared, and the least variance of a patch that can.
WORST_COST = np.float32(1.2)
LEAST_VARIANCE = np.float32(1e-5)
# How fast a sample loses weight with its difference in grey from the middle of the patch.
BILATERAL = np.float32(200.0)
# Pixels of disagreement with a source's own depth beyond which more does not matter.
MOST_OFF = np.float32(3.0)
# Pixels whose plane is tried; all differ in checkerboard colour from the pixel.
NEIGHBOURS = ((0, -1), (0, 1), (-1, 0), (1, 0), (0, -5), (0, 5), (-5, 0), (5, 0))
# A plane this much dearer than the present one is not worth trying in the next pixel.
HOPELESS = np.float32(0.3)
# Planes that differ by less than this share of the random step are the same.
SAME_PLANE = np.float32(0.03)
RANDOM_TRIES = 3
SLOPE_SHARE = np.float32(0.3)

_IMAGE = "float32[:,::1]"
_ROW = "float32[::1]"
_SOURCES = "Tuple((float32[:,:,::1], float32[:,:,::1], float32[:,::1]))"
_NEAR = "Tuple((float32[:,:,::1], float32[::1], float32))"
_CHOSEN = "uint8[:,:,::1]"
_TWO = "UniTuple(float32, 2)"
_THREE = "UniTuple(float32, 3)"
_PATCH = "UniTuple(float32[::1], 2)"


@kernel(f"float32({_IMAGE}, int64, int64, {_ROW}, {_ROW})", parallel=False)
def gather(image, row, column, weight, centred):
    """Describe the patch around a pixel.

    Args:
        image: [h, w] reference, below zero where it is ignored.
        row: of the pixel.
        column: of the pixel.
        weight: [SAMPLES] becomes the weight of each sample; they sum to 1.
        centred: [SAMPLES] becomes weight * (grey - mean); sums to 0.

    Returns:
        The weighted variance of the grey values; 0 where the pixel is ignored.
    """
    height, width = image.shape
    centre = image[row, column]
    total, mean, square = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    inside = REACH <= row < height - REACH and REACH <= column < width - REACH
    for k in range(REAL_SAMPLES):
        y, x = row + np.int64(OFFSETS_Y[k]), column + np.int64(OFFSETS_X[k])
        grey, share = np.float32(0.0), np.float32(0.0)
        if inside or (0 <= y < height and 0 <= x < width):
            grey = image[y, x]
            difference = grey - centre
            share = np.float32(1.0) / (np.float32(1.0) + difference * difference * BILATERAL)
            if grey < np.float32(0.0):
                grey, share = np.float32(0.0), np.float32(0.0)
        weight[k] = share
        centred[k] = grey
        total += share
        mean += share * grey
        square += share * grey * grey
    if centre < np.float32(0.0):
        for k in range(SAMPLES):
            weight[k], centred[k] = np.float32(0.0), np.float32(0.0)
        return np.float32(0.0)
    scale = np.float32(1.0) / total
    mean *= scale
    for k in range(REAL_SAMPLES):
        weight[k] *= scale
        centred[k] = weight[k] * (centred[k] - mean)
    for k in range(REAL_SAMPLES, SAMPLES):
        weight[k], centred[k] = np.float32(0.0), np.float32(0.0)
    return max(square * scale - mean * mean, np.float32(0.0))


@kernel(
    f"float32({_PATCH}, float32, {_ROW}, int64, int64, UniTuple(float32, 6))",
    False,
)
def photo_cost(patch, variance, source, height, width, warp):
    """Photo cost of a patch against one source.

    Args:
        patch: weight and centred of `gather`.
        variance: of `gather`.
        source: [H * W] grey, rows one after the other.
        height: H.
        width: W.
        warp: x, y of the patch's middle in the source, and how they change with dx and with dy.
    """
    weight, centred = patch
    x0, y0, x_dx, y_dx, x_dy, y_dy = warp
    right, bottom = (
        np.float32(width) - np.float32(1.001),
        np.float32(height) - np.float32(1.001),
    )
    if not (x0 >= np.float32(0.0) and y0 >= np.float32(0.0) and x0 <= right and y0 <= bottom):
        return WORST_COST
    if variance <= LEAST_VARIANCE:
        return np.float32(1.0)
    step = np.int32(width)
    mean, square, product = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for k in range(SAMPLES):
        # Samples beyond the border repeat it.
        x = x0 + OFFSETS_X[k] * x_dx + OFFSETS_Y[k] * x_dy
        y = y0 + OFFSETS_X[k] * y_dx + OFFSETS_Y[k] * y_dy
        x = min(max(x, np.float32(0.0)), right)
        y = min(max(y, np.float32(0.0)), bottom)
        j, i = np.int32(x), np.int32(y)
        fx, fy = x - np.float32(j), y - np.float32(i)
        at = np.uint32(i * step + j)
        below = np.uint32(i * step + j + step)
        upper = source[at] + fx * (source[at + np.uint32(1)] - source[at])
        lower = source[below] + fx * (source[below + np.uint32(1)] - source[below])
        grey = upper + fy * (lower - upper)
        mean += weight[k] * grey
        square += weight[k] * grey * grey
        product += centred[k] * grey
    if mean < np.float32(0.0):
        return WORST_COST
    other = square - mean * mean
    if other <= LEAST_VARIANCE:
        return np.float32(1.0)
    return min(np.float32(1.0) - product / np.sqrt(variance * other), WORST_COST)


@kernel(
    f"float32({_PATCH}, float32, {_SOURCES}, {_NEAR}, int64, {_TWO}, {_THREE})",
    parallel=False,
)
def source_cost(patch, variance, sources, neighbours, s, pixel, plane):
    """Cost of one plane at one pixel against source number `s`."""
    images, matrix, shift = sources
    inverse, gain, strength = neighbours
    x, y = pixel
    q, a, b = plane
    m, t = matrix[s], shift[s]
    z = m[2, 0] * x + m[2, 1] * y + m[2, 2] + t[2] * q
    if z <= np.float32(1e-6):
        return WORST_COST + strength
    scale = np.float32(1.0) / z
    u = (m[0, 0] * x + m[0, 1] * y + m[0, 2] + t[0] * q) * scale
    v = (m[1, 0] * x + m[1, 1] * y + m[1, 2] + t[1] * q) * scale
    # How the position changes with the offset, the change of the plane's depth included.
    z_dx, z_dy = m[2, 0] + t[2] * a, m[2, 1] + t[2] * b
    warp = (
        u,
        v,
        (m[0, 0] + t[0] * a - u * z_dx) * scale,
        (m[1, 0] + t[1] * a - v * z_dx) * scale,
        (m[0, 1] + t[0] * b - u * z_dy) * scale,
        (m[1, 1] + t[1] * b - v * z_dy) * scale,
    )
    height, width = images.shape[1], images.shape[2]
    cost = photo_cost(patch, variance, images[s].reshape(-1), height, width, warp)
    if strength > np.float32(0.0):
        off = MOST_OFF
        if u >= np.float32(0.0) and v >= np.float32(0.0):
            i, j = np.int64(v + np.float32(0.5)), np.int64(u + np.float32(0.5))
            if i < height and j < width and inverse[s, i, j] > np.float32(0.0):
                off = min(abs(q * scale - inverse[s, i, j]) * gain[s], MOST_OFF)
        cost += strength * off / MOST_OFF
    return cost


@kernel(
    f"float32({_PATCH}, float32, {_SOURCES}, {_NEAR}, uint8[::1], {_TWO}, {_THREE}, float32)",
    parallel=False,
)
def plane_cost(patch, variance, sources, neighbours, chosen, pixel, plane, limit):
    """Cost of one plane at one pixel; anything above `limit` when it is surely higher."""
    best, second = np.float32(9.0), np.float32(9.0)
    count = chosen.shape[0]
    for k in range(count):
        cost = source_cost(patch, variance, sources, neighbours, chosen[k], pixel, plane)
        if cost < best:
            best, second = cost, best
        elif cost < second:
            second = cost
        if count == 2 and best > limit + limit:
            return best
    if count == 1:
        return best
    return np.float32(0.5) * (best + second)


@kernel(f"void(float32[:,:,::1], {_IMAGE}, {_SOURCES}, {_NEAR}, float32[:,:,::1])")
def costs_by_source(planes, image, sources, neighbours, costs):
    """Write the cost of `planes` [h, w, 3] against every source into `costs` [s, h, w]."""
    height, width = image.shape
    for row in prange(height):
        patch = (np.empty(SAMPLES, np.float32), np.empty(SAMPLES, np.float32))
        for column in range(width):
            variance = gather(image, row, column, patch[0], patch[1])
            pixel = (np.float32(column), np.float32(row))
            plane = (
                planes[row, column, 0],
                planes[row, column, 1],
                planes[row, column, 2],
            )
            for s in range(costs.shape[0]):
                costs[s, row, column] = source_cost(
                    patch, variance, sources, neighbours, s, pixel, plane
                )


@kernel(f"void(float32[:,:,::1], {_IMAGE}, {_IMAGE}, {_SOURCES}, {_NEAR}, {_CHOSEN})")
def plane_costs(planes, cost, image, sources, neighbours, chosen):
    """Write the cost of `planes` [h, w, 3] into `cost` [h, w]."""
    height, width = image.shape
    for row in prange(height):
        patch = (np.empty(SAMPLES, np.float32), np.empty(SAMPLES, np.float32))
        for column in range(width):
            variance = gather(image, row, column, patch[0], patch[1])
            pixel = (np.float32(column), np.float32(row))
            plane = (
                planes[row, column, 0],
                planes[row, column, 1],
                planes[row, column, 2],
            )
            cost[row, column] = plane_cost(
                patch, variance, sources, neighbours, chosen[row, column], pixel, plane,
                np.float32(9.0),
            )  # fmt: skip


@kernel("float32(uint32[::1])", parallel=False)
def random_signed(state):
    """Next number in -1..1 of a linear congruential generator (Numerical Recipes)."""
    state[0] = np.uint32(state[0] * np.uint32(1664525) + np.uint32(1013904223))
    return np.float32(state[0] >> np.uint32(8)) / np.float32(1 << 23) - np.float32(1.0)


@kernel(
    f"void(float32[:,:,::1], {_IMAGE}, {_IMAGE}, {_SOURCES}, {_NEAR}, {_CHOSEN}, {_THREE}, "
    "UniTuple(int64, 2))"
)
def improve(planes, cost, image, sources, neighbours, chosen, limits, turn):
    """One half iteration: pixels of one checkerboard colour try neighbours' and random planes.

    Args:
        planes: [h, w, 3], improved in place.
        cost: [h, w] their costs, kept up to date.
        image: [h, w] grey reference.
        sources: see the module's convention, as `neighbours` and `chosen`.
        neighbours: depth of the sources.
        chosen: sources of each pixel.
        limits: least and greatest inverse depth, and the range of its first random change.
        turn: the checkerboard colour, 0 or 1, and the seed of the random numbers; the result does
            not depend on the number of cores.
    """
    height, width = image.shape
    least, most, step = limits
    colour, seed = turn
    same = step * SAME_PLANE
    for row in prange(height):
        patch = (np.empty(SAMPLES, np.float32), np.empty(SAMPLES, np.float32))
        state = np.empty(1, np.uint32)
        state[0] = np.uint32(seed * 9781 + row * 6271 + 1)
        for column in range((row + colour) % 2, width, 2):
            if image[row, column] < np.float32(0.0):
                continue
            variance = gather(image, row, column, patch[0], patch[1])
            pixel = (np.float32(column), np.float32(row))
            best, mine = cost[row, column], chosen[row, column]
            q, a, b = (
                planes[row, column, 0],
                planes[row, column, 1],
                planes[row, column, 2],
            )
            for dy, dx in NEIGHBOURS:
                i, j = row + dy, column + dx
                if i < 0 or i >= height or j < 0 or j >= width or cost[i, j] > best + HOPELESS:
                    continue
                near_a, near_b = planes[i, j, 1], planes[i, j, 2]
                near_q = planes[i, j, 0] - near_a * np.float32(dx) - near_b * np.float32(dy)
                if near_q < least or near_q > most:
                    continue
                change = abs(near_a - a) + abs(near_b - b)
                if abs(near_q - q) + np.float32(REACH) * change < same:
                    continue
                price = plane_cost(
                    patch, variance, sources, neighbours, mine, pixel,
                    (near_q, near_a, near_b), best,
                )  # fmt: skip
                if price < best:
                    best, q, a, b = price, near_q, near_a, near_b
            reach = step
            for _ in range(RANDOM_TRIES):
                new_q = q + random_signed(state) * reach
                new_a = a + random_signed(state) * reach * SLOPE_SHARE
                new_b = b + random_signed(state) * reach * SLOPE_SHARE
                reach *= np.float32(0.4)
                if new_q < least or new_q > most:
                    continue
                price = plane_cost(
                    patch, variance, sources, neighbours, mine, pixel,
                    (new_q, new_a, new_b), best,
                )  # fmt: skip
                if price < best:
                    best, q, a, b = price, new_q, new_a, new_b
            cost[row, column] = best
            planes[row, column, 0], planes[row, column, 1] = q, a
            planes[row, column, 2] = b
