# SPDX-License-Identifier: GPL-3.0-or-later
"""How often each data folder is asked about.

Examples are drawn from all scenes equally often. A folder of one real capture beside hundreds of
made-up scenes would hardly ever come up; with a share of its own, its scenes stand in the list of
scenes several times (the list holds references, so that costs no memory).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mvsam_engine.errors import UsageError

# A share is met by whole numbers of repetitions, up to so many of the other folders.
MOST_TIMES = 40


def parse_shares(texts: Sequence[str], data: Sequence[Path]) -> dict[str, float]:
    """Shares by name of a data folder, from ``NAME=0.2``.

    Args:
        texts: as written.
        data: the folders; a name is the last part of a path.

    Raises:
        UsageError: a name is unknown, a share is none, or nothing is left for the others.
    """
    names = [folder.resolve().name for folder in data]
    shares: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            share = float(number)
        except ValueError:
            share = 0.0
        if name not in names or not 0.0 < share < 1.0:
            raise UsageError(
                "usage.share",
                f"{text!r} is no share of a data folder.",
                f"Write NAME=0.2, where NAME is one of {', '.join(names)}.",
            )
        shares[name] = share
    if shares and (sum(shares.values()) >= 1.0 or set(names) <= set(shares)):
        raise UsageError(
            "usage.share",
            "The shares leave nothing for the other folders.",
            "They sum up to less than 1, and at least one folder takes what is left.",
        )
    return shares


def repetitions(counts: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """How often the scenes of each folder stand in the list, so that the shares are about right.

    Args:
        counts: scenes by name of the folder, at least one each.
        shares: of some folders; the others stand in the list equally often.
    """
    free = sum(count for name, count in counts.items() if name not in shares)
    wanted = {name: share for name, share in shares.items() if name in counts}
    left = 1.0 - sum(wanted.values())
    best, least = dict.fromkeys(counts, 1), float("inf")
    for times in range(1, MOST_TIMES + 1) if wanted and free else ():
        total = times * free / left
        found = {
            name: max(1, round(wanted[name] * total / count)) if name in wanted else times
            for name, count in counts.items()
        }
        size = sum(found[name] * count for name, count in counts.items())
        error = max(abs(found[n] * counts[n] / size / share - 1) for n, share in wanted.items())
        if error < least - 1e-9:
            best, least = found, error
        if least < 0.03:  # within 3 % of what was asked for
            break
    return best
