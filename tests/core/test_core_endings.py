# SPDX-License-Identifier: GPL-3.0-or-later
"""Why engines end, engines that hang, and a log that stays small."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from mvsam_blender.core import client as client_module
from mvsam_blender.core import engine_log
from mvsam_blender.core.client import EngineClient
from mvsam_blender.core.endings import DIED, MISSING, OUT_OF_MEMORY, memory_kills, why_ended
from mvsam_blender.core.engine_log import EngineLog
from mvsam_blender.core.events import EngineDied, Failed
from mvsam_blender.core.process import engine_command

SMALL_ENGINE = Path(__file__).with_name("small_engine.py")


@pytest.fixture
def client(tmp_path):
    made = EngineClient([sys.executable, "-u", str(SMALL_ENGINE)], tmp_path / "engine.log")
    yield made
    made.stop()


def until_dead(client, seconds=20.0):
    events, end = [], time.monotonic() + seconds
    while client.running and time.monotonic() < end:
        events += client.drain(0.05)
    return events


@pytest.mark.parametrize(
    ("code", "greeted", "lines", "kills", "expected", "words"),
    [
        (-9, True, (), (3, 4), OUT_OF_MEMORY, "memory ran out"),
        (137, True, (), (3, 4), OUT_OF_MEMORY, "memory ran out"),
        (-9, True, (), (3, 3), DIED, "signal 9, perhaps for lack of memory"),
        (-9, True, (), (None, None), DIED, "perhaps for lack of memory"),
        (-11, True, ("Segmentation fault",), (3, 4), DIED, "signal 11). It said: Segmentation"),
        (1, False, ("python: No module named mvsam_engine",), (0, 0), MISSING, "has no MV-SAM"),
        (1, False, ("ImportError: torch",), (0, 0), DIED, "ended before it answered"),
        (0, False, (), (0, 0), DIED, "exit code 0"),
        (None, True, (), (0, 0), DIED, "closed its output"),
    ],
)
def test_each_end_has_its_sentence(code, greeted, lines, kills, expected, words):
    body = why_ended(code, greeted, lines, kills)
    assert body.code == expected and words in body.message and body.remedy


def test_the_system_tells_how_often_memory_ran_out():
    count = memory_kills()
    assert count is None or count >= 0
    assert sys.platform != "linux" or count is not None


def test_a_python_without_the_engine_is_told_as_such(tmp_path, monkeypatch):
    import venv

    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    client = EngineClient(engine_command(str(python)), tmp_path / "engine.log")
    request = client.ask("doctor")
    events = until_dead(client)
    assert [type(e) for e in events] == [Failed, EngineDied]
    assert events[0].request == request and events[0].error.code == MISSING


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a POSIX signal")
def test_an_engine_that_does_not_read_never_makes_us_wait(client):
    client.wait(client.ask("doctor"), timeout=10)
    os.kill(client.pid, signal.SIGSTOP)
    began = time.monotonic()
    for _ in range(20):
        client.ask("doctor", {"text": "x" * 100_000})
    client.drain()
    assert time.monotonic() - began < 0.5
    # And it can still be ended.
    client.kill()
    assert isinstance(until_dead(client)[-1], EngineDied)


def test_a_killed_engine_is_told_like_one_that_died(client):
    request = client.ask("doctor", {"sleep": True})
    client.kill()
    events = until_dead(client)
    assert [type(e) for e in events] == [Failed, EngineDied]
    assert events[0].request == request


def test_a_program_that_never_answers_is_told_once_and_can_be_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(client_module, "_HELLO_PATIENCE", 0.2)
    deaf = [sys.executable, "-c", "import time; time.sleep(600)"]
    client = EngineClient(deaf, tmp_path / "engine.log")
    client.start()
    notes, end = [], time.monotonic() + 1.0
    while time.monotonic() < end:
        notes += client.drain(0.05)
    assert [note.code for note in notes] == ["engine.silent"]
    client.kill()
    assert isinstance(until_dead(client)[-1], EngineDied)


def test_the_log_stays_small_while_an_engine_writes_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_log, "LIMIT", 20_000)
    monkeypatch.setattr(engine_log, "_KEPT", 5_000)
    log = EngineLog(tmp_path / "sub" / "engine.log")
    with log.open() as writer:
        for number in range(3000):
            writer.write(f"line {number}\n".encode())
            writer.flush()
            log.trim()
        writer.write(b"the last\n")
    assert log.path.stat().st_size < 21_000 and log.old.stat().st_size <= 5_000
    assert log.last_lines()[-1] == "the last"
    assert len(log.last_lines()) <= 12
    again = EngineLog(log.path)
    assert again.last_lines() == (), "only what this engine wrote"


def test_a_log_that_grew_is_put_aside_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_log, "LIMIT", 100)
    (tmp_path / "engine.log").write_text("x" * 200)
    log = EngineLog(tmp_path / "engine.log")
    assert log.path.stat().st_size == 0 and log.old.stat().st_size == 200
