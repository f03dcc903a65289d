# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of vertices from masks: a box on a floor, half of it the object, seen all round."""

import json

import cv2
import numpy as np
import pytest
import trimesh
from typer.testing import CliRunner

from mvsam_engine.capture import (
    Camera,
    Capture,
    MaskSet,
    Photo,
    Pointmap,
    Reconstruction,
    SceneObject,
    ViewMask,
    ViewScore,
)
from mvsam_engine.capture.conventions import grid_pixels, look_at
from mvsam_engine.cli import app
from mvsam_engine.errors import UsageError
from mvsam_engine.labels.fields import mask_field
from mvsam_engine.labels.vertices import LabelOptions, label_vertices
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.posed.mesh import Mesh
from mvsam_engine.reconstruct.posed.raycast import Surface, cast_pixels

WIDTH, HEIGHT, VIEWS = 240, 180, 6


def box_on_floor() -> tuple[Mesh, np.ndarray]:
    """A finely divided box on a floor; which vertices are the box's."""
    box = trimesh.creation.box(extents=[1, 1, 1])
    box.apply_translation([0, 0, 0.5])
    floor = trimesh.creation.box(extents=[6, 6, 0.1])
    floor.apply_translation([0, 0, -0.06])
    parts = [part.subdivide_to_size(0.12) for part in (box, floor)]
    both = trimesh.util.concatenate(parts)
    mine = np.arange(len(both.vertices)) < len(parts[0].vertices)
    return Mesh(np.asarray(both.vertices), np.asarray(both.faces, np.int32)), mine


