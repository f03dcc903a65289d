# SPDX-License-Identifier: GPL-3.0-or-later
"""Registered and unregistered, also in the middle of work, the add-on leaves nothing behind."""

# ruff: noqa: F401, F811 - fixtures come from real_engine
from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import bpy
import pytest
from real_engine import addon, answered_capture, engine, opened, preferences, pump_until


def children() -> set[int]:
    """Processes that this one has started and that still live (Linux)."""
    found: set[int] = set()
    for file in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        found |= {int(pid) for pid in file.read_text().split()}
    return found


def tools() -> set[str]:
    """Names of all tools of the Image Editor and the 3D Viewport that are ours."""
    from bl_ui.space_toolsystem_toolbar import IMAGE_PT_tools_active, VIEW3D_PT_tools_active

    names: set[str] = set()

    def walk(items):
        for item in items or ():
            if isinstance(item, tuple):
                walk(item)
            elif item is not None and hasattr(item, "idname"):
                names.add(item.idname)

    for panel in (IMAGE_PT_tools_active, VIEW3D_PT_tools_active):
        for group in panel._tools.values():
            walk(group)
    return {name for name in names if "mvsam" in name}


def traces() -> dict[str, object]:
    """Everything that an add-on may leave in a running Blender, counted."""
    import addon_utils

    handlers = {
        name: len(value)
        for name in dir(bpy.app.handlers)
        if isinstance(value := getattr(bpy.app.handlers, name), list)
    }
    configurations = bpy.context.window_manager.keyconfigs
    keys = {
        (configuration.name, keymap.name): sum(
            item.idname.startswith("mvsam.") for item in keymap.keymap_items
        )
        for configuration in configurations
        for keymap in configuration.keymaps
    }
    owners = (bpy.types.Scene, bpy.types.WindowManager, bpy.types.Object, bpy.types.Image)
    return {
        "types": {name for name in dir(bpy.types) if "mvsam" in name.lower()},
        "operators": set(dir(bpy.ops.mvsam)),
        "properties": {
            name for o in owners for name in set(o.bl_rna.properties.keys()) if "mvsam" in name
        },
        "manager": {name for name in vars(bpy.types.WindowManager) if "mvsam" in name},
        "handlers": handlers,
        "keys": {where: count for where, count in keys.items() if count},
        "tools": tools(),
        "header": len(getattr(bpy.types.STATUSBAR_HT_header.draw, "_draw_funcs", ())),
        "threads": {t.name for t in threading.enumerate() if t.name.startswith("mvsam")},
        "children": children(),
        "timers": {
            name
            for name in ("on_timer",)
            if (module := sys.modules.get("bl_ext.user_default.mvsam.scene.handlers"))
            and bpy.app.timers.is_registered(getattr(module, name))
        },
        "enabled": {
            a.module for a in bpy.context.preferences.addons if addon_utils.check(a.module)
        },
    }


def settled(wanted_children: set[int]) -> None:
    """Wait until threads and processes that were told to end have ended."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        alive = [t for t in threading.enumerate() if t.name.startswith("mvsam")]
        if not alive and children() <= wanted_children:
            return
        time.sleep(0.05)


def test_nothing_is_left_after_work_in_the_middle_of_work(engine, opened, addon, extension):
    """An engine at work, a click that waits for it, a second start: then off, on, off, on."""
    import addon_utils

    name, before = extension.__name__, children()
    bpy.ops.mvsam.click(view="wide", x=130, y=60, new_object=True)
    addon("scene.jobs").start_segment(bpy.context.scene, bpy.context.scene.mvsam.objects[1])
    pid = engine.client.pid
    assert pid in children() and traces()["threads"]
    registered = traces()

    addon_utils.disable(name)
    settled(before - {pid})
    bare = traces()
    assert pid not in children()
    for kind in (
        "types",
        "operators",
        "properties",
        "manager",
        "keys",
        "tools",
        "threads",
        "timers",
    ):
        assert not bare[kind], (kind, bare[kind])
    assert bare["header"] < registered["header"]
    # What a person made stays in the file.
    assert bpy.context.scene.get("mvsam") is not None or bpy.app.version >= (5, 0, 0)

    for _ in range(2):
        addon_utils.enable(name, persistent=True)
        again = traces()
        for kind in registered:
            if kind not in ("threads", "children"):
                assert again[kind] == registered[kind], kind
        assert not again["threads"], "no engine is started before it is needed"
        addon_utils.disable(name)
        assert {**traces(), "children": None} == {**bare, "children": None}

    addon_utils.enable(name, default_set=True, persistent=True)
    # Clicks from before are there, and are answered by a new engine.
    item = bpy.context.scene.mvsam.objects[1]
    assert [p.view for p in item.prompts] == ["wide"] and item.answered == 0


@pytest.mark.skipif(sys.platform == "win32", reason="asks by a POSIX signal whether it lives")
def test_an_installation_under_way_ends_with_the_add_on(addon, extension, tmp_path):
    import addon_utils

    from mvsam_engine import __version__

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "core"))
    from small_wheels import offline_folder

    wheels, wheel = offline_folder(tmp_path, __version__)
    installing, run = addon("core.installing"), addon("core.install_run")
    plan = installing.InstallPlan(tmp_path / "home", sys.executable, wheel, "cpu", wheels)
    started = addon("scene.session").session().install = run.InstallRun(plan)
    pump_until(addon, lambda: started.progress.of > 0, 30)
    pid = started.pid
    addon_utils.disable(extension.__name__)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not list((tmp_path / "home").glob("mvsam-engine-*"))
    addon_utils.enable(extension.__name__, default_set=True, persistent=True)
