# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress counted in real work, warnings, and cancellation, as one object handed down.

Work functions take a `Progress` and call `stage`/`step`; what is done with the counts (a bar on
a terminal, a JSON message to Blender, nothing) is the business of the subclass.
"""

from __future__ import annotations

import threading
import time

from mvsam_engine.errors import Cancelled


class Progress:
    """Silent progress that can be cancelled from another thread.

    Subclasses override `on_change` and `on_warning`.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self.stage_name = ""
        self.done = 0
        self.total = 0
        self._stage_began = time.monotonic()
        self._seconds: dict[str, float] = {}

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` units of work, e.g. ``("Depth", 25)``; 0 when unknown."""
        self.check()
        self._book_time()
        self.stage_name, self.done, self.total = name, 0, total
        self.on_change()

    def step(self, amount: int = 1) -> None:
        """Count `amount` finished units.

        Raises:
            Cancelled: when `cancel` was called since.
        """
        self.done += amount
        self.on_change()
        self.check()

    def seconds_by_stage(self) -> dict[str, float]:
        """Wall time of each stage so far, in the order they began."""
        self._book_time()
        return dict(self._seconds)

    def _book_time(self) -> None:
        now = time.monotonic()
        if self.stage_name:
            spent = self._seconds.get(self.stage_name, 0.0)
            self._seconds[self.stage_name] = spent + now - self._stage_began
        self._stage_began = now

    def warn(self, code: str, message: str, remedy: str = "") -> None:
        """Tell the person something that does not stop the work."""
        self.on_warning(code, message, remedy)

    def cancel(self) -> None:
        """Ask the work to stop at its next `check`; safe from any thread."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise `Cancelled` when cancellation was asked for."""
        if self._cancelled.is_set():
            raise Cancelled

    def on_change(self) -> None:
        """Hook: stage, done or total changed."""

    def on_warning(self, code: str, message: str, remedy: str) -> None:
        """Hook: a warning was given."""
