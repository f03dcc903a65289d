# SPDX-License-Identifier: GPL-3.0-or-later
"""Many made-up scenes: what varies from one to the next, and making them side by side.

Scene N looks the same whenever and wherever it is made from the same photographs, so a data set is
named by its seeds. Scenes are made in processes of their own (the ray caster uses one core), while
this one embeds the photos of those that are finished.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from mvsam_engine.capture import Capture
from mvsam_engine.errors import Cancelled, TrainingError
from mvsam_engine.photos import find_photos
from mvsam_engine.progress import Progress
from mvsam_engine.segment.embeddings import embed_photos
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.train.folders import Description, damage, data_folder, whole_scene
from mvsam_engine.train.make import SceneOptions, make_scene_folder
from mvsam_engine.train.scenes.textures import Patches

# Width and height of the photos of a scene at the usual long side: landscape twice as often.
SIDE = 1024
SIZES = ((1024, 768), (1024, 768), (1024, 683), (768, 1024), (900, 900))
# Things that are tried to be placed: from, and up to but without.
THINGS = (6, 14)
# Photographs that textures are cut from, at the most; each takes 3 MB in every process.
MOST_PHOTOGRAPHS = 120


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a set of made-up scenes has in common.

    Attributes:
        textures: folders or files of photographs that textures are cut from.
        views: photos of each scene.
        side: long side of most photos, pixels; square ones are a little smaller.
        step: degrees between neighbouring photos; None for 5 to 25, different from scene to scene.
        held_out: things of kinds that training never has, to measure on.
    """

    textures: tuple[Path, ...] = ()
    views: int = 8
    side: int = SIDE
    step: float | None = None
    held_out: bool = False

    def scene(self, seed: int) -> SceneOptions:
        """How the scene with this seed is photographed: its format and its number of things."""
        rng = np.random.default_rng([seed, 3])
        width, height = (round(n * self.side / SIDE) for n in SIZES[rng.integers(len(SIZES))])
        things = int(rng.integers(*THINGS))
        return SceneOptions(self.views, width, height, things, 1, self.step, self.held_out)

    def describe(self) -> Description:
        """The recipe for ``data.json``."""
        found: Description = {
            "kind": "made-up scenes, of kinds held out" if self.held_out else "made-up scenes",
            "views": self.views,
            "side": self.side,
            "textures": [path.name for path in self.textures],
            "photographs": len(self.photographs()),
        }
        return found if self.step is None else {**found, "step": self.step}

    def photographs(self) -> list[Path]:
        """Those that textures are cut from.

        Raises:
            PhotoError: a folder of textures is not there, or holds none.
        """
        sources = find_photos(self.textures) if self.textures else []
        return [source.path for source in sources if not source.is_video]


def make_scenes(
    out: Path,
    seeds: Sequence[int],
    recipe: Recipe,
    encoder: ImageEncoder,
    progress: Progress,
    workers: int = 1,
) -> list[Path]:
    """Make scenes ``out/<seed>`` and embed their photos; whole ones are left as they are.

    Args:
        out: the data folder; made.
        seeds: one scene each.
        recipe: how.
        encoder: embeds the photos.
        progress: counts scenes.
        workers: processes that make scenes; 1 makes them in this one.

    Returns:
        The scenes' folders.

    Raises:
        TrainingError: the folder holds scenes of another recipe, or a worker died.
        CaptureError: the folder cannot be written to, or another program is making scenes in it.
        Cancelled: scenes that were finished are kept.
    """
    folders = [out / f"{seed:04d}" for seed in seeds]
    with data_folder(out, recipe.describe()):
        left = _left(folders, progress)
        todo = [seed for seed, folder in zip(seeds, folders, strict=True) if folder in left]
        progress.stage("Embedding scenes", len(folders) - len(todo))
        for folder in folders:
            if folder not in left:
                embed_scene(folder, encoder)
                progress.step()
        progress.stage("Making scenes", len(todo))
        made = _alone if workers == 1 or len(todo) < 2 else _side_by_side
        with closing(made(out, todo, recipe, progress, workers)) as finished:
            for folder in finished:
                embed_scene(folder, encoder)
                progress.step()
    return folders


def embed_scene(folder: Path, encoder: ImageEncoder) -> None:
    """Put the image features of a scene into its capture, where they are not there yet."""
    capture = Capture.open(folder / "capture")
    with capture.writing():
        embed_photos(capture, capture.photos(), encoder, Progress())


def _left(folders: Sequence[Path], progress: Progress) -> set[Path]:
    """The folders whose scene must be made, with a word on those that are damaged."""
    there = [folder for folder in folders if folder.exists()]
    left = {folder for folder in folders if not folder.exists()}
    progress.stage("Checking scenes", len(there))
    for folder in there:
        wrong = damage(folder)
        if wrong:
            progress.warn("train.damaged", f"Scene {folder.name} is made again: {wrong}")
            left.add(folder)
        progress.step()
    return left


def _make(out: Path, seed: int, patches: Patches, recipe: Recipe, progress: Progress) -> Path:
    name = f"{seed:04d}"
    with whole_scene(out, name) as folder:
        make_scene_folder(folder, seed, patches, recipe.scene(seed), progress)
    return out / name


class _Checked(Progress):
    """Silent; cancelled with another one."""

    def __init__(self, other: Progress) -> None:
        super().__init__()
        self._other = other

    def check(self) -> None:
        """Raise `Cancelled` when the other one was cancelled."""
        self._other.check()


def _alone(
    out: Path, seeds: Sequence[int], recipe: Recipe, progress: Progress, _: int
) -> Generator[Path]:
    """Make scenes one after the other in this process."""
    patches = Patches(recipe.textures, most=MOST_PHOTOGRAPHS) if seeds else Patches()
    for seed in seeds:
        yield _make(out, seed, patches, recipe, _Checked(progress))


# --- workers -------------------------------------------------------------------------------------


class _Until(Progress):
    """Progress in a worker: cancelled through an event that all workers share."""

    def __init__(self, stop: Event) -> None:
        super().__init__()
        self._stop = stop

    def check(self) -> None:
        """Raise `Cancelled` when the event is set."""
        if self._stop.is_set():
            raise Cancelled


@dataclass(slots=True)
class _Bench:
    """What a worker keeps between scenes."""

    patches: Patches
    progress: Progress


_BENCH: list[_Bench] = []


def _begin(recipe: Recipe, stop: Event) -> None:
    """Prepare a worker process: one thread, no signals of its own, and no life without a parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and tells us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    _BENCH.append(_Bench(Patches(recipe.textures, most=MOST_PHOTOGRAPHS), _Until(stop)))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(out: Path, seed: int, recipe: Recipe) -> Path:
    (bench,) = _BENCH
    return _make(out, seed, bench.patches, recipe, bench.progress)


def _side_by_side(
    out: Path, seeds: Sequence[int], recipe: Recipe, progress: Progress, workers: int
) -> Generator[Path]:
    """Make scenes in several processes, giving each as it is finished.

    Leaving early, by an exception or otherwise, lets every worker stop at its next photo.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    pool = ProcessPoolExecutor(
        min(workers, len(seeds)), context, initializer=_begin, initargs=(recipe, stop)
    )
    try:
        running: set[Future[Path]] = {pool.submit(_work, out, seed, recipe) for seed in seeds}
        while running:
            done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            progress.check()
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise TrainingError(
            "train.worker",
            "A process that makes scenes ended without a word, most likely for want of memory.",
            "Run it again with fewer --workers; finished scenes are kept.",
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


__all__ = ["Recipe", "embed_scene", "make_scenes"]
