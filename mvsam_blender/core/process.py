# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process: its command, its environment, its standard streams.

No port is opened and nothing is shared: lines go in on stdin, lines come out on stdout, stderr is
a log file. The engine ends by itself when its stdin closes, so it does not outlive Blender.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from .engine_log import EngineLog
from .events import EngineError

# Blender's own interpreter settings would break another interpreter's; OCIO is Blender's colours.
_SCRUBBED_NAMES = ("VIRTUAL_ENV", "OCIO")
_SCRUBBED_PREFIX = "PYTHON"


def engine_command(python: str) -> list[str]:
    """The command that serves an engine from the interpreter `python`.

    ``-I`` keeps the person's own modules and settings out, ``-u`` keeps lines from waiting.
    """
    return [python, "-I", "-u", "-m", "mvsam_engine", "serve"]


def scrubbed_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """A copy of `environ` without what belongs to Blender's Python."""
    return {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(_SCRUBBED_PREFIX) and name.upper() not in _SCRUBBED_NAMES
    }


class EngineProcess:
    """A running engine whose output lines wait in a queue.

    Args:
        command: program and arguments.
        log: file that its stderr is appended to.
        environment: variables on top of Blender's own.

    Raises:
        EngineError: the command is empty or cannot be started.
    """

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        if not command or not command[0]:
            raise EngineError(
                "engine.unset",
                "Blender does not know yet where the MV-SAM engine is.",
                "Install it, or set its Python, in the add-on's preferences.",
            )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._environment = {**scrubbed_environment(os.environ), **(environment or {})}
        self._process = self._start(list(command), log)
        for work in (self._read, self._write):
            name = f"mvsam-engine{work.__name__}"
            threading.Thread(target=work, name=name, daemon=True).start()

    def _start(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        try:
            self.log = EngineLog(log)
            with self.log.open() as errors:
                return subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=self._environment,
                    creationflags=no_window_flag(),
                )
        except OSError as error:
            raise EngineError(
                "engine.start",
                f"The engine could not be started: {command[0]}: {error.strerror or error}.",
                "Set the engine's Python in the add-on's preferences.",
            ) from error

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def send(self, line: bytes) -> None:
        """Have one line written; never waits for an engine that does not read.

        A dead engine is noticed by `receive`, not here.
        """
        self._outgoing.put(line)

    def receive(self, timeout: float = 0.0) -> bytes | None:
        """The next line; None at the end of its output.

        Raises:
            queue.Empty: nothing came within `timeout` seconds.
        """
        if timeout > 0:
            return self._lines.get(timeout=timeout)
        return self._lines.get_nowait()

    def exit_code(self, timeout: float) -> int | None:
        """The exit code, None when it still runs after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def close(self, patience: float) -> None:
        """End its input, wait `patience` seconds for it to end, kill it otherwise."""
        self._outgoing.put(None)
        if self.exit_code(patience) is None:
            self.kill()

    def kill(self) -> None:
        """End it at once; `receive` tells the end of its output."""
        self._outgoing.put(None)
        self._process.kill()
        self._process.wait()

    def _write(self) -> None:
        stream = _pipe(self._process.stdin)
        try:
            while (line := self._outgoing.get()) is not None:
                stream.write(line)
                stream.flush()
            stream.close()
        except (OSError, ValueError) as error:
            # The reader thread sees the same death and reports it once, with the log's last lines.
            self.log.note(f"A message could not be sent: {error}")

    def _read(self) -> None:
        with _pipe(self._process.stdout) as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise EngineError("engine.pipe", "The engine was started without its standard streams.")
    return stream


def no_window_flag() -> int:
    """Windows opens a console for every child unless told not to."""
    return subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
