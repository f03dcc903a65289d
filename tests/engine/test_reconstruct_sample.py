# SPDX-License-Identifier: GPL-3.0-or-later
"""The classical route on six photos of the project's own sample, against its exact truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import grid_pixels, invert_rigid, transform_points
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions, reconstruct
from mvsam_engine.reconstruct.similarity import align

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tabletop"
PHOTOS = sorted((SAMPLE / "photos").glob("*.jpg"))[4:10]

pytestmark = pytest.mark.skipif(
    len(PHOTOS) < 6, reason="the sample (examples/tabletop) has not been rendered here"
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Capture, result, true cameras and the similarity to the true world."""
    capture = Capture.create(tmp_path_factory.mktemp("sample") / "capture")
    with capture.writing():
        add_photos(capture, PHOTOS, Progress())
        result = reconstruct(capture, "classical", ReconstructOptions(max_size=256), Progress())
    described = json.loads((SAMPLE / "truth" / "cameras.json").read_text(encoding="utf-8"))
    true = {v: np.array(c["camera_from_world"]) for v, c in described["views"].items()}
    goal = np.array([invert_rigid(true[c.view])[:3, 3] for c in result.cameras])
    similarity = align(np.array([c.center for c in result.cameras]), goal)
    return capture, result, true, similarity


def test_all_six_photos_are_placed_where_they_were_taken(sample):
    _, result, true, similarity = sample
    assert [c.view for c in result.cameras] == [p.stem for p in PHOTOS]
    goal = np.array([invert_rigid(true[c.view])[:3, 3] for c in result.cameras])
    rig = np.linalg.norm(goal[:, None] - goal[None], axis=-1).max()
    off = similarity.apply(np.array([c.center for c in result.cameras])) - goal
    assert np.linalg.norm(off, axis=1).max() < 0.005 * rig
    for camera in result.cameras:
        turn = true[camera.view][:3, :3] @ similarity.rotation @ camera.camera_from_world[:3, :3].T
        assert np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))) < 0.3


def test_up_is_up(sample):
    _, result, _, similarity = sample
    assert result.upright
    tilt = np.degrees(np.arccos(np.clip((similarity.rotation @ [0.0, 0.0, 1.0])[2], -1, 1)))
    assert tilt < 5.0


def test_measured_depth_is_right(sample):
    capture, result, _, similarity = sample
    measured, errors = [], []
    for camera in result.cameras:
        with np.load(SAMPLE / "truth" / "depth" / f"{camera.view}.npz") as archive:
            true = archive["depth"].astype(float)
        pointmap = capture.pointmap(camera.view)
        depth = transform_points(camera.camera_from_world, pointmap.points)[..., 2]
        height, width = depth.shape
        at = grid_pixels(height, width, true.shape[1], true.shape[0]).astype(int)
        error = np.abs(depth * similarity.scale / true[at[..., 1], at[..., 0]] - 1)
        known = np.isfinite(depth) & (pointmap.confidence > 0.3)
        measured.append(known.mean())
        errors.append(error[known])
    assert np.mean(measured) > 0.5
    error = np.concatenate(errors)
    assert np.median(error) < 0.005
    assert (error < 0.01).mean() > 0.75
    assert (error < 0.03).mean() > 0.9
