# SPDX-License-Identifier: GPL-3.0-or-later
"""From matches to the model that the photos confirm, or to none (runs in the child process).

Several ways of mapping are tried, the quickest first. Each model is judged by what the photos
themselves say (`judge`); what is left of it is mapped anew without the photos and pairs that do
not belong, since they bent it, and judged again, until nothing is dropped any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pycolmap

from mvsam_engine.reconstruct.classical.evidence import Look, fitting_matches
from mvsam_engine.reconstruct.classical.features import shrink_factor
from mvsam_engine.reconstruct.classical.judge import Judgement, contradict, judge
from mvsam_engine.reconstruct.classical.mapping import map_global, map_incremental, to_sparse
from mvsam_engine.reconstruct.classical.matching import (
    note_matches,
    verify,
    without_pairs,
)
from mvsam_engine.reconstruct.classical.reasons import FEW_MATCHES
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts, SfmJob
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.support import plausible_focal
from mvsam_engine.reconstruct.classical.view_graph import ViewGraph

# In the names of the ways of mapping.
GLOBAL, CONTINUED = "global", "continued"
# Random seeds of the verification: it decides close calls, and with few photos those decide all.
SEEDS = 3
# Up to so many photos a second opinion is asked even when the first model places all of them.
FEW_PHOTOS = 12
# Least angle in degrees of the starting pair: usual photos, then photos side by side.
START_ANGLES = (8.0, 2.0)
# Ways of mapping that `attempts` gives at most, for the progress.
ATTEMPTS = SEEDS + len(START_ANGLES)
# Up to so many photos two kinds of mapper are compared when a model is mapped anew.
HANDFUL = 5
# Of two models that place as many photos and agree, the global mapper's is taken, unless this share
# more of the matches fit the other: on eight photos 14 degrees apart its cameras were three to ten
# times as exact (0.02 against 0.05 to 0.5 degrees), although up to 6 % fewer matches fitted them.
GLOBAL_ALLOWANCE = 0.15
# Times that a model is mapped anew after photos were dropped; one that still changes is not kept.
ROUNDS = 4
# Matches between two photos that make a common subject certain enough to speak of a scene.
SCENE_MATCHES = 30
# A contradicting model with this share of the best one's confirmations makes it ambiguous.
RIVAL = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model that its own photos confirm, all of them.

    Attributes:
        judgement: the model.
        found: the same in pycolmap's form, to continue from.
    """

    judgement: Judgement
    found: pycolmap.Reconstruction

    def beats(self, other: Candidate) -> bool:
        """Whether this is the better of two models."""
        ours, theirs = self.judgement, other.judgement
        if (
            ours.placed != theirs.placed
            or self._is_global == other._is_global
            or contradict(ours.model, theirs.model)
        ):
            return ours.beats(theirs)
        if self._is_global:
            return ours.fitting >= (1 - GLOBAL_ALLOWANCE) * theirs.fitting
        return (1 - GLOBAL_ALLOWANCE) * ours.fitting > theirs.fitting

    @property
    def _is_global(self) -> bool:
        method = self.judgement.model.method
        return method.startswith(GLOBAL) and not method.endswith(CONTINUED)


