# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass of the fast global smoother (Min et al., IEEE TIP 2014)."""

import numpy as np
from numba import prange

from mvsam_engine.jit import kernel


@kernel("void(float32[:,:,::1], float32[:,::1], float32)")
def smooth_rows(values, affinity, strength):
    """Solve, for each row, ``(1 + strength * L) x = values`` in place (Thomas algorithm).

    L is the Laplacian of the row's chain of pixels.

    Args:
        values: [h, w, channels].
        affinity: [h, w] weight between a pixel and the next one in its row; the last is unused.
        strength: of the smoothing.
    """
    height, width, channels = values.shape
    for y in prange(height):
        factor = np.empty(width, np.float32)
        for x in range(width):
            before = -strength * affinity[y, x - 1] if x > 0 else np.float32(0.0)
            after = -strength * affinity[y, x] if x < width - 1 else np.float32(0.0)
            pivot = np.float32(1.0) - before - after
            if x > 0:
                pivot -= before * factor[x - 1]
            factor[x] = after / pivot
            for c in range(channels):
                value = values[y, x, c]
                if x > 0:
                    value -= before * values[y, x - 1, c]
                values[y, x, c] = value / pivot
        for x in range(width - 2, -1, -1):
            for c in range(channels):
                values[y, x, c] -= factor[x] * values[y, x + 1, c]
