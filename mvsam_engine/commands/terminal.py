# SPDX-License-Identifier: GPL-3.0-or-later
"""Terminal manners: progress bars, sentences for errors, JSON for programs, exit codes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars

from mvsam_engine.errors import Cancelled, MvsamError, UsageError
from mvsam_engine.progress import Progress

EXIT_FAILED, EXIT_USAGE, EXIT_CANCELLED = 1, 2, 130

# Columns of what is not a window.
_WIDEST = 400


class TerminalProgress(Progress):
    """A bar per stage on a terminal; one line per finished stage elsewhere."""

    def __init__(self, console: Console, quiet: bool) -> None:
        super().__init__()
        self._console = console
        self._quiet = quiet
        self._bars = Bars(
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._told = ("", -1)
        self._began = time.monotonic()
        self.warnings: list[str] = []

    def __enter__(self) -> TerminalProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def on_change(self) -> None:
        """Move the bar, or tell of a finished stage."""
        if self._told[0] != self.stage_name:
            self._began = time.monotonic()
            self._told = (self.stage_name, -1)
            self._task = self._bars.add_task(self.stage_name, total=self.total or None)
        if self._task is not None:
            self._bars.update(self._task, completed=self.done, total=self.total or None)
        finished = self.done >= self.total > 0 and self._told[1] != self.total
        if finished and not self._quiet and not self._console.is_terminal:
            seconds = time.monotonic() - self._began
            self._console.print(f"{self.stage_name}: {self.done} in {seconds:.1f} s")
        if finished:
            self._told = (self.stage_name, self.total)

    def on_warning(self, code: str, message: str, remedy: str) -> None:
        """Print the warning above the bars."""
        text = f"{message} {remedy}".strip()
        self.warnings.append(text)
        self._bars.console.print(
            f"warning: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True
        )


class Terminal:
    """Where a command prints.

    Args:
        as_json: machine-readable result on stdout, nothing else there.
        verbose: tracebacks for errors.
    """

    def __init__(self, as_json: bool = False, verbose: bool = False) -> None:
        self.as_json = as_json
        self.verbose = verbose
        self._out = Console()
        if not self._out.is_terminal:
            # Only a window is as wide as it is: in a file or pipe no table need be squeezed.
            self._out = Console(width=_WIDEST)
        self._err = Console(stderr=True)

    def progress(self) -> TerminalProgress:
        """Progress for this terminal; a context manager."""
        return TerminalProgress(self._err, quiet=self.as_json)

    def print(self, text: object = "") -> None:
        """Print for people; silent with --json."""
        if not self.as_json:
            self._out.print(text, highlight=False, soft_wrap=True)

    def result(self, data: object) -> None:
        """Print for programs; silent without --json."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    @contextmanager
    def guarded(self) -> Generator[None]:
        """Turn errors into one sentence on stderr and an exit code."""
        try:
            yield
        except (KeyboardInterrupt, Cancelled):
            self._complain("Cancelled; what was complete before is unchanged.")
            raise typer.Exit(EXIT_CANCELLED) from None
        except MvsamError as error:
            if self.verbose:
                self._err.print_exception()
            self._complain(str(error))
            code = EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
            raise typer.Exit(code) from None
        except MemoryError:
            self._complain("There is not enough memory; try a smaller --max-size.")
            raise typer.Exit(EXIT_FAILED) from None
        except Exception as error:
            if self.verbose:
                self._err.print_exception()
            self._complain(
                f"Something failed that should not ({type(error).__name__}: {error}). "
                "Run again with --verbose and report it."
            )
            raise typer.Exit(EXIT_FAILED) from None

    def _complain(self, sentence: str) -> None:
        self._err.print(
            f"mvsam: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True
        )
