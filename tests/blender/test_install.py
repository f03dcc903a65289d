# SPDX-License-Identifier: GPL-3.0-or-later
"""Install Engine, Remove, and the preferences: with real environments from tiny wheels."""

# ruff: noqa: F401, F811 - fixtures come from real_engine
from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import bpy
import pytest
from real_engine import ENGINE, addon, engine, preferences, pump_until

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))
from small_wheels import offline_folder


@pytest.fixture
def install(addon, extension, tmp_path, monkeypatch):
    """The preferences set to install from a folder into a home of the test's own."""
    for name in [name for name in os.environ if name.upper().startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    wheels, wheel = offline_folder(tmp_path)
    carried = Path(addon("core").__file__).parents[1] / "wheels"
    carried.mkdir()
    shutil.copy(wheel, carried)
    chosen = preferences(extension)
    chosen.engine_mode, chosen.torch_build = "INSTALLED", "CPU"
    chosen.engine_home, chosen.wheel_folder = str(tmp_path / "home"), str(wheels)
    chosen.base_python = sys.executable
    yield chosen
    shutil.rmtree(carried)
    chosen.engine_home = chosen.wheel_folder = chosen.base_python = ""
    chosen.torch_build, chosen.engine_mode = "AUTO", "PYTHON"


def told(addon):
    return addon("scene.session").session().message


def settings_of(addon):
    return addon("scene.session").session().settings()


def test_an_engine_is_installed_used_and_removed(install, addon, tmp_path):
    assert settings_of(addon).command == ()
    assert bpy.ops.mvsam.install_engine() == {"FINISHED"}
    assert "is installed" in told(addon).text
    python = Path(settings_of(addon).command[0])
    assert python.is_file() and python.is_relative_to(tmp_path / "home")
    assert install.engine_mode == "INSTALLED"
    # While it is installed, the button removes it, and only it.
    (tmp_path / "home" / "notes.txt").write_text("mine")
    assert bpy.ops.mvsam.remove_engine() == {"FINISHED"}
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["notes.txt"]
    assert settings_of(addon).command == () and "was removed" in told(addon).text
    with pytest.raises(RuntimeError, match="No engine is installed"):
        bpy.ops.mvsam.remove_engine()


def test_a_window_goes_on_while_it_is_installed_and_can_cancel(install, addon, tmp_path):
    """As in a window: the timer follows it, and the button stops it."""
    state = addon("scene.session").session()
    run, operators = addon("core.install_run"), addon("ui.operators_install")
    state.install = run.InstallRun(operators._plan(bpy.context))
    with pytest.raises(RuntimeError, match="It is being installed"):
        bpy.ops.mvsam.install_engine()
    pump_until(addon, lambda: state.install.progress.of == 5, 30)
    assert bpy.ops.mvsam.cancel_install() == {"FINISHED"}
    pump_until(addon, lambda: state.install is None, 30)
    assert "was cancelled" in state.message.text
    assert not list((tmp_path / "home").glob("mvsam-engine-*"))
    with pytest.raises(RuntimeError, match="Nothing is being installed"):
        bpy.ops.mvsam.cancel_install()


def test_going_online_is_left_to_the_person(install, addon):
    if bpy.app.online_access:
        pytest.skip("online access is allowed in this Blender")
    install.wheel_folder = ""
    with pytest.raises(RuntimeError, match=r"may not go online.*Allow Online Access"):
        bpy.ops.mvsam.install_engine()
    assert told(addon).code == "install.online"


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("base_python", "/no/such/python", "no Python that runs here"),
        ("wheel_folder", "/no/such/folder", "no wheels in"),
        ("engine_home", f"{__file__}/home", "cannot be written"),
    ],
)
def test_what_cannot_go_well_is_refused_in_words(install, addon, setting, value, words):
    setattr(install, setting, value)
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.mvsam.install_engine()


def test_a_copy_without_the_wheel_says_so(addon, extension):
    preferences(extension).engine_mode = "INSTALLED"
    with pytest.raises(RuntimeError, match="carries no engine"):
        bpy.ops.mvsam.install_engine()


def test_naming_a_python_chooses_it(addon, extension):
    chosen = preferences(extension)
    chosen.engine_mode = "INSTALLED"
    chosen.engine_python = sys.executable
    assert chosen.engine_mode == "PYTHON"
    assert settings_of(addon).command[0] == sys.executable


def test_a_weights_folder_reaches_the_engine(engine, addon, extension, tmp_path):
    preferences(extension).weights_folder = str(tmp_path / "weights ü")
    try:
        bpy.ops.mvsam.check_engine()
        rows = {row.label: row.text for row in engine.report.rows}
        assert rows["Weights Folder"] == str(tmp_path / "weights ü")
        assert rows["Python"].endswith(str(ENGINE)) and engine.report.presets
    finally:
        preferences(extension).weights_folder = ""
