# SPDX-License-Identifier: GPL-3.0-or-later
"""Pointmaps from a person's mesh: exact where it is hit, honest about where it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from planes import Plane, Scene
from posed_scene import (
    ROOM,
    Record,
    capture_of,
    depth_of,
    room_cameras,
    room_mesh,
    run,
    true_depth,
    write_colmap,
    write_mesh,
    write_photos,
)

from mvsam_engine.capture import Camera
from mvsam_engine.errors import ReconstructionError, UsageError
from mvsam_engine.reconstruct.posed.mesh import Mesh, read_mesh
from mvsam_engine.reconstruct.posed.raycast import Surface


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Folder with photos, a camera file without v5, and the true mesh."""
    folder = tmp_path_factory.mktemp("room")
    cameras = room_cameras()
    write_photos(folder / "photos", cameras)
    write_colmap(folder / "sparse", cameras[:5])
    write_mesh(folder / "room.ply", *room_mesh())
    return folder, cameras


@pytest.fixture(scope="module")
def done(room, tmp_path_factory):
    """The room, from its mesh."""
    folder, _ = room
    capture = capture_of(folder / "photos", tmp_path_factory.mktemp("work") / "capture")
    progress = Record()
    result = run(capture, folder / "sparse", folder / "room.ply", progress)
    return capture, result, progress


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ply", "obj", "stl", "off"])
def test_every_kind_of_file_gives_the_same_surface(tmp_path, kind):
    vertices, faces = room_mesh(cells=2)
    mesh = read_mesh(write_mesh(tmp_path / f"a.{kind}", vertices, faces))
    assert mesh.faces.dtype == np.int32
    expected = np.sort(vertices[faces].reshape(len(faces), -1).round(4), axis=0)
    found = np.sort(mesh.vertices[mesh.faces].reshape(len(faces), -1).round(4), axis=0)
    assert np.allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("kind", ["glb", "gltf"])
def test_gltf_scenes_are_flattened_and_turned_to_z_up(tmp_path, kind):
    import trimesh

    part = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]], process=False)
    moved = np.eye(4)
    moved[:3, 3] = (5, 6, 7)
    scene = trimesh.Scene()
    scene.add_geometry(part)
    scene.add_geometry(part, transform=moved)
    if kind == "glb":
        scene.export(tmp_path / "a.glb")
    else:
        for name, data in scene.export(file_type="gltf").items():
            (tmp_path / ("a.gltf" if name == "model.gltf" else name)).write_bytes(data)
    mesh = read_mesh(tmp_path / f"a.{kind}")
    corners = {tuple(v) for v in mesh.vertices[mesh.faces].reshape(-1, 3).round(5)}
    # (x, y, z) becomes (x, -z, y).
    assert (0.0, 0.0, 1.0) in corners and (5.0, -7.0, 6.0) in corners and (5, -7, 7) in corners
    assert len(mesh.faces) == 2


@pytest.mark.parametrize("kind", ["ply", "obj"])
def test_quads_and_larger_faces_become_triangles(tmp_path, kind):
    corners = [(0, 0), (2, 0), (3, 1), (1, 3), (0, 2)]
    if kind == "ply":
        rows = "".join(f"{x} {y} 0\n" for x, y in corners)
        (tmp_path / "a.ply").write_text(
            "ply\nformat ascii 1.0\nelement vertex 5\nproperty float x\nproperty float y\n"
            "property float z\nelement face 1\nproperty list uchar int vertex_indices\n"
            f"end_header\n{rows}5 0 1 2 3 4\n"
        )
    else:
        rows = "".join(f"v {x} {y} 0\n" for x, y in corners)
        (tmp_path / "a.obj").write_text(f"{rows}f 1 2 3 4 5\n")
    mesh = read_mesh(tmp_path / f"a.{kind}")
    assert len(mesh.faces) == 3
    hits = Surface(mesh).cast(
        np.array([[0.1, 1.9, 5.0], [2.5, 1.0, 5.0], [2.9, 2.9, 5.0]]), np.array([[0, 0, -1.0]] * 3)
    )
    assert hits.hit.tolist() == [True, True, False]
    assert hits.distance[:2] == pytest.approx(5.0)


