# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a method in a process of its own: time limit, processor time, memory of all processes.

A method may crash, hang or fill the memory; none of that may reach the others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.progress import Progress

_POLL_SECONDS = 0.2
_TAIL = 2000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child process ended.

    Attributes:
        code: its exit code, negative for a signal, None when the time limit ended it.
        wall_s: seconds by the clock.
        cpu_s: seconds of processor time, its own children included.
        peak_mb: largest memory of all its processes together; None where it cannot be known.
        tail: the end of what it wrote to standard error.
    """

    code: int | None
    wall_s: float
    cpu_s: float
    peak_mb: int | None
    tail: str

    @property
    def complaint(self) -> str:
        """Why it failed, as a sentence."""
        if self.code is None:
            return f"Stopped after its time limit, {self.wall_s:.0f} s."
        last = next((line.strip() for line in reversed(self.tail.splitlines()) if line.strip()), "")
        if self.code < 0:
            try:
                name = signal.Signals(-self.code).name
            except ValueError:
                name = str(-self.code)
            return f"Its process was ended by {name}. {last}".strip()
        return f"Its process ended with code {self.code}. {last}".strip()


def run_module(
    module: str, arguments: list[str], log: Path, limit_s: float, progress: Progress
) -> Ended:
    """Run ``python -m module arguments`` and watch it.

    Args:
        module: of this package.
        arguments: its command line.
        log: file for its output, both streams.
        limit_s: seconds after which it is stopped.
        progress: checked for cancellation while it runs.

    Raises:
        Cancelled: cancellation was asked for; the child and its children are gone.
    """
    began, before = time.monotonic(), _children_cpu()
    peak = 0
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            # Held open, never written to: it ends when this process does, however it dies.
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own, so that its children can be stopped with it.
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                peak = max(peak, _tree_kilobytes(process.pid))
                progress.check()
                if time.monotonic() - began > limit_s:
                    break
                time.sleep(_POLL_SECONDS)
            timed_out = process.poll() is None
        finally:
            _stop(process)
            if process.stdin is not None:
                process.stdin.close()
    tail = log.read_text(encoding="utf-8", errors="replace")[-_TAIL:]
    return Ended(
        code=None if timed_out else process.returncode,
        wall_s=time.monotonic() - began,
        cpu_s=_children_cpu() - before,
        peak_mb=round(peak / 1024) if peak else None,
        tail=tail,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group, when it still runs."""
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        # Its id is still reserved: the process has not been waited for.
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _children_cpu() -> float:
    """Processor seconds of all children that have ended; 0 where the system cannot say."""
    times = os.times()
    return times.children_user + times.children_system


def _tree_kilobytes(root: int) -> int:
    """Memory of a process and all below it, each shared page counted once; Linux only."""
    total = 0
    for pid in (root, *_descendants(root)):
        total += _proportional_kilobytes(pid)
    return total


def _descendants(root: int) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        try:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        except OSError:
            continue
        children = [int(word) for word in text.split()]
        found += children
        waiting += children
    return found


def _proportional_kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # ended meanwhile, or not Linux
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
