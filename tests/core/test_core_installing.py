# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing the engine: real environments, real pip, tiny wheels from an offline folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
from small_wheels import make_wheel, offline_folder

from mvsam_blender.core import installing
from mvsam_blender.core.install_run import InstallRun
from mvsam_blender.core.install_runner import CURRENT, LOCK, PREFIX, STATE
from mvsam_blender.core.installing import InstallError, InstallPlan, look
from mvsam_blender.core.pythons import ask_python, find_python

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="kills by a POSIX signal")


@pytest.fixture(scope="module", autouse=True)
def bare_pip():
    """pip as it is where nobody has set anything up."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith("PIP_")]:
            patch.delenv(name)
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        yield


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """An offline folder, and the engine's wheel."""
    return offline_folder(tmp_path_factory.mktemp("offline"))


@pytest.fixture
def plan(tmp_path, wheels):
    return make_plan(tmp_path / "home of engines", wheels)


def make_plan(home, wheels, **changes):
    chosen = {
        "home": home,
        "python": ask_python(sys.executable).path,
        "wheel": wheels[1],
        "torch": "cpu",
        "folder": wheels[0],
        **changes,
    }
    return InstallPlan(**chosen)


def follow(run, until=None, seconds=60.0):
    """Poll to the end, or until a condition holds; the titles that were shown."""
    titles, end = [], time.monotonic() + seconds
    while not run.ended and not (until and until(run)) and time.monotonic() < end:
        run.poll(0.05)
        if not titles or titles[-1] != run.progress.title:
            titles.append(run.progress.title)
    assert run.ended or until, titles
    return titles


