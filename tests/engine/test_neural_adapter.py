# SPDX-License-Identifier: GPL-3.0-or-later
"""A perfect model, driven through the same adapter as the real ones, end to end."""

from __future__ import annotations

import numpy as np
import pytest
from perfect_model import PerfectModel, code_capture, code_photo, first_hits, room_ring, shaped
from PIL import Image

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.photos import IntakeOptions, add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions
from mvsam_engine.reconstruct.neural.framing import InputNeeds
from mvsam_engine.reconstruct.neural.reconstructor import NeuralReconstructor
from mvsam_engine.reconstruct.similarity import align


class Told(Progress):
    def __init__(self):
        super().__init__()
        self.codes: dict[str, str] = {}
        self.said: list[str] = []

    def on_warning(self, code, message, remedy):
        self.codes[code] = message
        self.said.append(message)


def run(capture: Capture, model: PerfectModel, progress: Progress | None = None, **options):
    method = NeuralReconstructor(model.name, lambda: model)
    with capture.writing(), capture.transaction() as transaction:
        chosen = ReconstructOptions(device="cpu", **options)
        result = method.reconstruct(capture, chosen, progress or Progress(), transaction)
        capture.put_reconstruction(result, transaction)
    return capture.require_reconstruction()


def compare(capture: Capture, truth) -> dict[str, float]:
    """How far cameras and points are off, after one similarity on the true points."""
    found = capture.require_reconstruction()
    pairs = []
    for camera in found.cameras:
        true = next(c for c in truth if c.view == camera.view)
        points = capture.pointmap(camera.view).points
        h, w = points.shape[:2]
        goal = first_hits(true, grid_pixels(h, w, true.width, true.height))
        pairs.append((camera, true, points.astype(float), goal))
    known = [np.isfinite(p).all(-1) & np.isfinite(g).all(-1) for _, _, p, g in pairs]
    source = np.concatenate([p[k] for (_, _, p, _), k in zip(pairs, known, strict=True)])
    target = np.concatenate([g[k] for (_, _, _, g), k in zip(pairs, known, strict=True)])
    to_truth = align(source, target)
    out = {"degrees": 0.0, "centers": 0.0, "focal": 0.0, "own_pixel": 0.0}
    off, agreement = [], []
    for (camera, true, points, goal), k in zip(pairs, known, strict=True):
        turn = true.camera_from_world[:3, :3] @ to_truth.rotation
        angle = np.arccos(
            np.clip((np.trace(turn @ camera.camera_from_world[:3, :3].T) - 1) / 2, -1, 1)
        )
        out["degrees"] = max(out["degrees"], float(np.degrees(angle)))
        gap = np.linalg.norm(to_truth.apply(camera.center) - true.center)
        out["centers"] = max(out["centers"], float(gap))
        for name in ("fx", "fy"):
            wrong = abs(camera.param(name) / true.param(name) - 1)
            out["focal"] = max(out["focal"], float(wrong))
        depth = true.project(goal[k])[1]
        error = np.linalg.norm(to_truth.apply(points[k]) - goal[k], axis=1) / depth
        off.append(error)
        h, w = points.shape[:2]
        pixels, _ = camera.project(points[k])
        gap = np.abs(pixels - grid_pixels(h, w, true.width, true.height)[k]).max()
        out["own_pixel"] = max(out["own_pixel"], float(gap))
        agreement.append(capture.pointmap(camera.view).confidence[k].astype(float))
    errors = np.concatenate(off)
    out["median"], out["p99"] = float(np.median(errors)), float(np.quantile(errors, 0.99))
    out["within"] = float((errors <= 0.01).mean())
    out["confidence"] = float(np.concatenate(agreement).mean())
    out["known"] = float(np.mean([k.mean() for k in known]))
    out["scale"] = to_truth.scale
    return out


@pytest.mark.parametrize("gives", ["depth", "local", "world"])
def test_a_perfect_answer_comes_out_right(gives, tmp_path):
    """Whether the model gives cameras, poses alone, or points alone."""
    truth = room_ring(8)
    capture = code_capture(tmp_path, truth)
    result = run(capture, PerfectModel(truth, gives))
    found = compare(capture, truth)
    assert len(result.cameras) == 8 and not result.unplaced
    assert found["degrees"] < 0.05 and found["centers"] < 0.005 and found["focal"] < 0.002
    assert found["median"] < 2e-4 and found["p99"] < 0.004
    assert found["own_pixel"] < 0.01  # a point is seen where its pixel is
    assert found["confidence"] > 0.85
    assert result.upright


