# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pairs of photos are matched."""

from __future__ import annotations

import itertools

import numpy as np
import pycolmap
import pytest

from mvsam_engine.reconstruct.classical.features import PhotoFeatures
from mvsam_engine.reconstruct.classical.matching import count_matches
from mvsam_engine.reconstruct.classical.retrieval import (
    EXHAUSTIVE_PHOTOS,
    NEIGHBOURS,
    SEQUENCE_STEPS,
    closing_pairs,
    describe,
    nearest,
    select_pairs,
    sequence_pairs,
)

# The most pairs per photo that a large set may get, however many photos it has.
MOST_PAIRS = NEIGHBOURS + len(SEQUENCE_STEPS)


def features_of(descriptors):
    n = len(descriptors)
    kind = pycolmap.FeatureExtractorType.SIFT
    return PhotoFeatures(
        keypoints=np.zeros((n, 2), np.float32),
        descriptors=pycolmap.FeatureDescriptors(kind, descriptors),
        order=np.arange(n),
    )


def chain(count, shared=40, own=40):
    """Photos of which each shares a third of its features, with noise, with the next."""
    rng = np.random.default_rng(0)
    # Gradient histograms are sparse: most entries are small.
    common = rng.gamma(0.6, 40.0, (count + 1, shared, 128))
    photos = []
    for i in range(count):
        alone = rng.gamma(0.6, 40.0, (own, 128))
        seen = np.concatenate([common[i], common[i + 1], alone])
        noisy = np.clip(seen + rng.normal(0.0, 4.0, seen.shape), 0, 255)
        photos.append(features_of(noisy.astype(np.uint8)))
    return photos


def shuffled_chain(count):
    """A chain in a random order, and the place of each photo of the chain in it."""
    order = np.random.default_rng(1).permutation(count)
    photos = chain(count)
    return [photos[i] for i in order], np.argsort(order)


def test_small_sets_are_matched_exhaustively_without_unreadable_photos():
    empty = features_of(np.zeros((0, 128), np.uint8))
    features = [*chain(5), None, empty]
    assert select_pairs(features) == list(itertools.combinations(range(5), 2))


def test_large_sets_are_matched_where_photos_share_features():
    count = EXHAUSTIVE_PHOTOS + 60
    features, place = shuffled_chain(count)
    pairs = select_pairs(features)
    assert len(set(pairs)) == len(pairs) <= MOST_PAIRS * count
    assert all(a < b for a, b in pairs)
    for i in range(count - 1):  # true neighbours, wherever they are in the list
        assert tuple(sorted((int(place[i]), int(place[i + 1])))) in pairs


def test_unreadable_photos_of_a_large_set_are_in_no_pair():
    features = chain(EXHAUSTIVE_PHOTOS + 5)
    features[3] = None
    features[7] = features_of(np.zeros((0, 128), np.uint8))
    used = {i for pair in select_pairs(features) for i in pair}
    assert used == set(range(len(features))) - {3, 7}


def test_same_photos_give_the_same_pairs():
    features, _ = shuffled_chain(EXHAUSTIVE_PHOTOS + 5)
    assert select_pairs(features) == select_pairs(features)


@pytest.mark.parametrize("count", [61, 122, 244])
def test_pairs_grow_with_the_photos_not_with_their_square(count):
    pairs = select_pairs(chain(count, shared=4, own=4))
    assert len(pairs) <= MOST_PAIRS * count


def test_sequence_follows_the_numbers_in_the_names():
    """``p10`` comes after ``p9`` although the photos are listed otherwise."""
    count = EXHAUSTIVE_PHOTOS + 10
    rng = np.random.default_rng(2)
    strangers = [features_of(rng.integers(0, 256, (8, 128)).astype(np.uint8))] * count
    numbers = rng.permutation(count)
    pairs = select_pairs(strangers, [f"p{n}" for n in numbers], neighbours=0)
    apart = {abs(int(numbers[a]) - int(numbers[b])) for a, b in pairs}
    assert apart == set(SEQUENCE_STEPS)
    assert len(pairs) == sum(count - step for step in SEQUENCE_STEPS)


def test_sequence_of_a_few_photos():
    assert sequence_pairs([4, 2, 9]) == [(2, 4), (2, 9), (4, 9)]


def test_nearest_is_what_brute_force_finds():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(600, 20)).astype(np.float32)  # more than fit in memory at a time
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = {}
    for a, b in nearest(rows, 5):
        found.setdefault(a, []).append(b)
    for a in (0, 255, 256, 599):
        distance = np.linalg.norm(rows - rows[a], axis=1)
        assert found[a] == list(np.argsort(distance)[1:6])


def test_description_survives_fewer_features_than_words():
    tiny = [np.eye(128, dtype=np.float32)[:2], np.eye(128, dtype=np.float32)[:1]]
    described = describe(tiny)
    assert np.isfinite(described).all()
    assert (np.linalg.norm(described, axis=1) < 1.0 + 1e-5).all()


def test_second_round_asks_for_photos_that_match_a_third_one():
    tried = [(0, 1), (1, 2), (2, 3), (0, 4)]
    matches = {(0, 1): 200, (1, 2): 90, (2, 3): 10, (0, 4): 70}
    # 2-3 is too weak to count; 1-4 is held by 70 matches, 0-2 by 90.
    assert closing_pairs(tried, matches, 5) == [(0, 2), (1, 4)]
    assert closing_pairs([*tried, (0, 2), (1, 4)], matches, 5) == []


def test_second_round_takes_the_strongest_and_has_a_limit():
    matches = {(0, other): 100 + other for other in range(1, 30)}
    more = closing_pairs(matches, matches, 30, limit=3)
    assert len(more) <= 3 * 30
    assert {(28, 29), (27, 29), (1, 2)} <= set(more)


def test_second_round_of_a_small_set_is_empty():
    pairs = list(itertools.combinations(range(4), 2))
    assert closing_pairs(pairs, dict.fromkeys(pairs, 500), 4) == []


def test_matches_are_counted_by_photo(tmp_path):
    path = tmp_path / "matches.db"
    with pycolmap.Database.open(path) as database:
        camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", 100.0, 100, 100)
        database.write_camera(camera, use_camera_id=True)
        for i in range(3):
            image = pycolmap.Image(name=str(i), camera_id=1, image_id=i + 1)
            database.write_image(image, use_image_id=True)
        database.write_matches(1, 3, np.array([[0, 1], [2, 2]], np.uint32))
        database.write_matches(2, 1, np.array([[5, 1]], np.uint32))
    assert count_matches(path) == {(0, 2): 2, (0, 1): 1}