def engine_in(home):
    """What the installed engine says it is."""
    installed = look(home).installed
    code = "import mvsam_engine; print(mvsam_engine.__version__)"
    said = subprocess.run(
        [installed.python, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, wheels):
    """A home with an engine, what was shown while it was made, and what is in it."""
    home = tmp_path_factory.mktemp("finished") / "home"
    plan = make_plan(home, wheels)
    installing.check_plan(plan)
    run = InstallRun(plan)
    titles = follow(run)
    assert run.error is None and not run.cancelled, run.error
    return home, titles, look(home), engine_in(home)


def test_an_engine_is_installed_from_a_folder_with_steps_that_count(finished, wheels):
    _, titles, state, said = finished
    assert said == "9.8"
    assert not state.unfinished and not state.installed.broken
    assert state.installed.version == "9.8" and state.installed.torch == "cpu"
    assert not installing.is_outdated(state.installed, wheels[1])
    text = "\n".join(titles)
    assert "Making the environment (1 of 5)" in text
    assert "The engine (4 of 5): " in text and "Unpacking 2 packages" in text


def test_another_wheel_of_the_same_version_is_an_update(finished, tmp_path):
    init = {"mvsam_engine/__init__.py": "__version__ = '9.8'  # mended\n"}
    other = make_wheel(tmp_path, "mvsam-engine", "9.8", init)
    assert installing.is_outdated(finished[2].installed, other)


def test_an_update_is_made_beside_and_the_old_one_works_until_then(finished, tmp_path):
    home, old = finished[0], finished[2].installed
    newer = offline_folder(tmp_path / "newer", "9.9")
    run = InstallRun(make_plan(home, newer, stamp="new"))
    follow(run, until=lambda run: run.progress.index == 3)
    assert look(home).installed == old and look(home).unfinished
    follow(run)
    assert run.error is None and engine_in(home) == "9.9"
    assert old.folder.is_dir(), "an engine may still run in the old one"
    installing.tidy(home)
    assert not old.folder.exists() and engine_in(home) == "9.9"


def test_cancelling_leaves_nothing_and_keeps_what_was_there(plan):
    run = InstallRun(plan)
    follow(run, until=lambda run: run.progress.index == 1)
    began = time.monotonic()
    run.cancel()
    follow(run)
    assert run.cancelled and run.error is None
    assert time.monotonic() - began < 5
    assert look(plan.home) == installing.HomeState(None, False)
    assert not list(plan.home.glob(f"{PREFIX}*"))


@POSIX
def test_killed_half_way_it_is_seen_as_unfinished_and_made_anew(plan):
    run = InstallRun(plan)
    follow(run, until=lambda run: run.progress.index == 2)
    os.kill(run.pid, signal.SIGKILL)
    follow(run)
    assert "ended from outside" in run.error.message and run.error.remedy
    state = look(plan.home)
    assert state.installed is None and state.unfinished
    # pip, if it lives on, holds the lock until it notices that nobody listens.
    again = InstallRun(plan)
    follow(again)
    end = time.monotonic() + 20
    while again.error is not None and again.error.code == "install.busy" and end > time.monotonic():
        time.sleep(0.2)
        again = InstallRun(plan)
        follow(again)
    assert again.error is None
    assert engine_in(plan.home) == "9.8"
    assert not look(plan.home).unfinished


@POSIX
def test_when_blender_is_killed_the_installation_ends_too(plan):
    """The life line: whoever holds the other end is gone."""
    code = (
        "import sys, os, signal, time; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from mvsam_blender.core.install_run import InstallRun\n"
        "from mvsam_blender.core.installing import InstallPlan\n"
        "home, python, wheel, folder = sys.argv[2:]\n"
        "run = InstallRun(InstallPlan(Path(home), python, Path(wheel), 'cpu', Path(folder)))\n"
        "while run.progress.of == 0: run.poll(0.05)\n"
        "time.sleep(0.3)\n"
        "assert list(Path(home).glob('mvsam-engine-*/venv'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[2]
    given = (root, plan.home, plan.python, plan.wheel, plan.folder)
    ended = subprocess.run([sys.executable, "-c", code, *map(str, given)], check=False)
    assert ended.returncode == -signal.SIGKILL
    end = time.monotonic() + 20
    while list(plan.home.glob(f"{PREFIX}*")) and time.monotonic() < end:
        time.sleep(0.05)
    assert not list(plan.home.glob(f"{PREFIX}*"))
    assert look(plan.home).installed is None


@POSIX
def test_two_at_once_in_one_folder_are_refused(plan):
    first = InstallRun(plan)
    follow(first, until=lambda run: run.progress.of > 0)
    second = InstallRun(plan)
    follow(second)
    assert second.error.code == "install.busy"
    first.close()
    assert not list(plan.home.glob(f"{PREFIX}*"))


class Steps(InstallPlan):
    """A plan with the given steps in place of its own."""

    commands: ClassVar[list] = []

    def to_json(self):
        steps = [{"name": f"Step {i}", **step} for i, step in enumerate(self.commands)]
        return {**super().to_json(), "steps": steps}


def run_steps(plan, *commands):
    """Run commands of this Python; the error at the end."""
    chosen = Steps(plan.home, plan.python, plan.wheel, "cpu", plan.folder)
    Steps.commands = [{**c, "command": [sys.executable, *c["command"]]} for c in commands]
    run = InstallRun(chosen)
    follow(run)
    return run.error


def test_a_folder_that_lacks_a_package_is_told_by_its_name(plan, tmp_path):
    make_wheel(tmp_path / "poor", "torch", "2.99")
    pip = ["-m", "pip", "install", "--no-index", "--find-links", str(tmp_path / "poor")]
    where = ["--target", str(tmp_path / "x"), str(plan.wheel)]
    error = run_steps(plan, {"command": [*pip, *where], "pip": True})
    assert "failed at: Step 0. small-helper>=1 was not found" in error.message
    assert not list(plan.home.glob(f"{PREFIX}*"))


def test_an_engine_that_does_not_start_is_not_switched_to(plan):
    error = run_steps(plan, {"command": ["-c", "raise ImportError('half of it is missing')"]})
    assert "ImportError: half of it is missing" in error.message
    assert look(plan.home) == installing.HomeState(None, False)


def test_only_what_is_optional_may_fail(plan):
    fails = {"command": ["-c", "raise SystemExit(1)"]}
    assert run_steps(plan, {**fails, "optional": True}) is None
    assert look(plan.home).installed is not None
    assert run_steps(plan, fails) is not None
    assert look(plan.home).installed is not None, "what was there before stays"


def test_a_program_that_is_not_there_is_a_sentence(plan):
    chosen = Steps(plan.home, plan.python, plan.wheel, "cpu", plan.folder)
    Steps.commands = [{"command": ["/no/such/program"]}]
    run = InstallRun(chosen)
    follow(run)
    assert "/no/such/program: No such file" in run.error.message
    with pytest.raises(InstallError, match="could not be started"):
        InstallRun(make_plan(plan.home, (plan.folder, plan.wheel), python="/no/such/python"))


def test_removing_takes_only_what_is_ours(tmp_path):
    home = tmp_path / "home"
    folder = home / f"{PREFIX}1-x"
    folder.mkdir(parents=True)
    (folder / STATE).write_text('{"state": "complete"}')
    (home / CURRENT).write_text(json.dumps({"folder": folder.name}))
    (home / LOCK).touch()
    (home / "thesis.txt").write_text("mine")
    installing.remove(home)
    assert [p.name for p in home.iterdir()] == ["thesis.txt"]
    (home / "thesis.txt").unlink()
    installing.remove(home)
    assert not home.exists()
    installing.remove(home)  # again: nothing to do


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"folder": "../.."}', '{"folder": "mvsam-engine-1/.."}', "null"]
)
def test_a_damaged_switch_is_no_engine(tmp_path, content):
    (tmp_path / CURRENT).write_text(content)
    assert look(tmp_path) == installing.HomeState(None, False)