@pytest.mark.parametrize("gives", ["depth", "world"])
def test_noise_is_survived_and_told(gives, tmp_path):
    truth = room_ring(8)
    capture = code_capture(tmp_path, truth)
    run(capture, PerfectModel(truth, gives, noise=0.006))
    found = compare(capture, truth)
    assert found["degrees"] < 0.2 and found["focal"] < 0.01
    # The right half errs three times as much. What the confidence says is what is true.
    assert abs(found["confidence"] - found["within"]) < 0.12
    sides = [[], []]
    for camera in truth:
        confidence = capture.pointmap(camera.view).confidence.astype(float)
        half = confidence.shape[1] // 2
        for side, part in enumerate((confidence[:, : half - 4], confidence[:, half + 4 :])):
            sides[side].append(part[part > 0].mean())
    left, right = np.mean(sides[0]), np.mean(sides[1])
    assert 0.65 < left < 0.95 and 0.2 < right < 0.6


def test_photos_of_other_shapes_are_cut_and_uncut_exactly(tmp_path):
    ring = room_ring(6)
    truth = tuple(shaped(c, 240, 320) if i % 3 == 0 else c for i, c in enumerate(ring))
    capture = code_capture(tmp_path, truth)
    told = Told()
    run(capture, PerfectModel(truth), told)
    found = compare(capture, truth)
    assert found["degrees"] < 0.05 and found["focal"] < 0.002 and found["median"] < 3e-4
    assert "cut to the common middle" in told.codes["reconstruct.cut"]
    upright = capture.pointmap(truth[0].view)
    assert upright.points.shape[0] > upright.points.shape[1]  # the grid covers the whole photo
    assert np.isnan(upright.points[:10]).all() and (upright.confidence[:10] == 0).all()
    middle = upright.points.shape[0] // 2
    assert np.isfinite(upright.points[middle]).any()


def test_photos_of_other_shapes_are_padded_and_unpadded_exactly(tmp_path):
    ring = room_ring(6)
    truth = tuple(shaped(c, 240, 320) if i % 3 == 0 else c for i, c in enumerate(ring))
    capture = code_capture(tmp_path, truth)
    model = PerfectModel(truth, needs=InputNeeds(224, 14, "pad"))
    told = Told()
    run(capture, model, told)
    found = compare(capture, truth)
    assert found["degrees"] < 0.05 and found["focal"] < 0.002 and found["median"] < 3e-4
    assert not told.codes and found["known"] > 0.8


def test_a_photo_that_exif_turns_is_given_upright(tmp_path):
    truth = room_ring(4)
    photos = tmp_path / "turned"
    photos.mkdir()
    for i, camera in enumerate(truth):
        image = Image.fromarray(code_photo(camera.width, camera.height, i))
        exif = Image.Exif()
        if i == 1:
            image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), 6
        image.save(photos / f"{camera.view}.jpg", quality=100, subsampling=0, exif=exif)
    capture = Capture.create(tmp_path / "capture")
    with capture.writing():
        add_photos(capture, [photos], Progress())
    run(capture, PerfectModel(truth))
    found = compare(capture, truth)
    assert found["degrees"] < 0.1 and found["median"] < 1e-3


def test_one_photo_alone_gives_a_camera_and_points(tmp_path):
    truth = room_ring(3)[:1]
    capture = code_capture(tmp_path, truth)
    result = run(capture, PerfectModel(truth, "local"))
    found = compare(capture, truth)
    assert len(result.cameras) == 1 and found["median"] < 1e-3 and found["focal"] < 0.002
    # Nothing could be measured: the back end's own guess stands.
    assert found["confidence"] == pytest.approx(0.5, abs=0.01)


def test_metres_stay_metres(tmp_path):
    truth = room_ring(4)
    capture = code_capture(tmp_path, truth)
    result = run(capture, PerfectModel(truth, free_scale=False, metric=True))
    assert result.metric and compare(capture, truth)["scale"] == pytest.approx(1.0, abs=1e-3)


def test_nonsense_is_refused(tmp_path):
    truth = room_ring(5)
    capture = code_capture(tmp_path, truth)
    model = PerfectModel(truth)
    wrong = model.answer

    def scrambled(images):
        answer = wrong(images)
        poses = answer.camera_from_world[[3, 0, 4, 1, 2]].copy()
        poses[:, :3, 3] *= np.array([3.0, 0.1, 5.0, 0.4, 2.0])[:, None]
        object.__setattr__(answer, "camera_from_world", poses)
        return answer

    model.answer = scrambled
    with pytest.raises(ReconstructionError, match="contradicts itself"):
        run(capture, model)
    assert capture.reconstruction() is None


def test_masked_pixels_get_no_points(tmp_path):
    truth = room_ring(4)
    code_capture(tmp_path, truth)
    masks = tmp_path / "masks"
    masks.mkdir()
    half = np.zeros((240, 320), np.uint8)
    half[:, :160] = 255
    for camera in truth:
        Image.fromarray(half).save(masks / f"{camera.view}.png")
    capture = Capture.create(tmp_path / "masked")
    with capture.writing():
        add_photos(capture, [tmp_path / "photos"], Progress(), IntakeOptions(masks=masks))
    run(capture, PerfectModel(truth))
    points = capture.pointmap(truth[0].view).points
    assert np.isnan(points[:, points.shape[1] // 2 + 1 :]).all()
    assert np.isfinite(points[:, : points.shape[1] // 2 - 1]).any()
