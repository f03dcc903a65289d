# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam train`: making data, training, and telling what was trained."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.table import Table

from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.errors import Cancelled
from mvsam_engine.progress import Progress
from mvsam_engine.segment.network import MVSam
from mvsam_engine.segment.network_file import read_network, write_network
from mvsam_engine.segment.sam import Sam, load_sam
from mvsam_engine.train.blend import blend
from mvsam_engine.train.card import write_card
from mvsam_engine.train.recipe import Recipe, make_scenes
from mvsam_engine.train.record import Line
from mvsam_engine.train.running import RunOptions, train_run
from mvsam_engine.train.sa1b import Sa1bOptions, check_geometry, make_sa1b_scenes
from mvsam_engine.train.teacher import TeacherOptions, make_teacher_scene


@dataclass(frozen=True, slots=True)
class Vision:
    """Which SAM looks at the photos: name of its image encoder, and where it runs."""

    encoder: str = "tiny-vit"
    device: str = "auto"

    def load(self) -> Sam:
        """The SAM.

        Raises:
            MvsamError: there is no such encoder or device, or its weights are not here.
        """
        return load_sam(self.encoder, self.device)


@contextmanager
def stoppable(progress: Progress) -> Generator[None]:
    """Let the first Ctrl-C end the work at its next whole step, and a second one at once.

    An optimiser that is interrupted in the middle of a step leaves weights that are half old.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread
        return

    def stop(_: int, __: FrameType | None) -> None:
        progress.cancel()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def scenes(
    terminal: Terminal, out: Path, seeds: range, recipe: Recipe, workers: int, vision: Vision
) -> None:
    """Make made-up scenes with their image features, and tell where they are."""
    with terminal.progress() as progress:
        encoder = vision.load().encoder
        folders = make_scenes(out, seeds, recipe, encoder, progress, workers)
        warnings = progress.warnings
    terminal.print(f"{len(folders)} scenes of {recipe.views} photos in {out}.")
    terminal.result({"scenes": [str(folder) for folder in folders], "warnings": warnings})


def teacher(
    terminal: Terminal, capture: Path, out: Path, options: TeacherOptions, vision: Vision
) -> None:
    """Make a training scene of a capture, with SAM's masks, and tell where it is."""
    with terminal.progress() as progress:
        folder = make_teacher_scene(capture, out, vision.load(), options, progress)
        warnings = progress.warnings
    masks = len(list((folder / "masks").glob("*/*.png")))
    terminal.print(f"{masks} masks, each known in one view: {folder}")
    terminal.result({"scene": str(folder), "masks": masks, "warnings": warnings})


def sa1b(terminal: Terminal, folder: Path, out: Path, options: Sa1bOptions, vision: Vision) -> None:
    """Make training scenes of SA-1B, and tell where they are."""
    check_geometry(options.geometry)  # before anything heavy is loaded
    with terminal.progress() as progress:
        encoder = vision.load().encoder
        folders = make_sa1b_scenes(folder, out, options, encoder, progress)
        warnings = progress.warnings
    terminal.print(f"{len(folders)} scenes of one photo in {out}.")
    terminal.result({"scenes": [str(folder) for folder in folders], "warnings": warnings})


def card(terminal: Terminal, folder: Path, licences: Sequence[str]) -> None:
    """Write the model card of a run, and tell where it is."""
    with terminal.progress() as progress:
        path = write_card(folder, licences, progress)
        warnings = progress.warnings
    terminal.print(f"Wrote {path}.")
    terminal.result({"card": str(path), "warnings": warnings})


def run(terminal: Terminal, options: RunOptions, vision: Vision) -> None:
    """Train and print what is measured on the way.

    Raises:
        Cancelled: stopped; the run can be gone on with.
    """
    lines: list[Line] = []

    def hear(line: Line) -> None:
        lines.append(line)
        if line.kind == "data":
            terminal.print(
                f"{line.values['training']:.0f} scenes to train on, "
                f"{line.values['validation']:.0f} to judge by; {line.values['gb']:.1f} GB."
            )
        elif line.kind == "validation":
            terminal.print(_table([line]))

    with terminal.progress() as progress:
        sam = vision.load()
        with stoppable(progress):
            outcome = train_run(options, sam, progress, hear)
        warnings = progress.warnings
    further = "" if outcome.finished else " Run it again to go on."
    terminal.print(f"{outcome.step} steps; the network is {outcome.network}.{further}")
    terminal.result(
        {
            "step": outcome.step,
            "finished": outcome.finished,
            "network": str(outcome.network),
            "validation": [
                {"step": line.step, **line.values} for line in lines if line.kind == "validation"
            ],
            "warnings": warnings,
        }
    )
    if not outcome.finished:
        raise Cancelled


def _table(lines: list[Line]) -> Table:
    """Validations, a row for each kind of example and a column for each step."""
    table = Table("validation", *(f"step {line.step}" for line in lines))
    for name in sorted({name for line in lines for name in line.values}):
        table.add_row(name, *(f"{line.values.get(name, float('nan')):.3f}" for line in lines))
    return table


def blended(terminal: Terminal, network: Path, out: Path, share: float, vision: Vision) -> None:
    """Write the mean of a trained network and the SAM that it started from."""
    sam = vision.load()
    trained = read_network(network, sam)
    blend(trained, MVSam.from_sam(sam, trained.config), share)
    write_network(trained, out, sam.encoder.name, {"share": str(share), "trained": network.name})
    terminal.print(f"Wrote {out}: {share:.0%} of {network.name}, the rest SAM.")
    terminal.result({"network": str(out), "share": share})