def test_an_environment_whose_python_is_gone_is_broken_in_words(tmp_path):
    folder = tmp_path / f"{PREFIX}1-x"
    folder.mkdir()
    state = {"state": "complete", "base": "/gone/blender/python3.11", "version": "1"}
    (folder / STATE).write_text(json.dumps(state))
    (tmp_path / CURRENT).write_text(json.dumps({"folder": folder.name}))
    assert "/gone/blender/python3.11, is gone" in look(tmp_path).installed.broken


def test_plans_that_cannot_go_well_are_refused_before_anything_is_made(
    tmp_path, wheels, monkeypatch
):
    home = tmp_path / "home"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InstallError, match="no wheels in"):
        installing.check_plan(make_plan(home, (tmp_path / "empty", wheels[1])))
    with pytest.raises(InstallError, match="not a wheel of the MV-SAM engine"):
        installing.check_plan(make_plan(home, (wheels[0], tmp_path / "other-1-py3-none-any.whl")))
    monkeypatch.setitem(installing.SIZES, "cpu", installing.Size(1, 1e9))
    with pytest.raises(InstallError, match=r"needs about 1000000000 GB, but only .* free"):
        installing.check_plan(make_plan(home, wheels))
    assert not home.exists()


def test_a_plan_says_what_is_downloaded_and_under_which_licences(tmp_path, wheels):
    online = make_plan(tmp_path, wheels, folder=None, torch="cuda")
    assert online.uses_network and online.size.download > 1
    assert any("NVIDIA" in line for line in online.licences)
    offline = make_plan(tmp_path, wheels)
    assert not offline.uses_network and offline.size.download == 0
    assert not any("NVIDIA" in line for line in offline.licences)
    commands = [" ".join(step["command"]) for step in offline.to_json()["steps"]]
    assert all("--no-index" in c for c in commands if " install " in c)
    assert not any("http" in c for c in commands)


@pytest.mark.parametrize(
    ("system", "build", "index"),
    [
        ("linux", "cpu", installing.CPU_INDEX),
        ("win32", "cuda", installing.CUDA_INDEX),
        ("linux", "cuda", None),
        ("darwin", "cpu", None),
        ("linux", "index", None),
    ],
)
def test_each_system_gets_the_build_of_torch_that_was_chosen(
    tmp_path, wheels, monkeypatch, system, build, index
):
    chosen = make_plan(tmp_path, wheels, folder=None, torch=build)
    monkeypatch.setattr(sys, "platform", system)
    steps = chosen.to_json()["steps"]
    torch = next(step["command"] for step in steps if step["name"] == "PyTorch")
    assert installing.TORCH in torch
    assert ("--index-url" in torch) == (index is not None)
    assert index is None or torch[torch.index("--index-url") + 1] == index


@pytest.mark.parametrize(
    ("system", "variables", "end"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/mvsam/engine"),
        ("linux", {}, "/.local/share/mvsam/engine"),
        ("darwin", {}, "/Library/Application Support/mvsam/engine"),
        ("win32", {"LOCALAPPDATA": "C:/Users/x/AppData/Local"}, "/AppData/Local/mvsam/engine"),
    ],
)
def test_the_home_is_the_persons_data_folder(monkeypatch, system, variables, end):
    monkeypatch.setattr(sys, "platform", system)
    assert installing.default_home(variables).as_posix().endswith(end)


def test_pythons_are_asked_who_they_are(tmp_path):
    found = ask_python(sys.executable)
    assert not found.lack and found.version == ".".join(map(str, sys.version_info[:3]))
    assert "no Python that runs here" in ask_python(str(tmp_path / "none")).lack
    assert not find_python([str(tmp_path / "none"), sys.executable]).lack
    assert find_python(["", sys.executable]).path == found.path


@POSIX
@pytest.mark.parametrize(
    ("said", "lack"),
    [
        ('{"version": "3.9.1", "executable": "/x", "venv": true, "bits": 64}', "needs 3.11"),
        ('{"version": "3.12.1", "executable": "/x", "venv": true, "bits": 32}', "64 bits"),
        ('{"version": "3.12.1", "executable": "/x", "venv": false, "bits": 64}', "python3.12-venv"),
        ("hello", "no Python"),
        ("[]", "no Python"),
    ],
)
def test_pythons_that_will_not_do_are_told_why(tmp_path, said, lack):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\necho '{said}'\n")
    fake.chmod(0o755)
    assert lack in ask_python(str(fake)).lack
