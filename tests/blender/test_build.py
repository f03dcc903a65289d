# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture in Blender: points, cameras, images, weights and groups, and doing it all again."""

from __future__ import annotations

import importlib
import time

import bpy
import numpy as np
import pytest
import synthetic
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Matrix, Vector

from mvsam_engine.capture import Camera, Capture
from mvsam_engine.errors import CaptureError


@pytest.fixture
def scene_of(extension):
    """The extension's `scene` package, by module name."""
    return lambda name: importlib.import_module(f"{extension.__name__}.scene.{name}")


@pytest.fixture
def build(scene_of):
    return scene_of("build")


@pytest.fixture
def capture(tmp_path):
    """An exact capture, in a folder with a space and letters beyond ASCII in its name."""
    return synthetic.make_capture(tmp_path / "mug & Löffel 写真")


def points_of(scene_of):
    return scene_of("points").points_object(bpy.context.scene)


def values(mesh, name, field, dtype, width=1):
    data = mesh.attributes[name].data
    found = np.empty(len(data) * width, dtype=dtype)
    data.foreach_get(field, found)
    return found.reshape(-1, width) if width > 1 else found


def group_weights(item, name):
    group = item.vertex_groups[name]
    found = np.zeros(len(item.data.vertices))
    for vertex in item.data.vertices:
        for element in vertex.groups:
            if element.group == group.index:
                found[vertex.index] = element.weight
    return found


def blender_pixels(camera_object, points, width, height):
    scene = bpy.context.scene
    found = []
    for point in points:
        u, v, _ = world_to_camera_view(scene, camera_object, Vector(point))
        found.append((u * width, (1 - v) * height))
    return np.array(found)


def test_points_are_the_trusted_pixels_with_their_attributes(build, capture, scene_of):
    build.load_capture(bpy.context, str(capture.root))
    mesh = points_of(scene_of).data
    expected = [synthetic.pointmap_of(c) for c in synthetic.cameras()]
    kept = [p.points[2:].reshape(-1, 3) for p in expected]
    np.testing.assert_array_equal(
        values(mesh, "position", "vector", np.float32, 3), np.concatenate(kept)
    )
    colors = values(mesh, "Color", "color_srgb", np.float32, 4)
    wanted = np.concatenate([p.colors[2:].reshape(-1, 3) for p in expected])
    np.testing.assert_array_equal(np.rint(colors[:, :3] * 255), wanted)
    view = values(mesh, "view", "value", np.int32)
    assert [(view == i).sum() for i in range(3)] == [len(k) for k in kept]
    pixel = values(mesh, "pixel", "value", np.int32, 2)
    first = pixel[view == 0]
    assert first[0].tolist() == [0, 2] and first[-1].tolist() == [39, 29]
    assert values(mesh, "confidence", "value", np.float32) == pytest.approx(0.9, abs=1e-3)


def test_cameras_line_up_with_the_photos(build, capture):
    build.load_capture(bpy.context, str(capture.root))
    scene = bpy.context.scene
    rng = np.random.default_rng(1)
    world = rng.uniform(-0.6, 0.6, (50, 3))
    for camera in synthetic.cameras():
        scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
        item = scene.objects[camera.view]
        bpy.context.view_layer.update()
        found = blender_pixels(item, world, camera.width, camera.height)
        np.testing.assert_allclose(found, camera.project(world)[0], atol=0.1)


@pytest.mark.parametrize(("width", "height"), [(160, 120), (120, 160)])
def test_lens_with_unequal_focal_lengths_lines_up(scene_of, width, height):
    params = (150.0, 130.0, 90.0, 50.0)
    made = synthetic.look_down("odd", width, height, params, (0.3, -0.2, 3.0))
    cameras = scene_of("cameras")
    cameras.place_cameras(bpy.context.scene, (made,), {}, 0.1)
    cameras.look_through(bpy.context.scene, made)
    bpy.context.view_layer.update()
    world = np.random.default_rng(2).uniform(-0.6, 0.6, (20, 3))
    found = blender_pixels(bpy.context.scene.camera, world, width, height)
    np.testing.assert_allclose(found, made.project(world)[0], atol=0.1)


def test_cameras_show_their_photo_and_hang_on_the_parent(build, capture):
    build.load_capture(bpy.context, str(capture.root))
    scene = bpy.context.scene
    items = [o for o in scene.objects if o.type == "CAMERA"]
    assert {o.name for o in items} == {"wide", "tall", "shifted"}
    for item in items:
        assert item.data.background_images[0].image["mvsam_view"] == item.name
        assert item.parent.type == "EMPTY"
        assert [c.name for c in item.users_collection] == ["MV-SAM"]


