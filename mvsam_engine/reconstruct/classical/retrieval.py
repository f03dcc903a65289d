# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pairs of photos are worth matching (runs in the child process).

Small sets are matched exhaustively. For large ones each photo is described by one vector, a VLAD
(Jegou et al. 2010, with the intra-normalisation of Arandjelovic and Zisserman 2013) of its largest
SIFT features over a vocabulary learned on the photos themselves, so nothing has to be downloaded.
The number of pairs grows with the number of photos, not with its square.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.sources import natural_order
from mvsam_engine.reconstruct.classical.features import PhotoFeatures

# Up to this many photos every pair is matched; beyond, only the most promising neighbours.
EXHAUSTIVE_PHOTOS = 60
# Neighbours of each photo by what it shows. Strong pairs of the real sets were among the first 8.
NEIGHBOURS = 16
# Neighbours of each photo in the order of the names: people and videos take photos in order, and
# steps that double tie a long sequence together at every length (COLMAP's quadratic overlap).
SEQUENCE_STEPS = (1, 2, 4, 8, 16)
# Further neighbours in the second round, through photos that match both.
CLOSING = 4
# Matches (not verified) that make a pair count as found when the second round looks for more.
FOUND_MATCHES = 60

# Features of the largest scales that describe a photo; more did not raise the recall.
DESCRIBED_FEATURES = 600
WORDS = 64
# Descriptors that the vocabulary is learned from, of all photos together.
TRAINING = 20_000
KMEANS_STEPS = 12
# Photos whose similarity to all others is held in memory at a time.
ROWS = 256

Pair = tuple[int, int]


def select_pairs(
    features: Sequence[PhotoFeatures | None],
    names: Sequence[str] | None = None,
    *,
    exhaustive: int = EXHAUSTIVE_PHOTOS,
    neighbours: int = NEIGHBOURS,
) -> list[Pair]:
    """Pairs of photos to match.

    Args:
        features: of each photo; None or empty ones are in no pair.
        names: of the photos, whose natural order is the order of the sequence; None: as listed.
        exhaustive: largest number of photos of which all pairs are matched.
        neighbours: most similar photos that each photo of a larger set is matched with.

    Returns:
        Pairs (a, b) of indices, a < b, sorted, each once.
    """
    usable = [i for i, found in enumerate(features) if found is not None and len(found.keypoints)]
    if len(usable) <= exhaustive:
        return list(itertools.combinations(usable, 2))
    largest = [_largest(found) for i in usable if (found := features[i]) is not None]
    close = nearest(describe(largest), neighbours)
    pairs = {ordered(usable[a], usable[b]) for a, b in close}
    return sorted(pairs | set(sequence_pairs(_in_order(usable, names))))


def closing_pairs(
    tried: Iterable[Pair], matches: Mapping[Pair, int], photos: int, limit: int = CLOSING
) -> list[Pair]:
    """Pairs that the first round missed: two photos that both match a third one well.

    For small sets, of which every pair was tried, there are none.

    Args:
        tried: pairs of the first round.
        matches: number of matches of each pair of it.
        photos: how many there are.
        limit: new pairs that each photo may ask for.

    Returns:
        New pairs (a, b), a < b, sorted; for each photo those whose weaker link is strongest.
    """
    known = set(tried)
    links: list[dict[int, int]] = [{} for _ in range(photos)]
    for (a, b), count in matches.items():
        if count >= FOUND_MATCHES:
            links[a][b] = links[b][a] = count
    found: set[Pair] = set()
    for photo, near in enumerate(links):
        strength: dict[int, int] = {}
        for middle, first in near.items():
            for far, second in links[middle].items():
                if far != photo and ordered(photo, far) not in known:
                    strength[far] = max(strength.get(far, 0), min(first, second))
        best = sorted(strength, key=lambda far: (-strength[far], far))[:limit]
        found |= {ordered(photo, far) for far in best}
    return sorted(found)


def sequence_pairs(order: Sequence[int]) -> list[Pair]:
    """Pairs of photos that are 1, 2, 4, 8 or 16 places apart in `order`."""
    return [
        ordered(order[i], order[i + step])
        for step in SEQUENCE_STEPS
        for i in range(len(order) - step)
    ]


def nearest(described: NDArray[np.float32], count: int) -> list[Pair]:
    """For each row its `count` most similar other rows.

    Args:
        described: [n, d] unit vectors.
        count: neighbours of each.

    Returns:
        Pairs (row, neighbour), most similar first; most pairs come twice, once from each side.
    """
    total = len(described)
    count = min(count, total - 1)
    pairs: list[Pair] = []
    for start in range(0, total, ROWS):
        rows = np.arange(start, min(start + ROWS, total))
        similar = described[rows] @ described.T  # [rows, n]
        similar[np.arange(len(rows)), rows] = -np.inf
        best = np.argsort(-similar, axis=1, kind="stable")[:, :count]
        pairs += [(int(a), int(b)) for a, found in zip(rows, best, strict=True) for b in found]
    return pairs


def describe(descriptors: Sequence[NDArray[np.float32]], seed: int = 0) -> NDArray[np.float32]:
    """One vector for each photo that is similar for photos of the same things.

    Args:
        descriptors: of each photo, [k, 128] unit vectors, k > 0.
        seed: of the vocabulary.

    Returns:
        [photos, words x 128] unit vectors.
    """
    words = _vocabulary(descriptors, seed)
    return np.stack([_vlad(found, words) for found in descriptors])


def _largest(features: PhotoFeatures) -> NDArray[np.float32]:
    """Unit descriptors [k, 128] of the largest features."""
    chosen = features.descriptors.data[features.order[:DESCRIBED_FEATURES]].astype(np.float32)
    return chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-6)


def _vocabulary(descriptors: Sequence[NDArray[np.float32]], seed: int) -> NDArray[np.float32]:
    """Cluster centres [words, 128] of a fair sample of the descriptors of all photos."""
    random = np.random.default_rng(seed)
    share = max(1, TRAINING // len(descriptors))
    sample = np.concatenate(
        [found[random.permutation(len(found))[:share]] for found in descriptors]
    )[: 4 * TRAINING]
    words = min(WORDS, len(sample))
    enough = (cv2.TERM_CRITERIA_MAX_ITER, KMEANS_STEPS, 0.0)
    cv2.setRNGSeed(seed + 1)  # OpenCV takes 0 for "the default"
    _, _, centres = cv2.kmeans(sample, words, None, enough, 1, cv2.KMEANS_PP_CENTERS)
    return centres.astype(np.float32)


def _vlad(descriptors: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.float32]:
    """Directions from each word to the descriptors nearest to it, summed and normalised."""
    word = np.argmax(descriptors @ words.T - 0.5 * (words**2).sum(axis=1), axis=1)
    offset = descriptors - words[word]
    offset /= np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-6)
    total = np.zeros_like(words)
    np.add.at(total, word, offset)
    # Each word weighs the same, so that one repeated texture does not drown the rest.
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-6)
    flat = total.ravel()
    return flat / np.maximum(np.linalg.norm(flat), 1e-6)


def _in_order(usable: Sequence[int], names: Sequence[str] | None) -> list[int]:
    """The photos in the natural order of their names: ``a9`` before ``a10``."""
    if names is None:
        return list(usable)
    return sorted(usable, key=lambda i: (natural_order(names[i]), i))


def ordered(a: int, b: int) -> Pair:
    """The pair with the smaller index first."""
    return (a, b) if a < b else (b, a)
