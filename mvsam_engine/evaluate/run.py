# SPDX-License-Identifier: GPL-3.0-or-later
"""Running methods on sets, one after the other; one that fails is a row, and the rest goes on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.capture import Capture
from mvsam_engine.evaluate.child import run_module
from mvsam_engine.evaluate.exchange import Result, capture_depth, read_depth, read_result
from mvsam_engine.evaluate.judge import DepthOf, judge_depth, summarise_poses
from mvsam_engine.evaluate.methods import METHODS, OURS, Job, Method
from mvsam_engine.evaluate.metrics import pose_errors
from mvsam_engine.evaluate.outcome import Outcome
from mvsam_engine.evaluate.sources import PhotoSet, gather
from mvsam_engine.progress import Progress


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run on every set.

    Attributes:
        methods: names, in the order of running.
        seeds: one run for each.
        preset: of this engine.
        max_size: of this engine's pointmaps, None for the preset's.
        limit_s: seconds that a run may take.
        keep: folder to keep what the methods made in, None to delete it.
    """

    methods: tuple[str, ...] = (OURS,)
    seeds: tuple[int, ...] = (0,)
    preset: str = "normal"
    max_size: int | None = None
    limit_s: float = 1800.0
    keep: Path | None = None


# Called with each outcome and, when it is "ok", the folder of what the method made.
Hear = Callable[[Outcome, PhotoSet, Path | None], None]


def evaluate(sets: list[PhotoSet], plan: Plan, progress: Progress, hear: Hear) -> list[Outcome]:
    """Run every method with every seed on every set.

    Args:
        sets: photos with truth; captures are judged as they stand, once.
        plan: what to run.
        progress: counts runs.
        hear: told of each outcome while what it made still exists.

    Raises:
        Cancelled: what was heard before stays.
    """
    outcomes: list[Outcome] = []

    def note(outcome: Outcome, photo_set: PhotoSet, made: Path | None) -> None:
        outcomes.append(outcome)
        hear(outcome, photo_set, made)
        progress.step()

    runs = sum(1 if s.capture else len(plan.methods) * len(plan.seeds) for s in sets)
    progress.stage("Runs", runs)
    for photo_set in sets:
        if photo_set.capture is not None:
            note(judge_capture(photo_set), photo_set, photo_set.capture)
            continue
        for name in plan.methods:
            for seed in plan.seeds:
                with _workspace(plan, photo_set, name, seed) as folder:
                    outcome = run_method(photo_set, METHODS[name], seed, plan, progress, folder)
                    note(outcome, photo_set, folder / "made" if outcome.status == "ok" else None)
    return outcomes


@contextmanager
def _workspace(plan: Plan, photo_set: PhotoSet, method: str, seed: int) -> Iterator[Path]:
    """A new folder for one run, kept or deleted as the plan says."""
    if plan.keep is None:
        with tempfile.TemporaryDirectory(prefix="mvsam-evaluate-") as name:
            yield Path(name)
        return
    folder = plan.keep / f"{photo_set.name}-{len(photo_set.photos)}-{method}-seed{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder


def run_method(
    photo_set: PhotoSet, method: Method, seed: int, plan: Plan, progress: Progress, folder: Path
) -> Outcome:
    """One run, in `folder`: a child process makes ``made/``, and that is judged here."""
    common = {"set": photo_set.name, "method": method.name, "seed": seed}
    common |= {"photos": len(photo_set.photos), "remark": photo_set.truth.remark}
    if method.absent:
        return Outcome(status="absent", reason=method.absent, settings={}, **common)
    made = folder / "made"
    made.mkdir()
    job = Job(
        photos=str(gather(photo_set.photos, folder / "photos")),
        out=str(made),
        seed=seed,
        preset=plan.preset,
        max_size=plan.max_size,
        variant=method.variant,
    )
    job.save(folder / "job.json")
    log = folder / "log.txt"
    ended = run_module(method.module, [str(folder / "job.json")], log, plan.limit_s, progress)
    result = read_result(made) if ended.code == 0 else None
    common |= {"wall_s": ended.wall_s, "cpu_s": ended.cpu_s, "peak_mb": ended.peak_mb}
    if result is None:
        return Outcome(status="failed", reason=ended.complaint, settings={}, **common)
    common |= {
        "settings": dict(result.settings),
        "version": result.version,
        "stages_s": dict(result.stages_s),
        "stages_cpu_s": dict(result.stages_cpu_s),
        "unplaced": dict(result.unplaced),
    }
    if result.refused:
        return Outcome(status="refused", reason=result.refused, **common)
    return _judged(photo_set, result, lambda view: read_depth(made, view), common)


def judge_capture(photo_set: PhotoSet) -> Outcome:
    """A capture as it stands."""
    if photo_set.capture is None:
        raise ValueError("the set has no capture")
    capture = Capture.open(photo_set.capture)
    reconstruction = capture.require_reconstruction()
    result = Result(
        cameras={c.view: c.camera_from_world for c in reconstruction.cameras},
        unplaced={u.view: u.reason for u in reconstruction.unplaced},
        settings=reconstruction.settings,
    )
    common = {
        "set": photo_set.name,
        "method": reconstruction.method,
        "photos": len(photo_set.photos),
        "seed": 0,
        "settings": dict(result.settings),
        "unplaced": dict(result.unplaced),
        "remark": photo_set.truth.remark,
    }
    return _judged(photo_set, result, lambda view: capture_depth(capture, view), common)


def _judged(
    photo_set: PhotoSet, result: Result, depth_of: DepthOf, common: dict[str, object]
) -> Outcome:
    """Measure a result; fewer than three placed photos cannot be compared."""
    truth = photo_set.truth
    errors = pose_errors(result.cameras, truth.cameras, truth.common_rotation)
    poses = depth = calibration = None
    if errors is not None:
        poses = summarise_poses(errors)
        scale = errors.similarity.scale
        depth, calibration = judge_depth(result.cameras, depth_of, truth, scale)
    return Outcome(
        status="ok",
        placed=len(result.cameras),
        poses=poses,
        depth=depth,
        calibration=calibration,
        **common,
    )