def cameras() -> tuple[Camera, ...]:
    """All round, from above the middle."""
    made = []
    for k in range(VIEWS):
        angle = 2 * np.pi * k / VIEWS
        center = np.array([3.5 * np.cos(angle), 3.5 * np.sin(angle), 2.0])
        pose = look_at(center, np.array([0, 0, 0.4]), np.array([0, 0, -1.0]))
        made.append(
            Camera(f"v{k}", "PINHOLE", WIDTH, HEIGHT, (200.0, 200.0, WIDTH / 2, HEIGHT / 2), pose)
        )
    return tuple(made)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Capture, object, mesh, truth."""
    mesh, mine = box_on_floor()
    box_faces = mine[mesh.faces].all(axis=1)
    surface = Surface(mesh)
    capture = Capture.create(tmp_path_factory.mktemp("labels") / "capture")
    item = SceneObject(id="box", name="Box", revision=1)
    with capture.writing(), capture.transaction() as transaction:
        photos, masks, images = [], [], {}
        blank = cv2.imencode(".png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
        capture.put_reconstruction(Reconstruction(cameras(), method="exact"), transaction)
        for camera in cameras():
            file = f"photos/{camera.view}.png"
            transaction.write(file, blank)
            photos.append(Photo(camera.view, file, WIDTH, HEIGHT, 1, "0" * 64, file[7:]))
            rays = camera.rays(grid_pixels(HEIGHT, WIDTH, WIDTH, HEIGHT))
            hits = cast_pixels(surface, camera, rays)
            inside = hits.hit & box_faces[hits.face]
            images[camera.view] = cv2.imencode(".png", inside.astype(np.uint8) * 255)[1].tobytes()
            points = camera.unproject(grid_pixels(HEIGHT, WIDTH, WIDTH, HEIGHT), hits.distance)
            points[~hits.hit] = np.nan
            capture.put_pointmap(
                Pointmap(
                    camera.view,
                    points.astype(np.float32),
                    hits.hit.astype(np.float16),
                    np.zeros((HEIGHT, WIDTH, 3), np.uint8),
                ),
                transaction,
            )
            masks.append(
                ViewMask(
                    ViewScore(camera.view, 1.0, 0.9, float(inside.mean())),
                    np.where(inside, 5, -5).astype(np.float16),
                )
            )
        capture.put_photos(tuple(photos), transaction)
        item = capture.put_masks(
            item, MaskSet("box", 1, "exact", tuple(masks)), images, transaction
        )
    return capture, item, mesh, mine


def iou(weights, truth, among) -> float:
    found = weights > 0.5
    return (found & truth & among).sum() / ((found | truth) & among).sum()


@pytest.mark.parametrize("visibility", ["mesh", "both"])
def test_vertices_that_photos_see_get_the_objects_weight(scene, visibility):
    capture, item, mesh, mine = scene
    options = LabelOptions(visibility=visibility, unseen="zero")
    labels = label_vertices(capture, mesh, [item], options, Progress())
    assert labels.weights.shape == (1, len(mesh.vertices))
    assert iou(labels.weights[0], mine, labels.seen) > 0.97
    # Nobody sees the floor from below, nor the box's bottom.
    below = mesh.vertices[:, 2] < -0.05
    assert not labels.seen[below].any()
    assert not labels.weights[0][~labels.seen].any()


def test_hidden_floor_does_not_become_object(scene):
    capture, item, mesh, mine = scene
    labels = label_vertices(capture, mesh, [item], LabelOptions(), Progress())
    assert labels.weights[0][~mine & labels.seen].mean() < 0.02


def test_unseen_vertices_take_their_neighbours_weight(scene):
    capture, item, mesh, mine = scene
    labels = label_vertices(capture, mesh, [item], LabelOptions(unseen="spread"), Progress())
    bottom = mine & ~labels.seen
    assert bottom.any()
    assert (labels.weights[0][bottom] > 0.5).mean() > 0.9
    assert (labels.weights[0][~mine & ~labels.seen] < 0.5).mean() > 0.95


def test_points_without_faces_are_judged_by_the_photos_depth(scene):
    capture, item, mesh, mine = scene
    cloud = Mesh(mesh.vertices, np.zeros((0, 3), np.int32))
    labels = label_vertices(capture, cloud, [item], LabelOptions(unseen="zero"), Progress())
    assert labels.seen[mine].mean() > 0.6
    assert iou(labels.weights[0], mine, labels.seen) > 0.93


def test_only_a_range_of_depth_counts(scene):
    capture, item, mesh, _ = scene
    far = label_vertices(capture, mesh, [item], LabelOptions(near=6.0), Progress())
    near = label_vertices(capture, mesh, [item], LabelOptions(far=6.0), Progress())
    assert far.seen.sum() < near.seen.sum()
    # The box is nearer than that to every camera; floor beside its outline may share a pixel.
    assert (far.weights[0] > 0.5).mean() < 0.01


def test_ways_that_are_none_are_refused():
    with pytest.raises(UsageError, match="is no way to label"):
        LabelOptions(visibility="eyes")
    with pytest.raises(UsageError, match="depth range is empty"):
        LabelOptions(near=2.0, far=1.0)


def test_a_mask_is_trusted_less_near_its_edge():
    mask = np.zeros((100, 200), bool)
    mask[:, 100:] = True
    field = mask_field(mask, 0.8)
    assert field.value[50, 0] == 0 and field.value[50, 199] == 1
    assert field.trust[50, 100] < 0.2 < field.trust[50, 130] == pytest.approx(0.8)
    assert mask_field(np.zeros((4, 4), bool)).trust.min() == 1


def test_the_command_writes_weights_that_trimesh_and_numpy_read(scene, tmp_path):
    capture, item, mesh, mine = scene
    source = tmp_path / "mesh.ply"
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(source)
    for name in ("weights.ply", "weights.npz"):
        arguments = ["label", str(capture.root), "--mesh", str(source), "--out"]
        arguments += [str(tmp_path / name), "--object", item.name, "--json"]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["objects"] == {item.name: pytest.approx(mine.sum(), rel=0.2)}
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as stored:
        assert stored["objects"].tolist() == ["box"]
        weights, views = stored["weights"][0], stored["views"]
    assert iou(weights, mine, views > 0) > 0.97
    read = trimesh.load(tmp_path / "weights.ply", process=False)
    vertex = read.metadata["_ply_raw"]["vertex"]["data"]
    assert vertex["weight_box"] == pytest.approx(weights)
    assert read.vertices == pytest.approx(mesh.vertices, abs=1e-6)
    assert read.faces.shape == mesh.faces.shape


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (["--object", "Moon"], 1, "There is no object 'Moon'"),
        (["--visibility", "eyes"], 2, "is no way to label"),
        (["--out", "weights.doc"], 2, "no kind of file for weights"),
    ],
)
def test_the_command_refuses_in_words(scene, tmp_path, more, code, sentence):
    capture, _, mesh, _ = scene
    source = tmp_path / "mesh.ply"
    trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).export(source)
    out = ["--out", str(tmp_path / "w.npz")]
    done = CliRunner().invoke(app, ["label", str(capture.root), "--mesh", str(source), *out, *more])
    assert done.exit_code == code and sentence in done.output
    assert not (tmp_path / "w.npz").exists()
