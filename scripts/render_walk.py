# SPDX-License-Identifier: GPL-3.0-or-later
"""Many photos of a made-up scene in little time, with exact truth: for timing long photo sets.

Run with the engine's Python:

    python scripts/render_walk.py OUT --views 400 --size 512x384 --seed 0

The scenes are those that the network is trained on (`mvsam_engine.train.scenes`), ray cast with
embree: plainer than `render_scenes.py`, but a photo takes about a second of processor time. The
camera goes round the things in turns of 40 photos, each turn higher than the last. The layout of
OUT is that of `render_scenes.py`, without masks.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
from PIL import Image

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import look_at
from mvsam_engine.train.scenes.cameras import DOWN, rolled
from mvsam_engine.train.scenes.render import Studio
from mvsam_engine.train.scenes.textures import Patches
from mvsam_engine.train.scenes.world import World, make_world

A_TURN = 40
FOCAL_35MM = 30
FILM_35MM_DIAGONAL = math.hypot(36.0, 24.0)


def walk(world: World, views: int, width: int, height: int, seed: int) -> list[Camera]:
    """Cameras in turns around the things, hand-held; views are named ``walk_000`` and so on."""
    rng = np.random.default_rng([seed, 41])
    focal = FOCAL_35MM / FILM_35MM_DIAGONAL * math.hypot(width, height)
    cameras = []
    for index in range(views):
        around = 2 * math.pi * index / A_TURN + rng.normal(0, 0.02)
        up = math.radians(16 + 36 * index / max(views, A_TURN)) + rng.normal(0, 0.03)
        away = world.radius * (2.1 + 0.2 * math.sin(3 * around + index / A_TURN))
        toward = [math.cos(up) * math.cos(around), math.cos(up) * math.sin(around), math.sin(up)]
        goal = world.target + rng.normal(0, 0.06 * world.radius, 3)
        pose = look_at(world.target + away * np.array(toward), goal, DOWN)
        pose = rolled(pose, float(rng.normal(0, 0.02)))
        params = (focal, width / 2, height / 2)
        cameras.append(Camera(f"walk_{index:03d}", "SIMPLE_PINHOLE", width, height, params, pose))
    return cameras


def make_exif() -> Image.Exif:
    """The lens, as its equivalent on 35 mm film."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "MV-SAM", "MV-SAM walk"  # Make, Model
    exif.get_ifd(0x8769)[0xA405] = FOCAL_35MM  # FocalLengthIn35mmFilm
    return exif


def main() -> None:
    """Render every photo and its truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write photos/ and truth/ into")
    parser.add_argument("--views", type=int, default=100)
    parser.add_argument("--size", default="512x384", help="WIDTHxHEIGHT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--textures", type=Path, nargs="*", default=[], help="folders of photos")
    asked = parser.parse_args()
    width, height = (int(side) for side in asked.size.split("x"))
    photos, depth = asked.out / "photos", asked.out / "truth" / "depth"
    for folder in (photos, depth):
        folder.mkdir(parents=True, exist_ok=True)
    world = make_world(asked.seed, Patches(asked.textures), things=14)
    studio, began, views = Studio(world), time.monotonic(), {}
    for index, camera in enumerate(walk(world, asked.views, width, height, asked.seed)):
        photo = studio.photograph(camera, seed=index)
        image = Image.fromarray(photo.colors)
        image.save(photos / f"{camera.view}.jpg", quality=92, exif=make_exif())
        np.savez_compressed(depth / f"{camera.view}.npz", depth=photo.depth)
        views[camera.view] = {
            "K": camera.intrinsics.tolist(),
            "camera_from_world": camera.camera_from_world.tolist(),
        }
        if (index + 1) % 20 == 0:
            print(f"{index + 1} photos, {time.monotonic() - began:.0f} s", flush=True)
    data = {"width": width, "height": height, "objects": {}, "views": views}
    text = json.dumps(data, indent=1) + "\n"
    (asked.out / "truth" / "cameras.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