def test_a_point_cloud_is_refused(tmp_path):
    import trimesh

    trimesh.PointCloud(np.random.default_rng(0).random((10, 3))).export(tmp_path / "p.ply")
    with pytest.raises(ReconstructionError, match="10 points but no faces"):
        read_mesh(tmp_path / "p.ply")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 500\n"
         b"property float x\nend_header\n12"),
        ("a.glb", b"glTF1234"),
        ("a.stl", b"xx" * 100),
        ("a.obj", b""),
        ("a.off", b"OFF\n3 1 0\n0 0 0\n"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_in_a_sentence(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ReconstructionError) as caught:
        read_mesh(tmp_path / name)
    assert caught.value.code in ("mesh.damaged", "mesh.faces")
    assert name in caught.value.message and caught.value.remedy.endswith(".")


def test_other_kinds_of_files_are_refused_with_the_known_ones(tmp_path):
    (tmp_path / "a.fbx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"\.ply.*\.glb"):
        read_mesh(tmp_path / "a.fbx")


def test_undefined_corners_are_left_out(tmp_path):
    vertices, faces = room_mesh()
    vertices = np.concatenate([vertices, [[np.nan, 0, 0]]])
    faces = np.concatenate([faces, [[0, 1, len(vertices) - 1]]])
    write_mesh(tmp_path / "a.ply", vertices, faces)
    mesh = read_mesh(tmp_path / "a.ply")
    assert len(mesh.faces) == len(faces) - 1 and np.isfinite(mesh.vertices).all()


# --- rays --------------------------------------------------------------------------------------


def test_rays_meet_the_nearest_face_exactly_and_know_its_side():
    vertices, faces = room_mesh()
    surface = Surface(Mesh(vertices, faces.astype(np.int32)))
    camera = room_cameras(1)[0]
    rng = np.random.default_rng(0)
    pixels = rng.uniform((0, 0), (camera.width, camera.height), (5000, 2))
    rays = camera.rays(pixels)
    hits = surface.cast(camera.center, rays @ camera.camera_from_world[:3, :3])
    true = ROOM.depth(camera, rays)
    assert hits.hit.all()
    # At the very edge of the front square single precision may decide either way.
    assert (np.abs(hits.distance / true - 1) < 1e-6).mean() > 0.999
    assert (hits.cosine > 0).all()
    back = surface.cast(np.array([0.0, 0.0, 9.0]), np.array([[0.0, 0.0, -1.0]]))
    assert back.hit.all() and back.cosine[0] < 0


def test_undefined_rays_meet_nothing():
    vertices, faces = room_mesh()
    surface = Surface(Mesh(vertices, faces.astype(np.int32)))
    hits = surface.cast(np.zeros(3), np.array([[np.nan, 0, 1], [0, 0, 1.0]]))
    assert hits.hit.tolist() == [False, True]
    assert surface.cast(np.zeros(3), np.zeros((0, 3))).hit.shape == (0,)


# --- whole reconstructions -----------------------------------------------------------------------


def test_depth_is_the_mesh_s_and_cameras_are_as_given(room, done):
    _, cameras = room
    capture, result, progress = done
    assert result.method == "posed" and [c.view for c in result.cameras] == [
        f"v{i}" for i in range(5)
    ]
    stored = capture.require_reconstruction()
    for camera, given in zip(stored.cameras, cameras[:5], strict=True):
        assert np.abs(camera.camera_from_world - given.camera_from_world).max() < 1e-12
        assert camera.params == given.params
        depth = depth_of(capture, camera)
        true = true_depth(given, depth.shape)
        assert np.isfinite(depth).all()
        right = np.abs(depth / true - 1) < 1e-4
        # One row of pixels looks past the front square's edge or not by less than a float's ulp.
        assert right.mean() > 0.999
    assert result.settings["mesh"] == "room.ply" and result.settings["faces"] == 4
    assert result.settings["mesh_confirmed"] > 0.6
    assert "mesh.doubted" not in progress.warnings


def test_photos_without_a_camera_are_listed_with_the_reason(done):
    _, result, progress = done
    assert [u.view for u in result.unplaced] == ["v5"]
    assert "no camera for it" in result.unplaced[0].reason
    assert progress.warnings["reconstruct.unplaced"].startswith("1 of 6 photos")


def test_a_true_mesh_is_trusted_and_a_shifted_one_is_not(room, done, tmp_path):
    folder, _ = room
    capture, _, _ = done
    vertices, faces = room_mesh()
    write_mesh(tmp_path / "off.ply", vertices + np.array([0.0, 0.0, 0.06]), faces)
    other = capture_of(folder / "photos", tmp_path / "capture")
    progress = Record()
    result = run(other, folder / "sparse", tmp_path / "off.ply", progress)
    true = np.mean([capture.pointmap(c.view).confidence for c in result.cameras])
    off = np.mean([other.pointmap(c.view).confidence for c in result.cameras])
    assert true > 0.85 and off < 0.5 * true
    assert "mesh.doubted" in progress.warnings


def test_confident_points_of_a_bumpy_mesh_are_right(room, tmp_path):
    folder, cameras = room
    vertices, faces = room_mesh(cells=24)
    bumps = np.sin(vertices @ [7.0, 3.0, 1.0]) * np.sin(vertices @ [-2.0, 6.0, 2.0])
    write_mesh(tmp_path / "bumpy.ply", vertices + 0.05 * bumps[:, None] * (0.1, 0, -1.0), faces)
    capture = capture_of(folder / "photos", tmp_path / "capture")
    result = run(capture, folder / "sparse", tmp_path / "bumpy.ply", max_size=256)
    right, confident = [], []
    for camera, given in zip(result.cameras, cameras[:5], strict=True):
        pointmap = capture.pointmap(camera.view)
        depth = depth_of(capture, camera, pointmap)
        known = np.isfinite(depth)
        true = true_depth(given, depth.shape)
        right.append((np.abs(depth / true - 1) < 0.01)[known])
        confident.append(pointmap.confidence[known].astype(float))
    right, confident = np.concatenate(right), np.concatenate(confident)
    sure = confident >= 0.9
    assert 0.4 < right.mean() < 0.95  # neither right nor wrong everywhere
    assert sure.mean() > 0.05
    assert right[sure].mean() > 0.93
    assert right[confident < 0.3].mean() < 0.5 * right[sure].mean()


def test_masked_pixels_get_no_points(room, tmp_path):
    from mvsam_engine.photos import IntakeOptions, add_photos

    folder, _ = room
    masks = tmp_path / "masks"
    masks.mkdir()
    used = np.zeros((240, 320), np.uint8)
    used[:, :160] = 255
    Image.fromarray(used).save(masks / "v1.png")
    capture = capture_of(folder / "photos", tmp_path / "capture")
    with capture.writing():
        add_photos(capture, [], Record(), IntakeOptions(masks=masks))
    run(capture, folder / "sparse", folder / "room.ply")
    known = np.isfinite(capture.pointmap("v1").points[..., 0])
    assert known[:, :47].all() and not known[:, 49:].any()
    assert np.isfinite(capture.pointmap("v2").points).all()


def test_pixels_that_see_nothing_get_no_points(room, tmp_path):
    """Only the front square: the rays beside it meet nothing, and nothing is filled in."""
    folder, cameras = room
    front = Scene((ROOM.planes[1],))
    write_mesh(tmp_path / "front.ply", *room_mesh(front))
    capture = capture_of(folder / "photos", tmp_path / "capture")
    result = run(capture, folder / "sparse", tmp_path / "front.ply")
    for camera, given in zip(result.cameras, cameras[:5], strict=True):
        pointmap = capture.pointmap(camera.view)
        known = np.isfinite(pointmap.points[..., 0])
        seen = np.isfinite(true_depth(given, known.shape, front))
        assert (known != seen).mean() < 0.005
        assert (pointmap.confidence[~known] == 0).all()


def test_one_photo_with_a_mesh_is_enough(room, tmp_path):
    folder, cameras = room
    write_photos(tmp_path / "one", cameras[:1])
    capture = capture_of(tmp_path / "one", tmp_path / "capture")
    result = run(capture, folder / "sparse", folder / "room.ply")
    assert [c.view for c in result.cameras] == ["v0"]
    assert np.isfinite(capture.pointmap("v0").points).all()
    assert 0.2 < capture.pointmap("v0").confidence.mean() < 0.9  # nobody confirms it


@pytest.mark.parametrize("as_stored", [False, True])
def test_a_portrait_photo_with_an_exif_orientation(tmp_path, as_stored):
    """Taken upright by a camera on its side: the file is landscape, EXIF says how to turn it."""
    wide = room_cameras(2)[0]
    upright = Camera("p", "PINHOLE", 180, 240, (300.0, 310.0, 88.0, 123.0), wide.camera_from_world)
    depth = write_photos(tmp_path / "photos", [upright])["p"]
    stored = Image.open(tmp_path / "photos" / "p.png").transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "photos" / "p.png").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    stored.save(tmp_path / "photos" / "p.jpg", quality=97, exif=exif)
    given = upright
    if as_stored:  # as a program sees it that does not look at EXIF: (x, y) -> (y, W - x)
        turn = np.eye(4)
        turn[:2, :2] = [[0, 1], [-1, 0]]
        given = Camera(
            "p", "PINHOLE", 240, 180, (310.0, 300.0, 123.0, 180 - 88.0),
            turn @ upright.camera_from_world,
        )  # fmt: skip
    write_colmap(tmp_path / "sparse", [given], names=["p.jpg"])
    write_mesh(tmp_path / "room.ply", *room_mesh())
    capture = capture_of(tmp_path / "photos", tmp_path / "capture")
    result = run(capture, tmp_path / "sparse", tmp_path / "room.ply")
    (camera,) = result.cameras
    assert (camera.width, camera.height) == (180, 240)
    assert np.allclose(camera.camera_from_world, upright.camera_from_world, atol=1e-9)
    found = depth_of(capture, camera)
    assert found.shape == (96, 72)
    true = true_depth(upright, found.shape)
    assert (np.abs(found / true - 1) < 1e-4).mean() > 0.99
    assert depth.shape == (240, 180)


# --- what does not fit ---------------------------------------------------------------------------


def refused(folder, root, mesh, code, cameras="sparse"):
    capture = capture_of(folder / "photos", root)
    with pytest.raises(ReconstructionError) as caught:
        run(capture, folder / cameras, mesh)
    assert caught.value.code == code
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    assert capture.reconstruction() is None
    return caught.value


def test_a_mesh_in_millimetres_is_refused_and_told_why(room, tmp_path):
    folder, _ = room
    vertices, faces = room_mesh()
    mesh = write_mesh(tmp_path / "mm.ply", vertices * 1000.0, faces)
    error = refused(folder, tmp_path / "capture", mesh, "mesh.frame")
    assert "scaled by 0.001" in error.message and "scaled by 0.001" in error.remedy


def test_a_mesh_with_y_up_is_refused_and_told_why(room, tmp_path):
    folder, _ = room
    vertices, faces = room_mesh()
    # As a program writes it that means y where the cameras' world has z.
    mesh = write_mesh(tmp_path / "y.ply", vertices @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]).T,
                      faces)  # fmt: skip
    error = refused(folder, tmp_path / "capture", mesh, "mesh.frame")
    assert "turned from Y up to Z up" in error.message


