# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole reconstructions: photos in, pointmaps out, and every way to be refused."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planes import Plane, Scene, look_at, render

from mvsam_engine.capture import Camera, Capture
from mvsam_engine.capture.conventions import grid_pixels, transform_points
from mvsam_engine.errors import Cancelled, ReconstructionError, UsageError
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions, reconstruct
from mvsam_engine.reconstruct.classical.sfm import run_sfm
from mvsam_engine.reconstruct.classical.sfm_job import SfmJob
from mvsam_engine.reconstruct.similarity import align

ROOM = Scene(
    (
        Plane(point=(0, 0, 1.0), normal=(0.15, 0, -1.0), seed=11),
        Plane(point=(-0.1, 0.0, 0.2), normal=(-0.2, 0.1, -1.0), seed=12, half_size=0.45),
    )
)
WIDTH, HEIGHT = 320, 240


def room_cameras(count=6):
    """On an arc of 5 degrees a step, 2.2 units from the middle, held level, at two heights."""
    cameras = []
    for i in range(count):
        a = np.radians(5.0 * (i - count / 2))
        center = np.array([2.2 * np.sin(a), -0.25 + 0.1 * (i % 2), 0.4 - 2.2 * np.cos(a)])
        pose = look_at(center, (0.0, 0.0, 0.4))
        params = (368.0, WIDTH / 2, HEIGHT / 2, -0.04)
        cameras.append(Camera(f"v{i}", "SIMPLE_RADIAL", WIDTH, HEIGHT, params, pose))
    return cameras


class Record(Progress):
    """Remembers stages, counts and warnings."""

    def __init__(self):
        super().__init__()
        self.stages = {}
        self.warnings = []

    def on_change(self):
        self.stages[self.stage_name] = (self.done, self.total)

    def on_warning(self, code, message, remedy):
        self.warnings.append((code, message))


def save(folder: Path, name: str, pixels) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(folder / name)


def capture_of(folder: Path, root: Path) -> Capture:
    capture = Capture.create(root)
    with capture.writing():
        add_photos(capture, [folder], Progress())
    return capture


