# SPDX-License-Identifier: GPL-3.0-or-later
"""Summaries as tables: for a terminal, and as markdown for documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mvsam_engine.evaluate.report import Grid
from mvsam_engine.evaluate.segmentation.outcome import Refusal, Run
from mvsam_engine.evaluate.segmentation.summary import (
    Summary,
    by_group,
    by_object,
    by_scene,
    scene_name,
)


def tables(runs: Sequence[Run]) -> list[Grid]:
    """Every table that the runs give, empty ones left out."""
    scenes = by_scene(runs)
    grids = [
        scores_grid("Means over scenes", by_group(runs), "mean over"),
        scores_grid(
            "Scenes (± over seeds; F of boundaries; absent views rightly empty; 3D consistency)",
            scenes,
            "scene",
        ),
        objects_grid(by_object(runs)),
        details_grid(scenes),
        times_grid(scenes),
        setup_grid(runs),
    ]
    return [grid for grid in grids if grid.rows]


def scores_grid(title: str, summaries: Iterable[Summary], of: str) -> Grid:
    """All scores, a row for each prompt and method; the best IoU is bold."""
    summaries = list(summaries)
    best: dict[tuple[str, str], float] = {}
    for s in summaries:
        best[s.name, s.prompt] = max(best.get((s.name, s.prompt), 0.0), s.iou or 0.0)
    rows = []
    for s in summaries:
        iou = _share(s.iou) + ("" if s.spread is None else f" ±{s.spread:.3f}")
        if s.iou is not None and s.iou >= best[s.name, s.prompt]:
            iou = f"**{iou}**"
        scores = (_share(s.boundary), _share(s.accuracy), _share(s.recall))
        rows.append(
            (s.name, s.prompt, s.method, iou, *scores, _right(s.absent), _share(s.consistency))
        )
    head = (of, "prompt", "method", "IoU", "F", "acc.", "recall", "absent", "3D")
    return Grid(title, head, tuple(rows))


def times_grid(summaries: Iterable[Summary]) -> Grid:
    """Median seconds of an answer."""
    rows = [
        (s.name, s.prompt, s.method, f"{s.first_s:.2f}", f"{s.all_s:.2f}", f"{s.cpu_s:.2f}")
        for s in summaries
    ]
    head = ("scene", "prompt", "method", "first mask", "all masks", "processor")
    return Grid("Seconds, median over runs", head, tuple(rows))


def objects_grid(summaries: Iterable[Summary]) -> Grid:
    """IoU of every object, a column for each method."""
    summaries = list(summaries)
    methods = list(dict.fromkeys(s.method for s in summaries))
    table: dict[tuple[str, str], dict[str, str]] = {}
    for s in summaries:
        table.setdefault((s.name, s.prompt), {})[s.method] = _share(s.iou)
    rows = tuple(
        (*key, *(cells.get(method, "-") for method in methods)) for key, cells in table.items()
    )
    return Grid("IoU by object", ("object", "prompt", *methods), rows)


def details_grid(summaries: Iterable[Summary]) -> Grid:
    """What the means hide: seeds, the worst view, the prompted view."""
    rows = []
    for s in summaries:
        seeds = ", ".join(_share(v) for v in s.by_seed)
        worst = "-"
        if s.worst is not None:
            name, photo, value = s.worst
            worst = f"{name + ' in ' if s.objects > 1 else ''}{photo}: {value:.3f}"
        cells = (str(s.objects), str(s.seeds), seeds, worst, _share(s.reference))
        rows.append((s.name, s.prompt, s.method, *cells))
    head = (
        "scene",
        "prompt",
        "method",
        "objects",
        "seeds",
        "by seed",
        "worst view",
        "prompted view",
    )
    return Grid(
        "What the means hide: IoU by seed, worst, and of the prompted view", head, tuple(rows)
    )


def setup_grid(runs: Iterable[Run]) -> Grid:
    """What was measured on."""
    scenes: dict[str, list[Run]] = {}
    for run in runs:
        scenes.setdefault(scene_name(run), []).append(run)
    rows = []
    for name, group in scenes.items():
        references = dict.fromkeys(run.reference for run in group)
        shown = ", ".join(list(references)[:3]) + (", ..." if len(references) > 3 else "")
        one = {run.object: run for run in group}
        scored = sum(len(run.views) for run in one.values())
        absent = sum(len(run.absent) for run in one.values())
        unplaced = len({name for run in one.values() for name in run.unplaced})
        geometry = "; ".join(dict.fromkeys(run.geometry for run in group))
        remark = f"; {unplaced} without a camera count as empty" if unplaced else ""
        rows.append((name, str(len(one)), shown, f"{scored} + {absent} absent{remark}", geometry))
    head = ("scene", "objects", "prompted in", "scored views, over objects", "geometry")
    return Grid("What was measured on", head, tuple(rows))


def view_grid(runs: Iterable[Run]) -> Grid:
    """IoU of every scored view, a column for each method, means over seeds."""
    values: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    methods: dict[str, None] = {}
    for run in runs:
        methods[run.method] = None
        for photo, scores in run.views.items():
            key = (f"{scene_name(run)}: {run.object}", run.prompt, photo)
            values.setdefault(key, {}).setdefault(run.method, []).append(scores.iou)
    rows = []
    for key, by_method in values.items():
        found = (by_method.get(method) for method in methods)
        rows.append((*key, *(f"{sum(v) / len(v):.3f}" if v else "-" for v in found)))
    return Grid("IoU by view", ("object", "prompt", "photo", *methods), tuple(rows))


def reasons(refusals: Iterable[Refusal]) -> list[str]:
    """What could not be measured and why, one line each."""
    return [
        f"Not measured: {r.benchmark + ' ' if r.benchmark else ''}{r.set}"
        f"{' (' + r.what + ')' if r.what else ''}: {r.reason}"
        for r in refusals
    ]


def headline(run: Run) -> str:
    """How a run ended, in a line."""
    scores = [view.iou for view in run.views.values()]
    shown = f"IoU {sum(scores) / len(scores):.3f}" if scores else "nothing to score"
    seed = f", seed {run.seed}"
    return (
        f"{scene_name(run)}, {run.object}, {run.prompt}{seed}, {run.method}: {shown}, "
        f"{run.all_s:.1f} s"
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _right(counts: tuple[int, int]) -> str:
    right, total = counts
    return f"{right / total:.3f} ({total})" if total else "-"
