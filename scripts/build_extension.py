# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the Blender extension: ``dist/mvsam-VERSION.zip``, validated by Blender's own tool.

    python3 scripts/build_extension.py [--out DIR]

The zip holds the add-on and one wheel of the engine, made from this checkout. Blender's tool
comes with the ``bpy`` environment (scripts/environments.py makes it); without it the zip is
built all the same, and the script says that nobody has validated it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import environments  # noqa: E402

TOOL_VERSION = "4.5"


class BuildError(Exception):
    """The extension could not be built or is not valid."""


def manifest() -> dict:
    """The extension's manifest."""
    return tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))


def build(out: Path) -> Path:
    """Build and validate the zip in `out`; returns its path.

    Raises:
        BuildError: a step failed; the message holds its output.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mvsam-extension-") as temporary:
        stage = Path(temporary) / "mvsam"
        assemble(stage)
        target = out / f"{manifest()['id']}-{manifest()['version']}.zip"
        tool = blender_tool()
        if isinstance(tool, environments.Unavailable):
            print(f"Not validated by Blender's tool: {tool.reason}", file=sys.stderr)
            _zip(stage, target)
        else:
            _run([*tool, "build", "--source-dir", str(stage), "--output-filepath", str(target)])
            _run([*tool, "validate", str(target)])
    return target


def assemble(stage: Path) -> None:
    """Lay out the extension's folder: add-on, manifest, licence and the engine's wheel."""
    shutil.copytree(ROOT / "mvsam_blender", stage, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("blender_manifest.toml", "LICENSE"):
        shutil.copy(ROOT / name, stage / name)
    build_wheel(stage / "wheels")
    for relative in manifest()["wheels"]:
        if not (stage / relative).is_file():
            made = ", ".join(p.name for p in (stage / "wheels").iterdir())
            raise BuildError(f"The manifest names {relative}, but the wheel made is {made}.")


def build_wheel(folder: Path) -> Path:
    """Build the engine's wheel from this checkout into `folder`."""
    python = environments.engine_python()
    with tempfile.TemporaryDirectory(prefix="mvsam-wheel-") as temporary:
        # A copy, so that setuptools leaves no build folder in the checkout.
        source = Path(temporary)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source / name)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "mvsam_engine", source / "mvsam_engine", ignore=ignore)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "wheel", "-q", "--no-deps", "-w", str(folder), str(source)])
    return next(folder.glob("*.whl"))


def blender_tool() -> list[str] | environments.Unavailable:
    """The command of Blender's extension tool."""
    python = environments.bpy_python(TOOL_VERSION)
    if isinstance(python, environments.Unavailable):
        return python
    pattern = "lib/python*/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"
    folder = python.parent.parent
    found = [*folder.glob(pattern), *folder.glob(pattern.replace("lib/python*", "Lib"))]
    if not found:
        return environments.Unavailable(f"bpy {TOOL_VERSION} does not contain blender_ext.py.")
    return [str(python), str(found[0])]


def _zip(stage: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in stage.rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(stage).as_posix())


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the zip")
    try:
        print(build(parser.parse_args().out))
    except (BuildError, environments.SetupError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
