# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's log: bounded in size, also while an engine runs for days, and read from its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

# An engine writes a few lines for each job: this is weeks of work.
LIMIT = 4 * 1024 * 1024
_KEPT = 256 * 1024
_TAIL = 16 * 1024
_LAST_LINES = 12


class EngineLog:
    """One log file and its predecessor, ``engine.log`` and ``engine.log.old``.

    Args:
        path: of the log; its folder is made.

    Raises:
        OSError: it cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.stat().st_size > LIMIT:
            path.replace(self.old)
        with path.open("ab") as file:
            self._start = file.seek(0, os.SEEK_END)

    @property
    def old(self) -> Path:
        """What was written before."""
        return self.path.with_name(f"{self.path.name}.old")

    def open(self) -> BinaryIO:
        """The file to append to; whoever appends goes on at the end, wherever that is."""
        return self.path.open("ab")

    def note(self, text: str) -> None:
        """Append a line of ours; a full disk must not stop what is being done."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"[add-on] {text}\n")
        except OSError:
            return

    def trim(self) -> None:
        """Move all but the end away when it has grown too large under a running engine."""
        try:
            size = self.path.stat().st_size
            if size <= LIMIT:
                return
            with self.path.open("r+b") as file:
                file.seek(size - _KEPT)
                self.old.write_bytes(file.read())
                # The engine appends, so it goes on at the new end.
                file.truncate(0)
            self._start = 0
            self.note(f"what was written before is in {self.old.name}")
        except OSError:
            return  # another try comes soon

    def last_lines(self) -> tuple[str, ...]:
        """The last lines since this log was opened."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(min(self._start, size), size - _TAIL))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ()
        return tuple(line for line in text.splitlines() if line.strip())[-_LAST_LINES:]
