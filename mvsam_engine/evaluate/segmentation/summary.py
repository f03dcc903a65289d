# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs to means: over the frames of an object, then the objects of a scene, then scenes.

Each of these means is over the seeds too. The spread is the standard deviation, over seeds, of the
mean that one seed alone gives. Public benchmarks are called with the number of their tasks, so
that means over different tasks are never taken for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean, median, stdev

from mvsam_engine.evaluate.segmentation import nvos, spin
from mvsam_engine.evaluate.segmentation.outcome import Run

# Tasks of each benchmark, and those that the MV-SAM paper leaves out of its means.
_TASKS = {nvos.NAME: nvos.TASKS, spin.NAME: spin.TASKS}
_LEFT_OUT = {nvos.NAME: "orchids", spin.NAME: "pinecone"}


@dataclass(frozen=True, slots=True)
class Summary:
    """Means over runs of one method with one kind of prompt; None where nothing counts.

    Attributes:
        name: of the scene, or of the group of scenes.
        method: name of the method.
        prompt: label of the prompt.
        scenes: how many.
        objects: how many.
        seeds: how many, the most that any object has.
        iou: foreground IoU.
        spread: of `iou` over seeds.
        by_seed: IoU of each seed alone, where every object has all seeds.
        boundary: F.
        accuracy: of pixels.
        recall: of the foreground.
        absent: views that rightly got an empty mask, and how many should have, over all seeds.
        consistency: 3D consistency.
        reference: IoU of the prompted views.
        worst: object, photo and IoU, mean over seeds, of the worst scored view.
        first_s: median seconds to the first mask.
        all_s: median seconds to all masks.
        cpu_s: median processor seconds to all masks.
    """

    name: str
    method: str
    prompt: str
    scenes: int
    objects: int
    seeds: int
    iou: float | None
    spread: float | None
    by_seed: tuple[float, ...]
    boundary: float | None
    accuracy: float | None
    recall: float | None
    absent: tuple[int, int]
    consistency: float | None
    reference: float | None
    worst: tuple[str, str, float] | None
    first_s: float
    all_s: float
    cpu_s: float


def summarise(name: str, runs: Sequence[Run]) -> Summary:
    """Means over runs of one method and prompt.

    Args:
        name: for tables.
        runs: not empty.
    """
    seeds = _by_object(runs)
    complete = set.intersection(*({r.seed for r in group} for group in seeds.values()))
    alone = tuple(
        value
        for seed in sorted(complete)
        if (value := nested_mean([r for r in runs if r.seed == seed], _frames("iou"))) is not None
    )
    rights = [right for run in runs for right in run.absent.values()]
    return Summary(
        name=name,
        method=runs[0].method,
        prompt=runs[0].prompt,
        scenes=len({(r.benchmark, r.set) for r in runs}),
        objects=len(seeds),
        seeds=max(len(group) for group in seeds.values()),
        iou=nested_mean(runs, _frames("iou")),
        spread=stdev(alone) if len(alone) > 1 else None,
        by_seed=alone,
        boundary=nested_mean(runs, _frames("boundary")),
        accuracy=nested_mean(runs, _frames("accuracy")),
        recall=nested_mean(runs, _frames("recall")),
        absent=(sum(rights), len(rights)),
        consistency=nested_mean(runs, lambda r: r.consistency),
        reference=nested_mean(runs, lambda r: r.reference_iou),
        worst=_worst(runs),
        first_s=median(r.first_s for r in runs),
        all_s=median(r.all_s for r in runs),
        cpu_s=median(r.cpu_s for r in runs),
    )


def nested_mean(runs: Iterable[Run], value: Callable[[Run], float | None]) -> float | None:
    """Mean over seeds, then objects, then scenes, of what each run gives; None counts nowhere."""
    scenes: dict[tuple[str, str], list[float]] = {}
    for (benchmark, scene, _), group in _by_object(runs).items():
        known = [v for run in group if (v := value(run)) is not None]
        if known:
            scenes.setdefault((benchmark, scene), []).append(mean(known))
    return mean(mean(objects) for objects in scenes.values()) if scenes else None


