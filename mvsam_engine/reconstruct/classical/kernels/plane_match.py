# SPDX-License-Identifier: GPL-3.0-or-later
"""Slanted-plane PatchMatch against several photos at once (after Bleyer et al., BMVC 2011).

Convention:
    pixels      whole numbers are pixel centres (array indices), x right, y down.
    hypothesis  (q, a, b) at a pixel: the inverse depth q + a * dx + b * dy at offset (dx, dy);
                planes in space are exactly affine in inverse depth.
    sources     (images [s, H, W] grey, far below zero outside a photo; matrix [s, 3, 3];
                shift [s, 3]): pixel (x, y) at inverse depth q lies in source s at
                matrix[s] @ (x, y, 1) + shift[s] * q, dehomogenised.
    patch       [samples, 4]: dx, dy, grey, weight of every sample around a pixel.
    cost        1 - bilaterally weighted normalised cross-correlation, the mean of the two best
                sources; at most 1.2, which it is where the patch leaves a source.
"""

import numpy as np
from numba import prange

from mvsam_engine.reconstruct.classical.kernels.jit import kernel

# The patch: every second pixel of 9 x 9, that is 25 samples.
REACH = 4
STRIDE = 2
SAMPLES = (2 * REACH // STRIDE + 1) ** 2
# Cost where nothing can be compared, and the least variance of a patch that can.
OUTSIDE_COST = np.float32(1.2)
LEAST_VARIANCE = np.float32(1e-5)
# How fast a sample loses weight with its difference in grey from the middle of the patch.
BILATERAL = np.float32(60.0)
# Neighbours whose plane is tried; all differ in checkerboard colour from the pixel.
NEIGHBOURS = ((0, -1), (0, 1), (-1, 0), (1, 0), (0, -5), (0, 5), (-5, 0), (5, 0))
RANDOM_TRIES = 3

_IMAGE = "float32[:,::1]"
_SOURCES = "Tuple((float32[:,:,::1], float32[:,:,::1], float32[:,::1]))"
_THREE = "UniTuple(float32, 3)"


@kernel(f"{_THREE}({_IMAGE}, int64, int64, {_IMAGE})", parallel=False)
def gather(image, row, column, patch):
    """Write the patch around a pixel into `patch`.

    Returns:
        The sum of the weights, and the weighted mean and variance of the grey values.
    """
    height, width = image.shape
    centre = image[row, column]
    total, mean, square = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    k = 0
    for dy in range(-REACH, REACH + 1, STRIDE):
        for dx in range(-REACH, REACH + 1, STRIDE):
            y, x = row + dy, column + dx
            grey, weight = np.float32(0.0), np.float32(0.0)
            if 0 <= y < height and 0 <= x < width:
                grey = image[y, x]
                difference = grey - centre
                weight = np.float32(1.0) / (np.float32(1.0) + difference * difference * BILATERAL)
            patch[k, 0], patch[k, 1], patch[k, 2], patch[k, 3] = dx, dy, grey, weight
            total += weight
            mean += weight * grey
            square += weight * grey * grey
            k += 1
    mean /= total
    return total, mean, square / total - mean * mean


@kernel(f"float32({_IMAGE}, {_THREE}, {_IMAGE}, {_THREE}, {_THREE}, {_THREE})", parallel=False)
def correlation_cost(patch, moments, source, origin, along_x, along_y):
    """Cost of a patch against one source under a homography.

    Args:
        patch: of the reference.
        moments: what `gather` returned.
        source: [H, W] grey.
        origin: homogeneous position of the patch's middle in the source.
        along_x: how it changes with dx.
        along_y: how it changes with dy.
    """
    total, mean, variance = moments
    bottom, right = source.shape[0] - 1, source.shape[1] - 1
    first, second, product = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for k in range(SAMPLES):
        dx, dy, weight = patch[k, 0], patch[k, 1], patch[k, 3]
        if weight == 0.0:
            continue
        z = origin[2] + dx * along_x[2] + dy * along_y[2]
        if z <= 1e-6:
            return OUTSIDE_COST
        x = (origin[0] + dx * along_x[0] + dy * along_y[0]) / z
        y = (origin[1] + dx * along_x[1] + dy * along_y[1]) / z
        if not (x >= 0.0 and y >= 0.0 and x < right and y < bottom):
            return OUTSIDE_COST
        i, j = int(y), int(x)
        fy, fx = y - np.float32(i), x - np.float32(j)
        upper = source[i, j] + fx * (source[i, j + 1] - source[i, j])
        lower = source[i + 1, j] + fx * (source[i + 1, j + 1] - source[i + 1, j])
        grey = upper + fy * (lower - upper)
        if grey < 0.0:
            return OUTSIDE_COST
        first += weight * grey
        second += weight * grey * grey
        product += weight * grey * patch[k, 2]
    first /= total
    other_variance = second / total - first * first
    if variance <= LEAST_VARIANCE or other_variance <= LEAST_VARIANCE:
        return np.float32(1.0)
    covariance = product / total - mean * first
    return min(np.float32(1.0) - covariance / np.sqrt(variance * other_variance), OUTSIDE_COST)


@kernel(f"float32({_IMAGE}, {_THREE}, {_SOURCES}, UniTuple(float32, 2), {_THREE})", parallel=False)
def plane_cost(patch, moments, sources, pixel, plane):
    """Cost of one plane hypothesis (q, a, b) at one pixel (x, y) whose patch was gathered."""
    images, matrix, shift = sources
    x, y = pixel
    q, a, b = plane
    best, second = np.float32(2.0), np.float32(2.0)
    for s in range(images.shape[0]):
        m, t = matrix[s], shift[s]
        # The warp by a plane is a homography: a base point and a step along each axis.
        origin = (
            m[0, 0] * x + m[0, 1] * y + m[0, 2] + t[0] * q,
            m[1, 0] * x + m[1, 1] * y + m[1, 2] + t[1] * q,
            m[2, 0] * x + m[2, 1] * y + m[2, 2] + t[2] * q,
        )
        along_x = (m[0, 0] + t[0] * a, m[1, 0] + t[1] * a, m[2, 0] + t[2] * a)
        along_y = (m[0, 1] + t[0] * b, m[1, 1] + t[1] * b, m[2, 1] + t[2] * b)
        cost = correlation_cost(patch, moments, images[s], origin, along_x, along_y)
        if cost < best:
            best, second = cost, best
        elif cost < second:
            second = cost
    if images.shape[0] == 1:
        return best
    return np.float32(0.5) * (best + second)


@kernel(f"void(float32[:,:,::1], {_IMAGE}, {_IMAGE}, {_SOURCES})")
def initial_cost(planes, cost, image, sources):
    """Write the cost of the hypotheses `planes` [h, w, 3] into `cost` [h, w]."""
    height, width = image.shape
    for row in prange(height):
        patch = np.empty((SAMPLES, 4), np.float32)
        for column in range(width):
            moments = gather(image, row, column, patch)
            pixel = (np.float32(column), np.float32(row))
            plane = (planes[row, column, 0], planes[row, column, 1], planes[row, column, 2])
            cost[row, column] = plane_cost(patch, moments, sources, pixel, plane)


@kernel("float32(uint32[::1])", parallel=False)
def random_signed(state):
    """Next number in -1..1 of a linear congruential generator (Numerical Recipes)."""
    state[0] = np.uint32(state[0] * np.uint32(1664525) + np.uint32(1013904223))
    return np.float32(state[0] >> np.uint32(8)) / np.float32(1 << 23) - np.float32(1.0)


@kernel(f"void(float32[:,:,::1], {_IMAGE}, {_IMAGE}, {_SOURCES}, {_THREE}, int64, int64)")
def improve(planes, cost, image, sources, limits, colour, seed):
    """One half iteration: pixels of one checkerboard colour try neighbours' and random planes.

    Args:
        planes: [h, w, 3] hypotheses, improved in place.
        cost: [h, w] their costs, kept up to date.
        image: [h, w] grey reference photo.
        sources: see the module's convention.
        limits: least and greatest inverse depth, and the range of its first random change.
        colour: 0 or 1.
        seed: of the random numbers; the result does not depend on the number of cores.
    """
    height, width = image.shape
    least, most, step = limits
    for row in prange(height):
        patch = np.empty((SAMPLES, 4), np.float32)
        state = np.empty(1, np.uint32)
        state[0] = np.uint32(seed * 9781 + row * 6271 + 1)
        for column in range((row + colour) % 2, width, 2):
            moments = gather(image, row, column, patch)
            pixel = (np.float32(column), np.float32(row))
            best = cost[row, column]
            q, a, b = planes[row, column, 0], planes[row, column, 1], planes[row, column, 2]
            for dy, dx in NEIGHBOURS:
                i, j = row + dy, column + dx
                if i < 0 or i >= height or j < 0 or j >= width or cost[i, j] > best + 0.3:
                    continue
                near_a, near_b = planes[i, j, 1], planes[i, j, 2]
                near_q = planes[i, j, 0] - near_a * np.float32(dx) - near_b * np.float32(dy)
                if near_q < least or near_q > most:
                    continue
                price = plane_cost(patch, moments, sources, pixel, (near_q, near_a, near_b))
                if price < best:
                    best, q, a, b = price, near_q, near_a, near_b
            reach = step
            for _ in range(RANDOM_TRIES):
                new_q = q + random_signed(state) * reach
                new_a = a + random_signed(state) * reach * np.float32(0.3)
                new_b = b + random_signed(state) * reach * np.float32(0.3)
                reach *= np.float32(0.4)
                if new_q < least or new_q > most:
                    continue
                price = plane_cost(patch, moments, sources, pixel, (new_q, new_a, new_b))
                if price < best:
                    best, q, a, b = price, new_q, new_a, new_b
            cost[row, column] = best
            planes[row, column, 0], planes[row, column, 1] = q, a
            planes[row, column, 2] = b