def test_object_becomes_attribute_group_and_mask_images(build, capture, scene_of):
    answer = synthetic.add_answer(capture)
    build.load_capture(bpy.context, str(capture.root))
    build.load_object(bpy.context, answer.id)
    cloud = points_of(scene_of)
    x = values(cloud.data, "position", "vector", np.float32, 3)[:, 0]
    expected = np.clip(0.5 + 2 * x, 0, 1)
    weights = values(cloud.data, "mvsam_half", "value", np.float32)
    np.testing.assert_allclose(weights, expected, atol=2e-3)
    np.testing.assert_allclose(group_weights(cloud, "Half"), expected, atol=1 / 32)
    owner = values(cloud.data, "mvsam_object", "value", np.int32)
    assert set(owner) == {0, 1} and np.array_equal(owner == 1, weights > 0.5)
    item = bpy.context.scene.mvsam.objects[0]
    assert (item.revision, item.answered, item.lowest_view) == (1, 1, "tall")
    assert item.point_count == (weights > 0.5).sum()
    assert [p.view for p in item.prompts] == ["wide"]
    image = bpy.data.images["Half: tall"]
    assert tuple(image.size) == (120, 160)
    assert image.colorspace_settings.name == "Non-Color"


def test_running_again_replaces_in_place(build, capture, scene_of):
    synthetic.add_answer(capture)
    build.load_capture(bpy.context, str(capture.root))
    build.load_object(bpy.context, synthetic.OBJECT)
    cloud = points_of(scene_of)
    bpy.context.scene.objects["wide"].parent.scale = (2, 2, 2)
    before = {kind: set(getattr(bpy.data, kind).keys()) for kind in KINDS}

    synthetic.add_answer(capture, revision=2, flip=True)
    build.load_capture(bpy.context, str(capture.root))
    build.load_object(bpy.context, synthetic.OBJECT)

    assert {kind: set(getattr(bpy.data, kind).keys()) for kind in KINDS} == before
    assert not any(".0" in name for names in before.values() for name in names)
    assert points_of(scene_of) == cloud
    assert tuple(cloud.parent.scale) == (2, 2, 2)
    x = values(cloud.data, "position", "vector", np.float32, 3)[:, 0]
    weights = values(cloud.data, "mvsam_half", "value", np.float32)
    np.testing.assert_allclose(weights, np.clip(0.5 - 2 * x, 0, 1), atol=2e-3)
    np.testing.assert_allclose(group_weights(cloud, "Half"), weights, atol=1 / 32)
    # The mask images show the new answer: left is the object now.
    image = bpy.data.images["Half: wide"]
    pixels = np.array(image.pixels[:]).reshape(120, 160, 4)[..., 0]
    assert pixels[60, 5] == 1 and pixels[60, 155] == 0
    assert bpy.context.scene.mvsam.objects[0].answered == 2


KINDS = ("objects", "meshes", "cameras", "images", "collections", "node_groups", "materials")


def test_renaming_an_object_renames_group_and_images(build, capture, scene_of):
    synthetic.add_answer(capture)
    build.load_capture(bpy.context, str(capture.root))
    item = bpy.context.scene.mvsam.objects[0]
    item.name = "Tasse"
    assert [g.name for g in points_of(scene_of).vertex_groups] == ["Tasse"]
    assert "Tasse: wide" in bpy.data.images and "Half: wide" not in bpy.data.images
    build.load_object(bpy.context, synthetic.OBJECT)
    assert [g.name for g in points_of(scene_of).vertex_groups] == ["Tasse"]
    assert item.name == "Tasse"


