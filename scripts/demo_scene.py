# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture as a Blender file with a rendered preview; runs where ``bpy`` can be imported.

    python scripts/demo_scene.py CAPTURE OUT

Writes OUT/scene.blend (points, cameras with their photos, weights, groups, mask images), and
OUT/preview.png: the points from a viewpoint that no photo was taken from, with the object tinted,
and the object alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

# Settings of the person's own Blender must not leak in; set before bpy is imported.
os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="mvsam-demo-"))
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import bpy  # noqa: E402
import numpy as np  # noqa: E402
from mathutils import Matrix, Vector  # noqa: E402

import mvsam_blender  # noqa: E402

WIDTH, HEIGHT, SAMPLES = 960, 720, 24
TINT = 0.6


def main(capture: Path, out: Path) -> None:
    """Build, save, render."""
    from mvsam_blender.scene import build
    from mvsam_blender.scene.points import points_object

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    mvsam_blender.register()
    blend = out / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))  # so that paths can be relative to it
    build.load_capture(bpy.context, str(capture))
    scene = bpy.context.scene
    for item in scene.mvsam.objects:
        build.load_object(bpy.context, item.object_id)
    light_and_camera(scene)
    bpy.ops.file.make_paths_relative()
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    cloud = points_object(scene)
    print(f"{len(cloud.data.vertices)} points, {len(scene.mvsam.photos)} photos: {blend}")
    halves = [render(scene, out / "all.png", tinted=True), render_object(scene, out / "alone.png")]
    join(halves, out / "preview.png")


def light_and_camera(scene: bpy.types.Scene) -> None:
    """A camera between two photos, looking at the first object, and a plain dark background."""
    from mvsam_blender.scene.points import points_object, read_weights

    bpy.context.view_layer.update()  # matrices of the cameras just placed
    cloud = points_object(scene)
    position = np.empty(len(cloud.data.vertices) * 3, dtype=np.float32)
    cloud.data.attributes["position"].data.foreach_get("vector", position)
    position = position.reshape(-1, 3)
    weights = read_weights(cloud, scene.mvsam.objects[0].object_id)
    target = Vector(np.median(position[weights > 0.5], axis=0)) if (weights > 0.5).any() else None
    prompt_view = scene.mvsam.objects[0].prompts[0].view
    photo = next(
        o for o in scene.objects if o.type == "CAMERA" and o.get("mvsam_view") == prompt_view
    )
    if target is None:
        target = Vector(np.median(position, axis=0))
    camera = bpy.data.objects.new("Preview", photo.data.copy())
    camera.data.shift_x = camera.data.shift_y = 0
    scene.collection.objects.link(camera)
    offset = photo.matrix_world.translation - target
    right = offset.cross(Vector((0, 0, 1))).normalized()
    turn = Matrix.Rotation(np.radians(9), 3, "Z") @ Matrix.Rotation(np.radians(-7), 3, right)
    camera.location = target + turn @ offset * 1.25
    camera.rotation_euler = (-(camera.location - target)).to_track_quat("-Z", "Y").to_euler()
    scene.camera = camera
    scene.world = bpy.data.worlds.new("Preview")
    scene.world.color = (0.02, 0.02, 0.025)
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples = "CPU", SAMPLES
    scene.cycles.use_denoising = False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT


def render(scene: bpy.types.Scene, path: Path, tinted: bool) -> Path:
    """Render the points; the file on disk keeps the photos' colours."""
    from mvsam_blender.scene.points import points_object, read_weights

    attribute = points_object(scene).data.attributes["Color"]
    original = np.empty(len(attribute.data) * 4, dtype=np.float32)
    attribute.data.foreach_get("color", original)
    color = original.reshape(-1, 4).copy()
    for item in scene.mvsam.objects if tinted else ():
        weight = read_weights(points_object(scene), item.object_id)
        share = TINT * np.clip(weight, 0, 1)[:, None]
        color[:, :3] += share * (np.array(item.color[:3], dtype=np.float32) - color[:, :3])
    attribute.data.foreach_set("color", color.ravel())
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    attribute.data.foreach_set("color", original)
    return path


def render_object(scene: bpy.types.Scene, path: Path) -> Path:
    """Render the first object alone, as Isolate shows it."""
    from mvsam_blender.scene.points import apply_display

    scene.mvsam.active_object = 0
    scene.mvsam.display.isolate = True
    apply_display(scene)
    scene.camera.data.lens *= 1.6
    try:
        return render(scene, path, tinted=False)
    finally:
        scene.mvsam.display.isolate = False
        apply_display(scene)


def join(halves: list[Path], path: Path) -> None:
    """Pictures side by side into one; the halves go."""
    images = [bpy.data.images.load(str(half)) for half in halves]
    pixels = []
    for image in images:
        values = np.empty(image.size[0] * image.size[1] * 4, dtype=np.float32)
        image.pixels.foreach_get(values)
        pixels.append(values.reshape(image.size[1], image.size[0], 4))
    joined = np.concatenate(pixels, axis=1)
    result = bpy.data.images.new("preview", joined.shape[1], joined.shape[0])
    result.pixels.foreach_set(joined.ravel())
    result.filepath_raw, result.file_format = str(path), "PNG"
    result.save()
    for half in halves:
        half.unlink()


if __name__ == "__main__":
    code = 1
    try:
        main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
        code = 0
    except Exception:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    # Blender's own clean-up crashes (4.2) or hangs (4.5) when add-on classes are registered.
    os._exit(code)
