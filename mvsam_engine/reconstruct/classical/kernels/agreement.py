# SPDX-License-Identifier: GPL-3.0-or-later
"""Do two depth maps agree, pixel by pixel?"""

from numba import prange

from mvsam_engine.jit import kernel

_MAP = "float32[:,::1]"
_VOTES = "uint8[:,::1]"
_PROJECTION = "float64[:,::1]"


@kernel(
    f"void({_MAP}, {_MAP}, {_PROJECTION}, {_PROJECTION}, UniTuple(float64, 2), "
    f"UniTuple({_VOTES}, 2), UniTuple({_MAP}, 2))"
)
def count_agreement(depth, other, forth, back, limits, votes, sums):
    """Add one view's vote on the depths of another.

    A pixel is carried by its depth into the other view, and from there by the other view's depth
    back: they agree when it comes back to the same pixel at the same depth. The other view speaks
    against a point that it looks through, towards something behind it; a view that sees something
    in front of the point says nothing.

    Args:
        depth: [h, w] z-depth of the view, 0 unknown.
        other: [H, W] z-depth of the other view, 0 unknown.
        forth: [3, 4] from the view's (x * z, y * z, z, 1) to the other's, x and y in pixels
            whose centres are whole numbers.
        back: [3, 4] the other way.
        limits: how many pixels off it may come back, and how far off in depth, as a share of it.
        votes: [h, w] twice: one is added where they agree; where the other view looks through.
        sums: [h, w] twice: where they agree, the depth that came back is added, and the square of
            its difference, as a share of the depth.
    """
    height, width = depth.shape
    other_height, other_width = other.shape
    pixels, share = limits
    agree, against = votes
    total, square = sums
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
            if found > there * (1.0 + 3.0 * share):
                against[v, u] += 1
                continue
            x *= found
            y *= found
            again = back[2, 0] * x + back[2, 1] * y + back[2, 2] * found + back[2, 3]
            off = again / z - 1.0
            if abs(off) >= share:
                continue
            off_x = (back[0, 0] * x + back[0, 1] * y + back[0, 2] * found + back[0, 3]) / again - u
            off_y = (back[1, 0] * x + back[1, 1] * y + back[1, 2] * found + back[1, 3]) / again - v
            if off_x * off_x + off_y * off_y < pixels * pixels:
                agree[v, u] += 1
                total[v, u] += again
                square[v, u] += off * off