def test_a_mesh_far_away_is_refused_with_where_it_lies(room, tmp_path):
    folder, _ = room
    vertices, faces = room_mesh()
    mesh = write_mesh(tmp_path / "far.ply", vertices + np.array([500.0, 0, -900.0]), faces)
    error = refused(folder, tmp_path / "capture", mesh, "mesh.view")
    assert "x 497" in error.message and "Only 0 %" in error.message


def test_faces_turned_inside_out_are_used_with_a_warning(room, tmp_path):
    folder, _ = room
    vertices, faces = room_mesh()
    mesh = write_mesh(tmp_path / "in.ply", vertices, faces[:, ::-1])
    capture = capture_of(folder / "photos", tmp_path / "capture")
    progress = Record()
    run(capture, folder / "sparse", mesh, progress)
    assert progress.warnings["mesh.inside_out"].startswith("100 %")
    assert np.isfinite(capture.pointmap("v0").points).all()


def test_photos_of_something_else_are_refused(room, tmp_path):
    """The photos show another room: neither cameras nor mesh can be told to be right."""
    folder, cameras = room
    other = Scene((Plane(point=(0.3, 0, 1.4), normal=(-0.5, 0.3, -1.0), seed=77),))
    write_photos(tmp_path / "photos", cameras[:5], other)
    write_colmap(tmp_path / "sparse", cameras[:5])
    error = refused(tmp_path, tmp_path / "capture", folder / "room.ply", "mesh.frame")
    assert "points that the photos agree on lie on the mesh" in error.message


