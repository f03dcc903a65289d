# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine client against real child processes: a small engine, and the engine itself."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from mvsam_blender.core.client import EngineClient
from mvsam_blender.core.events import CANCELLED, EngineDied, EngineError, Failed, Finished
from mvsam_blender.core.process import engine_command, scrubbed_environment
from mvsam_engine.errors import Cancelled
from mvsam_engine.protocol import ProgressNote, WarningNote

SMALL_ENGINE = Path(__file__).with_name("small_engine.py")


@pytest.fixture
def client(tmp_path):
    made = EngineClient([sys.executable, "-u", str(SMALL_ENGINE)], tmp_path / "log" / "engine.log")
    yield made
    made.stop()


def drained(client, count, seconds=10.0):
    """Events until there are `count` of them."""
    events, end = [], time.monotonic() + seconds
    while len(events) < count and time.monotonic() < end:
        events += client.drain(0.05)
    return events


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_request_is_answered_with_its_progress(client):
    request = client.ask("doctor", {"count": 3})
    events = drained(client, 4)
    assert events == [
        *(ProgressNote(request, "Counting", i, 3) for i in (1, 2, 3)),
        Finished(request, "doctor", {"seen": {"count": 3}}),
    ]
    assert client.open_requests == ()
    assert client.hello is not None and client.hello.engine == "9.9"
    assert client.hello.pid == client.pid


def test_drain_does_not_wait(client):
    client.ask("doctor", {"sleep": True})
    began = time.monotonic()
    for _ in range(100):
        client.drain()
    assert time.monotonic() - began < 0.5


def test_wait_gives_the_result_and_passes_events_on(client):
    first = client.ask("doctor", {"count": 1})
    second = client.ask("doctor", {"x": "ü 写真"})
    events = []
    assert client.wait(second, events.append, timeout=10) == {"seen": {"x": "ü 写真"}}
    assert [type(e) for e in events] == [ProgressNote, Finished, Finished]
    assert events[1].request == first


def test_a_refusal_is_an_event_and_an_exception_with_its_remedy(client):
    request = client.ask("doctor", {"fail": True})
    events = []
    with pytest.raises(EngineError, match=r"It is refused. Ask less.") as raised:
        client.wait(request, events.append, timeout=10)
    assert raised.value.code == "test.refused"
    assert events[0].error.remedy == "Ask less."


def test_cancel_ends_a_request_and_leaves_the_engine_alive(client):
    request = client.ask("doctor", {"sleep": True})
    client.cancel(request)
    [event] = drained(client, 1)
    assert isinstance(event, Failed) and event.error.code == CANCELLED
    again = client.ask("doctor", {"sleep": True})
    client.cancel(again)
    with pytest.raises(Cancelled):
        client.wait(again, timeout=10)
    assert client.wait(client.ask("doctor"), timeout=10) == {"seen": {}}


def test_wait_gives_up_after_its_time(client):
    request = client.ask("doctor", {"sleep": True})
    with pytest.raises(EngineError, match=r"within 0\.2 seconds"):
        client.wait(request, timeout=0.2)


def test_waiting_for_what_was_never_asked_is_refused(client):
    client.start()
    with pytest.raises(EngineError, match="not under way"):
        client.wait(77, timeout=5)


def test_what_is_no_message_becomes_a_warning(client):
    request = client.ask("doctor", {"garbage": True})
    events = drained(client, 2)
    assert isinstance(events[0], WarningNote) and "a library says hello" in events[0].message
    assert isinstance(events[1], Finished) and events[1].request == request


def test_death_fails_every_open_request_and_says_what_was_last(client):
    asleep = client.ask("doctor", {"sleep": True})
    dying = client.ask("doctor", {"die": 7})
    events = drained(client, 3)
    assert [type(e) for e in events] == [Failed, Failed, EngineDied]
    assert [e.request for e in events[:2]] == [asleep, dying]
    died = events[2]
    assert died.error.code == "engine.died" and "exit code 7" in died.error.message
    assert "the last thing that I say" in died.error.message
    assert died.last_lines[-1] == "the last thing that I say"
    assert died.requests == (asleep, dying)
    assert "the last thing" in died.log.read_text()
    assert not client.running


def test_after_a_death_the_next_request_starts_a_new_engine(client):
    client.ask("doctor", {"die": 1})
    drained(client, 2)
    assert client.wait(client.ask("doctor", {"a": 1}), timeout=10) == {"seen": {"a": 1}}


def test_a_death_that_nobody_waited_for_is_still_told(client):
    client.wait(client.ask("doctor"), timeout=10)
    os.kill(client.pid, signal.SIGKILL)
    [died] = drained(client, 1)
    assert isinstance(died, EngineDied) and "signal 9" in died.error.message