class Placer:
    """One set of verified matches and the best model of it so far."""

    def __init__(
        self, job: SfmJob, matched: Path, looks: Mapping[str, Look], facts: list[PhotoFacts]
    ) -> None:
        """Verify a matched database.

        Args:
            job: the photos.
            matched: their features and matches; other files are made beside it.
            looks: small picture of each view.
            facts: completed by the verified matches of each photo.
        """
        self._job, self._matched, self._looks = job, matched, dict(looks)
        self._folder = matched.parent / f"{matched.stem}-maps"
        self._folder.mkdir()
        self._views = [photo.view for photo in job.photos]
        self._maps = 0
        self._verified = self._folder / f"verified{job.seed}.db"
        verify(matched, self._verified, job.seed)
        note_matches(self._verified, facts)
        factors = [shrink_factor(photo, job.size) for photo in job.photos]
        self.graph = ViewGraph.read(self._verified, self._views, factors)
        self.best: Candidate | None = None
        self.rivals: list[Candidate] = []
        self.doubted: set[str] = set()
        self._extended: Candidate | None = None
        self._denied: set[tuple[str, str]] = set()

    @property
    def placed(self) -> list[str]:
        """Views of the best model."""
        if self.best is None:
            return []
        return [camera.view for camera in self.best.judgement.model.cameras]

    @property
    def wanted(self) -> int:
        """How many photos hang together by their matches, so could be placed."""
        groups = self.graph.groups(FEW_MATCHES)
        return len(groups[0]) if groups else 0

    @property
    def ambiguous(self) -> bool:
        """Whether another model, nearly as well confirmed, contradicts the best one."""
        if self.best is None:
            return False
        best = self.best.judgement
        return any(
            rival.judgement.confirmed >= RIVAL * best.confirmed
            and contradict(rival.judgement.model, best.model)
            for rival in self.rivals
        )

    def run(self, step: Callable[[], None]) -> None:
        """Try the ways of mapping until one places every photo that could be placed.

        Args:
            step: told after each of `ATTEMPTS` ways, tried or not needed.
        """
        enough = 2 if len(self._views) <= FEW_PHOTOS else 1
        tried = 0
        attempts = self._attempts() if self.wanted >= 2 else iter(())
        for method, models in attempts:
            for found in models:
                self._offer(found, method)
            tried += 1
            step()
            self._extend()
            if tried >= enough and len(self.placed) >= self.wanted:
                break
        for _ in range(ATTEMPTS - tried):
            step()

    def _attempts(self) -> Iterator[tuple[str, list[pycolmap.Reconstruction]]]:
        """Ways of mapping and the models that they gave, each made when it is asked for."""
        seed, count = self._job.seed, len(self._views)
        if count > 2:
            yield f"{GLOBAL}, seed {seed}", map_global(self._verified, self._output(), seed)
        for angle in START_ANGLES:
            models = map_incremental(self._verified, self._output(), seed, angle, count)
            yield f"incremental, {angle:.0f} degrees", models
        for other in range(seed + 1, seed + SEEDS if count > 2 else 0):
            verified = self._verify_again(other)
            yield f"{GLOBAL}, seed {other}", map_global(verified, self._output(), other)

    def _verify_again(self, seed: int) -> Path:
        verified = self._folder / f"verified{seed}.db"
        verify(self._matched, verified, seed)
        return verified

    def _output(self) -> Path:
        """A new folder for pycolmap's files."""
        self._maps += 1
        return self._folder / f"map{self._maps}"

    def _offer(self, found: pycolmap.Reconstruction, method: str) -> None:
        """Judge a model and keep it when it is better than the best so far."""
        candidate = self._settle(found, method)
        if candidate is None:
            return
        self.rivals.append(candidate)
        if self.best is None or candidate.beats(self.best):
            self.best = candidate

    def _settle(self, found: pycolmap.Reconstruction, method: str) -> Candidate | None:
        """What is left of a model when its photos are asked, mapped anew; None for nothing."""
        for _ in range(ROUNDS):
            model = to_sparse(found, self._job, method)
            if not all(plausible_focal(camera) for camera in model.cameras):
                self.doubted |= {camera.view for camera in model.cameras}
                return None
            judgement = judge(model, self.graph, self._looks)
            self._denied.update(judgement.contradicted)
            kept = {camera.view for camera in judgement.model.cameras}
            self.doubted |= {camera.view for camera in model.cameras} - kept
            if len(kept) < 2 or (len(kept) == 2 and self.wanted > 2):
                self.doubted |= kept
                return None
            if len(kept) == len(model.cameras):
                if judgement.exact:
                    return Candidate(judgement, found)
                self.doubted |= kept
                return None
            again = self._map_only(kept)
            if again is None:
                return None
            found = again
        return None

    def _map_only(self, views: set[str]) -> pycolmap.Reconstruction | None:
        """The model with most photos of only these views and the pairs that are not denied."""
        output = self._output()
        output.mkdir()
        database = output / "some.db"

        def kept(first: int, second: int) -> bool:
            pair = (self._views[first], self._views[second])
            denied = pair in self._denied or pair[::-1] in self._denied
            return views.issuperset(pair) and not denied

        without_pairs(self._verified, database, kept)
        models: list[pycolmap.Reconstruction] = []
        if len(views) > 2:
            models += map_global(database, output / "global", self._job.seed)
        placed = max((m.num_reg_images() for m in models), default=0)
        # The global mapper uses points of three photos; a handful of photos has few of them.
        if placed < len(views) or placed <= HANDFUL:
            for angle in START_ANGLES:
                folder = output / f"from{angle:.0f}"
                models += map_incremental(database, folder, self._job.seed, angle, len(views))
        return max(models, key=self._fit, default=None)

    def _fit(self, found: pycolmap.Reconstruction) -> tuple[int, int]:
        """Photos placed, and verified matches that fit their places."""
        model = to_sparse(found, self._job, "")
        evidence = fitting_matches(model, self.graph)
        return len(model.cameras), int(evidence.sum())

    def _extend(self) -> None:
        """Let photos join the best model one by one."""
        best = self.best
        if best is None or best is self._extended or not 3 <= len(self.placed) < self.wanted:
            return
        self._extended = best
        seed, count = self._job.seed, len(self._views)
        angle = START_ANGLES[-1]
        for found in map_incremental(
            self._verified, self._output(), seed, angle, count, best.found
        ):
            self._offer(found, f"{best.judgement.model.method}, {CONTINUED}")


def finish(placer: Placer, facts: list[PhotoFacts]) -> SparseModel | None:
    """The model to keep, and why the others are left out, written into `facts`."""
    placed = set(placer.placed)
    if placer.ambiguous:
        placer.doubted |= placed
        placed = set()
    lost = [fact for fact in facts if fact.view not in placed]
    for fact in lost:
        fact.doubted = fact.view in placer.doubted
    if placer.best is None or not placed:
        return None
    for group in _other_scenes(placer.graph, placed):
        for fact in lost:
            if fact.view in group:
                fact.scene = tuple(view for view in group if view != fact.view)
    return placer.best.judgement.model


def _other_scenes(graph: ViewGraph, placed: set[str]) -> list[list[str]]:
    """Groups of photos that hang together, but not with any placed one."""
    groups = graph.groups(SCENE_MATCHES)
    return [group for group in groups if len(group) > 1 and not placed.intersection(group)]
