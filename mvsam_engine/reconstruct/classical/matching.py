# SPDX-License-Identifier: GPL-3.0-or-later
"""Which photos show the same things (runs in the child process)."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.features import PhotoFeatures
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts

# Up to this many photos every pair is matched; beyond, only the most promising neighbours.
EXHAUSTIVE_PHOTOS = 60
NEIGHBOURS = 24
# Features of the largest scales that the quick look for neighbours compares.
QUICK_FEATURES = 300
# Pairs of one call of the matcher: few enough for progress, many enough to reuse its indices.
BLOCK = 12

Pair = tuple[int, int]


def _unit_descriptors(features: PhotoFeatures) -> NDArray[np.float32]:
    chosen = features.descriptors.data[features.order[:QUICK_FEATURES]].astype(np.float32)
    return chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-6)


def _quick_matches(first: NDArray[np.float32], second: NDArray[np.float32]) -> int:
    """Number of mutual nearest neighbours that are close (cosine over 0.9)."""
    if not len(first) or not len(second):
        return 0
    similar = first @ second.T
    forth, back = similar.argmax(axis=1), similar.argmax(axis=0)
    mutual = back[forth] == np.arange(len(first))
    return int((mutual & (similar.max(axis=1) > 0.9)).sum())


def select_pairs(features: list[PhotoFeatures | None]) -> list[Pair]:
    """Pairs of photos to match.

    All of them for small sets. For large sets each photo's best neighbours by a quick comparison
    of its largest features (preemptive matching, Wu 2013), and its neighbours in the list, since
    people take photos in order.
    """
    usable = [i for i, found in enumerate(features) if found is not None and len(found.keypoints)]
    if len(usable) <= EXHAUSTIVE_PHOTOS:
        return list(itertools.combinations(usable, 2))
    quick = {i: _unit_descriptors(found) for i in usable if (found := features[i]) is not None}
    score = np.zeros((len(features), len(features)), np.int64)
    for i, j in itertools.combinations(usable, 2):
        score[i, j] = score[j, i] = _quick_matches(quick[i], quick[j])
    pairs = {(a, b) for a, b in itertools.pairwise(usable)}
    for i in usable:
        best = np.argsort(-score[i], kind="stable")[:NEIGHBOURS]
        pairs |= {(min(i, int(j)), max(i, int(j))) for j in best if score[i, j] > 0}
    return sorted(pairs)


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
