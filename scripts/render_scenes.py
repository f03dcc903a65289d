# SPDX-License-Identifier: GPL-3.0-or-later
"""Render photos of a made-up scene, and the exact truth behind them.

Run with a Python that has Blender as a module (bpy 4.5, Python 3.11) and Pillow:

    python scripts/render_scenes.py KIND OUT --views 20 --size 1024x768 --seed 0

KIND is one of

    tabletop  a still life on a table in a room, the camera walks around it
    room      a furnished room: plain and papered walls, thin legs, a walk with a turning gaze
    wall      a house front in the sun: sky, gravel, brick, columns, a railing, a lamp post
    shapes    simple bodies on a patterned floor, one plain wall, an arc of 100 degrees;
              --textures takes a folder of photos to clothe them in

OUT gets ``photos/<view>.jpg``, ``truth/cameras.json``, ``truth/depth/<view>.npz`` (array
``depth``, z-depth in metres, 0 where there is nothing) and ``truth/masks/<object>/<view>.png``.
The same command gives the same scene; another seed moves objects and camera.

The sample that ships with the project is ``tabletop examples/tabletop --compact``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

REMEDY = "Install it into this Python with: python -m pip install '{}'"
KINDS = ("tabletop", "room", "wall", "shapes")
COMPACT_STRIDE = 4


def parse_size(text: str) -> tuple[int, int]:
    """Read ``1024x768``; both numbers must be multiples of 4 (depth may be kept at a quarter)."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size like 1024x768.") from error
    if min(width, height) < 64 or width % 4 or height % 4:
        raise argparse.ArgumentTypeError("Width and height must be multiples of 4, at least 64.")
    return width, height


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("out", type=Path, help="folder to write photos/ and truth/ into")
    parser.add_argument("--views", type=int, default=20, help="number of photos")
    parser.add_argument("--size", type=parse_size, default=(1024, 768), help="WIDTHxHEIGHT")
    parser.add_argument("--samples", type=int, default=12, help="Cycles samples per pixel")
    parser.add_argument("--seed", type=int, default=0, help="0 is the composed scene")
    parser.add_argument("--textures", type=Path, metavar="DIR", help="photos for 'shapes'")
    parser.add_argument("--no-exif", action="store_true", help="photos without EXIF")
    parser.add_argument("--no-masks", action="store_true", help="leave out truth/masks")
    parser.add_argument("--compact", action="store_true", help="depth at a quarter, as halves")
    parser.add_argument("--only", type=int, nargs="*", help="render only these views (previews)")
    return parser.parse_args()


def render(arguments: argparse.Namespace) -> None:
    """Build the scene and take every photo with its truth."""
    import bpy
    import numpy as np
    from sample_scene import camera
    from scenes import build

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = build(arguments.kind, arguments.seed, arguments.textures)
    width, height = arguments.size
    shot = camera.Shot(
        width,
        height,
        arguments.samples,
        arguments.seed,
        kind=arguments.kind,
        focal_35mm=scene.focal_35mm,
        exposure=scene.exposure,
        quick=scene.quick,
        exif=not arguments.no_exif,
    )
    device = camera.make_camera(shot)
    stride, kept = (COMPACT_STRIDE, np.float16) if arguments.compact else (1, np.float32)
    photos, truth = arguments.out / "photos", arguments.out / "truth"
    for folder in (photos, truth / "depth"):
        folder.mkdir(parents=True, exist_ok=True)
    views = {}
    start = time.monotonic()
    for number, pose in enumerate(scene.path(arguments.views)):
        view = f"{arguments.kind}_{number:0{2 if arguments.views <= 100 else 3}d}"
        views[view] = {
            "K": shot.intrinsics.tolist(),
            "camera_from_world": np.linalg.inv(pose).tolist(),
        }
        if arguments.only and number not in arguments.only:
            continue
        camera.aim(device, pose)
        with tempfile.TemporaryDirectory() as scratch:
            index, depth = camera.measure(Path(scratch), stride)
        if not arguments.no_masks:
            camera.save_masks(truth / "masks", view, index, scene.objects)
        np.savez_compressed(truth / "depth" / f"{view}.npz", depth=depth.astype(kept))
        camera.take_photo(shot, photos / f"{view}.jpg", number)
        hidden = [name for name, number in scene.objects.items() if not (index == number).any()]
        elapsed = time.monotonic() - start
        print(f"{view}: {elapsed:.0f} s so far; hidden: {', '.join(hidden) or 'none'}", flush=True)
    cameras = {
        "convention": "OpenCV axes, metres; K in pixels from the photo's top-left corner",
        "width": width,
        "height": height,
        "objects": scene.objects,
        "views": views,
    }
    (truth / "cameras.json").write_text(json.dumps(cameras, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Check the environment, then render."""
    arguments = parse_arguments()
    if arguments.textures is not None and arguments.kind != "shapes":
        print("--textures goes with the kind 'shapes' only.", file=sys.stderr)
        return 2
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
