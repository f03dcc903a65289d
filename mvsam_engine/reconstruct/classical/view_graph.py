# SPDX-License-Identifier: GPL-3.0-or-later
"""The verified matches of a set of photos, by the names of their views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

Matches = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ViewGraph:
    """Photos and the matches that two-view geometry confirmed.

    Attributes:
        keypoints: view to [n, 2] positions in pixels of the upright photo.
        pairs: two views, in the order of the photos, to the numbers [m, 2] of matched features.
    """

    keypoints: dict[str, NDArray[np.float64]]
    pairs: dict[tuple[str, str], Matches]

    @classmethod
    def read(cls, verified: Path, views: Sequence[str], factors: Sequence[float]) -> ViewGraph:
        """Read a verified database.

        Args:
            verified: the database; image ids are 1 + the index of the photo.
            views: names by index.
            factors: from the upright photos to the keypoints of the database, by index.
        """
        keypoints: dict[str, NDArray[np.float64]] = {}
        pairs: dict[tuple[str, str], Matches] = {}
        with pycolmap.Database.open(verified) as database:
            for image in database.read_all_images():
                index = image.image_id - 1
                found = np.asarray(database.read_keypoints(image.image_id))[:, :2]
                keypoints[views[index]] = found.astype(np.float64) / factors[index]
            ids, geometries = database.read_two_view_geometries()
            for pair_id, geometry in zip(ids, geometries, strict=True):
                first, second = pycolmap.pair_id_to_image_pair(pair_id)
                if len(geometry.inlier_matches):
                    names = (views[first - 1], views[second - 1])
                    pairs[names] = np.asarray(geometry.inlier_matches).astype(np.int64)
        return cls(keypoints, pairs)

    def numbers(self, first: str, second: str) -> Matches:
        """Numbers [m, 2] of the features of `first` and `second` that were matched."""
        found = self.pairs.get((first, second))
        if found is not None:
            return found
        found = self.pairs.get((second, first))
        return np.zeros((0, 2), np.int64) if found is None else found[:, ::-1]

    def matched(self, first: str, second: str) -> NDArray[np.int64]:
        """Numbers [m] of the features of `first` that were matched in `second`."""
        return self.numbers(first, second)[:, 0]

    def matches(
        self, first: str, second: str
    ) -> tuple[Matches, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Numbers [m, 2] of the matched features and their pixels in either photo, [m, 2] each."""
        numbers = self.numbers(first, second)
        if not len(numbers):
            return numbers, (np.zeros((0, 2)), np.zeros((0, 2)))
        return numbers, (
            self.keypoints[first][numbers[:, 0]],
            self.keypoints[second][numbers[:, 1]],
        )

    def groups(self, least: int) -> list[list[str]]:
        """Photos that pairs of at least `least` matches link, largest group first."""
        parent = {view: view for view in self.keypoints}

        def root(view: str) -> str:
            while parent[view] != view:
                view = parent[view]
            return view

        for (first, second), numbers in self.pairs.items():
            if len(numbers) >= least:
                parent[root(second)] = root(first)
        groups: dict[str, list[str]] = {}
        for view in self.keypoints:
            groups.setdefault(root(view), []).append(view)
        return sorted(groups.values(), key=len, reverse=True)
