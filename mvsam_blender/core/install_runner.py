# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs an installation in a process of its own: ``python -I -u install_runner.py < plan``.

The first line of stdin is the plan (`core.installing.InstallPlan.to_json`); then stdin stays open
as a life line: at its end, because the person cancelled or Blender is gone, everything stops.
What happens is told on stdout, one JSON object a line:

    {"step": name, "index": i, "of": n}    a step begins
    {"line": text}                         a line that the step printed
    {"failed": step, "tail": [lines]}      the end: it failed
    {"busy": true}                         the end: another installation holds the folder
    {"done": true}                         the end: installed and switched to

Only the standard library; any Python from 3.11 on runs it. A new environment is made beside the
old one, marked complete last and then switched to, so being killed at any moment loses nothing
but the half environment, which the next run removes. The old one stays: an engine may run in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO

PREFIX = "mvsam-engine-"
STATE = "state.json"
CURRENT = "current.json"
LOCK = "install.lock"
LOG = "install.log"
_TAIL = 40
_RAW_PROGRESS = (24, 1)  # the first pip that counts in lines


class Stopped(Exception):  # noqa: N818 - it is an outcome, not an error
    """The life line ended."""


class Runner:
    """Does what one plan says.

    Args:
        plan: home, folder, python, steps and record, see `core.installing`.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._home = Path(plan["home"])
        self._folder = self._home / plan["folder"]
        self._stopped = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._lock: BinaryIO | None = None

    def watch(self, line: BinaryIO) -> None:
        """Stop everything when the life line ends."""
        while line.read(1):
            pass
        self._stopped.set()
        child = self._child
        if child is not None:
            _kill(child)

    def run(self) -> int:
        """Install; the exit code."""
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(self._home / LOCK)
        if self._lock is None:
            tell(busy=True)
            return 3
        self._clean(keep=_current(self._home))
        write_json(self._folder / STATE, {**self._plan["record"], "state": "unfinished"})
        steps = self._plan["steps"]
        try:
            with (self._home / LOG).open("w", encoding="utf-8") as log:
                for index, step in enumerate(steps):
                    tell(step=step["name"], index=index, of=len(steps))
                    ended, tail = self._do(step, log)
                    if not ended and not step.get("optional"):
                        shutil.rmtree(self._folder, ignore_errors=True)
                        tell(failed=step["name"], tail=tail)
                        return 1
        except Stopped:
            shutil.rmtree(self._folder, ignore_errors=True)
            return 2
        write_json(self._folder / STATE, {**self._plan["record"], "state": "complete"})
        write_json(self._home / CURRENT, {"folder": self._plan["folder"]})
        tell(done=True)
        return 0

    def _do(self, step: dict[str, Any], log: Any) -> tuple[bool, list[str]]:
        command = list(step["command"])
        if step.get("pip") and _counts(command[0]):
            command += ["--progress-bar", "raw"]
        log.write(f"\n$ {' '.join(command)}\n")
        options: dict[str, Any] = {}
        if os.name == "nt":  # pragma: no cover
            options["creationflags"] = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        else:
            # Its own group, so that its children end with it; and it inherits the lock, so that
            # nobody begins anew while it outlives us.
            options["start_new_session"] = True
            options["pass_fds"] = (self._lock.fileno(),) if self._lock else ()
        self._refuse_when_stopped()
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                **options,
            )
        except OSError as error:
            return False, [f"{command[0]}: {error.strerror or error}"]
        tail: deque[str] = deque(maxlen=_TAIL)
        with child:
            self._child = child
            if self._stopped.is_set():
                _kill(child)
            for line in child.stdout or ():
                text = line.rstrip()
                tell(line=text)
                if not text.startswith("Progress "):
                    log.write(text + "\n")
                    log.flush()
                    tail.append(text)
        self._child = None
        self._refuse_when_stopped()
        return child.returncode == 0, list(tail)

    def _refuse_when_stopped(self) -> None:
        if self._stopped.is_set():
            raise Stopped

    def _clean(self, keep: str) -> None:
        """Remove environments that are not in use: half ones, and those from before."""
        for folder in self._home.glob(f"{PREFIX}*"):
            if folder.name != keep and folder.is_dir():
                # On Windows files of a running engine stay; the next run removes them.
                shutil.rmtree(folder, ignore_errors=True)


def tell(**event: Any) -> None:
    """Say what happens; when nobody listens any more the life line ends us."""
    try:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
    except OSError:
        return


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _current(home: Path) -> str:
    try:
        return str(json.loads((home / CURRENT).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _counts(python: str) -> bool:
    """Whether the pip of an environment can count its downloads in lines."""
    answer = subprocess.run(
        [python, "-I", "-m", "pip", "--version"], capture_output=True, text=True, check=False
    )
    found = re.match(r"pip (\d+)\.(\d+)", answer.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= _RAW_PROGRESS


def _take_lock(path: Path) -> BinaryIO | None:
    file = path.open("a+b")
    try:
        if os.name == "nt":  # pragma: no cover
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _kill(child: subprocess.Popen[str]) -> None:
    if os.name == "nt":  # pragma: no cover
        subprocess.run(
            ["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, check=False
        )
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself


def main() -> int:
    """Read the plan and do it; the exit code."""
    runner = Runner(json.loads(sys.stdin.buffer.readline()))
    line = sys.stdin.buffer
    threading.Thread(target=runner.watch, args=(line,), daemon=True).start()
    try:
        code = runner.run()
    except OSError as error:
        tell(failed="files", tail=[f"{error.filename}: {error.strerror or error}"])
        code = 1
    sys.stdout.flush()
    # Without waiting for the thread that reads the life line.
    os._exit(code)


if __name__ == "__main__":
    main()
