# SPDX-License-Identifier: GPL-3.0-or-later
"""Render the sample capture: photos of a tabletop, and the exact truth behind them.

Run with a Python that has Blender as a module (bpy 4.5, Python 3.11) and Pillow:

    python scripts/render_sample.py examples/tabletop --seed 0

Seed 0 is the composed scene that ships with the project; every other seed shuffles the objects
and the camera path, for benchmarks on scenes that nobody tuned anything on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

REMEDY = "Install it into this Python with: python -m pip install '{}'"


def parse_size(text: str) -> tuple[int, int]:
    """Read ``1024x768``; both numbers must be multiples of 4 (depth is kept at a quarter)."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size like 1024x768.") from error
    if min(width, height) < 64 or width % 4 or height % 4:
        raise argparse.ArgumentTypeError("Width and height must be multiples of 4, at least 64.")
    return width, height


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write photos/ and truth/ into")
    parser.add_argument("--views", type=int, default=20, help="number of photos")
    parser.add_argument("--size", type=parse_size, default=(1024, 768), help="WIDTHxHEIGHT")
    parser.add_argument("--samples", type=int, default=12, help="Cycles samples per pixel")
    parser.add_argument("--seed", type=int, default=0, help="0 is the composed scene")
    parser.add_argument("--only", type=int, nargs="*", help="render only these views (previews)")
    return parser.parse_args()


def render(arguments: argparse.Namespace) -> None:
    """Build the scene and take every photo with its truth."""
    import bpy
    import numpy as np
    from sample_scene import camera, layout, room

    bpy.ops.wm.read_factory_settings(use_empty=True)
    room.build(np.random.default_rng([arguments.seed, 1]))
    names = layout.place_objects(arguments.seed)
    width, height = arguments.size
    shot = camera.Shot(width, height, arguments.samples, arguments.seed)
    device = camera.make_camera(shot)
    photos, truth = arguments.out / "photos", arguments.out / "truth"
    for folder in (photos, truth / "masks", truth / "depth"):
        folder.mkdir(parents=True, exist_ok=True)
    views = {}
    start = time.monotonic()
    for number, pose in enumerate(layout.camera_path(arguments.seed, arguments.views)):
        view = f"tabletop_{number:02d}"
        views[view] = {
            "K": shot.intrinsics.tolist(),
            "camera_from_world": np.linalg.inv(pose).tolist(),
        }
        if arguments.only and number not in arguments.only:
            continue
        camera.aim(device, pose)
        with tempfile.TemporaryDirectory() as scratch:
            index, depth = camera.measure(Path(scratch))
        seen = camera.save_masks(truth / "masks", view, index, names)
        np.savez_compressed(truth / "depth" / f"{view}.npz", depth=depth.astype(np.float16))
        camera.take_photo(shot, photos / f"{view}.jpg", number)
        hidden = ", ".join(sorted(set(names) - set(seen))) or "none"
        elapsed = time.monotonic() - start
        print(f"{view}: {elapsed:.0f} s so far; hidden: {hidden}", flush=True)
    cameras = {
        "convention": "OpenCV axes, metres; K in pixels from the photo's top-left corner",
        "width": width,
        "height": height,
        "objects": names,
        "views": views,
    }
    (truth / "cameras.json").write_text(json.dumps(cameras, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Check the environment, then render."""
    arguments = parse_arguments()
    for module, package in (("bpy", "bpy==4.5.*"), ("PIL", "pillow")):
        try:
            __import__(module)
        except ImportError:
            print(f"{package} is missing. {REMEDY.format(package)}", file=sys.stderr)
            return 2
    render(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
