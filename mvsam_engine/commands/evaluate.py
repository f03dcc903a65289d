# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam evaluate geometry`: measure cameras and pointmaps against truth, beside other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.table import Table

from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.errors import MvsamError, UsageError
from mvsam_engine.evaluate.methods import METHODS, OURS
from mvsam_engine.evaluate.outcome import Outcome, load_outcomes, save_outcomes
from mvsam_engine.evaluate.report import Grid, headline, reasons, tables
from mvsam_engine.evaluate.run import Plan, evaluate
from mvsam_engine.evaluate.sources import PhotoSet, find_set, subset
from mvsam_engine.progress import Progress


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for, as written.

    Attributes:
        sources: folders of photos, captures, or files of earlier results.
        truth: where the truth of all of them is, None to look beside each.
        photos: numbers of photos, "8,20"; "" takes all.
        methods: names, "mvsam,pycolmap", or "all".
        seeds: "0", "0,3" or "0-29".
        markdown: print tables for documents.
        results: file to save outcomes in, after every run.
        plots: folder for pictures.
    """

    sources: tuple[Path, ...]
    truth: Path | None = None
    photos: str = ""
    methods: str = OURS
    seeds: str = "0"
    markdown: bool = False
    results: Path | None = None
    plots: Path | None = None


def geometry(terminal: Terminal, asked: Asked, plan: Plan) -> None:
    """Run what was asked and print tables; earlier results in `sources` are printed with them.

    Args:
        terminal: where to print.
        asked: what to run on what.
        plan: how; its methods and seeds are taken from `asked`.
    """
    methods, seeds = parse_methods(asked.methods), parse_seeds(asked.seeds)
    old = [o for s in asked.sources if s.suffix == ".json" for o in load_outcomes(s)]
    folders = [s for s in asked.sources if s.suffix != ".json"]
    if not asked.sources:
        raise UsageError(
            "evaluate.source", "There is nothing to evaluate.", "Name a folder of photos."
        )
    sets = [
        subset(find_set(folder, asked.truth), count)
        for folder in folders
        for count in parse_counts(asked.photos)
    ]
    plan = replace(plan, methods=methods, seeds=seeds)
    outcomes = list(old)
    with terminal.progress() as progress:

        def hear(outcome: Outcome, photo_set: PhotoSet, made: Path | None) -> None:
            outcomes.append(outcome)
            terminal.print(f"{headline(outcome)}, {outcome.wall_s:.0f} s")
            if asked.results is not None:
                save_outcomes(asked.results, outcomes)
            if asked.plots is not None and made is not None:
                _draw(progress, asked.plots, outcome, photo_set, made)

        if sets:
            evaluate(sets, plan, progress, hear)
        if asked.plots is not None:
            _draw_reliability(progress, asked.plots, outcomes)
        warnings = progress.warnings
    show(terminal, outcomes, asked.markdown)
    terminal.result({"outcomes": [asdict(o) for o in outcomes], "warnings": warnings})


def _draw(
    progress: Progress, folder: Path, outcome: Outcome, photo_set: PhotoSet, made: Path
) -> None:
    """Pictures of one run; a failure to draw does not end the measuring."""
    from mvsam_engine.evaluate.pictures import draw_run

    try:
        draw_run(folder, outcome, photo_set, made)
    except MvsamError as error:
        progress.warn(error.code, error.message, error.remedy)


def _draw_reliability(progress: Progress, folder: Path, outcomes: Sequence[Outcome]) -> None:
    from mvsam_engine.evaluate.plots import draw_reliability

    try:
        draw_reliability(folder / "reliability.png", outcomes)
    except MvsamError as error:
        progress.warn(error.code, error.message, error.remedy)


def show(terminal: Terminal, outcomes: Sequence[Outcome], markdown: bool) -> None:
    """Print tables for people."""
    for grid in tables(outcomes):
        terminal.print(grid.markdown() + "\n" if markdown else rich_table(grid))
    for line in reasons(outcomes):
        terminal.print(f"- {line}" if markdown else line)
    for remark in dict.fromkeys(f"{o.set}: {o.remark}" for o in outcomes if o.remark):
        terminal.print(f"- {remark}" if markdown else remark)


def rich_table(grid: Grid) -> Table:
    """A grid for a terminal."""
    table = Table(title=grid.title, title_justify="left")
    for head in grid.head:
        table.add_column(head, overflow="fold")  # names and numbers are never cut short
    for row in grid.rows:
        table.add_row(*(cell.replace("**", "") for cell in row))
    return table


def parse_methods(text: str) -> tuple[str, ...]:
    """Names separated by commas, or "all".

    Raises:
        UsageError: an unknown name.
    """
    if text.strip() == "all":
        return tuple(METHODS)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in METHODS:
            raise UsageError(
                "evaluate.method",
                f"There is no method {name!r}.",
                f"Known: all, {', '.join(METHODS)}.",
            )
    if not names:
        raise UsageError("evaluate.method", "No method is named.", f"Known: {', '.join(METHODS)}.")
    return names


def parse_seeds(text: str) -> tuple[int, ...]:
    """Numbers and ranges: "0", "0,3,7", "0-29".

    Raises:
        UsageError: it is something else.
    """
    seeds: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.strip().partition("-")
            seeds += range(int(first), int(last or first) + 1)
    except ValueError:
        seeds = []
    if not seeds:
        raise UsageError(
            "evaluate.seeds", f"{text!r} does not name seeds.", 'Write "0", "0,3" or "0-29".'
        )
    return tuple(dict.fromkeys(seeds))


def parse_counts(text: str) -> tuple[int | None, ...]:
    """Numbers of photos separated by commas; one None, for all, when empty.

    Raises:
        UsageError: it is something else.
    """
    try:
        counts = tuple(int(part) for part in text.split(",")) if text.strip() else (None,)
    except ValueError as error:
        raise UsageError(
            "evaluate.photos", f"{text!r} does not name numbers of photos.", 'Write "8,20".'
        ) from error
    return counts
