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
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import pycolmap

from mvsam_engine.reconstruct.classical import learned
from mvsam_engine.reconstruct.classical.evidence import Look
from mvsam_engine.reconstruct.classical.features import detect_all, write_database
from mvsam_engine.reconstruct.classical.judge import contradict
from mvsam_engine.reconstruct.classical.matching import count_matches, match_pairs
from mvsam_engine.reconstruct.classical.placing import ATTEMPTS, Placer, finish
from mvsam_engine.reconstruct.classical.reasons import FEW_FEATURES
from mvsam_engine.reconstruct.classical.retrieval import closing_pairs, select_pairs
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts, Said, SfmJob, save_facts
from mvsam_engine.reconstruct.classical.sparse import SparseModel, save_model

Say = Callable[[Said], None]


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
    views = [photo.view for photo in job.photos]
    looks = {v: f.look for v, f in zip(views, features, strict=True) if f and f.look}
    del features
    if pairs:
        model = _place(job, matched, looks, facts, say)
        save_facts(facts, folder)
        if model is not None:
            save_model(model, folder)


def _place(
    job: SfmJob, matched: Path, looks: dict[str, Look], facts: list[PhotoFacts], say: Say
) -> SparseModel | None:
    """The best model of a matched database that its photos confirm; completes `facts`."""
    say(Said(stage="Cameras", total=ATTEMPTS))
    placer = Placer(job, matched, looks, facts)
    placer.run(lambda: say(Said(step=1)))
    model = finish(placer, facts)
    lost = [i for i, fact in enumerate(facts) if _may_still_fit(fact, model)]
    if lost and learned.available():
        model = _second_try(job, matched, looks, facts, say, lost, model)
    return model


def _may_still_fit(fact: PhotoFacts, model: SparseModel | None) -> bool:
    """Whether a photo was left out though there is something to be seen in it."""
    placed = model is not None and any(fact.view == camera.view for camera in model.cameras)
    return not placed and fact.features >= FEW_FEATURES and not fact.scene


def _second_try(
    job: SfmJob,
    matched: Path,
    looks: dict[str, Look],
    facts: list[PhotoFacts],
    say: Say,
    lost: list[int],
    model: SparseModel | None,
) -> SparseModel | None:
    """The model with learned features beside the others where that places more, else `model`."""
    from mvsam_engine.reconstruct.classical.learned.second_try import write_second_database

    target = matched.with_name("second.db")
    found = write_second_database(
        job,
        matched,
        target,
        lost,
        lambda stage, total: say(Said(stage=stage, total=total)),
        lambda: say(Said(step=1)),
    )
    if found is None:
        return model
    say(Said(stage="Cameras again", total=ATTEMPTS))
    again = [replace(fact, doubted=False, scene=()) for fact in facts]
    placer = Placer(job, target, looks, again)
    placer.run(lambda: say(Said(step=1)))
    other = finish(placer, again)
    if other is None or (
        model is not None and (len(other.cameras) <= len(model.cameras) or contradict(model, other))
    ):
        return model
    facts[:] = again
    return replace(other, method=f"{other.method}, with {found.method}")


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
