# SPDX-License-Identifier: GPL-3.0-or-later
"""The child process of structure from motion: job file in, JSON lines and model files out.

It is a process of its own because a failed check inside pycolmap ends the whole process. It ends
by itself when its standard input closes, that is, when the engine dies.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pycolmap

from mvsam_engine.reconstruct.classical.features import detect_all, write_database
from mvsam_engine.reconstruct.classical.mapping import map_global, map_incremental, to_sparse
from mvsam_engine.reconstruct.classical.matching import (
    count_matches,
    match_pairs,
    note_matches,
    verify,
)
from mvsam_engine.reconstruct.classical.reasons import FEW_MATCHES
from mvsam_engine.reconstruct.classical.retrieval import closing_pairs, select_pairs
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts, Said, SfmJob, save_facts
from mvsam_engine.reconstruct.classical.sparse import SparseModel, save_model
from mvsam_engine.reconstruct.classical.support import (
    Quality,
    drop_unsupported,
    quality,
)

# So many random seeds are tried and the best model is kept. With more than a few photos the
# first model that places all of them is as good.
SEEDS = 3
FEW_PHOTOS = 12
# Share of full support below which the incremental mapper is tried too.
WELL_SUPPORTED = 0.9
# Least angle in degrees of the starting pair: usual photos, then photos side by side.
START_ANGLES = (8.0, 2.0)

Say = Callable[[Said], None]


class _Best:
    """Keeps the best-supported model among those offered."""

    def __init__(self, job: SfmJob) -> None:
        self._job = job
        self.model: SparseModel | None = None
        self.quality = Quality(0.0, 0)

    @property
    def placed(self) -> int:
        """How many photos the best model places with enough support."""
        return 0 if self.model is None else len(drop_unsupported(self.model).cameras)

    def offer(self, models: list[pycolmap.Reconstruction], method: str) -> None:
        """Compare each of `models` with the best so far."""
        for found in models:
            model = to_sparse(found, self._job, method)
            reached = quality(model)
            if self.model is None or reached.beats(self.quality):
                self.model, self.quality = model, reached


def connected(facts: list[PhotoFacts]) -> int:
    """How many photos show something that another photo shows, so could be placed."""
    return sum(fact.matches >= FEW_MATCHES for fact in facts)


def run(job: SfmJob, say: Say) -> None:
    """Do the job; the result is ``facts.json`` and, when any photos fit, the model's files."""
    folder = Path(job.folder)
    say(Said(stage="Features", total=len(job.photos)))
    threads = os.cpu_count() or 1
    features, facts = detect_all(job.photos, job.size, threads, lambda: say(Said(step=1)))
    save_facts(facts, folder)

    # COLMAP's text files cannot hold every view name, so inside the database they are numbers.
    names = [f"{i:06d}" for i in range(len(job.photos))]
    matched = folder / "matched.db"
    write_database(matched, names, job.photos, features, job.size)
    pairs = select_pairs(features, [photo.view for photo in job.photos])
    say(Said(stage="Matching", total=len(pairs)))
    match_pairs(matched, names, pairs, lambda count: say(Said(step=count)))
    if more := closing_pairs(pairs, count_matches(matched), len(names)):
        say(Said(stage="Matching again", total=len(more)))
        match_pairs(matched, names, more, lambda count: say(Said(step=count)))
    del features
    if pairs:
        say(Said(stage="Cameras", total=SEEDS + 1))
        model = _map(job, matched, facts, lambda: say(Said(step=1)))
        save_facts(facts, folder)
        if model is not None:
            save_model(model, folder)


def _map(
    job: SfmJob, matched: Path, facts: list[PhotoFacts], step: Callable[[], None]
) -> SparseModel | None:
    """The best-supported model of a matched database; completes `facts`."""
    folder, count = Path(job.folder), len(job.photos)
    best = _Best(job)
    for number in range(SEEDS):
        placed_all = number > 0 and best.placed >= connected(facts)
        if count <= FEW_PHOTOS or not placed_all:
            seed = job.seed + number
            verified = folder / f"verified{number}.db"
            verify(matched, verified, seed)
            note_matches(verified, facts)
            if count > 2:
                found = map_global(verified, folder / f"global{number}", seed)
                best.offer(found, f"global, seed {seed}")
        step()
    for angle in START_ANGLES:
        if best.quality.support < WELL_SUPPORTED * connected(facts):
            output = folder / f"incremental{angle:.0f}"
            found = map_incremental(folder / "verified0.db", output, job.seed, angle, count)
            best.offer(found, f"incremental, {angle:.0f} degrees")
    step()
    return best.model


def _exit_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _own_stdout() -> TextIO:
    """The real standard output; whatever a library prints goes to standard error instead."""
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return ours


def serve(work: Callable[[Path, Say], None]) -> None:
    """Entry point of a worker module: do the job whose file is the first argument, then exit."""
    out = _own_stdout()
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    pycolmap.logging.minloglevel = 2

    def say(said: Said) -> None:
        out.write(said.line())
        out.flush()

    work(Path(sys.argv[1]), say)
    say(Said(end=True))
    # Skips the destructors of the libraries: the work is on disk, and they may abort.
    out.close()
    os._exit(0)


if __name__ == "__main__":
    serve(lambda path, say: run(SfmJob.load(path), say))
