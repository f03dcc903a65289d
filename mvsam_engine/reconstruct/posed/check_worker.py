# SPDX-License-Identifier: GPL-3.0-or-later
"""The child process that compares given cameras with what the photos show.

It is a process of its own because a failed check inside pycolmap ends the whole process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap

from mvsam_engine.reconstruct.classical.features import PhotoFeatures, detect_all, shrink_factor
from mvsam_engine.reconstruct.classical.matching import match_pairs, note_matches, verify
from mvsam_engine.reconstruct.classical.reasons import FEW_MATCHES
from mvsam_engine.reconstruct.classical.retrieval import select_pairs
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts, Said, save_facts
from mvsam_engine.reconstruct.classical.sfm_worker import serve
from mvsam_engine.reconstruct.classical.sparse import SparseModel, load_model, save_model
from mvsam_engine.reconstruct.posed.check_job import EXACT_ENOUGH, CheckJob, Verdict
from mvsam_engine.reconstruct.posed.diagnosis import EXACT, diagnose, diagnose_lens, tolerances
from mvsam_engine.reconstruct.posed.epipolar import (
    PairMatches,
    contradicting,
    fit_pairs,
)
from mvsam_engine.reconstruct.posed.triangulate import (
    correct_lens,
    pinhole,
    triangulate,
    write_database,
)

Say = Callable[[Said], None]


class Check:
    """One job, step by step."""

    def __init__(self, job: CheckJob, say: Say) -> None:
        self._job, self._say = job, say
        self._folder = Path(job.folder)
        self._cameras = load_model(self._folder / "given").cameras
        self._factors = [shrink_factor(photo, job.size) for photo in job.photos]
        # COLMAP's text files cannot hold every view name, so inside the database they are numbers.
        self._names = [f"{i:06d}" for i in range(len(job.photos))]
        self._matched = self._folder / "matched.db"
        self._verified = self._folder / "verified.db"

    def run(self) -> None:
        """Do the job; the results are files in the work folder."""
        features, facts = self._detect()
        try:
            done = self._match(features, list(self._job.pairs), facts)
            if _lonely(facts) * 2 > len(facts):
                # The cameras' neighbours show nothing in common: wrong cameras do that too, so
                # ask who really shows the same.
                more = set(select_pairs(features, [p.view for p in self._job.photos])) - done
                self._match(features, sorted(more), facts)
        finally:
            save_facts(facts, self._folder)
        verdict = self._judge()
        verdict.save(self._folder)
        if self._job.triangulate and verdict.fits and verdict.asked >= 2:
            wrong = set(verdict.contradicting)
            use = [
                i
                for i, camera in enumerate(self._cameras)
                if camera.view not in wrong and features[i] is not None and facts[i].features
            ]
            save_model(self._points(use), self._folder)

    def _detect(self) -> tuple[list[PhotoFeatures | None], list[PhotoFacts]]:
        photos = self._job.photos
        self._say(Said(stage="Features", total=len(photos)))
        threads = os.cpu_count() or 1
        found, facts = detect_all(photos, self._job.size, threads, lambda: self._say(Said(step=1)))
        features = [
            None if one is None else correct_lens(one, camera, factor)
            for one, camera, factor in zip(found, self._cameras, self._factors, strict=True)
        ]
        write_database(self._matched, self._names, self._cameras, self._factors, features)
        return features, facts

    def _match(
        self,
        features: list[PhotoFeatures | None],
        pairs: list[tuple[int, int]],
        facts: list[PhotoFacts],
    ) -> set[tuple[int, int]]:
        """Match and verify pairs; gives those that could be asked."""
        usable = {i for i, found in enumerate(features) if found is not None and facts[i].features}
        pairs = [(a, b) for a, b in pairs if a in usable and b in usable]
        self._say(Said(stage="Matching", total=len(pairs)))
        if pairs:
            names, matched = self._names, self._matched
            match_pairs(matched, names, pairs, lambda n: self._say(Said(step=n)))
            verify(self._matched, self._verified, self._job.seed)
            note_matches(self._verified, facts)
        return set(pairs)

    def _judge(self) -> Verdict:
        pairs = self._pairs()
        if not pairs:
            return Verdict(matches=0, share=1.0, near=1.0, exact=1.0, contradicting={}, asked=0)
        poses = [camera.camera_from_world for camera in self._cameras]
        fit = fit_pairs(poses, pairs, tolerances(self._cameras))
        wrong = contradicting(fit, len(poses))
        shares = fit.by_camera(len(poses))
        verdict = Verdict(
            matches=int(fit.matches.sum()),
            share=fit.share,
            near=fit_pairs(poses, pairs, tolerances(self._cameras, 4.0)).mean_share(len(poses)),
            exact=fit_pairs(poses, pairs, tolerances(self._cameras, EXACT)).mean_share(len(poses)),
            contradicting={self._cameras[i].view: float(shares[i]) for i in wrong},
            asked=int(np.isfinite(shares).sum()),
        )
        if verdict.fits and verdict.exact >= EXACT_ENOUGH:
            return verdict
        if verdict.fits:
            found = diagnose_lens(self._cameras, pairs)
        else:
            found = diagnose(self._cameras, pairs, [photo.view for photo in self._job.photos])
        if found is None:
            return verdict
        return replace(verdict, mistake=found.sentence, remedy=found.remedy, explained=found.share)

    def _pairs(self) -> list[PairMatches]:
        """The verified matches as rays."""
        if not self._verified.is_file():
            return []
        found: list[PairMatches] = []
        with pycolmap.Database.open(self._verified) as database:
            pair_ids, geometries = database.read_two_view_geometries()
            rays: dict[int, np.ndarray] = {}
            for pair_id, geometry in zip(pair_ids, geometries, strict=True):
                matches = geometry.inlier_matches
                if not len(matches):
                    continue
                first, second = (i - 1 for i in pycolmap.pair_id_to_image_pair(pair_id))
                for index in {first, second} - set(rays):
                    rays[index] = self._rays(index, database.read_keypoints(index + 1)[:, :2])
                found.append(
                    PairMatches(
                        first, second, rays[first][matches[:, 0]], rays[second][matches[:, 1]]
                    )
                )
        return found

    def _rays(self, index: int, places: np.ndarray) -> np.ndarray:
        matrix = pinhole(self._cameras[index], self._factors[index])
        return (places - matrix[:2, 2]) / (matrix[0, 0], matrix[1, 1])

    def _points(self, use: list[int]) -> SparseModel:
        self._say(Said(stage="Points", total=1))
        found = triangulate(self._verified, self._names, self._cameras, self._factors, use)
        self._say(Said(step=1))
        return found


def _lonely(facts: list[PhotoFacts]) -> int:
    """How many photos have hardly a match with any other."""
    return sum(fact.matches < FEW_MATCHES for fact in facts)


def run(path: Path, say: Say) -> None:
    """Do the job of a file."""
    Check(CheckJob.load(path), say).run()


if __name__ == "__main__":
    serve(run)
