# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY, GLB and COCO, each read back by a reader of its own."""

import json
import shutil
import subprocess

import export_scene as scene
import numpy as np
import pytest

from mvsam_engine.errors import CaptureError, SegmentationError, UsageError
from mvsam_engine.export.glb import linear_colors
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.targets import export


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return scene.make(tmp_path_factory.mktemp("points"), (1, 3, 6, 8))


def run(capture, kind, out, progress=None, **options):
    return export(capture, kind, out, ExportOptions(**options), progress or scene.Record())


@pytest.mark.parametrize("text", [False, True])
def test_ply_holds_points_colours_normals_and_weights(capture, tmp_path, text):
    from plyfile import PlyData

    (path,) = run(capture, "ply", tmp_path / "scan.ply", text=text)
    assert path == tmp_path / "scan.ply"
    data = PlyData.read(path)
    assert data.text == text
    rows = data["vertex"].data
    # Two rows of each pointmap are unknown or hardly trusted.
    maps = [capture.pointmap(c.view) for c in capture.require_reconstruction().cameras]
    assert len(rows) == sum(m.points[2:, :, 0].size for m in maps)
    position = np.stack([rows[a] for a in "xyz"], -1).astype(float)
    back = np.linalg.inv(scene.PLACEMENT.transform)
    world = position @ back[:3, :3].T + back[:3, 3]
    assert world[:, 2] == pytest.approx(0, abs=1e-4)
    assert (rows["weight_mug_1"] == scene.inside(world)).mean() > 0.99
    assert (rows["red"] > rows["blue"]) == pytest.approx(rows["weight_mug_1"] > 0.5)
    normal = np.stack([rows[f"n{a}"] for a in "xyz"], -1)
    known = normal.any(axis=1)
    assert known.mean() > 0.7
    assert normal[known] == pytest.approx(np.tile([0, 0, 1.0], (known.sum(), 1)), abs=1e-3)
    assert rows["confidence"] == pytest.approx(0.9, abs=1e-3)
    assert any(c == "weight_mug_1 Mug 1" for c in data.comments)
    assert any("unit 1 metre" in c for c in data.comments)


def test_trimesh_reads_the_ply(capture, tmp_path):
    import trimesh

    (path,) = run(capture, "ply", tmp_path, frame="reconstructed", max_points=100)
    cloud = trimesh.load(path)
    assert cloud.vertices.shape == (100, 3)
    assert cloud.vertices[:, 2] == pytest.approx(0, abs=1e-5)
    assert len(np.unique(cloud.colors[:, 0])) == 2


def test_only_the_object_or_everything_but_it(capture, tmp_path):
    from plyfile import PlyData

    counts = {}
    for name, options in {
        "all": {},
        "object": {"isolate": True},
        "rest": {"isolate": True, "remove": True},
    }.items():
        (path,) = run(capture, "ply", tmp_path / f"{name}.ply", **options)
        weight = PlyData.read(path)["vertex"]["weight_mug_1"]
        counts[name] = len(weight)
        if name != "all":
            assert ((weight >= 0.5) == (name == "object")).all()
    assert counts["object"] + counts["rest"] == counts["all"]
    with pytest.raises(CaptureError, match="No point"):
        run(capture, "ply", tmp_path / "none.ply", min_confidence=0.99)
    with pytest.raises(SegmentationError, match="'Mug 1'"):
        run(capture, "ply", tmp_path / "none.ply", objects=("Cup",))
    assert not (tmp_path / "none.ply").exists()


def test_a_persons_own_file_is_not_written_over(capture, tmp_path):
    path = tmp_path / "scan.ply"
    path.write_bytes(b"ply\nmine\n")
    with pytest.raises(UsageError, match="--overwrite"):
        run(capture, "ply", path)
    assert path.read_bytes() == b"ply\nmine\n"
    run(capture, "ply", path, overwrite=True)
    run(capture, "ply", path, max_points=10)  # ours: replaced without being asked
    assert b"element vertex 10" in path.read_bytes()


