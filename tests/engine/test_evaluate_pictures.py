# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of runs: error colours, depth rows, clouds from new viewpoints, reliability plot."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mvsam_engine.capture import Capture, Photo, Pointmap, Reconstruction
from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import grid_pixels, invert_rigid, transform_points
from mvsam_engine.errors import MvsamError
from mvsam_engine.evaluate import pictures, plots
from mvsam_engine.evaluate.outcome import Outcome
from mvsam_engine.evaluate.run import judge_capture
from mvsam_engine.evaluate.sources import PhotoSet
from mvsam_engine.evaluate.truth import Truth

WIDTH, HEIGHT, DEPTH = 64, 48, 2.0


def wall_capture(folder: Path) -> PhotoSet:
    """Three cameras before a wall 2 m away; the right half of each map is a guess, 20 % off."""
    capture = Capture.create(folder)
    params, photos, cameras = (60.0, WIDTH / 2, HEIGHT / 2), [], []
    with capture.writing(), capture.transaction() as transaction:
        for index in range(3):
            view = f"v{index}"
            world_from_camera = np.eye(4)
            world_from_camera[0, 3], world_from_camera[1, 3] = 0.3 * index, 0.1 * (index % 2)
            pose = invert_rigid(world_from_camera)
            photos.append(
                Photo(view, f"photos/{view}.jpg", WIDTH, HEIGHT, 1, "0" * 64, f"{view}.jpg")
            )
            cameras.append(Camera(view, "SIMPLE_PINHOLE", WIDTH, HEIGHT, params, pose))
            pixels = grid_pixels(HEIGHT, WIDTH, WIDTH, HEIGHT)
            depth = np.full((HEIGHT, WIDTH, 1), DEPTH)
            depth[:, WIDTH // 2 :] *= 1.2
            rays = np.concatenate([(pixels - params[1:]) / params[0], np.ones_like(depth)], -1)
            confidence = np.where(depth[..., 0] > DEPTH, 0.1, 0.95).astype(np.float16)
            colors = np.full((HEIGHT, WIDTH, 3), (200, 40, 30), np.uint8)
            points = transform_points(world_from_camera, rays * depth).astype(np.float32)
            capture.put_pointmap(Pointmap(view, points, confidence, colors), transaction)
        capture.put_photos(tuple(photos), transaction)
        made = Reconstruction(tuple(cameras), method="classical")
        capture.put_reconstruction(made, transaction)
    truth = Truth(
        "rendered",
        {c.view: c.camera_from_world for c in cameras},
        {c.view: lambda: np.full((HEIGHT, WIDTH), DEPTH) for c in cameras},
    )
    return PhotoSet("wall", tuple(Path(f"v{i}.jpg") for i in range(3)), truth, folder)


def test_a_known_wall_gets_its_known_numbers_and_pictures(tmp_path: Path) -> None:
    photo_set = wall_capture(tmp_path / "capture")
    outcome = judge_capture(photo_set)
    assert outcome.method == "classical" and outcome.placed == 3
    assert outcome.poses is not None and outcome.poses.degrees_max < 1e-6
    assert outcome.depth is not None
    assert outcome.depth.measured == pytest.approx(0.5)
    assert outcome.depth.measured_within == pytest.approx([1, 1, 1])
    assert outcome.depth.full_within == pytest.approx([0.5, 0.5, 0.5])
    count, right = outcome.calibration
    assert count[9] == right[9] == 3 * WIDTH * HEIGHT // 2
    assert count[1] == 3 * WIDTH * HEIGHT // 2 and right[1] == 0

    files = pictures.draw_run(tmp_path / "plots", outcome, photo_set, tmp_path / "capture")
    assert [f.name for f in files] == [
        "wall-3-classical-depth.png",
        *(f"wall-3-classical-cloud-{n}.png" for n in range(3)),
    ]
    with Image.open(files[0]) as image:
        rows = np.asarray(image)
    last = rows[:HEIGHT, -WIDTH:]  # the error map of the first view
    assert (last[:, : WIDTH // 2] == pictures._COLORS[0]).all()
    assert (last[:, WIDTH // 2 :] == pictures._COLORS[3]).all()
    for file in files[1:]:
        with Image.open(file) as image:
            pixels = np.asarray(image).astype(int)
        half = pixels.shape[1] // 2
        red = (np.abs(pixels - (200, 40, 30)).sum(axis=-1) < 6).astype(float)
        # All points cover more of the picture than the measured ones alone.
        assert 0.01 < red[:, :half].mean() < red[:, half:].mean()


def test_errors_have_the_colour_of_their_step() -> None:
    true = np.array([[1.0, 1.0, 1.0, 1.0, 0.0, 1.0]])
    depth = np.array([[1.005, 0.98, 1.09, 1.5, 1.0, np.nan]])
    colors = pictures.error_map(depth, true)[0]
    assert [tuple(c) for c in colors[:4]] == list(pictures._COLORS)
    assert (colors[4:] == pictures.BACKGROUND).all()


def test_reliability_is_drawn_or_its_absence_told(tmp_path: Path, monkeypatch) -> None:
    calibration = [[10] * 10, list(range(10))]
    outcome = Outcome("a", "mvsam", 3, 0, {}, "ok", calibration=calibration)
    plots.draw_reliability(tmp_path / "none.png", [])
    assert not (tmp_path / "none.png").exists()
    if importlib.util.find_spec("matplotlib") is not None:
        plots.draw_reliability(tmp_path / "r.png", [outcome])
        with Image.open(tmp_path / "r.png") as image:
            assert np.asarray(image.convert("L")).std() > 10
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MvsamError, match=r"mvsam-engine\[plots\]"):
        plots.draw_reliability(tmp_path / "r2.png", [outcome])
