# SPDX-License-Identifier: GPL-3.0-or-later
"""pytest inside Blender: `bpy` from the package index, one process and environment per version.

The add-on is installed as people have it, as the extension ``mvsam`` in a user folder of its own,
and enabled once. Every test begins with an empty scene.
"""

from __future__ import annotations

import ctypes.util
import importlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = "bl_ext.user_default.mvsam"
USER = Path(tempfile.mkdtemp(prefix="mvsam-blender-user-"))

# Blender reads this once, at the first `import bpy`.
os.environ["BLENDER_USER_RESOURCES"] = str(USER)
# In the zip the engine's contracts are a bundled wheel; here they come from the checkout.
sys.path.insert(0, str(ROOT))

try:
    import bpy
except ImportError:
    bpy = None


class _WithoutBlender(pytest.Module):
    """A test file that this Python cannot run; it is reported, not passed over."""

    def collect(self):
        pytest.skip(
            "this Python has no bpy: run scripts/test.py, or use .venvs/bpy-*/bin/python",
            allow_module_level=True,
        )


def pytest_pycollect_makemodule(module_path: Path, parent) -> pytest.Module | None:
    """Skip each file in words where there is no Blender, instead of failing at its import."""
    if bpy is None:
        return _WithoutBlender.from_parent(parent, path=module_path)
    return None


def pytest_report_header() -> str:
    """Name the Blender under test."""
    return f"blender: {bpy.app.version_string if bpy else 'none'}"


def _install_extension() -> None:
    """Put the add-on and its manifest where Blender looks for extensions."""
    folder = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True))
    target = folder / "mvsam"
    shutil.copytree(ROOT / "mvsam_blender", target, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
    # The wheel is made when the zip is built; Blender would look for it here.
    manifest = re.sub(r"^wheels\s*=\s*\[.*?\]\s*$", "", manifest, flags=re.MULTILINE | re.DOTALL)
    (target / "blender_manifest.toml").write_text(manifest, encoding="utf-8")


@pytest.fixture(scope="session")
def extension() -> Iterator[ModuleType]:
    """The add-on's package, installed and enabled."""
    import addon_utils

    _install_extension()
    errors: list[Exception] = []
    addon_utils.enable(MODULE, default_set=True, persistent=True, handle_error=errors.append)
    if errors:
        raise errors[0]
    yield importlib.import_module(MODULE)
    addon_utils.disable(MODULE, default_set=True)


@pytest.fixture(autouse=True)
def clean_scene() -> None:
    """An empty file; unlike read_factory_settings this keeps add-ons enabled."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


@pytest.fixture(scope="session")
def in_gpu() -> Iterator[Callable[[Callable], object]]:
    """``in_gpu(f)`` calls ``f`` where drawing works without a window, and returns its result.

    From 5.2 on ``gpu.init()`` makes a context in the background. Older versions give the gpu module
    one only inside ``render()`` of an engine that asks for it. On Linux both need EGL and a driver,
    of which Mesa's software one is enough; no X server.
    """
    import gpu

    if sys.platform == "linux" and ctypes.util.find_library("EGL") is None:
        pytest.skip("drawing without a window needs libEGL and Mesa (libegl1, libgl1-mesa-dri)")
    if hasattr(gpu, "init"):
        gpu.init()
        yield lambda function: function()
        return

    class BackgroundDrawing(bpy.types.RenderEngine):
        bl_idname = "MVSAM_TEST_DRAWING"
        bl_label = "Drawing in tests"
        bl_use_gpu_context = True
        job: Callable | None = None
        result: object = None
        error: BaseException | None = None

        def render(self, depsgraph):
            cls = type(self)
            try:
                cls.result = cls.job()
            except BaseException as error:  # raised again below
                cls.error = error

    def run(function: Callable) -> object:
        cls = BackgroundDrawing
        cls.job, cls.result, cls.error = staticmethod(function), None, None
        scene = bpy.context.scene
        scene.render.engine = cls.bl_idname
        scene.render.resolution_x = scene.render.resolution_y = 8
        if scene.camera is None:
            scene.camera = bpy.data.objects.new("drawing", bpy.data.cameras.new("drawing"))
            scene.collection.objects.link(scene.camera)
        bpy.ops.render.render()
        if cls.error is not None:
            raise cls.error
        return cls.result

    bpy.utils.register_class(BackgroundDrawing)
    yield run
    bpy.utils.unregister_class(BackgroundDrawing)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember the result for the abrupt end below."""
    session.config.stash[EXIT_STATUS] = int(exitstatus)


EXIT_STATUS = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave without Blender's clean-up: with a class or timer registered 4.2 crashes, 4.5 hangs."""
    shutil.rmtree(USER, ignore_errors=True)
    if bpy is None:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash.get(EXIT_STATUS, 1))
