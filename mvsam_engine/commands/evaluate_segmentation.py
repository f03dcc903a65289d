# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam evaluate segmentation`: masks against truth, every method beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mvsam_engine.capture import Capture
from mvsam_engine.commands.evaluate import parse_seeds, rich_table
from mvsam_engine.commands.terminal import Terminal, TerminalProgress
from mvsam_engine.errors import Cancelled, SegmentationError, UsageError
from mvsam_engine.evaluate.segmentation.figure import Gallery
from mvsam_engine.evaluate.segmentation.geometry import GeometryPlan
from mvsam_engine.evaluate.segmentation.judge import FoundMasks
from mvsam_engine.evaluate.segmentation.layouts import Choice, find_sets
from mvsam_engine.evaluate.segmentation.methods import parse_methods
from mvsam_engine.evaluate.segmentation.outcome import Key, Ledger, Refusal, Run
from mvsam_engine.evaluate.segmentation.prompts import parse_plans
from mvsam_engine.evaluate.segmentation.report import headline, reasons, tables, view_grid
from mvsam_engine.evaluate.segmentation.run import Listener, Plan, evaluate
from mvsam_engine.evaluate.segmentation.sets import SegmentationSet


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for, as written.

    Attributes:
        sources: folders of sets, and files of earlier results.
        masks: folder of true masks, for the plain layout.
        photos: folder of the photos of public benchmarks.
        reference: "VIEW", or "SET=VIEW,SET=VIEW".
        objects: patterns of object names, separated by commas.
        prompts: "8+2,1,box".
        at: "X,Y", one click instead.
        seeds: "0", "0,3" or "0-2".
        methods: names and NAME=FILE, or "all".
        anew: whether photos of captures are reconstructed anew.
    """

    sources: tuple[Path, ...]
    masks: Path | None = None
    photos: Path | None = None
    reference: str = ""
    objects: str = ""
    prompts: str = "8+2"
    at: str = ""
    seeds: str = "0-2"
    methods: str = "all"
    anew: bool = False

    def choice(self) -> Choice:
        """What of the sources is meant."""
        return Choice(
            masks=self.masks,
            photos=self.photos,
            references=parse_references(self.reference),
            objects=tuple(word.strip() for word in self.objects.split(",") if word.strip()),
            anew=self.anew,
        )


@dataclass(frozen=True, slots=True)
class Running:
    """How runs are made.

    Attributes:
        geometry: of photos without a capture.
        captures: folder that reconstructions are kept in.
        device: of the networks.
        least_area: see `Plan`.
        count_unplaced: see `Plan`.
        resume: whether runs that the results hold already are left out.
    """

    geometry: GeometryPlan
    captures: Path | None = None
    device: str = "auto"
    least_area: float = 0.0
    count_unplaced: bool = False
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """Where to.

    Attributes:
        results: file that runs accumulate in.
        figures: folder for pictures.
        markdown: tables for documents.
        views: also a table of every view.
    """

    results: Path | None = None
    figures: Path | None = None
    markdown: bool = False
    views: bool = False


def segmentation(terminal: Terminal, asked: Asked, running: Running, output: Output) -> None:
    """Run what was asked and print tables, with all that the results hold already.

    Args:
        terminal: where to print.
        asked: what to run on what.
        running: how.
        output: where results go.

    Raises:
        UsageError: something that was asked for is not there.
        SegmentationError: everything was refused.
    """
    if not asked.sources:
        raise UsageError(
            "evaluate.source",
            "There is nothing to evaluate.",
            "Name a folder with photos and masks.",
        )
    methods = parse_methods(asked.methods)
    prompts = parse_plans(asked.prompts, asked.at)
    seeds = parse_seeds(asked.seeds)
    ledger = Ledger(output.results)
    for source in asked.sources:
        if source.suffix == ".json":
            ledger.read(source)
    folders = [source for source in asked.sources if source.suffix != ".json"]
    sets = [one for folder in folders for one in find_sets(folder, asked.choice())]
    if folders and not sets:
        raise UsageError(
            "evaluate.objects", f"No object is called {asked.objects}.", "Leave out --objects."
        )
    _refuse_twins(sets)
    plan = Plan(
        methods=methods,
        prompts=prompts,
        seeds=seeds,
        geometry=running.geometry,
        captures=running.captures,
        device=running.device,
        least_area=running.least_area,
        count_unplaced=running.count_unplaced,
    )
    with terminal.progress() as progress:
        listener = _Reporter(terminal, progress, ledger, output, running.resume)
        try:
            evaluate(sets, plan, progress, listener)
        except (KeyboardInterrupt, Cancelled):
            terminal.print("Stopped; what was measured before:")
            _show(terminal, ledger, output)
            raise
        finally:
            ledger.save()
        warnings = progress.warnings
    _show(terminal, ledger, output)
    terminal.result(
        {
            "runs": [asdict(run) for run in ledger.runs],
            "refusals": [asdict(refusal) for refusal in ledger.refusals],
            "figures": [str(file) for file in listener.figures],
            "warnings": warnings,
        }
    )
    if listener.refused and not listener.measured:
        raise SegmentationError(
            "evaluate.nothing", "Nothing could be measured; the reasons are above.", ""
        )


def _refuse_twins(sets: Sequence[SegmentationSet]) -> None:
    names = [(one.benchmark, one.name) for one in sets]
    twins = [name for name in names if names.count(name) > 1]
    if twins:
        raise UsageError(
            "evaluate.source",
            f"Two sets are called {twins[0][1]!r}.",
            "Rename one of the folders: results are kept by name.",
        )


def _show(terminal: Terminal, ledger: Ledger, output: Output) -> None:
    """Print tables for people."""
    grids = tables(ledger.runs)
    if output.views and ledger.runs:
        grids.append(view_grid(ledger.runs))
    for grid in grids:
        terminal.print(grid.markdown() + "\n" if output.markdown else rich_table(grid))
    for line in reasons(ledger.refusals):
        terminal.print(f"- {line}" if output.markdown else line)


class _Reporter(Listener):
    """Keeps runs, tells of each, and draws a scene when its runs ended."""

    def __init__(
        self,
        terminal: Terminal,
        progress: TerminalProgress,
        ledger: Ledger,
        output: Output,
        resume: bool,
    ) -> None:
        self._terminal = terminal
        self._progress = progress
        self._ledger = ledger
        self._output = output
        self._resume = resume
        self._gallery: Gallery | None = None
        self.figures: list[Path] = []
        self.measured = self.refused = 0

    def wants(self, key: Key, geometry: str, weights: str) -> bool:
        """All runs, or those that are new."""
        known = self._resume and self._ledger.holds(key, geometry, weights)
        self.measured += known
        return not known

    def on_set(self, one: SegmentationSet, capture: Capture) -> None:
        """Begin a gallery."""
        self._gallery = Gallery(one, capture) if self._output.figures else None

    def on_run(self, run: Run, found: FoundMasks) -> None:
        """Keep and tell."""
        self.measured += 1
        self._ledger.add(run)
        if self._gallery is not None:
            self._gallery.add(run, found)
        self._terminal.print(headline(run))

    def on_refusal(self, refusal: Refusal) -> None:
        """Keep and tell."""
        self.refused += 1
        self._ledger.refuse(refusal)
        self._terminal.print(reasons([refusal])[0])

    def after_set(self, one: SegmentationSet, capture: Capture) -> None:
        """Draw."""
        self._ledger.save()
        if self._gallery is not None and self._output.figures is not None:
            files = self._gallery.draw(self._output.figures)
            self.figures += files
            for file in files:
                self._terminal.print(f"Drew {file}")


def parse_references(text: str) -> dict[str, str]:
    """``VIEW`` for all sets, or ``SET=VIEW`` separated by commas.

    Raises:
        UsageError: something else.
    """
    references: dict[str, str] = {}
    for word in (w.strip() for w in text.split(",") if w.strip()):
        name, equals, view = word.rpartition("=")
        if not view or (equals and not name) or name in references:
            raise UsageError(
                "evaluate.reference",
                f"{text!r} does not say which photo is prompted.",
                "Write VIEW, or SET=VIEW,SET=VIEW.",
            )
        references[name] = view
    return references
