# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Blender this is, and that the add-on comes and goes without a trace."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

PYTHON_OF_BLENDER = {(4, 2): (3, 11), (4, 5): (3, 11), (5, 2): (3, 13)}


def test_versions_are_the_supported_ones(record_property):
    record_property("blender", bpy.app.version_string)
    record_property("python", sys.version.split()[0])
    record_property("numpy", np.__version__)
    blender = bpy.app.version[:2]
    assert blender in PYTHON_OF_BLENDER, f"Blender {bpy.app.version_string} is not tested here"
    assert sys.version_info[:2] == PYTHON_OF_BLENDER[blender]
    assert int(np.__version__.split(".")[0]) in (1, 2)


def test_user_folder_is_not_the_persons_own():
    folder = Path(bpy.utils.resource_path("USER"))
    assert folder.name.startswith("mvsam-blender-user-")


def test_scene_is_empty_and_stays_usable():
    assert len(bpy.data.objects) == 0
    bpy.ops.mesh.primitive_cube_add()
    assert len(bpy.data.objects) == 1


def test_next_scene_is_empty_again():
    assert len(bpy.data.objects) == 0


def test_drawing_reaches_pixels(in_gpu):
    size = 8

    def draw() -> np.ndarray:
        import gpu

        offscreen = gpu.types.GPUOffScreen(size, size)
        with offscreen.bind():
            framebuffer = gpu.state.active_framebuffer_get()
            framebuffer.clear(color=(1.0, 0.5, 0.0, 1.0))
            buffer = framebuffer.read_color(0, 0, size, size, 4, 0, "FLOAT")
        buffer.dimensions = size * size * 4
        pixels = np.array(buffer, dtype=np.float32).reshape(size, size, 4)
        offscreen.free()
        return pixels

    np.testing.assert_allclose(in_gpu(draw), np.full((size, size, 4), (1, 0.5, 0, 1)), atol=0.01)


def test_drawing_passes_errors_on(in_gpu):
    def fail():
        raise ValueError("from inside")

    with pytest.raises(ValueError, match="from inside"):
        in_gpu(fail)


def traces() -> dict[str, object]:
    """Everything that an add-on may leave behind in a running Blender, by kind."""
    import addon_utils

    handlers = {
        name: len(value)
        for name in dir(bpy.app.handlers)
        if isinstance(value := getattr(bpy.app.handlers, name), list)
    }
    configuration = bpy.context.window_manager.keyconfigs.addon
    keys = {keymap.name: len(keymap.keymap_items) for keymap in configuration.keymaps}
    owners = (bpy.types.Scene, bpy.types.WindowManager, bpy.types.Object, bpy.types.Image)
    return {
        "types": set(dir(bpy.types)),
        "operators": set(dir(bpy.ops.mvsam)),
        "properties": {owner.__name__: set(owner.bl_rna.properties.keys()) for owner in owners},
        "handlers": handlers,
        "keys": {name: count for name, count in keys.items() if count},
        "modules enabled": {
            addon.module
            for addon in bpy.context.preferences.addons
            if addon_utils.check(addon.module)
        },
    }


def test_extension_registers_and_unregisters_twice_without_leftovers(extension):
    import addon_utils

    enabled = traces()
    assert enabled["operators"], "the add-on registers no operator"
    assert "mvsam" in enabled["properties"]["Scene"]

    addon_utils.disable(extension.__name__)
    gone = traces()
    assert not {name for name in gone["types"] if "mvsam" in name.lower()}
    assert not gone["operators"]
    assert not any("mvsam" in name for names in gone["properties"].values() for name in names)

    for _ in range(2):
        addon_utils.enable(extension.__name__, persistent=True)
        assert traces() == enabled
        addon_utils.disable(extension.__name__)
        assert traces() == gone

    addon_utils.enable(extension.__name__, default_set=True, persistent=True)
    assert traces() == enabled
