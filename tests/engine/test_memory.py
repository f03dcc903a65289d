# SPDX-License-Identifier: GPL-3.0-or-later
"""Too little memory becomes a sentence with the next smaller setting, wherever it runs out."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from square_scene import click, item, make_capture

from mvsam_engine import jobs, memory
from mvsam_engine.capture import Capture
from mvsam_engine.capture.schema import object_to_json
from mvsam_engine.errors import ReconstructionError, SegmentationError
from mvsam_engine.memory import MemoryShortError, kind_of, told_when_short
from mvsam_engine.progress import Progress
from mvsam_engine.protocol import PrepareParams, Request, SegmentParams, to_json
from mvsam_engine.protocol.smaller import (
    PRESET_NAMES,
    SMALLEST_SIZES,
    WorkSetting,
    next_smaller,
    without_gpu,
)
from mvsam_engine.reconstruct import RECONSTRUCTORS, ReconstructOptions
from mvsam_engine.reconstruct.classical.sfm import WORKER, run_worker
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, SfmJob
from mvsam_engine.reconstruct.forecast import Machine, forecast
from mvsam_engine.reconstruct.presets import PRESETS
from mvsam_engine.service.worker import Worker

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tabletop" / "photos"
TOO_MUCH = 1 << 58  # bytes; no machine has them


def too_much_numpy():
    np.empty(TOO_MUCH, np.uint8)


def too_much_torch():
    torch.empty(TOO_MUCH, dtype=torch.uint8)


def too_much_python():
    bytearray(TOO_MUCH)


@pytest.mark.parametrize("take", [too_much_numpy, too_much_torch, too_much_python])
def test_every_library_that_finds_no_memory_is_understood(take):
    with (
        pytest.raises(
            MemoryShortError, match=r"The memory is too little for a test\. Ask less\."
        ) as e,
        told_when_short("a test", "Ask less.", "Leave the GPU."),
    ):
        take()
    assert e.value.code == memory.OUT


def test_the_gpus_memory_has_a_code_and_a_remedy_of_its_own():
    said = "CUDA out of memory. Tried to allocate 20.00 GiB."
    with (
        pytest.raises(MemoryShortError, match=r"of the GPU is too little for a test\. Leave") as e,
        told_when_short("a test", "Ask less.", "Leave the GPU."),
    ):
        raise torch.OutOfMemoryError(said)
    assert e.value.code == memory.OUT_ON_GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_real_gpu_that_is_full_is_understood():
    with pytest.raises(torch.OutOfMemoryError) as e:
        torch.empty(1 << 44, dtype=torch.uint8, device="cuda")
    assert kind_of(e.value) == memory.OUT_ON_GPU


@pytest.mark.parametrize(
    "other", [ValueError("x"), RuntimeError("shapes differ"), KeyError("memory"), OSError(28, "")]
)
def test_other_failures_stay_what_they_are(other):
    assert kind_of(other) is None
    with pytest.raises(type(other)), told_when_short("a test", "Ask less."):
        raise other


def test_our_own_refusals_pass_and_a_short_child_gets_the_remedy():
    with pytest.raises(SegmentationError), told_when_short("a test", "Ask less."):
        raise SegmentationError("x", "It says: out of memory.")
    with (
        pytest.raises(MemoryShortError, match=r"Ended\. Ask less\."),
        told_when_short("", "Ask less."),
    ):
        raise MemoryShortError(memory.OUT, "Ended.")


# --- the ladder of settings -------------------------------------------------------------------


def test_the_ladder_names_the_presets_there_are_and_its_sizes_are_below_them():
    assert tuple(PRESETS) == PRESET_NAMES
    assert list(SMALLEST_SIZES) == sorted(SMALLEST_SIZES, reverse=True)
    assert SMALLEST_SIZES[0] < PRESETS["draft"].max_size


@pytest.mark.parametrize("start", [WorkSetting("fine"), WorkSetting("normal", 2000)])
def test_each_step_of_the_ladder_needs_less_memory_and_it_ends(start):
    machine, steps, setting = Machine(2, 1.0, None), [], start
    while setting is not None:
        options = ReconstructOptions(setting.preset, setting.max_size or None)
        steps.append(forecast([(4000, 3000)] * 20, options, machine).memory_mb)
        setting = next_smaller(setting)
        assert len(steps) < 12
    assert steps == sorted(steps, reverse=True) and len(set(steps)) == len(steps) >= 4


def test_what_does_not_exist_has_no_next_and_the_device_stays():
    assert next_smaller(WorkSetting("huge")) is None
    assert next_smaller(WorkSetting("draft", 160)) is None
    assert next_smaller(WorkSetting("fine", device="cuda")) == WorkSetting("normal", device="cuda")
    assert without_gpu(WorkSetting("fine", 0, "cuda")) == WorkSetting("fine", 0, "cpu")
    assert WorkSetting("draft", 224).words == "the preset draft at 224 pixels"


# --- jobs --------------------------------------------------------------------------------------


class Greedy:
    """A reconstructor, or a segmenter, that takes more memory than there is."""

    def reconstruct(self, _capture, _options, _progress, transaction):
        """Write something, which must not stay, and fail."""
        transaction.write("cameras.json", b"{}")
        too_much_numpy()

    def prepare(self, _capture, _progress):
        too_much_torch()


@pytest.fixture
def short_capture(tmp_path, monkeypatch):
    known = {**RECONSTRUCTORS, "greedy": Greedy}
    monkeypatch.setattr("mvsam_engine.reconstruct.RECONSTRUCTORS", known)
    return tmp_path / "capture"


def test_a_reconstruction_names_the_next_smaller_preset_and_changes_nothing(short_capture):
    sources = [SAMPLE / "tabletop_00.jpg", SAMPLE / "tabletop_01.jpg"]
    with pytest.raises(
        MemoryShortError, match=r"with the preset normal\. .*choose the preset draft"
    ):
        jobs.reconstruct_photos(short_capture, sources, "greedy", ReconstructOptions(), Progress())
    capture = Capture.open(short_capture)
    assert len(capture.photos()) == 2 and capture.reconstruction() is None
    with capture.writing():
        assert not any((short_capture / ".staging").glob("*"))


def test_a_careful_run_is_refused_before_anything_is_made(short_capture, monkeypatch):
    monkeypatch.setattr("mvsam_engine.reconstruct.forecast.free_memory_mb", lambda: 700.0)
    sources = [SAMPLE / "tabletop_00.jpg", SAMPLE / "tabletop_01.jpg"]
    with pytest.raises(MemoryShortError, match=r"Only 0\.7 GB are free") as e:
        jobs.refuse_if_short(short_capture, sources, ReconstructOptions("fine"))
    assert e.value.code == "memory.forecast"
    assert not short_capture.exists()


def test_the_service_tells_it_with_its_code_and_lets_go_of_what_it_keeps_warm(tmp_path):
    make_capture(tmp_path)
    worker = Worker()
    worker._segmenters["mvsam", "cpu"] = Greedy()
    asked = object_to_json(item(click()))
    capture = str(tmp_path / "capture")
    for params in (
        PrepareParams(capture, "mvsam", "cpu"),
        SegmentParams(capture, asked, "mvsam", "cpu"),
    ):
        request = Request(1, params.METHOD, to_json(params))
        with pytest.raises(MemoryShortError, match="too little for masks") as e:
            worker.do(request, Progress(), None)
        assert e.value.code == memory.OUT
        assert not worker._segmenters
        worker._segmenters["mvsam", "cpu"] = Greedy()


@pytest.mark.skipif(sys.platform == "win32", reason="kills a child by a POSIX signal")
def test_a_child_that_the_system_kills_is_told_as_lack_of_memory(tmp_path):
    if not Path("/proc/self/task").is_dir():
        pytest.skip("finds the child process in /proc")
    photos = tuple(
        JobPhoto(name, str(SAMPLE / f"{name}.jpg"), 1280, 960, None, "")
        for name in ("tabletop_00", "tabletop_01", "tabletop_02")
    )
    job = SfmJob(photos, str(tmp_path), 640, 0)
    killer = threading.Thread(target=kill_first_child, daemon=True)
    killer.start()
    with pytest.raises(MemoryShortError, match="ended for lack of memory") as e:
        run_worker(WORKER, job.save(), tmp_path, Progress())
    killer.join()
    assert e.value.code == memory.OUT


def kill_first_child():
    """What the system's out-of-memory killer does."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for file in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
            for pid in file.read_text().split():
                if b"sfm_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(int(pid), signal.SIGKILL)
                    return
        time.sleep(0.01)


def test_a_container_limits_what_is_free(tmp_path, monkeypatch):
    assert memory.limit_mb() is None or memory.limit_mb()[0] > 0
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1048576\n")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    assert memory.limit_mb() is None
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert memory.limit_mb() == (1024.0, 1.0)


def test_the_remedy_of_a_crash_is_another_one():
    assert not memory.child_short(-11, "Segmentation fault")
    assert memory.child_short(1, "Traceback\nMemoryError")
    assert memory.child_short(-9, "")
    assert not issubclass(MemoryShortError, ReconstructionError)