def _frames(what: str) -> Callable[[Run], float | None]:
    """Mean over the frames of a run."""

    def value(run: Run) -> float | None:
        scores = [getattr(view, what) for view in run.views.values()]
        return mean(scores) if scores else None

    return value


def _by_object(runs: Iterable[Run]) -> dict[tuple[str, str, str], list[Run]]:
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.benchmark, run.set, run.object), []).append(run)
    return groups


def _worst(runs: Iterable[Run]) -> tuple[str, str, float] | None:
    views: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        for photo, scores in run.views.items():
            views.setdefault((run.object, photo), []).append(scores.iou)
    if not views:
        return None
    (name, photo), values = min(views.items(), key=lambda item: mean(item[1]))
    return name, photo, mean(values)


def by_scene(runs: Iterable[Run]) -> list[Summary]:
    """A summary for each scene, prompt and method."""

    def key(run: Run) -> tuple[str, str, str]:
        return (scene_name(run), run.prompt, run.method)

    return [summarise(k[0], group) for k, group in _grouped(runs, key)]


def by_object(runs: Iterable[Run]) -> list[Summary]:
    """A summary for each object of scenes with several, prompt and method."""
    runs = list(runs)
    several = {
        scene
        for scene in {scene_name(r) for r in runs}
        if len({r.object for r in runs if scene_name(r) == scene}) > 1
    }

    def key(run: Run) -> tuple[str, str, str]:
        return (f"{scene_name(run)}: {run.object}", run.prompt, run.method)

    chosen = [run for run in runs if scene_name(run) in several]
    return [summarise(k[0], group) for k, group in _grouped(chosen, key)]


def by_group(runs: Iterable[Run]) -> list[Summary]:
    """Means over the tasks of each benchmark, and over all other scenes where there are several.

    A method that has been run on other tasks than another gets a row with another name.
    """

    def key(run: Run) -> tuple[str, str, str]:
        return (run.benchmark, run.prompt, run.method)

    summaries = []
    for (benchmark, _, _), group in _grouped(runs, key):
        for name, kept in _cohorts(benchmark, {run.set for run in group}):
            summaries.append(summarise(name, [run for run in group if run.set in kept]))
    return summaries


def _cohorts(benchmark: str, sets: set[str]) -> list[tuple[str, set[str]]]:
    """Named sets of tasks that a mean is taken over."""
    if not benchmark:
        return [(f"{len(sets)} scenes", sets)] if len(sets) > 1 else []
    tasks = set(_TASKS.get(benchmark, sets))
    left_out = _LEFT_OUT.get(benchmark, "")
    missing = sorted(tasks - sets)
    if sets >= tasks and left_out:
        without = sets - {left_out}
        return [
            (f"{benchmark}, {len(sets)} tasks", sets),
            (f"{benchmark}, {len(without)} tasks (without {left_out})", without),
        ]
    if len(missing) == 1:
        return [(f"{benchmark}, {len(sets)} tasks (without {missing[0]})", sets)]
    return [(f"{benchmark}, {len(sets)} of {len(tasks)} tasks", sets)]


def scene_name(run: Run) -> str:
    """Name of a run's scene that no other benchmark's scene has."""
    return f"{run.benchmark} {run.set}" if run.benchmark else run.set


def _grouped(
    runs: Iterable[Run], key: Callable[[Run], tuple[str, str, str]]
) -> list[tuple[tuple[str, str, str], list[Run]]]:
    """Runs by key, in the order in which the parts of keys first come."""
    runs = list(runs)
    keys = [key(run) for run in runs]
    places = [
        {word: i for i, word in reversed(list(enumerate(c)))} for c in zip(*keys, strict=True)
    ]

    def place(run: Run) -> tuple[int, ...]:
        return tuple(order[word] for order, word in zip(places, key(run), strict=True))

    return [(k, list(group)) for k, group in groupby(sorted(runs, key=place), key)]
