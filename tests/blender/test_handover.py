# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh of the scene as the engine gets it: the PLY that is written, read back by its reader."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
import synthetic
from mathutils import Euler, Matrix, Vector

from mvsam_engine.capture import Capture, Placement
from mvsam_engine.errors import CaptureError

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
sys.path.append(str(ROOT / "tests" / "engine"))

import standing_scene  # noqa: E402

WORLD = standing_scene.World(standing_scene.rotation(4), 0.6, (1.0, 2.0, 3.0))

_READ = """
import json, sys, trimesh
mesh = trimesh.load(sys.argv[1], process=False)
print(json.dumps([mesh.vertices.tolist(), mesh.faces.tolist(), bool(mesh.is_watertight),
                  float(mesh.volume)]))
"""


@pytest.fixture
def handover(extension):
    return importlib.import_module(f"{extension.__name__}.scene.handover")


@pytest.fixture
def capture(tmp_path):
    return synthetic.make_capture(tmp_path / "capture")


@pytest.fixture
def cube():
    """A cube of 2, moved, turned and scaled."""
    bpy.ops.mesh.primitive_cube_add(size=2)
    item = bpy.context.object
    item.location, item.rotation_euler, item.scale = (1, 2, 3), Euler((0.4, 0.5, 0.6)), (1, 2, 3)
    bpy.context.view_layer.update()
    return item


def read(path: Path):
    """Vertices, faces, whether it is closed, and its volume, by trimesh in the engine's Python."""
    if not ENGINE.is_file():
        pytest.skip(f"the engine's environment {ENGINE} is not set up (scripts/test.py makes it)")
    made = subprocess.run([ENGINE, "-c", _READ, path], capture_output=True, check=True, text=True)
    vertices, faces, closed, volume = json.loads(made.stdout)
    return np.array(vertices), np.array(faces), closed, volume


def corners(item) -> np.ndarray:
    return np.array([v.co[:] for v in item.data.vertices])


def placed(matrix, points) -> np.ndarray:
    matrix = np.array(matrix)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def parent():
    return next(o for o in bpy.context.scene.objects if o.get("mvsam_kind") == "parent")


def test_a_mesh_is_written_as_it_stands_in_the_world(handover, capture, cube):
    path = handover.hand_over_mesh(bpy.context.scene, cube, capture.root, "WORLD", False)
    assert path == capture.root / "mesh" / "handed_over.ply"
    vertices, faces, closed, volume = read(path)
    assert vertices == pytest.approx(placed(cube.matrix_world, corners(cube)), abs=1e-5)
    assert faces.shape == (12, 3)
    assert closed and volume == pytest.approx(8 * 6, rel=1e-5)


def test_modifiers_count_and_edits_under_way_too(handover, capture, cube):
    cube.modifiers.new("finer", "SUBSURF").levels = 2
    assert (
        len(read(handover.hand_over_mesh(bpy.context.scene, cube, capture.root, "WORLD", False))[1])
        > 100
    )
    cube.modifiers.clear()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.transform.translate(value=(10, 0, 0))
    vertices, *_ = read(
        handover.hand_over_mesh(bpy.context.scene, cube, capture.root, "WORLD", False)
    )
    bpy.ops.object.mode_set(mode="OBJECT")
    assert vertices[:, 0].mean() == pytest.approx(11, abs=1e-4)


@pytest.mark.parametrize("own_cameras", [True, False])
def test_beside_the_points_the_parents_transform_is_taken_back(
    extension, handover, capture, cube, own_cameras
):
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    placement = Placement(2.0, np.eye(4), True, False, "scale from one length")
    with capture.writing(), capture.transaction() as transaction:
        capture.put_placement(placement, transaction)
    parent().matrix_basis = Matrix.Translation((5, 0, 0)) @ Euler((0, 0, 1)).to_matrix().to_4x4()
    path = handover.hand_over_mesh(bpy.context.scene, cube, capture.root, "PARENT", own_cameras)
    # What stands at a point of the cloud must be at that point for the cameras, too.
    in_world = placed(
        np.linalg.inv(np.array(parent().matrix_basis)) @ np.array(cube.matrix_world), corners(cube)
    )
    # The engine takes a mesh for the capture's own cameras in the frame they were placed in.
    expected = placement.apply(in_world) if own_cameras else in_world
    assert read(path)[0] == pytest.approx(expected, abs=1e-4)


def test_its_own_coordinates_are_those_of_its_file(handover, capture, cube):
    path = handover.hand_over_mesh(bpy.context.scene, cube, capture.root, "LOCAL", False)
    assert read(path)[0] == pytest.approx(corners(cube))


def test_a_mirrored_object_keeps_its_outside_outside(handover, capture, cube):
    cube.scale = (-1, 2, 3)
    bpy.context.view_layer.update()
    *_, volume = read(
        handover.hand_over_mesh(bpy.context.scene, cube, capture.root, "WORLD", False)
    )
    assert volume == pytest.approx(48, rel=1e-5)


