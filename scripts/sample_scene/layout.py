# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the objects stand and where the photographer walks.

Convention: an OpenCV camera looks along +Z with x right and y down; poses are camera-from-world.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import bpy
import numpy as np

from . import props, room

ARC_DEGREES = 266.0
COMPOSED_SEED = 0


@dataclass(frozen=True)
class Spot:
    """A place on the table: metres from its centre, degrees of turn."""

    x: float
    y: float
    turn: float


# A view from -Y sees the tall things behind the low ones; the block hides behind the tea box.
COMPOSED = {
    "books": Spot(0.035, 0.185, 4),
    "tea_box": Spot(-0.215, 0.130, 14),
    "plant": Spot(0.285, 0.115, 40),
    "bowl": Spot(0.125, -0.075, 10),
    "mug": Spot(-0.125, -0.085, -48),
    "robot": Spot(-0.035, 0.020, -14),
    "block": Spot(-0.222, 0.205, 31),
}
FOOTPRINTS = {
    "books": 0.135,
    "tea_box": 0.068,
    "plant": 0.075,
    "bowl": 0.102,
    "mug": 0.062,
    "robot": 0.045,
    "block": 0.034,
}


def place_objects(seed: int) -> dict[str, int]:
    """Build the objects on the table.

    Returns:
        Object name to pass index (1, 2, ...), in alphabetical order; 0 is everything else.
    """
    rng = np.random.default_rng([seed, 2])
    spots = COMPOSED if seed == COMPOSED_SEED else _scatter(rng)
    indices = {name: number for number, name in enumerate(sorted(props.BUILDERS), start=1)}
    for name, build in sorted(props.BUILDERS.items()):
        spot = spots["bowl"] if name == "apple" else spots[name]
        height = room.TABLE_HEIGHT + (0.002 if _on_cloth(spot) else 0.0)
        if name == "apple":
            spot, height = Spot(spot.x + 0.004, spot.y - 0.006, 70), height + 0.075
        tilt = 0.28 if name == "apple" else 0.0
        _stand(build(rng), spot, height, indices[name], tilt)
    _fill_bowl(rng, spots["bowl"])
    return indices


def _on_cloth(spot: Spot) -> bool:
    return abs(spot.x) < 0.33 and abs(spot.y) < 0.26


def _scatter(rng: np.random.Generator) -> dict[str, Spot]:
    """Random places without overlap, large objects first."""
    spots: dict[str, Spot] = {}
    reach = 0.36
    for name in sorted(FOOTPRINTS, key=FOOTPRINTS.__getitem__, reverse=True):
        for attempt in range(20000):
            spread = reach * (1 + attempt / 20000)
            x, y = rng.uniform(-spread, spread, 2)
            clear = all(
                math.hypot(x - s.x, y - s.y) > FOOTPRINTS[name] + FOOTPRINTS[other] + 0.008
                for other, s in spots.items()
            )
            if clear and math.hypot(x, y) < min(spread, 0.5 - FOOTPRINTS[name]):
                spots[name] = Spot(float(x), float(y), float(rng.uniform(0, 360)))
                break
        else:
            raise RuntimeError(f"The table has no free place for '{name}'; use another seed.")
    return spots


def _stand(
    parts: props.Parts, spot: Spot, height: float, pass_index: int, tilt: float = 0.0
) -> None:
    base = bpy.data.objects.new("base", None)
    bpy.context.scene.collection.objects.link(base)
    base.location = (spot.x, spot.y, height)
    base.rotation_euler = (tilt, 0.0, math.radians(spot.turn))
    for part in parts:
        part.parent, part.pass_index = base, pass_index


def _fill_bowl(rng: np.random.Generator, bowl: Spot) -> None:
    """Three fruits side by side on the curve of the bowl; the apple rests on them."""
    places = (("orange", 20, 0.3, 0.056), ("lemon", 137, 1.45, 0.052), ("orange", 255, 0.9, 0.056))
    for kind, angle, tilt, height in places:
        x = bowl.x + 0.042 * math.cos(math.radians(angle))
        y = bowl.y + 0.042 * math.sin(math.radians(angle))
        # The tilt is about the fruit's local X: this turn lays a lemon along the rim.
        spot = Spot(x, y, angle + 180.0)
        _stand(props.loose_fruit(rng, kind), spot, room.TABLE_HEIGHT + 0.002 + height, 0, tilt)


def camera_path(seed: int, count: int) -> list[np.ndarray]:
    """Hand-held poses around the table, one about every 14 degrees for 20 photos.

    Returns:
        World-from-camera matrices, float64 [4, 4], OpenCV axes, metres.
    """
    rng = np.random.default_rng([seed, 3])
    middle = -90.0 if seed == COMPOSED_SEED else float(rng.uniform(-120, -60))
    phase = rng.uniform(0, 2 * np.pi, 3)
    poses = []
    for index in range(count):
        along = index / max(count - 1, 1)
        azimuth = math.radians(middle + ARC_DEGREES * (along - 0.5) + rng.normal(0, 0.7))
        distance = 0.80 + 0.09 * math.sin(9.5 * along + phase[0]) + rng.normal(0, 0.02)
        height = 0.43 + 0.13 * math.sin(12.5 * along + phase[1]) + rng.normal(0, 0.02)
        place = np.array(
            [
                distance * math.cos(azimuth),
                distance * math.sin(azimuth),
                room.TABLE_HEIGHT + height,
            ]
        )
        target = np.array([0.02, 0.04, room.TABLE_HEIGHT + 0.06]) + rng.normal(0, 0.018, 3)
        poses.append(look_at(place, target, math.radians(rng.normal(0, 1.3))))
    return poses


def look_at(place: np.ndarray, target: np.ndarray, roll: float) -> np.ndarray:
    """World-from-camera of an OpenCV camera that sees ``target`` in its centre."""
    forward = (target - place) / np.linalg.norm(target - place)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, 0] = math.cos(roll) * right + math.sin(roll) * down
    pose[:3, 1] = math.cos(roll) * down - math.sin(roll) * right
    pose[:3, 2], pose[:3, 3] = forward, place
    return pose
