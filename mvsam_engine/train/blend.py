# SPDX-License-Identifier: GPL-3.0-or-later
"""Half way between what was learnt and what was known before.

A network that was trained on a narrow kind of data is better at it than the one it started from,
and worse at everything else; the mean of their weights keeps most of both (Wortsman et al., "Robust
fine-tuning of zero-shot models", arXiv 2109.01903).
"""

from __future__ import annotations

from mvsam_engine.segment.network import MVSam

# Starts at random, so its beginning is worth nothing.
LEARNT_ONLY = "presence_head."


def blend(trained: MVSam, start: MVSam, share: float) -> MVSam:
    """Weights ``(1 - share) * start + share * trained``, put into `trained`.

    The presence head stays as it was learnt.

    Args:
        trained: changed in place.
        start: of the same settings.
        share: 0 is the start, 1 the trained network.

    Raises:
        ValueError: the settings differ, or `share` is outside 0..1.
    """
    if trained.config != start.config:
        raise ValueError("the networks have different settings")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share of {share} is not between 0 and 1")
    before, after = start.state_dict(), trained.state_dict()
    trained.load_state_dict(
        {
            name: value if name.startswith(LEARNT_ONLY) else before[name].lerp(value, share)
            for name, value in after.items()
        }
    )
    return trained
