# SPDX-License-Identifier: GPL-3.0-or-later
"""Models whose parts are right and joined wrongly."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mvsam_engine.reconstruct.classical.evidence import Evidence
from mvsam_engine.reconstruct.classical.seams import TEARING, TEARING_RATIO, largest_whole


def model_of(n, fits, misfits=()):
    """Confirmed pairs (a, b, matches that fit), and pairs (a, b, matches that do not)."""
    matched, fitting = np.zeros((n, n), np.int64), np.zeros((n, n), np.int64)
    confirmed = np.zeros((n, n), np.int64)
    for a, b, count in fits:
        for i, j in ((a, b), (b, a)):
            confirmed[i, j], matched[i, j], fitting[i, j] = 1, count, count
    for a, b, count in misfits:
        matched[a, b] = matched[b, a] = count
    nothing = np.zeros((n, n), np.int64)
    evidence = Evidence(nothing, nothing, np.full((n, n), np.nan), matched, fitting)
    return list(range(n)), confirmed, evidence


def walk(photos, count=400):
    return [(a, a + 1, count) for a in photos[:-1]]


def test_a_walk_glued_to_itself_is_torn():
    """Photos 0..4 and 5..7 hang together; 4 and 5 are neighbours, but 7 was glued to 1."""
    kept, torn = largest_whole(
        *model_of(8, [*walk(range(5)), *walk(range(5, 8)), (1, 7, 37), (2, 7, 30)], [(4, 5, 608)])
    )
    assert kept == [0, 1, 2, 3, 4]
    assert torn[1, 7]
    assert torn[7, 1]
    assert torn[2, 7]
    assert torn.sum() == 4


def test_the_same_walk_without_the_contradiction_is_whole():
    links = [*walk(range(5)), *walk(range(5, 8)), (1, 7, 37)]
    kept, torn = largest_whole(*model_of(8, links))
    assert kept == list(range(8))
    assert not torn.any()
    # A few matches that do not fit are no reason.
    kept, _ = largest_whole(*model_of(8, links, [(4, 5, TEARING - 1)]))
    assert kept == list(range(8))


def test_like_walls_of_a_right_model_do_not_tear_it():
    """Opposite photos of a round walk match falsely; the walk between them holds them."""
    ring = [*walk(range(12), 300), (11, 0, 300)]
    alike = [(i, i + 6, 200) for i in range(6)]
    kept, torn = largest_whole(*model_of(12, ring, alike))
    assert kept == list(range(12))
    assert not torn.any()


def test_nothing_of_nothing():
    kept, torn = largest_whole(*model_of(0, []))
    assert kept == []
    assert torn.shape == (0, 0)


@given(st.data())
def test_no_part_is_given_out_with_a_torn_seam(data):
    n = data.draw(st.integers(2, 7))
    pairs = list(itertools.combinations(range(n), 2))
    kinds = data.draw(st.lists(st.sampled_from("fmn"), min_size=len(pairs), max_size=len(pairs)))
    counts = data.draw(st.lists(st.integers(1, 900), min_size=len(pairs), max_size=len(pairs)))
    fits = [(*p, c) for p, k, c in zip(pairs, kinds, counts, strict=True) if k == "f"]
    misfits = [(*p, c) for p, k, c in zip(pairs, kinds, counts, strict=True) if k == "m"]
    kept, confirmed, evidence = model_of(n, fits, misfits)
    whole, torn = largest_whole(kept, confirmed, evidence)
    inside = set(whole)
    assert inside
    assert (torn == torn.T).all()
    assert not any(torn[i, j] for i in inside for j in inside)
    for a, b, count in misfits:
        if not {a, b} <= inside or count < TEARING:
            continue
        # However weak the weakest link of the strongest chain between the two: not that weak.
        assert count <= TEARING_RATIO * widest(a, b, fits, inside)


def widest(a, b, fits, inside):
    """The best chain's weakest link between two photos, by trying every threshold."""
    for limit in sorted({c for *_, c in fits}, reverse=True):
        reached, edge = {a}, [a]
        while edge:
            photo = edge.pop()
            near = {
                (set(pair) - {photo}).pop()
                for *pair, c in fits
                if c >= limit and photo in pair and set(pair) <= inside
            } - reached
            reached |= near
            edge += near
        if b in reached:
            return limit
    return 0