def run(capture, progress=None, **options):
    with capture.writing():
        settings = ReconstructOptions(**options)
        return reconstruct(capture, "classical", settings, progress or Progress())


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six photos of the room, a black one and a tiny one."""
    folder = tmp_path_factory.mktemp("photos")
    truth = {}
    for camera in room_cameras():
        photo, depth = render(ROOM, camera)
        save(folder, f"{camera.view}.png", photo)
        truth[camera.view] = (camera, depth)
    save(folder, "w_black.png", np.zeros((HEIGHT, WIDTH, 3)))
    tiny = Image.open(folder / "v2.png").resize((64, 48))
    save(folder, "x_tiny.png", tiny)
    return folder, truth


@pytest.fixture(scope="module")
def done(photos, tmp_path_factory):
    """The room, reconstructed once."""
    folder, truth = photos
    capture = capture_of(folder, tmp_path_factory.mktemp("work") / "capture")
    progress = Record()
    result = run(capture, progress, max_size=192)
    return capture, result, progress, truth


def test_good_photos_are_placed_and_bad_ones_are_listed_with_a_reason(done):
    capture, result, progress, truth = done
    assert [c.view for c in result.cameras] == list(truth)
    reasons = {u.view: u.reason for u in result.unplaced}
    assert "hardly any detail" in reasons["w_black"]
    assert "too small (64 x 48 pixels)" in reasons["x_tiny"]
    assert progress.warnings == [
        ("reconstruct.unplaced", "2 of 8 photos could not be placed."),
    ]
    stored = capture.require_reconstruction()
    assert [c.view for c in stored.cameras] == list(truth)
    assert stored.unplaced == result.unplaced
    assert stored.settings["mapper"]


def test_stages_count_real_work(done):
    stages = done[2].stages
    assert stages["Features"] == (7, 7)  # the tiny photo is not even looked at
    assert stages["Matching"][0] == stages["Matching"][1] >= 15
    for stage in ("Photos", "Depth", "Agreement", "Filling"):
        assert stages[stage] == (6, 6)


def test_cameras_are_right(done):
    _, result, _, truth = done
    true = [truth[c.view][0] for c in result.cameras]
    goal = np.array([c.center for c in true])
    similarity = align(np.array([c.center for c in result.cameras]), goal)
    off = similarity.apply(np.array([c.center for c in result.cameras])) - goal
    assert np.linalg.norm(off, axis=1).max() < 0.02
    for found, camera in zip(result.cameras, true, strict=True):
        turn = (
            camera.camera_from_world[:3, :3]
            @ similarity.rotation
            @ found.camera_from_world[:3, :3].T
        )
        assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) < 0.5
        assert found.param("f") == pytest.approx(368.0, rel=0.03)


def test_pointmaps_are_right_and_lie_on_the_rays(done):
    capture, result, _, truth = done
    goal = np.array([truth[c.view][0].center for c in result.cameras])
    scale = align(np.array([c.center for c in result.cameras]), goal).scale
    for camera in result.cameras:
        pointmap = capture.pointmap(camera.view)
        assert pointmap.points.shape == (144, 192, 3)
        pixels, _ = camera.project(pointmap.points)
        known = np.isfinite(pointmap.points[..., 0])
        wanted = grid_pixels(144, 192, WIDTH, HEIGHT)
        assert np.abs(pixels - wanted)[known].max() < 1e-2
        depth = transform_points(camera.camera_from_world, pointmap.points)[..., 2] * scale
        at = wanted.astype(int)
        true = truth[camera.view][1][at[..., 1], at[..., 0]]
        measured = known & (pointmap.confidence > 0.3)
        error = np.abs(depth / true - 1)
        assert measured.mean() > 0.6
        assert np.median(error[measured]) < 0.01
        assert known.mean() > 0.99
        assert (error[known] < 0.1).mean() > 0.85


def test_confident_points_are_the_better_ones(done):
    capture, result, _, truth = done
    goal = np.array([truth[c.view][0].center for c in result.cameras])
    scale = align(np.array([c.center for c in result.cameras]), goal).scale
    confidences, errors = [], []
    for camera in result.cameras:
        pointmap = capture.pointmap(camera.view)
        depth = transform_points(camera.camera_from_world, pointmap.points)[..., 2] * scale
        at = grid_pixels(144, 192, WIDTH, HEIGHT).astype(int)
        true = truth[camera.view][1][at[..., 1], at[..., 0]]
        known = np.isfinite(depth)
        confidences.append(pointmap.confidence[known].astype(float))
        errors.append(np.abs(depth / true - 1)[known])
    confidence, error = np.concatenate(confidences), np.concatenate(errors)
    assert (confidence >= 0).all() and (confidence <= 1).all()
    good, bad = error[confidence > 0.7], error[confidence < 0.3]
    assert len(good) > 1000 and len(bad) > 100
    assert (good < 0.01).mean() > (bad < 0.01).mean() + 0.2


def test_photos_of_both_orientations_and_sizes_are_placed_together(photos, tmp_path):
    """A portrait photo, cut out of a rendered one, has a camera of its own."""
    folder, _ = photos
    for i in range(5):
        image = Image.open(folder / f"v{i}.png")
        if i == 2:
            image = image.crop((64, 0, 244, 240))
        save(tmp_path / "mixed", f"v{i}.png", image)
    capture = capture_of(tmp_path / "mixed", tmp_path / "capture")
    result = run(capture, max_size=96)
    assert {c.view: (c.width, c.height) for c in result.cameras}["v2"] == (180, 240)
    assert capture.pointmap("v2").points.shape == (96, 72, 3)
    assert len(result.cameras) == 5


def test_two_photos_are_enough_where_they_overlap_well(photos, tmp_path):
    folder, _ = photos
    for i in (1, 3):
        save(tmp_path / "two", f"v{i}.png", Image.open(folder / f"v{i}.png"))
    capture = capture_of(tmp_path / "two", tmp_path / "capture")
    result = run(capture, max_size=96)
    assert [c.view for c in result.cameras] == ["v1", "v3"]
    assert (capture.pointmap("v1").confidence > 0.3).mean() > 0.4


def test_a_second_run_replaces_the_first(photos, tmp_path):
    folder, _ = photos
    for i in range(3):
        save(tmp_path / "three", f"v{i}.png", Image.open(folder / f"v{i}.png"))
    capture = capture_of(tmp_path / "three", tmp_path / "capture")
    for size in (64, 96):
        assert len(run(capture, max_size=size).cameras) == 3
    assert capture.pointmap("v0").points.shape == (72, 96, 3)


# --- refusals ----------------------------------------------------------------------------------


def refused(folder, root, code):
    capture = capture_of(folder, root) if folder else Capture.create(root)
    with pytest.raises(ReconstructionError) as caught:
        run(capture, max_size=96)
    assert caught.value.code == code
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    assert capture.reconstruction() is None
    assert not (root / "pointmaps").exists()


def test_no_photo_is_refused(tmp_path):
    refused(None, tmp_path / "capture", "reconstruct.empty")


def test_one_photo_is_refused(photos, tmp_path):
    save(tmp_path / "one", "a.png", Image.open(photos[0] / "v0.png"))
    refused(tmp_path / "one", tmp_path / "capture", "reconstruct.single")


def test_tiny_photos_are_refused(photos, tmp_path):
    for i in range(3):
        small = Image.open(photos[0] / f"v{i}.png").resize((64, 48))
        save(tmp_path / "small", f"{i}.png", small)
    refused(tmp_path / "small", tmp_path / "capture", "reconstruct.small")


def test_black_photos_are_refused(tmp_path):
    for i in range(3):
        save(tmp_path / "black", f"{i}.png", np.full((240, 320, 3), i))
    refused(tmp_path / "black", tmp_path / "capture", "reconstruct.detail")


def test_photos_of_different_things_are_refused(tmp_path):
    for i in range(3):
        scene = Scene((Plane(point=(0, 0, 1.0), normal=(0, 0, -1.0), seed=50 + i),))
        save(tmp_path / "other", f"{i}.png", render(scene, room_cameras()[0])[0])
    refused(tmp_path / "other", tmp_path / "capture", "reconstruct.overlap")


def test_photos_from_one_place_are_refused(photos, tmp_path):
    """The same photo with a little noise, as a tripod takes it."""
    pixels = np.asarray(Image.open(photos[0] / "v0.png")).astype(int)
    rng = np.random.default_rng(0)
    for i in range(3):
        noisy = np.clip(pixels + rng.integers(-3, 4, pixels.shape), 0, 255)
        save(tmp_path / "same", f"{i}.png", noisy)
    capture = capture_of(tmp_path / "same", tmp_path / "capture")
    with pytest.raises(ReconstructionError) as caught:
        run(capture, max_size=96)
    assert caught.value.code in {"reconstruct.parallax", "reconstruct.unsupported"}
    assert caught.value.remedy


def test_unknown_method_is_refused_with_the_known_ones(tmp_path):
    capture = Capture.create(tmp_path / "capture")
    with pytest.raises(UsageError, match="classical"):
        reconstruct(capture, "magic", ReconstructOptions(), Progress())


class CancelAt(Progress):
    """Cancels itself a moment after a stage began."""

    def __init__(self, stage):
        super().__init__()
        self._stage = stage
        self.at = None

    def on_change(self):
        if self.stage_name == self._stage and self.at is None:
            self.at = time.monotonic()
            self.cancel()


@pytest.mark.parametrize("stage", ["Features", "Cameras", "Depth", "Filling"])
def test_cancel_takes_effect_soon_and_changes_nothing(photos, tmp_path, stage):
    capture = capture_of(photos[0], tmp_path / "capture")
    progress = CancelAt(stage)
    with pytest.raises(Cancelled):
        run(capture, progress, max_size=96)
    assert time.monotonic() - progress.at < 3.0
    assert capture.reconstruction() is None
    assert not (capture.root / "pointmaps").exists()


def test_a_crash_of_the_child_becomes_a_sentence(tmp_path):
    # A folder where the database should be: the library ends the child process.
    (tmp_path / "matched.db").mkdir()
    with pytest.raises(ReconstructionError, match="structure-from-motion library") as caught:
        run_sfm(SfmJob(photos=(), folder=str(tmp_path), size=640, seed=0), Progress())
    assert caught.value.code == "reconstruct.crashed"
    assert caught.value.remedy


def test_importing_the_interface_imports_nothing_heavy():
    code = (
        "import sys, mvsam_engine.reconstruct; "
        "print(sorted({'numba', 'cv2', 'pycolmap', 'torch', 'scipy'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
