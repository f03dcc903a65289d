# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras for other programs, read back by their own readers, or by ours of their formats."""

import json

import export_scene as scene
import numpy as np
import pytest
from PIL import Image

from mvsam_engine.errors import CaptureError
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.shots import resampled, undistorted
from mvsam_engine.export.targets import export
from mvsam_engine.reconstruct.posed.cameras import match_cameras, read_cameras

SPOTS = np.array([[0.1, 0.2, 0.0], [-0.3, 0.1, 0.1], [0.5, -0.2, 0.0], [0.0, 0.0, 0.4]])


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return scene.make(tmp_path_factory.mktemp("cameras"), (1, 3, 6, 8))


def run(capture, kind, out, progress=None, **options):
    return export(capture, kind, out, ExportOptions(**options), progress or scene.Record())


@pytest.mark.parametrize("text", [False, True])
def test_colmap_reads_cameras_points_and_tracks(capture, tmp_path, text):
    import pycolmap

    run(capture, "colmap", tmp_path, text=text)
    assert (tmp_path / "sparse/0/points3D.txt").is_file() == text
    model = pycolmap.Reconstruction(tmp_path / "sparse/0")
    assert model.num_reg_images() == 4
    cameras = {c.view: c for c in capture.require_reconstruction().cameras}
    placed = scene.PLACEMENT.apply(SPOTS)
    for image in model.images.values():
        own = cameras[image.name.removesuffix(".jpg")]
        with Image.open(tmp_path / "images" / image.name) as photo:
            assert photo.size == (image.camera.width, image.camera.height)
            assert photo.getexif().get(0x0112, 1) == 1
        expected, _ = own.project(SPOTS)
        for spot, pixel in zip(placed, expected, strict=True):
            assert image.project_point(spot) == pytest.approx(pixel, abs=1e-4)
    assert model.num_points3D() > 200
    assert model.compute_mean_track_length() >= 2
    model.update_point_3d_errors()
    assert model.compute_mean_reprojection_error() < 1e-3
    z = np.array([p.xyz[2] for p in model.points3D.values()])
    assert z == pytest.approx(scene.PLACEMENT.matrix[2, 3], abs=1e-3)  # the plane, placed


def test_colmap_of_the_original_files(capture, tmp_path):
    import pycolmap

    run(capture, "colmap", tmp_path, photos="original", frame="reconstructed")
    assert not (tmp_path / "images").exists()
    model = pycolmap.Reconstruction(tmp_path / "sparse/0")
    assert len(model.cameras) == 1  # as stored, all photos have the same lens
    for image in model.images.values():
        index = int(image.name.removeprefix("left/IMG_").removesuffix(".JPG"))
        stored = scene.stored_camera(index)
        assert (image.camera.width, image.camera.height) == (scene.WIDTH, scene.HEIGHT)
        for spot, pixel in zip(SPOTS, stored.project(SPOTS)[0], strict=True):
            assert image.project_point(spot) == pytest.approx(pixel, abs=1e-4)
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{image.name}.png")) == 255
        assert (mask == scene.stored_mask(stored)).all()


@pytest.mark.parametrize("model", ["OPENCV", "MVSAM_BROWN", "FOV"])
def test_undistorted_photos_and_masks_fit_their_pinhole_cameras(tmp_path, model):
    capture = scene.make(tmp_path / "s", (1, 6), model)
    run(capture, "nerfstudio", tmp_path / "out", undistort=True, frame="reconstructed")
    data = json.loads((tmp_path / "out/transforms.json").read_text())
    found = read_cameras(tmp_path / "out/transforms.json")
    for frame, posed in zip(data["frames"], found.photos, strict=True):
        assert not any(frame[k] for k in ("k1", "k2", "k3", "k4", "p1", "p2"))
        camera = posed.camera
        truth = scene.inside(scene.plane(camera, camera.height, camera.width))
        mask = np.asarray(Image.open(tmp_path / "out" / frame["mask_path"])) == 255
        photo = np.asarray(Image.open(tmp_path / "out" / frame["file_path"])).astype(int)
        red = photo[..., 0] > photo[..., 2]
        # The object is 30 pixels wide: stairs fall elsewhere, and JPEG halves the colours' grid.
        assert (mask & truth).sum() / (mask | truth).sum() > 0.94
        assert (red & truth).sum() / (red | truth).sum() > 0.88
        assert photo.sum(axis=-1).min() > 60  # nothing black from beyond the photo


