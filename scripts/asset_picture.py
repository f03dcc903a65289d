# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of an extracted asset from four sides.

Run with a Python that has Blender as a module (bpy 4.5) and Pillow:

    mvsam extract kitchen --object bulldozer --out bulldozer.glb
    python scripts/asset_picture.py bulldozer.glb docs/images/asset.jpg
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import bpy
from mathutils import Vector
from PIL import Image


def main() -> None:
    """Load, light, render, join."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asset", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--sides", type=float, nargs="*", default=[35, 125, 215, 305])
    parser.add_argument("--above", type=float, default=22, help="degrees")
    parser.add_argument("--size", type=int, nargs=2, default=[640, 480])
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--clay", action="store_true", help="the mesh without its texture")
    given = parser.parse_args()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(given.asset))
    item = next(o for o in bpy.context.scene.objects if o.type == "MESH")
    if given.clay:
        item.data.materials.clear()
    corners = [item.matrix_world @ Vector(c) for c in item.bound_box]
    low, high = (Vector(f(c[i] for c in corners) for i in range(3)) for f in (min, max))
    size = (high - low).length
    _light(low, size)
    camera = _camera(given)
    pictures = []
    for side in given.sides:
        turn, rise = math.radians(side), math.radians(given.above)
        direction = Vector(
            (math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise))
        )
        camera.location = (low + high) / 2 + direction * size * 1.75
        camera.rotation_euler = (-direction).to_track_quat("-Z", "Y").to_euler()
        with tempfile.TemporaryDirectory() as scratch:
            bpy.context.scene.render.filepath = str(Path(scratch) / "side.png")
            bpy.ops.render.render(write_still=True)
            pictures.append(Image.open(Path(scratch) / "side.png").convert("RGB"))
    columns = 2 if len(pictures) > 3 else len(pictures)
    width, height = given.size
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    sheet.save(given.picture, quality=88)


def _light(low: Vector, size: float) -> None:
    """An even sky, a soft sun, and a floor for the shadow."""
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.75
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.data.angle = 1.6, math.radians(12)
    sun.rotation_euler = (math.radians(40), 0, math.radians(60))
    bpy.context.scene.collection.objects.link(sun)
    bpy.ops.mesh.primitive_plane_add(size=40 * size, location=low)
    floor = bpy.context.object
    floor.data.materials.append(bpy.data.materials.new("floor"))
    floor.data.materials[0].use_nodes = True
    shader = floor.data.materials[0].node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (0.36, 0.38, 0.41, 1)
    shader.inputs["Roughness"].default_value = 1.0


def _camera(given: argparse.Namespace) -> bpy.types.Object:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.lens, camera.data.clip_start = 55, 0.001
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples, scene.cycles.use_denoising = given.samples, True
    scene.cycles.max_bounces = 4
    scene.render.resolution_x, scene.render.resolution_y = given.size
    scene.view_settings.view_transform = "Standard"
    return camera


if __name__ == "__main__":
    main()
