# SPDX-License-Identifier: GPL-3.0-or-later
"""A second database for mapping: the SIFT features and matches, and learned ones beside them.

Each photo keeps its SIFT keypoints, with their numbers, and gets the learned ones behind them; so
the tracks of SIFT live on and the photos that they leave out can join. Runs in the child process,
which is killed when the person cancels.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap
import torch
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import fit_size
from mvsam_engine.photos import read_rgb, read_used
from mvsam_engine.reconstruct.classical.features import PhotoFeatures, shrink_factor
from mvsam_engine.reconstruct.classical.learned import installed_method
from mvsam_engine.reconstruct.classical.learned.networks import (
    AlikedMatcher,
    DiskMatcher,
    LearnedFeatures,
    LearnedMatcher,
    XFeatMatcher,
)
from mvsam_engine.reconstruct.classical.retrieval import (
    EXHAUSTIVE_PHOTOS,
    Pair,
    describe,
    nearest,
    ordered,
    select_pairs,
)
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, SfmJob
from mvsam_engine.reconstruct.images import shrink

NETWORKS: dict[str, type[LearnedMatcher]] = {
    "xfeat": XFeatMatcher,
    "aliked": AlikedMatcher,
    "disk": DiskMatcher,
}
# Pairs that are matched at most, so that the second try ends in minutes on a slow machine.
MOST_PAIRS = 240
# Placed photos around each left-out one that are matched with each other: a point is only held in
# space when two of them see it.
COMPANIONS = 4
# Threads of torch: more do not make these small networks faster.
MOST_THREADS = 8

Stage = Callable[[str, int], None]
Step = Callable[[], None]


@dataclass(frozen=True, slots=True)
class SecondTry:
    """What came of it.

    Attributes:
        method: name of the learned method.
        pairs: number of pairs that were matched.
        matches: of each left-out photo (by index), matches with the photo that fits it best.
    """

    method: str
    pairs: int
    matches: dict[int, int]


def write_second_database(
    job: SfmJob,
    matched: Path,
    target: Path,
    left_out: Sequence[int],
    stage: Stage,
    step: Step,
) -> SecondTry | None:
    """Copy `matched` to `target` and add learned keypoints and matches for photos left out.

    The result is to be verified (`matching.verify`) and mapped like the first database: same
    images, same cameras, same ids. Two-view geometries of `matched` are not copied.

    Args:
        job: the photos.
        matched: database with SIFT keypoints and matches of all photos, not verified.
        target: the database to make; an existing file is replaced.
        left_out: indices of the photos without a place; all of them when there is no model.
        stage: told the name of each stage and its units of work.
        step: told after each unit.

    Returns:
        What came of it; None when no learned method is installed or no photo is left to try.
    """
    method = installed_method()
    with pycolmap.Database.open(matched) as database:
        present = {image.image_id - 1 for image in database.read_all_images()}
    lost = [i for i in left_out if i in present]
    if method is None or not lost or len(present) < 2:
        return None
    torch.set_num_threads(max(1, min(MOST_THREADS, os.cpu_count() or 1)))
    network = NETWORKS[method]()

    wanted = _worth_a_look(matched, sorted(present), lost)
    stage("Learned features", len(wanted))
    features: dict[int, LearnedFeatures] = {}
    for index in wanted:
        features[index] = _detect(network, job.photos[index], job.size)
        step()

    first = ranked_pairs({i: f.descriptors for i, f in features.items()}, lost)
    stage("Learned matches", len(first))
    matches = _match(network, features, first, step)
    companions = companion_pairs({pair: len(m) for pair, m in matches.items()}, lost)
    stage("Learned matches of neighbours", len(companions))
    matches |= _match(network, features, companions, step)
    shutil.copyfile(matched, target)
    add_to_database(target, {i: f.keypoints for i, f in features.items()}, matches)
    best = {i: max((len(m) for p, m in matches.items() if i in p), default=0) for i in lost}
    return SecondTry(method, len(matches), best)


def ranked_pairs(
    descriptors: Mapping[int, NDArray[np.float32]], lost: Sequence[int], most: int = MOST_PAIRS
) -> list[Pair]:
    """Pairs of each left-out photo with those that look most like it.

    Args:
        descriptors: of each photo, [k, d] unit vectors.
        lost: the left-out photos.
        most: pairs in all; two thirds are given out here, the rest is for the neighbours.

    Returns:
        Pairs (a, b), a < b, sorted. Small sets get every pair with a left-out photo in it.
    """
    photos = [i for i, found in descriptors.items() if len(found)]
    if len(photos) < 2:
        return []
    share = max(2, 2 * most // 3 // max(1, len(lost)))
    close = nearest(describe([descriptors[i] for i in photos]), share)
    wanted = set(lost)
    return sorted({ordered(photos[a], photos[b]) for a, b in close if photos[a] in wanted})


def companion_pairs(
    matches: Mapping[Pair, int], lost: Sequence[int], most: int = MOST_PAIRS
) -> list[Pair]:
    """Pairs of the photos that match the same left-out photo best, strongest first."""
    strength: dict[Pair, int] = {}
    for photo in lost:
        near = {a + b - photo: count for (a, b), count in matches.items() if photo in (a, b)}
        best = sorted((i for i in near if near[i] > 0), key=lambda i: (-near[i], i))[:COMPANIONS]
        for a, b in itertools.combinations(sorted(best), 2):
            if (a, b) not in matches:
                strength[a, b] = max(strength.get((a, b), 0), min(near[a], near[b]))
    strongest = sorted(strength, key=lambda pair: (-strength[pair], pair))
    return strongest[: max(0, most - len(matches))]


def add_to_database(
    path: Path,
    keypoints: Mapping[int, NDArray[np.float32]],
    matches: Mapping[Pair, NDArray[np.int64]],
) -> None:
    """Put keypoints behind those that the photos have, and matches beside those of the pairs.

    Args:
        path: database; image ids are 1 + the index of the photo.
        keypoints: new ones of each photo, [n, 2], in the coordinates of the database.
        matches: new ones of each pair, [m, 2] indices into `keypoints`.
    """
    start: dict[int, int] = {}
    with pycolmap.Database.open(path) as database, pycolmap.DatabaseTransaction(database):
        # Descriptors of the two kinds cannot be compared, and mapping needs none.
        database.clear_descriptors()
        for index, new in keypoints.items():
            old = database.read_keypoints(index + 1)[:, :2]
            start[index] = len(old)
            database.update_keypoints(index + 1, np.concatenate([old, new]).astype(np.float32))
        for (a, b), new in matches.items():
            both = (new + np.array([start[a], start[b]])).astype(np.uint32)
            if database.exists_matches(a + 1, b + 1):
                both = np.concatenate([database.read_matches(a + 1, b + 1), both])
                database.delete_matches(a + 1, b + 1)
            if len(both):
                database.write_matches(a + 1, b + 1, both)


def _worth_a_look(matched: Path, present: list[int], lost: list[int]) -> list[int]:
    """The left-out photos and those that may show the same: all of a small set."""
    if len(present) <= EXHAUSTIVE_PHOTOS:
        return present
    random = np.random.default_rng(0)
    features: list[PhotoFeatures] = []
    with pycolmap.Database.open(matched) as database:
        for index in present:
            descriptors = database.read_descriptors(index + 1)
            order = random.permutation(len(descriptors.data))
            features.append(
                PhotoFeatures(np.zeros((len(order), 2), np.float32), descriptors, order)
            )
    wanted, chosen = set(lost), set(lost)
    for pair in select_pairs(features):
        photos = {present[i] for i in pair}
        if photos & wanted:
            chosen |= photos
    return sorted(chosen)


def _detect(network: LearnedMatcher, photo: JobPhoto, size: int) -> LearnedFeatures:
    """Features of a photo, where its mask allows, in the coordinates of the database.

    Those are pixels of the photo shrunk by one factor (see `features`).
    """
    width, height = fit_size(photo.width, photo.height, size)
    found = network.detect(shrink(read_rgb(Path(photo.path), at_least=size), width, height))
    factor = shrink_factor(photo, size)
    whole = (photo.width * factor, photo.height * factor)
    keypoints = found.keypoints * np.array([whole[0] / width, whole[1] / height], np.float32)
    here = LearnedFeatures(keypoints, found.descriptors, whole)
    if not photo.mask:
        return here
    used = read_used(Path(photo.mask), photo.width, photo.height)
    column, row = (keypoints / factor).astype(np.int64).T
    inside = used[row.clip(0, photo.height - 1), column.clip(0, photo.width - 1)]
    return here.keep(inside)


def _match(
    network: LearnedMatcher,
    features: Mapping[int, LearnedFeatures],
    pairs: Sequence[Pair],
    step: Step,
) -> dict[Pair, NDArray[np.int64]]:
    found: dict[Pair, NDArray[np.int64]] = {}
    for a, b in pairs:
        found[a, b] = network.match(features[a], features[b])
        step()
    return found
