# SPDX-License-Identifier: GPL-3.0-or-later
"""Matches of photos, and which of them two-view geometry confirms (runs in the child process)."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray

from mvsam_engine.reconstruct.classical.retrieval import Pair
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts

# Pairs of one call of the matcher: few enough for progress, many enough to reuse its indices.
BLOCK = 12
# Random samples of a pair at most, matches that a pair needs, and the distance in pixels from an
# epipolar line up to which a match is plausible.
TRIALS = 2000
LEAST_MATCHES = 15
PLAUSIBLE_PIXELS = 5.0


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

    A quick fundamental matrix (OpenCV's USAC) leaves the matches that pycolmap, which also tells
    planes and pure turns apart, then has to look at: with nine in ten of them right it needs a
    tenth of the time (190 pairs: 1.4 instead of 12 CPU seconds, 99 % of the verified matches).
    The random seed of this step decides about close calls; with few photos several are tried.
    """
    shutil.copyfile(matched, target)
    _keep_plausible(target, seed)
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = seed
    options.ransac.max_num_trials = TRIALS
    pycolmap.geometric_verification(target, two_view_geometry_options=options)


def _keep_plausible(target: Path, seed: int) -> None:
    """Drop the matches that one fundamental matrix of their pair does not explain."""
    with (
        pycolmap.Database.open(target) as database,
        pycolmap.DatabaseTransaction(database),
    ):
        keypoints = {
            image.image_id: database.read_keypoints(image.image_id)[:, :2].astype(np.float64)
            for image in database.read_all_images()
        }
        ids, found = database.read_all_matches()
        for pair_id, matches in zip(ids, found, strict=True):
            first, second = pycolmap.pair_id_to_image_pair(pair_id)
            kept = np.zeros(len(matches), bool)
            if len(matches) >= LEAST_MATCHES:
                ours = keypoints[first][matches[:, 0]]
                kept = _plausible(ours, keypoints[second][matches[:, 1]], seed)
            if not kept.all():
                database.delete_matches(first, second)
                if kept.sum() >= LEAST_MATCHES:
                    database.write_matches(first, second, matches[kept])


def _plausible(
    first: NDArray[np.float64], second: NDArray[np.float64], seed: int
) -> NDArray[np.bool_]:
    """Which of the matched points [n, 2] one fundamental matrix explains."""
    usac = cv2.UsacParams()
    usac.threshold = PLAUSIBLE_PIXELS
    usac.confidence = 0.999
    usac.maxIterations = TRIALS
    usac.randomGeneratorState = seed
    usac.sampler = cv2.SAMPLING_UNIFORM
    usac.score = cv2.SCORE_METHOD_MSAC
    usac.loMethod = cv2.LOCAL_OPTIM_INNER_LO
    usac.loIterations = 5
    usac.loSampleSize = 14
    try:
        _, kept = cv2.findFundamentalMat(first, second, usac)
    except cv2.error:  # all points in one place, for instance
        kept = None
    return np.zeros(len(first), bool) if kept is None else kept.ravel() > 0


def note_matches(verified: Path, facts: list[PhotoFacts]) -> None:
    """Write into `facts` how many verified matches each photo has with its best neighbour."""
    with pycolmap.Database.open(verified) as database:
        pair_ids, counts = database.read_two_view_geometry_num_inliers()
    for pair_id, count in zip(pair_ids, counts, strict=True):
        for image_id in pycolmap.pair_id_to_image_pair(pair_id):
            fact = facts[image_id - 1]
            fact.matches = max(fact.matches, int(count))


def without_pairs(verified: Path, target: Path, kept: Callable[[int, int], bool]) -> None:
    """Copy a verified database to `target` without the pairs that `kept` does not want.

    Args:
        verified: the database; image ids are 1 + the index of the photo.
        target: made here.
        kept: told the indices of two photos, whether their matches stay.
    """
    shutil.copyfile(verified, target)
    with pycolmap.Database.open(target) as database:
        ids, _ = database.read_two_view_geometry_num_inliers()
        with pycolmap.DatabaseTransaction(database):
            for pair_id in ids:
                first, second = pycolmap.pair_id_to_image_pair(pair_id)
                if not kept(first - 1, second - 1):
                    database.delete_two_view_geometry(first, second)