def test_rendered_points_have_the_photos_colors(build, capture, tmp_path):
    """Looking through a photo's camera, the rendered points repeat the photo."""
    build.load_capture(bpy.context, str(capture.root))
    scene = bpy.context.scene
    scene.camera = scene.objects["wide"]
    scene.render.engine, scene.cycles.samples = "CYCLES", 4
    scene.cycles.use_denoising = False
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = 80, 60
    scene.render.filepath = str(tmp_path / "points.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:]).reshape(60, 80, 4)[::-1]
    camera = synthetic.cameras()[0]
    truth = synthetic.colors_of(synthetic.plane_points(camera, 60, 80)) / 255
    covered = pixels[..., 3] > 0.99
    assert covered.mean() > 0.8
    difference = np.abs(pixels[..., :3] - truth).max(axis=-1)[covered]
    assert np.median(difference) < 0.03


def test_isolate_shows_only_the_objects_points_and_reverses(build, capture, scene_of):
    synthetic.add_answer(capture)
    build.load_capture(bpy.context, str(capture.root))
    cloud = points_of(scene_of)
    scene_of("points").points_modifier(cloud).show_viewport = True

    def shown():
        # Counting points of the evaluated cloud works the same in all versions of Blender.
        bpy.context.view_layer.update()
        graph = bpy.context.evaluated_depsgraph_get()
        return sum(
            len(i.object.data.points)
            for i in graph.object_instances
            if i.object.type == "POINTCLOUD"
        )

    everything = shown()
    assert everything == len(cloud.data.vertices)
    bpy.context.scene.mvsam.display.isolate = True
    assert shown() == bpy.context.scene.mvsam.objects[0].point_count
    bpy.context.scene.mvsam.display.isolate = False
    assert shown() == everything


def test_capture_without_reconstruction_lists_its_photos(build, tmp_path):
    made = synthetic.make_capture(tmp_path / "only photos")
    (made.root / "cameras.json").unlink()
    build.load_capture(bpy.context, str(made.root))
    assert [p.view for p in bpy.context.scene.mvsam.photos] == ["wide", "tall", "shifted"]
    assert not any(p.placed for p in bpy.context.scene.mvsam.photos)


def test_folder_that_is_no_capture_is_refused_in_words(build, tmp_path):
    with pytest.raises(CaptureError, match="is not a capture"):
        build.load_capture(bpy.context, str(tmp_path))
    assert bpy.context.scene.mvsam.capture_dir == ""


def test_moved_file_and_capture_find_each_other(build, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new place"
    made = synthetic.make_capture(old / "capture")
    synthetic.add_answer(made)
    build.load_capture(bpy.context, str(made.root))
    bpy.ops.wm.save_as_mainfile(filepath=str(old / "scene.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    old.rename(new)
    bpy.ops.wm.open_mainfile(filepath=str(new / "scene.blend"))
    settings = bpy.context.scene.mvsam
    assert settings.capture_dir == str(new / "capture")
    paths = [i.filepath for i in bpy.data.images if "mvsam_view" in i]
    assert len(paths) == 6
    assert all(bpy.path.abspath(p).startswith(str(new)) for p in paths)


def test_one_million_points_take_seconds(build, tmp_path, scene_of, capsys):
    root = tmp_path / "million"
    million_points(root)
    began = time.perf_counter()
    build.load_capture(bpy.context, str(root))
    points = time.perf_counter() - began
    began = time.perf_counter()
    build.load_object(bpy.context, "big")
    weights = time.perf_counter() - began
    assert len(points_of(scene_of).data.vertices) == 1_000_000
    with capsys.disabled():
        print(
            f"\n1 M points into Blender {bpy.app.version_string}: {points:.2f} s, "
            f"their weights and vertex group: {weights:.2f} s"
        )
    assert points < 10 and weights < 10


def million_points(root) -> None:
    """Two views of 1000 x 600 random points, with an answer."""
    capture = Capture.create(root)
    rng = np.random.default_rng(0)
    size = (600, 1000)
    made = tuple(
        Camera(v, "PINHOLE", 1000, 600, (900.0, 900.0, 500.0, 300.0), np.eye(4)) for v in "ab"
    )
    photos = tuple(
        synthetic.Photo(v, f"photos/{v}.png", 1000, 600, 1, "0" * 64, f"{v}.png") for v in "ab"
    )
    grey = synthetic.png_bytes(np.full(size, 90, dtype=np.uint8))
    answer = []
    with capture.writing(), capture.transaction() as transaction:
        capture.put_photos(photos, transaction)
        for photo in photos:
            transaction.write(photo.file, grey)
        capture.put_reconstruction(synthetic.Reconstruction(made), transaction)
        for camera in made:
            points = rng.normal(size=(*size, 3)).astype(np.float32)
            confidence = np.full(size, 0.9, dtype=np.float16)
            colors = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
            capture.put_pointmap(
                synthetic.Pointmap(camera.view, points, confidence, colors), transaction
            )
            fused = rng.uniform(0, 1, size).astype(np.float16)
            score = synthetic.ViewScore(camera.view, 1.0, 0.9, 0.5)
            logits = np.zeros((60, 100), dtype=np.float16)
            answer.append(synthetic.ViewMask(score, logits, fused))
        item = synthetic.SceneObject("big", "Big", revision=1)
        masks = synthetic.MaskSet("big", 1, "exact", tuple(answer))
        capture.put_masks(item, masks, dict.fromkeys("ab", grey), transaction)


def test_parent_scales_and_turns_everything(build, capture, scene_of):
    build.load_capture(bpy.context, str(capture.root))
    cloud = points_of(scene_of)
    cloud.parent.matrix_basis = Matrix.Rotation(0.5, 4, "X") @ Matrix.Scale(3, 4)
    bpy.context.view_layer.update()
    world = cloud.matrix_world @ cloud.data.vertices[100].co
    scene = bpy.context.scene
    camera = synthetic.cameras()[0]
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
    found = blender_pixels(scene.objects["wide"], [world], camera.width, camera.height)
    expected = camera.project(np.array(cloud.data.vertices[100].co))[0]
    np.testing.assert_allclose(found[0], expected, atol=0.1)
