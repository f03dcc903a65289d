# SPDX-License-Identifier: GPL-3.0-or-later
"""How features are found and kept."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest
from planes import Plane, Scene, look_at, render

from mvsam_engine.capture import Camera
from mvsam_engine.errors import PhotoError
from mvsam_engine.reconstruct.classical.features import (
    detect,
    detect_all,
    write_database,
)
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, Said


@pytest.fixture
def photo(tmp_path):
    """A rendered photo of 321 x 200 pixels, which no whole size halves evenly."""
    from PIL import Image

    scene = Scene((Plane(point=(0, 0, 1), normal=(0, 0, -1), seed=4),))
    pose = look_at(np.array([0.0, 0.0, -1.0]), (0.0, 0.0, 1.0))
    camera = Camera("a", "SIMPLE_PINHOLE", 321, 200, (300.0, 160.5, 100.0), pose)
    path = tmp_path / "a.png"
    Image.fromarray(render(scene, camera)[0]).save(path)
    return JobPhoto("a", str(path), 321, 200, 300.0, "Some camera")


def test_keypoints_are_scaled_by_one_factor(photo):
    """Features of the shrunk photo lie where those of the full photo do, times the factor."""
    full, half = detect(photo, 1000), detect(photo, 200)
    factor = 200 / 321
    assert len(full.keypoints) > 100 and len(half.keypoints) > 50
    assert (half.keypoints < [321 * factor, 200 * factor]).all()
    distance = np.linalg.norm(half.keypoints[:, None] - full.keypoints * factor, axis=-1)
    assert np.median(distance.min(axis=1)) < 0.3
    scales_fall = half.order[:10], half.order[-10:]
    assert len(set(map(int, np.concatenate(scales_fall)))) == 20


def test_unreadable_photo_is_a_fact_not_a_failure(photo, tmp_path):
    (tmp_path / "b.png").write_bytes(b"no picture")
    broken = JobPhoto("b", str(tmp_path / "b.png"), 321, 200, None, "")
    with pytest.raises(PhotoError):
        detect(broken, 200)
    steps = []
    found, facts = detect_all((photo, broken), 200, 2, lambda: steps.append(1))
    assert found[0] is not None and found[1] is None
    assert facts[1].features == -1 and facts[1].error
    assert len(steps) == 2


def test_photos_taken_alike_share_a_camera(photo, tmp_path):
    found = detect(photo, 200)
    other = JobPhoto("b", photo.path, 321, 200, None, "")
    photos = (photo, photo, other)
    write_database(tmp_path / "a.db", ["0", "1", "2"], photos, [found] * 3, 200)
    with pycolmap.Database.open(tmp_path / "a.db") as database:
        cameras = {c.camera_id: c for c in database.read_all_cameras()}
        used = [image.camera_id for image in database.read_all_images()]
    assert used[0] == used[1] != used[2]
    known = cameras[used[0]]
    assert known.has_prior_focal_length and not cameras[used[2]].has_prior_focal_length
    factor = 200 / 321
    assert known.params == pytest.approx([300 * factor, 100.0, 100 * factor, 0.0])


def test_other_output_of_a_library_is_not_taken_for_progress():
    said = Said(stage="Features", total=3, step=1)
    assert Said.read(said.line()) == said
    assert Said.read("WARNING: something\n") is None
    assert Said.read('{"unknown": 1}\n') is None