def glb_parts(path):
    """JSON document and binary chunk."""
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def values_of(document, body, name):
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"][name]]
    view = document["bufferViews"][accessor["bufferView"]]
    kind = {5126: "<f4", 5123: "<u2"}[accessor["componentType"]]
    data = body[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    return np.frombuffer(data, kind).reshape(accessor["count"], -1)


def test_glb_points_stand_upright_with_linear_colours_and_weights(capture, tmp_path):
    import trimesh

    (path,) = run(capture, "glb", tmp_path / "scan.glb")
    document, body = glb_parts(path)
    position = values_of(document, body, "POSITION")
    assert position[:, 1] == pytest.approx(scene.PLACEMENT.matrix[2, 3], abs=1e-4)  # Y is up
    weight = values_of(document, body, "_weight_mug_1")[:, 0]
    color = values_of(document, body, "COLOR_0") / 65535
    assert ((color[:, 0] > color[:, 2]) == (weight > 0.5)).all()
    assert color[weight > 0.5][0, 0] == pytest.approx(
        ((200 / 255 + 0.055) / 1.055) ** 2.4, abs=1e-4
    )
    assert document["asset"]["extras"]["objects"] == {"_weight_mug_1": "Mug 1"}
    (cloud,) = trimesh.load(path).geometry.values()
    assert cloud.vertices.shape == position.shape


def test_glb_of_a_persons_mesh_carries_weights_on_its_vertices(capture, tmp_path):
    import trimesh

    grid = np.stack(np.meshgrid(*[np.linspace(-0.7, 0.9, 33)] * 2), -1).reshape(-1, 2)
    world = np.column_stack([grid, np.zeros(len(grid))])
    corner = (np.arange(32)[:, None] * 33 + np.arange(32)).reshape(-1)
    faces = np.concatenate([corner[:, None] + [0, 1, 34], corner[:, None] + [0, 34, 33]])
    mesh = trimesh.Trimesh(scene.PLACEMENT.apply(world), faces, process=False)
    mesh.export(tmp_path / "floor.ply")
    (path,) = run(capture, "glb", tmp_path / "out", mesh=tmp_path / "floor.ply")
    document, body = glb_parts(path)
    weight = values_of(document, body, "_weight_mug_1")[:, 0] > 0.5
    truth = scene.inside(world)
    assert (weight & truth).sum() / (weight | truth).sum() > 0.9
    assert document["meshes"][0]["primitives"][0]["mode"] == 4


VALIDATE = """
const validator = require('gltf-validator'), fs = require('fs');
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
  .then(report => console.log(JSON.stringify(report.issues)));
"""


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    """A folder in which node finds Khronos' validator."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm is not installed, so Khronos' gltf-validator cannot be had")
    folder = tmp_path_factory.mktemp("validator")
    made = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "gltf-validator@2.0.0-dev.3.10"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if made.returncode:
        pytest.skip(f"npm could not fetch gltf-validator: {made.stderr.strip()[-200:]}")
    return folder


def test_khronos_validator_finds_nothing_wrong(capture, tmp_path, validator):
    import trimesh

    trimesh.creation.box().export(tmp_path / "box.ply")
    files = [
        *run(capture, "glb", tmp_path / "points.glb"),
        *run(capture, "glb", tmp_path / "mesh.glb", mesh=tmp_path / "box.ply"),
    ]
    for path in files:
        done = subprocess.run(
            [shutil.which("node"), "-e", VALIDATE, path],
            cwd=validator,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        issues = json.loads(done.stdout)
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues


def test_linear_colours_are_those_of_the_standard():
    assert linear_colors(np.array([[0, 255, 10]], np.uint8)).tolist() == [
        [0, 65535, round(65535 * 10 / 255 / 12.92), 65535]
    ]


@pytest.mark.parametrize("photos", ["upright", "original"])
def test_coco_is_read_back_by_pycocotools(capture, tmp_path, photos):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    run(capture, "coco", tmp_path, photos=photos)
    coco = COCO(str(tmp_path / "annotations.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["Mug 1"]
    assert len(coco.imgs) == 5 and len(coco.anns) == 4  # the photo without it has none
    for image in coco.imgs.values():
        assert (tmp_path / image["file_name"]).is_file() == (photos == "upright")
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation).astype(bool)
        image = coco.imgs[annotation["image_id"]]
        if photos == "original":
            index = int(image["file_name"].removeprefix("left/IMG_").removesuffix(".JPG"))
            assert (mask == scene.stored_mask(scene.stored_camera(index))).all()
        assert mask.shape == (image["height"], image["width"])
        assert annotation["area"] == mask.sum()
        rows, columns = np.nonzero(mask)
        assert annotation["bbox"] == [
            columns.min(),
            rows.min(),
            np.ptp(columns) + 1,
            np.ptp(rows) + 1,
        ]
