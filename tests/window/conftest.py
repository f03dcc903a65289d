# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests in a real Blender window, on a virtual screen in a room of its own.

``play`` runs one file of ``scenarios/`` and hands back its report. Screenshots, report and log are
kept in ``.cache/window/<scenario>``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
RESULTS = ROOT / ".cache" / "window"

sys.path.insert(0, str(ROOT / "scripts"))

import blender_room  # noqa: E402
import environments  # noqa: E402


@dataclass(frozen=True)
class Played:
    """What came of a scenario.

    Attributes:
        report: what the scenario wrote into ``stage.report``.
        folder: the screenshots, and everything that the scenario made.
        log: all that Blender printed.
        seconds: wall time from start to end.
    """

    report: dict
    folder: Path
    log: str
    seconds: float

    def shots(self) -> list[Path]:
        """The screenshots in the order they were taken."""
        return sorted(self.folder.glob("[0-9][0-9]_*.png"))


@pytest.fixture(scope="session")
def room() -> Path:
    """The room with the windowed Blender, made on first use."""
    reason = blender_room.why_unavailable()
    if reason:
        pytest.skip(reason)
    try:
        return blender_room.up()
    except blender_room.RoomError as error:
        # No mirror within reach, for one: a fact about the machine. The reason is shown.
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def engine() -> Path:
    """The engine's interpreter; inside the room it has the same path."""
    python = environments.interpreter(environments.engine_environment().folder)
    if not python.exists():
        pytest.skip("the engine's environment .venv is missing: run scripts/test.py")
    return python


@pytest.fixture(scope="session")
def extension_zip() -> Path:
    """The extension as people get it."""
    target = RESULTS / "extension"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    command = [sys.executable, str(ROOT / "scripts" / "build_extension.py"), "--out", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (zipped,) = target.glob("*.zip")
    return zipped


@pytest.fixture(scope="session")
def play(room: Path) -> Callable[..., Played]:
    """``play("name", timeout=60, **given)`` runs scenarios/name.py; ``given`` reaches the stage.

    ``bring={"capture": path}`` copies a folder into the scenario's own, where it may be written.
    """

    def run(
        name: str, timeout: float = 120.0, bring: dict[str, Path] | None = None, **given: object
    ) -> Played:
        folder = RESULTS / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for key, source in (bring or {}).items():
            given[key] = shutil.copytree(source, folder / key)
        given = {"timeout": timeout, **{key: _plain(value) for key, value in given.items()}}
        (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
        scenario = HERE / "scenarios" / f"{name}.py"
        # Not --factory-startup: that would turn the extension off.
        arguments = ("--enable-event-simulate", "--python-exit-code", "1")
        arguments += ("--python", str(HERE / "driver.py"), "--", str(scenario), str(folder))
        user = {"BLENDER_USER_RESOURCES": str(folder / "user")}
        started = time.monotonic()
        log = folder / "blender.log"
        with log.open("w", encoding="utf-8") as output:
            process = blender_room.start(
                "gui", arguments, folder, user, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        seconds = time.monotonic() - started
        print(f"{name}: {seconds:.1f} s; screenshots and log in {folder}")
        return _judge(name, folder, log.read_text(encoding="utf-8", errors="replace"), seconds)

    return run


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _judge(name: str, folder: Path, log: str, seconds: float) -> Played:
    """Read the report; a scenario that failed, hung or crashed fails the test in words."""
    report_file = folder / "report.json"
    end = "\n".join(log.splitlines()[-30:])
    if not report_file.exists():
        pytest.fail(f"{name} hung or crashed after {seconds:.0f} s; {folder}; the log ends:\n{end}")
    report = json.loads(report_file.read_text(encoding="utf-8"))
    if "error" in report:
        pytest.fail(f"{name}: {report['error']}\nscreenshots in {folder}; the log ends:\n{end}")
    # Errors in draw handlers and timers are only printed by Blender.
    assert "Traceback (most recent call last)" not in log, log
    return Played(report, folder, log, seconds)
