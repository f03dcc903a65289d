# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole thread by one command: photos, cameras and points, a click, masks, a .blend.

    python3 scripts/demo.py
    python3 scripts/demo.py --photos DIR --click VIEW:x,y [--click VIEW:x,y:-] [--out DIR]

Sets up what it needs under this checkout (``.venv`` for the engine, ``.venvs/bpy-...`` for
Blender as a Python module), then does what a person would do with the command line and in Blender.
VIEW is a photo's file name without its ending; x and y are pixels of the upright photo, from its
top-left corner. Results go to ``demo_output/``; a second run replaces them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import environments  # noqa: E402

SAMPLE = ROOT / "examples" / "tabletop" / "photos"
# In the sample, on the side of the mug.
SAMPLE_OBJECT, SAMPLE_CLICK = "mug", "tabletop_07:446,462:+"

# Blender versions to build the scene with, most wanted first.
BLENDERS = ("4.5", "5.2", "4.2")


class Steps:
    """Runs the steps, tells what each is and how long it took."""

    def __init__(self) -> None:
        self.seconds: list[tuple[str, float]] = []

    def run(self, title: str, command: list[str]) -> None:
        """Run one step; its output is the person's to see.

        Raises:
            SystemExit: the step failed; it has said why.
        """
        print(f"\n== {title}", flush=True)
        began = time.monotonic()
        # Only our own environments count, not one that happens to be active.
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        code = subprocess.run(command, env=env, check=False).returncode
        if code:
            print(f"\nStopped at: {title}.", file=sys.stderr)
            raise SystemExit(code)
        self.seconds.append((title, time.monotonic() - began))

    def note(self, title: str, began: float) -> None:
        """Book the time since `began`."""
        self.seconds.append((title, time.monotonic() - began))


def arguments() -> argparse.Namespace:
    """What the person asked for.

    Raises:
        SystemExit: photos without a click, or a click without photos.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, metavar="DIR", help="your photos")
    parser.add_argument(
        "--click", action="append", metavar="VIEW:x,y[:+|:-]", help="on the object; repeatable"
    )
    parser.add_argument("--name", metavar="NAME", help="what the object is called")
    parser.add_argument("--out", type=Path, default=ROOT / "demo_output", metavar="DIR")
    parser.add_argument("--max-size", type=int, default=512, metavar="PX", help="of the pointmaps")
    given = parser.parse_args()
    if (given.photos is None) != (given.click is None):
        parser.error("--photos and --click belong together: give both, or neither for the sample")
    if given.photos is not None and not given.photos.exists():
        parser.error(f"{given.photos} does not exist")
    given.name = given.name or ("object" if given.photos else SAMPLE_OBJECT)
    given.photos = given.photos or SAMPLE
    given.click = given.click or [SAMPLE_CLICK]
    return given


def fresh_folder(out: Path) -> None:
    """Make `out` empty: an earlier demo's results go, anything else is left and refused.

    Raises:
        SystemExit: the folder holds other things.
    """
    marker = out / ".mvsam-demo"
    if out.exists() and any(out.iterdir()):
        if not marker.exists():
            raise SystemExit(
                f"{out} is not empty and not from an earlier demo; name another --out."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    marker.touch()


def blender_python() -> Path | None:
    """An interpreter with Blender as a module; None, with a reason told, when there is none."""
    for version in BLENDERS:
        python = environments.bpy_python(version)
        if isinstance(python, Path):
            return python
        print(python.reason, file=sys.stderr)
    return None


def main() -> int:
    """Do everything; returns the exit code."""
    given = arguments()
    out = given.out.resolve()
    fresh_folder(out)
    steps, began = Steps(), time.monotonic()
    try:
        engine = environments.engine_python()
        blender = blender_python()
    except environments.SetupError as error:
        print(error, file=sys.stderr)
        return 1
    steps.note("setting up", began)

    mvsam = [str(engine), "-I", "-m", "mvsam_engine"]
    capture = out / "capture"
    size = ["--max-size", str(given.max_size)]
    reconstruct = ["reconstruct", str(given.photos), "--capture", str(capture), *size]
    steps.run("photos to cameras and points", [*mvsam, *reconstruct])
    points = [word for click in given.click for word in ("--point", click)]
    segment = ["segment", str(capture), "--object", given.name, *points]
    steps.run("a click to masks in every photo", [*mvsam, *segment])
    masks, overlays = out / "masks", out / "overlays"
    steps.run("mask files", [*mvsam, "export", "masks", str(capture), str(masks)])
    steps.run("overlays", [*mvsam, "export", "overlays", str(capture), str(overlays)])
    results = {
        "capture": capture,
        "masks": masks / given.name,
        "overlays": overlays / "contact_sheet.jpg",
    }
    if blender is not None:
        scene = [str(blender), str(ROOT / "scripts" / "demo_scene.py"), str(capture), str(out)]
        steps.run("Blender scene and preview", scene)
        results |= {"Blender file": out / "scene.blend", "preview": out / "preview.png"}
    tell(steps, results, out)
    return 0


def tell(steps: Steps, results: dict[str, Path], out: Path) -> None:
    """Say where everything is and what took how long."""
    print("\nWhat took how long:")
    for title, seconds in steps.seconds:
        print(f"  {seconds:7.1f} s  {title}")
    print(f"  {sum(s for _, s in steps.seconds):7.1f} s  in all")
    print("\nWhere everything is:")
    for title, path in results.items():
        print(f"  {title:14} {path}")
    (out / "timing.json").write_text(json.dumps(dict(steps.seconds), indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