def test_map_coordinates_keep_their_millimetres(handover, capture, cube):
    cube.location = (4_500_000.0, 600_000.0, 0.0)
    bpy.context.view_layer.update()
    vertices, *_ = read(
        handover.hand_over_mesh(bpy.context.scene, cube, capture.root, "WORLD", False)
    )
    spread = vertices - vertices.mean(axis=0)
    cube.location = (0, 0, 0)
    bpy.context.view_layer.update()
    assert spread == pytest.approx(placed(cube.matrix_world, corners(cube)), abs=1e-3)


def test_a_capture_is_made_when_there_is_none(handover, tmp_path, cube):
    root = tmp_path / "new ü"
    path = handover.hand_over_mesh(bpy.context.scene, cube, root, "PARENT", True)
    assert path.is_file()
    assert Capture.open(root).photos() == ()


def test_what_has_no_faces_is_refused_and_our_points_are_not_offered(extension, handover, capture):
    mesh = bpy.data.meshes.new("dots")
    mesh.from_pydata([(0, 0, 0)], [], [])
    item = bpy.data.objects.new("dots", mesh)
    bpy.context.scene.collection.objects.link(item)
    with pytest.raises(CaptureError, match="dots has no faces"):
        handover.hand_over_mesh(bpy.context.scene, item, capture.root, "WORLD", False)
    assert not (capture.root / "mesh").exists()
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    points = next(o for o in bpy.context.scene.objects if o.get("mvsam_kind") == "points")
    assert handover.may_be_handed_over(None, item)
    assert not handover.may_be_handed_over(None, points)
    assert not handover.may_be_handed_over(None, parent())


@pytest.fixture
def engine(extension):
    """The real engine, named in the preferences."""
    if not ENGINE.is_file():
        pytest.skip(f"the engine's environment {ENGINE} is not set up (scripts/test.py makes it)")
    preferences = bpy.context.preferences.addons[extension.__name__].preferences
    preferences.engine_mode, preferences.engine_python = "PYTHON", str(ENGINE)
    yield
    preferences.engine_python = ""


def pattern(camera, points) -> np.ndarray:
    """A photo of the room: blotches that belong to the surface, so that photos agree."""
    random = np.random.default_rng(0)
    waves = random.normal(size=(40, 3)) * 9
    phase = random.uniform(0, 6, 40)
    value = np.sin(np.nan_to_num(points) @ waves.T + phase).mean(axis=-1)
    grey = np.clip(128 + 380 * value, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def room(rectangles) -> bpy.types.Object:
    """The room as a mesh object, its own coordinates those of the truth."""
    vertices, faces = [], []
    for corner, one, other in rectangles:
        a, b, c = (Vector(v) for v in (corner, one, other))
        faces.append(tuple(range(len(vertices), len(vertices) + 4)))
        vertices += [a, a + b, a + b + c, a + c]
    mesh = bpy.data.meshes.new("room")
    mesh.from_pydata(vertices, [], faces)
    item = bpy.data.objects.new("room", mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def test_depth_comes_from_a_mesh_that_stands_beside_the_points(engine, extension, tmp_path):
    rectangles = (standing_scene.FLOOR, standing_scene.WALL, standing_scene.TABLE)
    capture = standing_scene.make(tmp_path / "room", WORLD, rectangles=rectangles)
    (capture.root / "photos").mkdir()
    for camera in standing_scene.ring():
        points = standing_scene.cast(camera, rectangles, 1)
        image = synthetic.png_bytes(pattern(camera, points))
        (capture.root / "photos" / f"{camera.view}.png").write_bytes(image)
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    # A person has turned everything by hand, and the mesh stands right beside the points.
    parent().matrix_basis = Matrix.Translation((5, 0, 1)) @ Euler((0, 0.5, 1)).to_matrix().to_4x4()
    world_from_truth = np.eye(4)
    world_from_truth[:3, :3] = WORLD.scale * WORLD.turn
    world_from_truth[:3, 3] = WORLD.shift
    item = room(rectangles)
    item.matrix_world = parent().matrix_basis @ Matrix(world_from_truth.tolist())
    bpy.context.view_layer.update()
    settings = bpy.context.scene.mvsam
    settings.given.mesh = item
    by_hand = np.array(parent().matrix_basis)
    assert bpy.ops.mvsam.reconstruct(max_size=160) == {"FINISHED"}
    again = Capture.open(capture.root)
    made = again.require_reconstruction()
    assert made.method == "posed"
    assert np.array(parent().matrix_basis) == pytest.approx(by_hand)
    camera = standing_scene.ring()[4]
    found = again.pointmap(camera.view).points
    truth = WORLD.of(standing_scene.cast(camera, rectangles, camera.width // found.shape[1]))
    error = np.linalg.norm(found - truth, axis=-1)
    assert np.nanmedian(error) < 1e-3
    assert (error < 0.01).mean() > 0.95
