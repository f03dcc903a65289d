# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of tests that run the real engine; import those that a module uses."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest
import synthetic

from mvsam_engine.capture import Capture

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def preferences(extension):
    """The add-on's preferences."""
    return bpy.context.preferences.addons[extension.__name__].preferences


@pytest.fixture
def addon(extension):
    """Modules of the extension by their dotted names; no engine is named in the preferences."""
    chosen = preferences(extension)
    chosen.engine_python, chosen.engine_mode, chosen.device = "", "PYTHON", "auto"
    yield lambda name: importlib.import_module(f"{extension.__name__}.{name}")
    state = importlib.import_module(f"{extension.__name__}.scene.session").session()
    assert not state.jobs
    state.message = state.setback = None
    state.lost.clear()
    # Fetched anew: an add-on that was turned off and on has other preferences.
    chosen = preferences(extension)
    chosen.engine_python, chosen.engine_command = "", ""


@pytest.fixture
def engine(addon, extension):
    """The session, with the real engine named in the preferences."""
    if not ENGINE.is_file():
        pytest.skip(f"the engine's environment {ENGINE} is not set up (scripts/test.py makes it)")
    preferences(extension).engine_python = str(ENGINE)
    return addon("scene.session").session()


@pytest.fixture(scope="session")
def answered_capture(extension, tmp_path_factory):
    """A capture with embeddings and one answered object, ``half``; copy it to write to it."""
    made = synthetic.make_capture(tmp_path_factory.mktemp("answered") / "capture")
    synthetic.add_answer(made)
    if ENGINE.is_file():
        command = [ENGINE, "-I", "-c", _PREPARE, made.root]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": ""})
    return made.root


_PREPARE = """
import sys
from pathlib import Path
from mvsam_engine.capture import Capture
from mvsam_engine.progress import Progress
from mvsam_engine.segment import load_segmenter
capture = Capture.open(Path(sys.argv[1]))
with capture.writing():
    load_segmenter(device="cpu").prepare(capture, Progress())
"""


@pytest.fixture
def opened(engine, answered_capture, tmp_path):
    """A copy of that capture, opened in the scene; nothing is asked by itself."""
    root = tmp_path / "capture"
    shutil.copytree(answered_capture, root)
    bpy.ops.mvsam.open_capture(directory=str(root))
    bpy.context.scene.mvsam.auto = False
    return Capture.open(root)


def pump_until(addon, condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Hear the engine as the timer does, until a condition holds."""
    loop, end = addon("scene.loop"), time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        loop.pump()
        time.sleep(0.01)
    assert condition(), addon("scene.session").session().message
