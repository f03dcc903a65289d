# SPDX-License-Identifier: GPL-3.0-or-later
"""Do two depth maps agree, pixel by pixel?"""

from numba import prange

from mvsam_engine.reconstruct.classical.kernels.jit import kernel


@kernel(
    "void(float32[:,::1], float32[:,::1], float64[:,::1], float64[:,::1], float64, float64, "
    "uint8[:,::1], float32[:,::1])"
)
def count_agreement(depth, other, forth, back, pixels, share, count, total):
    """Add one view's vote on the depths of another.

    A pixel is carried by its depth into the other view, and from there by the other view's depth
    back: they agree when it comes back to the same pixel at the same depth.

    Args:
        depth: [h, w] z-depth of the view, 0 unknown.
        other: [H, W] z-depth of the other view, 0 unknown.
        forth: [3, 4] from the view's (x * z, y * z, z, 1) to the other's, x and y in pixels
            whose centres are whole numbers.
        back: [3, 4] the other way.
        pixels: how far off the pixel may come back.
        share: how far off the depth may come back, as a share of it.
        count: [h, w] one is added where they agree.
        total: [h, w] the depth that came back is added where they agree.
    """
    height, width = depth.shape
    other_height, other_width = other.shape
    for v in prange(height):
        for u in range(width):
            z = depth[v, u]
            if z <= 0.0:
                continue
            there = forth[2, 0] * u * z + forth[2, 1] * v * z + forth[2, 2] * z + forth[2, 3]
            if there <= 1e-9:
                continue
            x = forth[0, 0] * u * z + forth[0, 1] * v * z + forth[0, 2] * z + forth[0, 3]
            y = forth[1, 0] * u * z + forth[1, 1] * v * z + forth[1, 2] * z + forth[1, 3]
            x /= there
            y /= there
            if not (-0.5 <= x < other_width - 0.5 and -0.5 <= y < other_height - 0.5):
                continue
            found = other[int(y + 0.5), int(x + 0.5)]
            if found <= 0.0:
                continue
            x *= found
            y *= found
            again = back[2, 0] * x + back[2, 1] * y + back[2, 2] * found + back[2, 3]
            if abs(again - z) >= share * z:
                continue
            off_x = (back[0, 0] * x + back[0, 1] * y + back[0, 2] * found + back[0, 3]) / again - u
            off_y = (back[1, 0] * x + back[1, 1] * y + back[1, 2] * found + back[1, 3]) / again - v
            if off_x * off_x + off_y * off_y < pixels * pixels:
                count[v, u] += 1
                total[v, u] += again
