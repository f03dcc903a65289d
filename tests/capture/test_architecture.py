# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way imports may go: ui -> scene -> core -> capture, protocol <- engine.

Each package is searched for forbidden imports, and the light ones are really imported with the
forbidden modules blocked.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "kornia", "pycolmap", "numba", "onnxruntime", "cv2", "PIL", "scipy", "typer"}

# package -> what no module in it may import, by name or by prefix
FORBIDDEN = {
    "mvsam_engine": {"bpy", "mathutils", "mvsam_blender"},
    "mvsam_engine/capture": {"bpy", "mvsam_engine.protocol", *HEAVY},
    "mvsam_engine/protocol": {"bpy", "numpy", "mvsam_engine.capture", *HEAVY},
    "mvsam_blender": HEAVY,
    "mvsam_blender/core": {"bpy", "mathutils", "gpu", "mvsam_blender.scene", "mvsam_blender.ui"},
    "mvsam_blender/scene": {"mvsam_blender.ui"},
}
# The add-on reads the contract (with its errors and JSON helper) and nothing else of the engine.
ADDON_MAY_IMPORT = (
    "mvsam_engine.capture",
    "mvsam_engine.protocol",
    "mvsam_engine.errors",
    "mvsam_engine.fields",
)


def imported_names(path):
    """Absolute names of everything that a module imports, at any depth of its code."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_under(name, module):
    return name == module or name.startswith(module + ".")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_import_against_the_arrows(package):
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imported_names(path)
        for module in FORBIDDEN[package]
        if is_under(name, module)
    }
    assert not wrong


def test_the_addon_reads_only_the_contract():
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "mvsam_blender").rglob("*.py")
        for name in imported_names(path)
        if is_under(name, "mvsam_engine")
        and name != "mvsam_engine"
        and not name.startswith("mvsam_engine.__")
        and not any(is_under(name, allowed) for allowed in ADDON_MAY_IMPORT)
    }
    assert not wrong


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocker())
import {module}
loaded = set(sys.modules) & {blocked!r}
assert not loaded, loaded
"""


@pytest.mark.parametrize(
    ("module", "blocked"),
    [
        ("mvsam_engine", {"numpy", "bpy", *HEAVY}),
        ("mvsam_engine.capture", {"bpy", *HEAVY}),
        ("mvsam_engine.protocol", {"numpy", "bpy", *HEAVY}),
        ("mvsam_engine.cli", {"bpy", "numpy", *HEAVY} - {"typer"}),
        ("mvsam_blender.core.client", {"bpy", *HEAVY}),
        ("mvsam_blender.core.prompts", {"bpy", *HEAVY}),
        ("mvsam_blender.core.points", {"bpy", *HEAVY}),
        ("mvsam_blender.core.weights", {"bpy", *HEAVY}),
    ],
)
def test_imports_with_the_rest_blocked(module, blocked):
    code = BLOCKED.format(blocked=blocked, module=module)
    if module.startswith("mvsam_blender"):
        # The add-on's root needs bpy; its core must do without: import it below an empty root.
        stub = "import sys, types\nroot = types.ModuleType('mvsam_blender')\n"
        stub += f"root.__path__ = [{str(ROOT / 'mvsam_blender')!r}]\n"
        code = stub + "sys.modules['mvsam_blender'] = root\n" + code
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
