# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation under way: its process, and what it says, as progress."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mvsam_engine.fields import JsonObject

from .installing import InstallError, InstallPlan
from .pip_output import PipProgress, why_failed
from .process import no_window_flag, scrubbed_environment

RUNNER = Path(__file__).with_name("install_runner.py")
_PATIENCE = 5.0


@dataclass(slots=True)
class Progress:
    """How far an installation has come.

    Attributes:
        step: what is being done.
        index: number of the step, from 0.
        of: number of steps.
        pip: follows the present step.
    """

    step: str = "Starting"
    index: int = 0
    of: int = 0
    pip: PipProgress = field(default_factory=PipProgress)

    @property
    def title(self) -> str:
        """For the panel and the status bar."""
        count = f" ({self.index + 1} of {self.of})" if self.of else ""
        detail = f": {self.pip.title}" if self.pip.packages or self.pip.total else ""
        return f"{self.step}{count}{detail}"

    @property
    def share(self) -> float:
        """Part of the whole that is done, 0 to 1; each step counts the same."""
        return (self.index + self.pip.share) / self.of if self.of else 0.0


class InstallRun:
    """One installation; `poll` it from time to time.

    Args:
        plan: what to install, checked.

    Attributes:
        plan: as given.
        progress: as of the last `poll`.
        ended: whether it is over.
        error: why it failed; None when it did not, or was cancelled.
        cancelled: whether it was cancelled.

    Raises:
        InstallError: it cannot be started.
    """

    def __init__(self, plan: InstallPlan) -> None:
        self.plan = plan
        self.progress = Progress()
        self.ended = False
        self.cancelled = False
        self.error: InstallError | None = None
        self._done = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        try:
            self._process = subprocess.Popen(
                [plan.python, "-I", "-u", str(RUNNER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=scrubbed_environment(os.environ),
                creationflags=no_window_flag(),
            )
            self._input: IO[str] | None = self._process.stdin
            if self._input is not None:
                self._input.write(json.dumps(plan.to_json()) + "\n")
                self._input.flush()
        except OSError as error:
            raise InstallError(
                "install.start",
                f"{plan.python} could not be started: {error.strerror or error}.",
                "Choose another Python.",
            ) from error
        threading.Thread(target=self._read, name="mvsam-install-reader", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id of the runner."""
        return self._process.pid

    def poll(self, patience: float = 0.0) -> bool:
        """Take what was said since; whether anything was.

        Args:
            patience: seconds to wait for a first line; 0 never waits.
        """
        heard = False
        while not self.ended:
            try:
                line = (
                    self._lines.get(timeout=patience)
                    if patience > 0 and not heard
                    else self._lines.get_nowait()
                )
            except queue.Empty:
                break
            heard = True
            if line is None:
                self._over()
            else:
                self._take(line)
        return heard

    def cancel(self) -> None:
        """End it; what was in use before stays in use."""
        if not self.ended:
            self.cancelled = True
            self._let_go()

    def close(self) -> None:
        """Cancel it and wait until it is gone."""
        self.cancel()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _take(self, line: str) -> None:
        try:
            event: JsonObject = json.loads(line)
        except ValueError:
            # The runner itself failed; the last line of its traceback says why.
            self.error = InstallError("install.failed", f"The installation failed: {line.strip()}")
            return
        if "step" in event:
            index, of = int(event["index"]), int(event["of"])
            self.progress = Progress(str(event["step"]), index, of)
        elif "line" in event:
            self.progress.pip.feed(str(event["line"]))
        elif "failed" in event:
            why = why_failed([str(t) for t in event.get("tail", [])])
            self.error = InstallError(
                "install.failed",
                f"The installation failed at: {event['failed']}. {why}",
                "What was installed before is unchanged.",
            )
        elif "busy" in event:
            self.error = InstallError(
                "install.busy",
                "Another installation is at work in this folder.",
                "Wait until it has ended; if Blender was closed during one, for a minute.",
            )
        elif "done" in event:
            self._done, self.error = True, None

    def _over(self) -> None:
        self.ended = True
        self._let_go()
        code = self._process.wait()
        # Being cancelled at the last moment does not undo what is complete.
        self.cancelled = self.cancelled and not self._done
        if not self._done and not self.cancelled and self.error is None:
            self.error = InstallError(
                "install.died",
                f"The installation was ended from outside (exit code {code}).",
                "Install again; what was downloaded is taken from pip's cache.",
            )

    def _let_go(self) -> None:
        """End the life line."""
        given, self._input = self._input, None
        if given is not None:
            try:
                given.close()
            except OSError:
                return  # the process is gone already

    def _read(self) -> None:
        output = self._process.stdout
        if output is not None:
            with output:
                for line in output:
                    self._lines.put(line)
        self._lines.put(None)
