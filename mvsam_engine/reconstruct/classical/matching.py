# SPDX-License-Identifier: GPL-3.0-or-later
"""Matches of photos, and which of them two-view geometry confirms (runs in the child process)."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pycolmap

from mvsam_engine.reconstruct.classical.retrieval import Pair
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts

# Pairs of one call of the matcher: few enough for progress, many enough to reuse its indices.
BLOCK = 12


def _blocks(pairs: list[Pair]) -> list[list[Pair]]:
    """The pairs, grouped so that each group touches few photos."""
    ordered = sorted(pairs, key=lambda p: (p[0] // BLOCK, p[1] // BLOCK))
    grouped = itertools.groupby(ordered, key=lambda p: (p[0] // BLOCK, p[1] // BLOCK))
    return [list(group) for _, group in grouped]


def match_pairs(
    database: Path, names: list[str], pairs: list[Pair], step: Callable[[int], None]
) -> None:
    """Match the descriptors of `pairs`; the geometry is verified later (`verify`).

    Args:
        database: with features in it.
        names: of the images in the database, by index; without spaces.
        pairs: what to match.
        step: told the number of pairs after each group of them.
    """
    options = pycolmap.FeatureMatchingOptions()
    options.skip_geometric_verification = True
    listing = database.with_suffix(".pairs.txt")
    for group in _blocks(pairs):
        listing.write_text("".join(f"{names[a]} {names[b]}\n" for a, b in group), encoding="utf-8")
        pairing = pycolmap.ImportedPairingOptions()
        pairing.match_list_path = str(listing)
        pycolmap.match_image_pairs(
            database,
            matching_options=options,
            pairing_options=pairing,
            device=pycolmap.Device.cpu,
        )
        step(len(group))


def count_matches(database: Path) -> dict[Pair, int]:
    """Number of matches, not verified, of each pair of photos (by index) in `database`."""
    with pycolmap.Database.open(database) as found:
        ids, counts = found.read_num_matches()
    pairs = [sorted(pycolmap.pair_id_to_image_pair(pair_id)) for pair_id in ids]
    return {(a - 1, b - 1): int(count) for (a, b), count in zip(pairs, counts, strict=True)}


def verify(matched: Path, target: Path, seed: int) -> None:
    """Copy a matched database to `target` and keep what two-view geometry confirms.

    The random seed of this step decides about close calls; with few photos several are tried.
    """
    shutil.copyfile(matched, target)
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = seed
    pycolmap.geometric_verification(target, two_view_geometry_options=options)


def note_matches(verified: Path, facts: list[PhotoFacts]) -> None:
    """Write into `facts` how many verified matches each photo has with its best neighbour."""
    with pycolmap.Database.open(verified) as database:
        pair_ids, counts = database.read_two_view_geometry_num_inliers()
    for pair_id, count in zip(pair_ids, counts, strict=True):
        for image_id in pycolmap.pair_id_to_image_pair(pair_id):
            fact = facts[image_id - 1]
            fact.matches = max(fact.matches, int(count))
