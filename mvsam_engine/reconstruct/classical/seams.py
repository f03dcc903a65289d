# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a model glued together where the photos themselves say that it is torn?

Two parts of a model may each be right and yet be joined wrongly: by a few matches of a pattern that
repeats, while the hundreds of matches between the photos that truly stand side by side fit nothing.
The pairs that join such parts look alike, often enough to pass one by one. So parts are joined in
the order of how well they are held, and a seam is not closed while some pair across it contradicts
it with about as many matches as the best pair that holds it, or more.

In a right model of a scene that repeats, pairs contradict too (two like walls), but those walls are
joined by the photos between them, and neighbours share far more matches than likenesses do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.evidence import Evidence

# A pair speaks against the cameras when less than this share of its matches fits them.
MISFIT_SHARE = 0.25
# It tears a seam when it has this many matches that do not fit, and this share of what the best
# pair across the seam has that do. Measured on scenes whose floor repeats: in right models the
# strongest misfit had at most 0.55 of the link that it was weighed against (188 to 341), in wrong
# ones 0.89 to 16 of it (185 to 208; 608 to 37).
TEARING = 60
TEARING_RATIO = 0.75


def largest_whole(
    kept: list[int], confirmed: NDArray[np.int64], evidence: Evidence
) -> tuple[list[int], NDArray[np.bool_]]:
    """The largest group of photos without a torn seam, and which pairs tear one.

    Args:
        kept: indices of the photos to look at, linked by confirmed pairs.
        confirmed: symmetric [n, n], how strongly each pair is confirmed.
        evidence: of all photos of the model.

    Returns:
        Ascending indices among `kept`, and [n, n] bool: confirmed pairs across torn seams.
    """
    lost = evidence.matched - evidence.fitting
    against = np.where(evidence.fitting < MISFIT_SHARE * evidence.matched, lost, 0)
    part = {photo: {photo} for photo in kept}
    torn = np.zeros(confirmed.shape, bool)
    links = [(i, j) for i in kept for j in kept if i < j and confirmed[i, j]]
    for i, j in sorted(links, key=lambda pair: -evidence.fitting[pair]):
        ours, theirs = part[i], part[j]
        if ours is theirs:
            continue
        worst = against[np.ix_(sorted(ours), sorted(theirs))].max()
        if worst >= TEARING and worst > TEARING_RATIO * evidence.fitting[i, j]:
            # Links come in falling order, so no later one can close this seam.
            torn[i, j] = torn[j, i] = True
            continue
        ours |= theirs
        for photo in theirs:
            part[photo] = ours
    groups = {id(group): group for group in part.values()}.values()
    best = max(groups, key=lambda group: (len(group), -min(group)), default=set())
    return sorted(best), torn
