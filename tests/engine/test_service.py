# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam serve` as a real process: answers, refusals, cancel, end of file."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from service_client import Engine

import mvsam_engine
from mvsam_engine import protocol as p
from mvsam_engine.capture import Capture


@pytest.fixture
def engine(tmp_path):
    with (tmp_path / "engine.log").open("wb") as log:
        engine = Engine(log)
        yield engine
        if engine.process.poll() is None:
            engine.close()


def noise_photos(folder, count, size=320):
    """Photos without anything in common."""
    folder.mkdir()
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 255, (size // 8, size // 8, 3), np.uint8)
        image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
        image.save(folder / f"noise_{i}.jpg")
    return folder


def test_hello_tells_who_answers(engine):
    hello = engine.ask("hello", p.HelloParams("test", p.PROTOCOL_VERSION))
    result = p.HelloResult.from_json(hello.result)
    assert result.engine == mvsam_engine.__version__
    assert result.pid == engine.process.pid
    assert Path(result.executable).samefile(sys.executable)


def test_doctor_tells_what_is_installed(engine):
    report = engine.ask("doctor").result
    assert report["libraries"]["torch"]
    assert report["problems"] == []


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("hello", {"client": "test", "protocol": 999}, "protocol.mismatch"),
        ("hello", {}, "protocol.field"),
        ("dance", {}, "protocol.method"),
        ("segment", {"capture": 3, "object": {}}, "protocol.field"),
        ("segment", {"capture": "/nowhere", "object": {}}, "json.field"),
        ("prepare", {"capture": "/nowhere"}, "capture.missing"),
        ("delete", {"capture": "/nowhere", "object_id": "x"}, "capture.missing"),
    ],
)
def test_refusals_are_sentences_and_the_engine_goes_on(engine, method, params, code):
    engine.write(p.encode(p.Request(7, method, params)))
    response = engine.wait(7)
    assert response.error.code == code
    assert response.error.message.endswith(".")
    assert engine.ask("hello", p.HelloParams("test", p.PROTOCOL_VERSION)).error is None


def test_garbage_is_answered_and_survived(engine):
    for garbage in (b"hello\n", b"\xff\x00\n", b"{}\n", b"\n", b"[1]\n"):
        engine.write(garbage)
    engine.write(p.encode(p.Request(9, "hello", {"client": "t", "protocol": 1})))
    assert engine.wait(9).error is None
    codes = [n.error.code for n in engine.notes]
    assert codes == ["protocol.json", "protocol.json", "protocol.version", "protocol.field"]


def test_failed_reconstruction_keeps_the_photos(engine, tmp_path):
    folder = noise_photos(tmp_path / "photos", 1)
    params = p.ReconstructParams(str(tmp_path / "capture"), (str(folder),))
    response = engine.ask("reconstruct", params)
    assert response.error.code.startswith("reconstruct")
    assert response.error.remedy
    capture = Capture.open(tmp_path / "capture")
    assert len(capture.photos()) == 1
    assert capture.reconstruction() is None
    stages = {n.stage for n in engine.notes if isinstance(n, p.ProgressNote)}
    assert "Reading photos" in stages


def test_cancel_ends_a_running_job_and_changes_nothing(engine, tmp_path):
    folder = noise_photos(tmp_path / "photos", 12, size=1024)
    params = p.ReconstructParams(str(tmp_path / "capture"), (str(folder),))
    request = engine.send("reconstruct", params)
    while not isinstance(note := engine.next(), p.ProgressNote) or note.stage == "Reading photos":
        pass
    began = time.monotonic()
    engine.ask("cancel", p.CancelParams(request))
    ended = next((n for n in engine.notes if isinstance(n, p.Response) and n.id == request), None)
    response = ended or engine.wait(request)
    assert response.error.code == "cancelled"
    assert time.monotonic() - began < 10
    assert Capture.open(tmp_path / "capture").reconstruction() is None


def test_end_of_file_ends_the_engine(engine):
    engine.ask("hello", p.HelloParams("test", p.PROTOCOL_VERSION))
    assert engine.close() == 0


def test_shutdown_ends_the_engine(engine):
    assert engine.ask("shutdown").error is None
    assert engine.process.wait(20) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_engine_leaves_a_capture_that_opens(engine, tmp_path):
    folder = noise_photos(tmp_path / "photos", 8, size=640)
    engine.send("reconstruct", p.ReconstructParams(str(tmp_path / "capture"), (str(folder),)))
    while not isinstance(note := engine.next(), p.ProgressNote) or note.done == 0:
        pass
    engine.process.send_signal(signal.SIGKILL)
    engine.process.wait(20)
    capture = Capture.open(tmp_path / "capture")
    with capture.writing():
        assert len(capture.photos()) in (0, 8)
    assert not any((capture.root / ".staging").glob("*"))
