# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments are made once, made anew after an interruption, and by one process at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import environments  # noqa: E402

THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def wanted(tmp_path, monkeypatch):
    """An environment whose only requirement is already there, so that no index is asked."""
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "LOGS", tmp_path / "logs")
    return environments.Environment(
        name="trial",
        folder=tmp_path / "trial",
        pythons=(THIS,),
        requirements=("pip",),
        fingerprint="1",
        cost="seconds",
    )


def test_made_once_then_reused_then_updated_then_redone(wanted, capsys):
    python = environments.ensure(wanted)
    assert subprocess.run([python, "-c", "import pip"], check=False).returncode == 0
    assert "Making" in capsys.readouterr().err

    assert environments.ensure(wanted) == python
    assert capsys.readouterr().err == ""

    # Something else is asked for: the same folder is brought up to date.
    kept = wanted.folder / "kept"
    kept.touch()
    assert not environments.is_current(replace(wanted, fingerprint="2"))
    environments.ensure(replace(wanted, fingerprint="2"))
    assert "Updating" in capsys.readouterr().err
    assert kept.exists()

    # An install that was interrupted may have left half a package: all is made anew.
    (wanted.folder / environments.UNFINISHED).touch()
    environments.ensure(wanted)
    assert "Making" in capsys.readouterr().err
    assert not kept.exists()
    assert environments.is_current(wanted)


def test_what_stands_alone_comes_without_what_it_asks_for(wanted, tmp_path):
    package = tmp_path / "loner"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[project]\nname = "loner"\nversion = "1"\ndependencies = ["no-such-package-anywhere"]\n',
        encoding="utf-8",
    )
    (package / "loner.py").touch()
    python = environments.ensure(replace(wanted, alone=(str(package),)))
    assert subprocess.run([python, "-c", "import loner"], check=False).returncode == 0
    assert not environments.is_current(wanted)


def test_failed_install_quotes_pip_and_is_not_current(wanted):
    broken = replace(wanted, requirements=("--no-index", "no-such-package-anywhere"))
    with pytest.raises(environments.SetupError, match="No matching distribution"):
        environments.ensure(broken)
    assert not environments.is_current(broken)


def test_the_environment_that_runs_this_is_not_deleted_under_itself(wanted, monkeypatch):
    environments.ensure(wanted)
    (wanted.folder / environments.UNFINISHED).touch()
    monkeypatch.setattr(sys, "prefix", str(wanted.folder))
    with pytest.raises(environments.SetupError, match="with a Python outside"):
        environments.ensure(wanted)
    assert environments.interpreter(wanted.folder).exists()


def test_no_matching_python_is_a_sentence(wanted):
    result = environments.ensure(replace(wanted, pythons=("2.99",)))
    assert isinstance(result, environments.Unavailable)
    assert "no Python 2.99 found" in result.reason
    assert not wanted.folder.exists()


def test_found_python_is_the_version_asked_for():
    found = environments.find_python((THIS,))
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([found, "-c", question], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == THIS


LOCKER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import environments
with environments.file_lock(Path(sys.argv[2])):
    log = Path(sys.argv[3])
    with log.open("a") as f: f.write("in ")
    time.sleep(0.3)
    with log.open("a") as f: f.write("out ")
"""


def test_lock_lets_one_process_in_at_a_time(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", LOCKER, str(SCRIPTS), str(tmp_path / "lock"), str(log)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert log.read_text().split() == ["in", "out"] * 3


def test_command_line_lists_every_environment():
    command = [sys.executable, str(SCRIPTS / "environments.py"), "--list"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    names = [line.split()[0] for line in answer.stdout.splitlines()]
    assert names == ["engine", "bpy-4.2", "bpy-4.5", "bpy-5.2"]


def test_engine_is_remade_when_its_dependencies_change(tmp_path, monkeypatch):
    for name in ("pyproject.toml", "scripts/constraints-cpu.txt"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((SCRIPTS.parent / name).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    before = environments.engine_environment().fingerprint
    assert json.loads(before)[0]["name"] == "mvsam-engine"
    project = tmp_path / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    project.write_text(text.replace('"scipy>=1.11"', '"scipy>=1.12"'), encoding="utf-8")
    assert environments.engine_environment().fingerprint != before
