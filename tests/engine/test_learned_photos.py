# SPDX-License-Identifier: GPL-3.0-or-later
"""Learned features on real photos: what they are and where they put photos that SIFT leaves out."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest
from PIL import Image

from mvsam_engine.reconstruct.classical import learned
from mvsam_engine.reconstruct.classical.features import detect_all, write_database
from mvsam_engine.reconstruct.classical.mapping import map_incremental, to_sparse
from mvsam_engine.reconstruct.classical.matching import match_pairs, verify
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, SfmJob
from mvsam_engine.reconstruct.classical.support import drop_unsupported, quality

DATA = Path(os.environ.get("MVSAM_DATA", Path(__file__).resolve().parents[2] / "../shared/data"))
FOUNTAIN, KITCHEN = DATA / "fountain-P11", DATA / "kitchen"

pytestmark = pytest.mark.skipif(not learned.available(), reason=learned.why_not())


def needs(folder):
    return pytest.mark.skipif(
        not folder.is_dir(), reason=f"no photo set {folder.name} (MVSAM_DATA)"
    )


def job_of(folder, indices, work, size=800):
    files = sorted((folder / "photos").iterdir())
    photos = []
    for file in (files[i] for i in indices):
        width, height = Image.open(file).size
        photos.append(JobPhoto(file.stem, str(file), width, height, None, ""))
    return SfmJob(photos=tuple(photos), folder=str(work), size=size, seed=0)


def sift_database(job):
    features, _ = detect_all(job.photos, job.size, 2, lambda: None)
    names = [f"{i:06d}" for i in range(len(job.photos))]
    path = Path(job.folder) / "matched.db"
    write_database(path, names, job.photos, features, job.size)
    match_pairs(path, names, list(itertools.combinations(range(len(names)), 2)), lambda count: None)
    return path


def placed(job, matched, name):
    """The best model that the incremental mapper makes of a matched database."""
    verified = Path(job.folder) / f"{name}-verified.db"
    verify(matched, verified, 0)
    output = Path(job.folder) / name
    found = map_incremental(verified, output, 0, 8.0, len(job.photos))
    models = [drop_unsupported(to_sparse(model, job, name)) for model in found]
    return max(models, key=lambda m: quality(m).support, default=None)


def true_rotations(names):
    """Camera-from-world rotations of fountain-P11; the files hold world-from-camera."""
    rotations = []
    for name in names:
        text = (FOUNTAIN / "cameras_3072x2048" / f"{name}.jpg.camera").read_text().split()
        rotations.append(np.array(text[12:21], float).reshape(3, 3).T)
    return rotations


def largest_turn(cameras):
    """Largest error in degrees of the relative rotations of all pairs."""
    truth = true_rotations([camera.view for camera in cameras])
    found = [camera.camera_from_world[:3, :3] for camera in cameras]
    errors = []
    for a, b in itertools.combinations(range(len(cameras)), 2):
        error = (truth[b] @ truth[a].T).T @ (found[b] @ found[a].T)
        errors.append(np.degrees(np.arccos(np.clip((np.trace(error) - 1) / 2, -1, 1))))
    return max(errors)


@pytest.fixture(scope="module")
def network():
    from mvsam_engine.reconstruct.classical.learned.second_try import NETWORKS

    method = learned.installed_method()
    assert method is not None
    return NETWORKS[method]()


def texture(width, height):
    """Smoothed noise: corners everywhere."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    spread = (smooth - smooth.mean()) * 40.0 / smooth.std() + 128.0
    return np.clip(spread, 0, 255).astype(np.uint8)


def test_matches_of_a_known_shift_lie_where_they_should(network):
    """Two crops of one picture, whose sizes are no multiples of 32, 37 and 14 pixels apart."""
    picture = texture(460, 330)
    first = network.detect(picture[:301, :403])
    second = network.detect(picture[14:315, 37:440])
    matches = network.match(first, second)
    assert len(matches) > 200
    shift = first.keypoints[matches[:, 0]] - second.keypoints[matches[:, 1]]
    right = np.linalg.norm(shift - [37, 14], axis=1) < 3.0
    assert right.mean() > 0.9
    # A keypoint may stand at whole pixels, but not half a pixel aside on average.
    assert np.abs(shift[right].mean(axis=0) - [37, 14]).max() < 0.2


def test_a_photo_without_anything_in_it_has_no_matches(network):
    plain = network.detect(np.full((200, 300, 3), 128, np.uint8))
    other = network.detect(texture(300, 200))
    assert len(network.match(plain, other)) < 8


@needs(FOUNTAIN)
def test_second_try_places_what_sift_leaves_out(tmp_path):
    """Three photos 26 degrees apart on average: SIFT places two of them, and wrongly."""
    from mvsam_engine.reconstruct.classical.learned.second_try import write_second_database

    job = job_of(FOUNTAIN, (0, 5, 10), tmp_path)
    matched = sift_database(job)
    first = placed(job, matched, "first")
    assert first is None or len(first.cameras) < 3
    there = {c.view for c in first.cameras} if first else set()
    lost = [i for i, photo in enumerate(job.photos) if photo.view not in there]
    stages, steps = [], []
    target = tmp_path / "second.db"
    found = write_second_database(
        job, matched, target, lost, lambda *s: stages.append(s), lambda: steps.append(1)
    )
    assert found is not None and min(found.matches.values()) > 100
    assert len(steps) == sum(total for _, total in stages)
    with pycolmap.Database.open(matched) as old, pycolmap.Database.open(target) as new:
        kept = old.read_keypoints(1)
        np.testing.assert_array_equal(new.read_keypoints(1)[: len(kept), :2], kept[:, :2])
    second = placed(job, target, "second")
    assert second is not None and len(second.cameras) == 3
    assert quality(second).support > quality(first).support + 0.5 if first else True
    assert largest_turn(second.cameras) < 1.5


@needs(KITCHEN)
def test_second_try_of_photos_too_far_apart_is_refused(tmp_path):
    """Four photos around a table, 90 degrees apart: what matches is repeated texture."""
    from mvsam_engine.reconstruct.classical.learned.second_try import write_second_database

    job = job_of(KITCHEN, (2, 8, 13, 19), tmp_path)
    matched = sift_database(job)
    target = tmp_path / "second.db"
    found = write_second_database(job, matched, target, range(4), lambda *s: None, lambda: None)
    assert found is not None and max(found.matches.values()) > 50  # tempting
    second = placed(job, target, "second")
    assert second is None or len(second.cameras) < 2


@needs(FOUNTAIN)
def test_masked_pixels_give_no_learned_features(tmp_path):
    from dataclasses import replace

    from mvsam_engine.reconstruct.classical.learned.second_try import write_second_database

    job = job_of(FOUNTAIN, (0, 1), tmp_path, size=400)
    mask = np.zeros((job.photos[0].height, job.photos[0].width), np.uint8)
    mask[:, : mask.shape[1] // 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    masked = replace(job.photos[0], mask=str(tmp_path / "mask.png"))
    job = replace(job, photos=(masked, job.photos[1]))
    matched = sift_database(job)
    target = tmp_path / "second.db"
    assert write_second_database(job, matched, target, [0], lambda *s: None, lambda: None)
    with pycolmap.Database.open(matched) as old, pycolmap.Database.open(target) as new:
        learned_points = new.read_keypoints(1)[len(old.read_keypoints(1)) :]
        elsewhere = new.read_keypoints(2)[len(old.read_keypoints(2)) :]
    assert len(learned_points) > 50 and (learned_points[:, 0] <= 201).all()
    assert (elsewhere[:, 0] > 201).any()
