# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an engine's process ended, from its exit code, its last words and the system's counters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mvsam_engine.protocol import ErrorBody

DIED = "engine.died"
MISSING = "engine.missing"
OUT_OF_MEMORY = "memory.killed"

_KILLED = -9
# A shell or ssh in between passes a signal on as 128 plus its number.
_KILLED_BEHIND_SHELL = 137
_NO_ENGINE = "No module named mvsam_engine"
_COUNTERS = ("/proc/vmstat", "/sys/fs/cgroup/memory.events")


def memory_kills() -> int | None:
    """How many processes the system has ended for lack of memory; None where it does not tell."""
    counts: list[int] = []
    for path in _COUNTERS:
        try:
            lines = Path(path).read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            continue
        counts += [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return sum(counts) if counts else None


def why_ended(
    code: int | None, greeted: bool, last_lines: Sequence[str], kills: tuple[int | None, int | None]
) -> ErrorBody:
    """A sentence with a remedy for an engine that ended unasked.

    Args:
        code: exit code, negative for a signal, None when it only closed its output.
        greeted: whether it had said hello.
        last_lines: of its log.
        kills: `memory_kills` when it began, and now.
    """
    # What it told of its usual work is no reason.
    last = [line for line in last_lines if " INFO " not in line]
    why = f" It said: {last[-1].strip()}" if last else ""
    before, now = kills
    killed = code in (_KILLED, _KILLED_BEHIND_SHELL)
    if killed and before is not None and now is not None and now > before:
        return ErrorBody(
            OUT_OF_MEMORY,
            "The system ended the engine because memory ran out.",
            "Close other programs, or choose a smaller setting. What was complete is kept.",
        )
    if not greeted and any(_NO_ENGINE in line for line in last_lines):
        return ErrorBody(
            MISSING,
            "This Python has no MV-SAM engine.",
            "Install the engine, or choose the Python that it is installed in.",
        )
    if not greeted:
        return ErrorBody(
            DIED,
            f"The engine ended before it answered ({_exit_words(code)}).{why}",
            "Check its Python or command in the preferences; the log tells more.",
        )
    return ErrorBody(
        DIED,
        f"The engine stopped unexpectedly ({_exit_words(code)}).{why}",
        "What was complete is kept, and so are your clicks. Restart it; the log tells more.",
    )


def _exit_words(code: int | None) -> str:
    if code is None:
        return "it closed its output"
    if code < 0:
        maybe = ", perhaps for lack of memory" if code == _KILLED else ""
        return f"killed by signal {-code}{maybe}"
    return f"exit code {code}"