@pytest.mark.parametrize("model", ["OPENCV", "MVSAM_BROWN", "FOV"])
def test_undistorting_shifts_nothing(model):
    """A smooth pattern, resampled, is the pattern that the pinhole camera sees."""
    camera = scene.stored_camera(1, model)
    pinhole, lookup = undistorted(camera)

    def pattern(camera):
        hit = scene.plane(camera, camera.height, camera.width)
        return 128 + 100 * np.sin(1.5 * hit[..., 0]) * np.cos(1.5 * hit[..., 1])

    expected = pattern(pinhole)
    error = resampled(pattern(camera).astype(np.uint8), lookup) + 0.5 - expected
    for slope in np.gradient(expected):
        assert abs((error * slope).sum() / (slope * slope).sum()) < 0.05  # pixels
    assert np.abs(error).max() < 5


def test_lenses_that_a_program_does_not_have_are_refused_in_words(tmp_path):
    brown = scene.make(tmp_path / "a", (1, 6), "MVSAM_BROWN")
    with pytest.raises(CaptureError, match="--undistort"):
        run(brown, "colmap", tmp_path / "out")
    fov = scene.make(tmp_path / "b", (1, 6), "FOV")
    for kind in ("nerfstudio", "metashape"):
        with pytest.raises(CaptureError, match="no lens model"):
            run(fov, kind, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run(fov, "colmap", tmp_path / "fov")  # COLMAP has this one
    progress = scene.Record()
    files = run(brown, "realityscan", tmp_path / "rs", progress)
    assert "2 photos" in progress.warnings["export.lens"]
    assert all(f.suffix == ".png" for f in files)


@pytest.mark.parametrize("frame", ["placed", "reconstructed"])
@pytest.mark.parametrize("kind", ["nerfstudio", "metashape", "realityscan", "colmap"])
def test_our_readers_read_what_we_write(capture, tmp_path, kind, frame):
    """Round trip: the exported cameras see every place where the capture's do."""
    run(capture, kind, tmp_path, frame=frame, photos="original")
    name = {"nerfstudio": "transforms.json", "metashape": "cameras.xml"}.get(kind, "")
    folder = {"realityscan": "left"}.get(kind, "")
    found = read_cameras(tmp_path / folder / name)
    matched = match_cameras(capture.photos(), found)
    assert len(matched.cameras) == 4
    spots = scene.PLACEMENT.apply(SPOTS) if frame == "placed" else SPOTS
    for own, back in zip(capture.require_reconstruction().cameras, matched.cameras, strict=True):
        assert own.view == back.view
        # RealityScan takes pixels as squares; here they differ by 0.02 %.
        loose = 0.05 if kind == "realityscan" else 1e-4
        assert back.project(spots)[0] == pytest.approx(own.project(SPOTS)[0], abs=loose)
    if kind == "metashape":
        assert found.metric == (frame == "placed")


def test_nerfstudio_has_a_mask_for_every_photo_and_points(capture, tmp_path):
    from plyfile import PlyData

    run(capture, "nerfstudio", tmp_path, remove=True, max_points=300)
    data = json.loads((tmp_path / "transforms.json").read_text())
    for frame in data["frames"]:
        with Image.open(tmp_path / frame["mask_path"]) as mask:
            assert mask.mode == "L"
            assert mask.size == (frame["w"], frame["h"])
        assert (tmp_path / frame["file_path"]).is_file()
    assert len(PlyData.read(tmp_path / data["ply_file_path"])["vertex"]) == 300