# --- frames --------------------------------------------------------------------------------------


def test_map_coordinates_are_moved_near_the_origin_and_the_offset_is_kept(room, tmp_path):
    folder, cameras = room
    far = np.array([512_345.0, 5_403_210.0, 312.0])
    moved = []
    for camera in cameras[:3]:
        matrix = camera.camera_from_world.copy()
        matrix[:3, 3] -= matrix[:3, :3] @ far
        moved.append(Camera(camera.view, camera.model, camera.width, camera.height, camera.params,
                            matrix))  # fmt: skip
    write_colmap(tmp_path / "sparse", moved)
    vertices, faces = room_mesh()
    mesh = write_mesh(tmp_path / "map.ply", vertices + far, faces)
    capture = capture_of(folder / "photos", tmp_path / "capture")
    result = run(capture, tmp_path / "sparse", mesh)
    offset = np.array([result.settings[f"offset_{axis}"] for axis in "xyz"])
    assert (offset == np.round(offset)).all()
    assert np.abs(offset - far).max() < 50.0
    for camera, given in zip(result.cameras, cameras[:3], strict=True):
        assert np.allclose(camera.center + offset, given.center + far, atol=1e-6)
        depth = depth_of(capture, camera)
        true = true_depth(given, depth.shape)
        assert (np.abs(depth / true - 1) < 1e-4).mean() > 0.998

    # Once more with the capture's own cameras: the offset is known, and stays.
    again = run(capture, None, mesh)
    assert [again.settings[f"offset_{axis}"] for axis in "xyz"] == list(offset)
    assert np.isfinite(capture.pointmap("v1").points).all()