def test_a_request_into_a_dead_engine_fails_in_words(client):
    client.wait(client.ask("doctor"), timeout=10)
    os.kill(client.pid, signal.SIGKILL)
    time.sleep(0.2)
    request = client.ask("doctor")
    with pytest.raises(EngineError, match="stopped unexpectedly"):
        client.wait(request, timeout=10)


def test_stop_ends_the_process_without_an_event(client):
    client.wait(client.ask("doctor"), timeout=10)
    pid = client.pid
    client.stop()
    assert gone(pid)
    assert client.drain() == [] and not client.running


def test_stop_kills_an_engine_that_does_not_listen(tmp_path):
    deaf = [sys.executable, "-c", "import time; time.sleep(600)"]
    client = EngineClient(deaf, tmp_path / "engine.log")
    client.start()
    pid = client.pid
    client.stop()
    assert gone(pid)


def test_the_engine_ends_when_the_client_is_gone(tmp_path):
    """No process is left behind when Blender itself is killed."""
    code = (
        "import sys, os, signal; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path\n"
        "from mvsam_blender.core.client import EngineClient\n"
        "c = EngineClient([sys.executable, '-u', sys.argv[3]], Path(sys.argv[4]))\n"
        "c.wait(c.ask('doctor'), timeout=10); print(c.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    import subprocess

    root = SMALL_ENGINE.parents[2]
    arguments = [str(root), str(SMALL_ENGINE.parent), str(SMALL_ENGINE), str(tmp_path / "log")]
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    pid = int(ended.stdout)
    end = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert gone(pid)


@pytest.mark.parametrize("command", [[], [""]])
def test_no_command_is_refused_with_what_to_do(tmp_path, command):
    with pytest.raises(EngineError, match=r"does not know yet where.*preferences") as raised:
        EngineClient(command, tmp_path / "log").start()
    assert raised.value.code == "engine.unset"


def test_a_command_that_does_not_exist_is_refused_in_words(tmp_path):
    with pytest.raises(EngineError, match=r"could not be started.*No such file") as raised:
        EngineClient(["/no/such/python"], tmp_path / "log").start()
    assert raised.value.code == "engine.start"


def test_an_engine_of_another_protocol_is_told(client, monkeypatch):
    monkeypatch.setenv("MVSAM_TEST_PROTOCOL", "99")
    client.start()
    [note] = drained(client, 1)
    assert note.code == "engine.protocol" and "Install mvsam-engine" in note.remedy


def test_blenders_python_stays_out_of_the_engines_environment(client, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "OCIO"):
        monkeypatch.setenv(name, "/blender")
    monkeypatch.setenv("HOME_OF_TEST", "kept")
    # The small engine finds the project through the interpreter's own site-packages here.
    seen = client.wait(client.ask("doctor", {"environment": True}), timeout=10)["seen"]
    assert not {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "OCIO"} & set(seen)
    assert seen["HOME_OF_TEST"] == "kept" and "PATH" in seen


def test_scrubbing_leaves_the_original_alone():
    given = {"PYTHONSTARTUP": "x", "pythonpath": "y", "PATH": "z"}
    assert scrubbed_environment(given) == {"PATH": "z"}
    assert len(given) == 3


class TestRealEngine:
    """`mvsam_engine serve` itself."""

    @pytest.fixture
    def engine(self, tmp_path):
        made = EngineClient(engine_command(sys.executable), tmp_path / "engine.log")
        yield made
        made.stop()

    def test_it_says_hello_and_what_it_is(self, engine):
        report = engine.wait(engine.ask("doctor"), timeout=120)
        assert report["engine"] and isinstance(report["problems"], list)
        assert engine.hello.engine == report["engine"]
        assert Path(engine.hello.executable) == Path(sys.executable)

    def test_an_unknown_method_is_refused_in_a_sentence(self, engine):
        with pytest.raises(EngineError, match="knows no method 'dance'"):
            engine.wait(engine.ask("dance"), timeout=60)

    def test_killing_it_is_an_event_with_a_remedy(self, engine):
        engine.start()
        deadline = time.monotonic() + 60
        while engine.hello is None and time.monotonic() < deadline:
            engine.drain(0.05)
        request = engine.ask("doctor")
        os.kill(engine.pid, signal.SIGKILL)
        events = [e for e in drained(engine, 2, 30) if isinstance(e, Failed | EngineDied)]
        assert [type(e) for e in events] == [Failed, EngineDied]
        assert events[0].request == request
        assert "signal 9" in events[1].error.message and events[1].error.remedy

    def test_it_ends_at_the_end_of_its_input(self, engine):
        engine.start()
        pid = engine.pid
        engine.stop()
        assert gone(pid)
