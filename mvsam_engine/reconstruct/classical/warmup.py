# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the inner loops in the background, while the child process places the cameras.

Importing the kernel modules compiles them (some ten seconds the first time, one second later).
"""

from __future__ import annotations

import importlib
import threading

from mvsam_engine.progress import Progress

KERNELS = ("sgm", "plane_match", "edge_match", "agreement", "smoother")
_PACKAGE = "mvsam_engine.reconstruct.classical.kernels"


class WarmUp:
    """A running compilation; `wait` for it before the kernels are used."""

    def __init__(self) -> None:
        self._error: Exception | None = None
        self._done = 0
        self._thread = threading.Thread(target=self._compile, name="compile kernels", daemon=True)
        self._thread.start()

    def _compile(self) -> None:
        try:
            for name in KERNELS:
                importlib.import_module(f"{_PACKAGE}.{name}")
                self._done += 1
        except Exception as error:  # handed to the thread that waits
            self._error = error

    def wait(self, progress: Progress) -> None:
        """Wait until all is compiled, as a stage of its own when that takes a moment.

        Raises:
            Cancelled: cancellation was asked for meanwhile.
        """
        self._thread.join(0.5)
        if self._thread.is_alive():
            progress.stage("Preparing (first run only)", len(KERNELS))
        while self._thread.is_alive():
            self._thread.join(0.2)
            progress.check()
            if self._done > progress.done:
                progress.step(self._done - progress.done)
        if self._error is not None:
            raise self._error