def test_a_mesh_alone_uses_the_capture_s_cameras_and_its_placement(room, done, tmp_path):
    from dataclasses import replace

    from mvsam_engine.capture.placement import Placement

    folder, _ = room
    capture = capture_of(folder / "photos", tmp_path / "capture")
    with pytest.raises(UsageError, match="has none yet"):
        run(capture, None, folder / "room.ply")
    first = run(capture, folder / "sparse", folder / "room.ply")
    turn = np.eye(4)
    turn[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    turn[:3, 3] = (3.0, 4.0, 5.0)
    placement = Placement(scale=2.5, matrix=turn, metric=True, upright=True, source="a test")
    with capture.writing(), capture.transaction() as transaction:
        for camera in first.cameras:
            capture.put_pointmap(capture.pointmap(camera.view), transaction)
        capture.put_reconstruction(replace(first, placement=placement), transaction)
    vertices, faces = room_mesh()
    mesh = write_mesh(tmp_path / "placed.ply", placement.apply(vertices), faces)
    result = run(capture, None, mesh)
    assert result.settings["cameras"] == "capture"
    assert result.placement.scale == 2.5 and result.placement.source == "a test"
    camera = result.cameras[2]
    depth = depth_of(capture, camera)
    assert (np.abs(depth / true_depth(camera, depth.shape) - 1) < 1e-4).mean() > 0.998
    assert {u.view for u in result.unplaced} == {"v5"}
