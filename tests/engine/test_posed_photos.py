# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth for cameras that a person gives: kept as they are, checked against the photos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from posed_scene import (
    ROOM,
    Record,
    capture_of,
    depth_of,
    room_cameras,
    run,
    true_depth,
    write_colmap,
    write_photos,
)

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import invert_rigid
from mvsam_engine.errors import ReconstructionError, UsageError
from mvsam_engine.reconstruct import ReconstructOptions, method_for

DATA = Path(os.environ.get("MVSAM_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
FOUNTAIN = DATA / "fountain-P11"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Folder with photos, and a camera file without v6."""
    folder = tmp_path_factory.mktemp("room")
    cameras = room_cameras(7)
    write_photos(folder / "photos", cameras)
    write_colmap(folder / "sparse", cameras[:6])
    return folder, cameras


@pytest.fixture(scope="module")
def done(room, tmp_path_factory):
    """The room, with its cameras."""
    folder, _ = room
    capture = capture_of(folder / "photos", tmp_path_factory.mktemp("work") / "capture")
    progress = Record()
    result = run(capture, folder / "sparse", progress=progress, max_size=160)
    return capture, result, progress


def test_cameras_are_exactly_as_given(room, done):
    _, cameras = room
    capture, result, _ = done
    assert result.method == "posed"
    stored = capture.require_reconstruction().cameras
    assert [c.view for c in stored] == [c.view for c in cameras[:6]]
    for camera, given in zip(stored, cameras[:6], strict=True):
        assert np.abs(camera.camera_from_world - given.camera_from_world).max() < 1e-12
        assert camera.model == given.model and camera.params == given.params


def test_depth_is_right_in_the_person_s_units(room, done):
    _, cameras = room
    capture, result, _ = done
    errors = []
    for camera, given in zip(result.cameras, cameras[:6], strict=True):
        pointmap = capture.pointmap(camera.view)
        depth = depth_of(capture, camera, pointmap)
        measured = np.isfinite(depth) & (pointmap.confidence > 0.3)
        assert measured.mean() > 0.5
        errors.append(np.abs(depth / true_depth(given, depth.shape) - 1)[measured])
    errors = np.concatenate(errors)
    assert np.median(errors) < 0.003
    assert (errors < 0.01).mean() > 0.9


def test_the_record_says_what_was_checked(done):
    _, result, progress = done
    settings = result.settings
    assert settings["cameras"].startswith("COLMAP")
    assert settings["points_from"] == "triangulated with the given cameras"
    assert settings["points"] > 200 and settings["matches"] > 500
    assert settings["matches_fit"] > 0.9
    assert "cameras.inexact" not in progress.warnings
    assert [u.view for u in result.unplaced] == ["v6"]
    assert progress.stages["Features"] == (6, 6)  # the photo without a camera is not looked at


def test_points_with_tracks_spare_the_matching(room, tmp_path):
    folder, cameras = room
    rng = np.random.default_rng(0)
    points, tracks = [], []
    for _ in range(200):
        camera = cameras[int(rng.integers(6))]
        pixel = rng.uniform((20, 20), (300, 220))
        depth = float(ROOM.depth(camera, camera.rays(pixel)))
        points.append(camera.unproject(pixel, np.array(depth)))
        tracks.append([i for i, c in enumerate(cameras[:6]) if _sees(c, points[-1])])
    write_colmap(tmp_path / "sparse", cameras[:6], points, tracks)
    capture = capture_of(folder / "photos", tmp_path / "capture")
    progress = Record()
    result = run(capture, tmp_path / "sparse", progress=progress)
    assert result.settings["points_from"] == "given"
    assert progress.stages["Matching"][1] <= 6  # only a spot check
    assert result.settings["matches_fit"] > 0.9
    assert len(result.cameras) == 6
    depth = depth_of(capture, result.cameras[2])
    error = np.abs(depth / true_depth(cameras[2], depth.shape) - 1)
    assert np.nanmedian(error) < 0.01


def _sees(camera, point):
    pixel, depth = camera.project(point)
    inside = (pixel > 1).all() and (pixel < (camera.width - 1, camera.height - 1)).all()
    true = ROOM.depth(camera, camera.rays(pixel))
    return bool(inside and abs(depth / true - 1) < 1e-3)


# --- wrong cameras -------------------------------------------------------------------------------


def refused(folder, root, cameras, code, tmp_path):
    write_colmap(tmp_path / "wrong", cameras)
    capture = capture_of(folder / "photos", root)
    with pytest.raises(ReconstructionError) as caught:
        run(capture, tmp_path / "wrong")
    assert caught.value.code == code
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    assert capture.reconstruction() is None
    assert not (root / "pointmaps").exists()
    return caught.value


def posed(cameras, change):
    return [replace(c, camera_from_world=change(c.camera_from_world)) for c in cameras]


def test_opengl_axes_are_refused_and_named(room, tmp_path):
    folder, cameras = room
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    wrong = posed(cameras[:6], lambda pose: flip @ pose)
    error = refused(folder, tmp_path / "capture", wrong, "cameras.contradict", tmp_path)
    assert "OpenGL's and Blender's axes" in error.message and "%" in error.message
    assert "OpenCV axes" in error.remedy


def test_world_from_camera_is_refused_and_named(room, tmp_path):
    folder, cameras = room
    wrong = posed(cameras[:6], invert_rigid)
    error = refused(folder, tmp_path / "capture", wrong, "cameras.contradict", tmp_path)
    assert "from the camera to the world" in error.message


def test_cameras_of_other_photos_are_refused(room, tmp_path):
    folder, cameras = room
    order = [3, 5, 0, 4, 1, 2]
    wrong = [
        replace(c, camera_from_world=cameras[k].camera_from_world)
        for c, k in zip(cameras[:6], order, strict=True)
    ]
    error = refused(folder, tmp_path / "capture", wrong, "cameras.contradict", tmp_path)
    assert "for example v" in error.message


def test_two_swapped_cameras_are_left_out_by_name(room, tmp_path):
    folder, cameras = room
    wrong = list(cameras)
    for a, b in ((0, 5), (5, 0)):
        wrong[a] = replace(cameras[a], camera_from_world=cameras[b].camera_from_world)
    write_colmap(tmp_path / "swapped", wrong)
    capture = capture_of(folder / "photos", tmp_path / "capture")
    result = run(capture, tmp_path / "swapped")
    assert [c.view for c in result.cameras] == ["v1", "v2", "v3", "v4", "v6"]
    reasons = {u.view: u.reason for u in result.unplaced}
    assert set(reasons) == {"v0", "v5"}
    assert all("contradicts what it shows" in reason for reason in reasons.values())


def test_names_that_are_not_there_are_refused_with_examples(room, tmp_path):
    folder, cameras = room
    write_colmap(tmp_path / "sparse", cameras[:3], names=["DSC_1.jpg", "DSC_2.jpg", "DSC_3.jpg"])
    capture = capture_of(folder / "photos", tmp_path / "capture")
    with pytest.raises(ReconstructionError, match=r"v0\.png.*DSC_1\.jpg"):
        run(capture, tmp_path / "sparse")


def test_one_camera_is_refused(room, tmp_path):
    folder, cameras = room
    write_colmap(tmp_path / "sparse", cameras[:1])
    capture = capture_of(folder / "photos", tmp_path / "capture")
    with pytest.raises(ReconstructionError, match="Only one of the 7 photos has a camera"):
        run(capture, tmp_path / "sparse")


def test_cameras_in_one_place_are_refused(room, tmp_path):
    folder, cameras = room
    center = cameras[0].center

    def moved(pose):
        matrix = pose.copy()
        matrix[:3, 3] = -pose[:3, :3] @ center
        return matrix

    write_colmap(tmp_path / "sparse", posed(cameras[:4], moved))
    capture = capture_of(folder / "photos", tmp_path / "capture")
    with pytest.raises(ReconstructionError, match="stand in the same place"):
        run(capture, tmp_path / "sparse")


def test_photos_without_any_detail_are_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        Image.fromarray(np.full((240, 320, 3), 90 + i, np.uint8)).save(
            tmp_path / "photos" / f"v{i}.png"
        )
    write_colmap(tmp_path / "sparse", room_cameras(3))
    capture = capture_of(tmp_path / "photos", tmp_path / "capture")
    with pytest.raises(ReconstructionError, match="hardly show the same"):
        run(capture, tmp_path / "sparse")


# --- choosing ------------------------------------------------------------------------------------


def test_what_is_given_chooses_the_method(tmp_path):
    (tmp_path / "a.ply").touch()
    assert method_for("", ReconstructOptions()) == "classical"
    assert method_for("", ReconstructOptions(cameras=tmp_path)) == "posed"
    assert method_for("", ReconstructOptions(mesh=tmp_path / "a.ply")) == "posed"
    with pytest.raises(UsageError, match="cannot use --cameras and --mesh"):
        method_for("classical", ReconstructOptions(cameras=tmp_path, mesh=tmp_path / "a.ply"))
    with pytest.raises(UsageError, match="no camera file or folder"):
        method_for("", ReconstructOptions(cameras=tmp_path / "none"))
    with pytest.raises(UsageError, match="no mesh file"):
        method_for("", ReconstructOptions(mesh=tmp_path / "none.ply"))


def test_the_command_line_refuses_missing_files_before_it_makes_anything(room, tmp_path):
    folder, _ = room
    for option in ("--cameras", "--mesh"):
        command = [sys.executable, "-m", "mvsam_engine", "reconstruct", str(folder / "photos")]
        command += ["--capture", str(tmp_path / "new"), option, str(tmp_path / "missing")]
        said = subprocess.run(command, capture_output=True, text=True)
        assert said.returncode == 2
        assert "missing" in said.stderr and "Traceback" not in said.stderr
        assert not (tmp_path / "new").exists()


def test_the_protocol_carries_both_paths():
    from mvsam_engine.protocol import ReconstructParams, to_json

    params = ReconstructParams("/c", cameras="/x/sparse", mesh="/x/a.ply")
    assert ReconstructParams.from_json(json.loads(json.dumps(to_json(params)))) == params
    assert ReconstructParams.from_json({"capture": "/c"}).cameras == ""


# --- real photos ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not FOUNTAIN.is_dir(), reason=f"no fountain-P11 photos in {DATA}")
def test_fountain_with_its_true_cameras(tmp_path):
    """Every third photo of a wall with a fountain, with cameras that were measured by laser."""
    cameras = fountain_cameras()[3:7]
    write_colmap(tmp_path / "sparse", cameras, names=[f"{c.view}.jpg" for c in cameras])
    capture = Capture.create(tmp_path / "capture")
    from mvsam_engine.photos import add_photos

    with capture.writing():
        files = [FOUNTAIN / "photos" / f"{c.view}.jpg" for c in cameras]
        add_photos(capture, files, Record())
    progress = Record()
    result = run(capture, tmp_path / "sparse", progress=progress, max_size=256)
    assert len(result.cameras) == 4
    assert result.settings["matches_fit"] > 0.9
    assert "cameras.inexact" not in progress.warnings
    assert result.settings["agreement"] > 0.5


def fountain_cameras():
    """The set's own cameras, for the photos as they are here."""
    from mvsam_engine.capture import Camera

    cameras = []
    for file in sorted((FOUNTAIN / "cameras_3072x2048").iterdir()):
        numbers = np.array([float(v) for v in file.read_text(encoding="utf-8").split()])
        matrix, rotation = numbers[:9].reshape(3, 3), numbers[12:21].reshape(3, 3)
        name = file.name.removesuffix(".jpg.camera")
        width, height = Image.open(FOUNTAIN / "photos" / f"{name}.jpg").size
        factor = width / numbers[24]
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation.T, -rotation.T @ numbers[21:24]
        params = matrix[[0, 1, 0, 1], [0, 1, 2, 2]] * factor
        cameras.append(Camera(name, "PINHOLE", width, height, tuple(params.tolist()), pose))
    return cameras
