# SPDX-License-Identifier: GPL-3.0-or-later
"""Real photos with SAM's own masks as the truth."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np
import pytest
from flat_scenes import HEIGHT, WIDTH, CheapEncoder, flat_capture, png
from PIL import Image

from mvsam_engine.capture import Capture, Photo
from mvsam_engine.errors import Cancelled, CaptureError, TrainingError, UsageError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.sam import SamAnswer, load_sam
from mvsam_engine.train.data import load_scenes
from mvsam_engine.train.episodes import EpisodeOptions, episodes
from mvsam_engine.train.folders import damage, described
from mvsam_engine.train.teacher import (
    TeacherOptions,
    copy_capture,
    grid_points,
    make_teacher_scene,
    without_duplicates,
)


def rectangle(left, right, value=8.0):
    """Logits of SAM's square, object between two columns of the photo's upper half."""
    logits = np.full((256, 256), -value, np.float32)
    logits[:60, left:right] = value
    return logits


class Teacher:
    """Knows three masks: one to trust, one that it doubts, and one without a clear border."""

    def __init__(self):
        self.encoder, self.asked = CheapEncoder(), 0

    def predict(self, embeddings, prompts):
        assert len(embeddings) == len(prompts)
        self.asked += len(prompts)
        vague = np.where(rectangle(10, 100) > 0, 0.5, -0.5).astype(np.float32)
        answers = []
        for prompt in prompts:
            side = 20 if prompt.points[0, 0] < 512 else 140
            logits = np.stack(
                [rectangle(0, 256), rectangle(side, side + 80), rectangle(side, side + 40), vague]
            )
            answers.append(SamAnswer(logits, np.array([0.99, 0.95, 0.5, 0.93], np.float32)))
        return answers


def options(**changes):
    return TeacherOptions(**{"grid": 4, **changes})


def test_only_masks_that_can_be_believed_are_kept(tmp_path):
    flat_capture(tmp_path / "kitchen", views=3)
    teacher = Teacher()
    scene = make_teacher_scene(
        tmp_path / "kitchen", tmp_path / "out", teacher, options(), Progress()
    )
    assert scene == tmp_path / "out/kitchen"
    assert damage(scene) == ""
    assert teacher.asked == 3 * 4 * 3  # views, columns, rows
    files = sorted(p.relative_to(scene / "masks").as_posix() for p in scene.rglob("masks/*/*.png"))
    expected = [f"000{i}_00{k}/{'abc'[i]}.png" for i in range(3) for k in range(2)]
    assert files == expected
    image = np.asarray(Image.open(scene / "masks/0000_000/a.png"))
    assert image.shape == (HEIGHT, WIDTH)
    columns = np.flatnonzero(image.any(axis=0))
    assert columns.min() in (7, 8, 52, 53)  # cell 20 or 140 of 256, of 96 pixels
    assert 29 <= len(columns) <= 31
    assert described(tmp_path / "out")["least stability"] == 0.95


def test_each_mask_trains_its_own_view_only(tmp_path):
    flat_capture(tmp_path / "kitchen", views=3)
    scene = make_teacher_scene(
        tmp_path / "kitchen", tmp_path / "out", Teacher(), options(), Progress()
    )
    (loaded,) = load_scenes([scene], CheapEncoder(), Progress()).values()
    drawn = episodes([loaded], np.random.default_rng(0), EpisodeOptions())
    for _, episode in zip(range(30), drawn, strict=False):
        (view,) = {int(name[:4]) for name in episode.objects}
        assert episode.rows == (view,)
        assert set(episode.hints) == {view}


def test_where_nothing_is_known_nothing_is_learnt(tmp_path):
    capture = flat_capture(tmp_path / "wall", views=1)
    path = capture.root / "pointmaps/a.npy"
    points = np.load(path)
    points[:, : points.shape[1] // 2] = np.nan
    np.save(path, points)
    scene = make_teacher_scene(capture.root, tmp_path / "out", Teacher(), options(), Progress())
    (mask,) = scene.glob("masks/*/a.png")
    assert not np.asarray(Image.open(mask))[:, : WIDTH // 2].any()


def test_fewer_views_fewer_masks_and_none_at_all(tmp_path):
    flat_capture(tmp_path / "c", views=5)
    few = make_teacher_scene(
        tmp_path / "c", tmp_path / "few", Teacher(), options(views=2, most=1), Progress()
    )
    assert sorted(p.stem for p in few.glob("masks/*/*.png")) == ["a", "e"]
    with pytest.raises(TrainingError, match="sure enough"):
        make_teacher_scene(
            tmp_path / "c", tmp_path / "none", Teacher(), options(least_score=0.97), Progress()
        )
    assert not (tmp_path / "none/c").exists()
    with pytest.raises(UsageError):
        TeacherOptions(grid=0)


class Stopped(Progress):
    """Cancels at the first answer."""

    def on_change(self):
        if self.stage_name == "Asking SAM" and self.done:
            self.cancel()


def test_stopping_leaves_nothing_and_finished_work_is_not_repeated(tmp_path):
    flat_capture(tmp_path / "c")
    with pytest.raises(Cancelled):
        make_teacher_scene(tmp_path / "c", tmp_path / "out", Teacher(), options(), Stopped())
    assert {p.name for p in (tmp_path / "out").iterdir()} == {".lock", "data.json"}
    make_teacher_scene(tmp_path / "c", tmp_path / "out", Teacher(), options(), Progress())
    again = Teacher()
    make_teacher_scene(tmp_path / "c", tmp_path / "out", again, options(), Progress())
    assert again.asked == 0
    cameras = tmp_path / "c/cameras.json"
    cameras.write_text(cameras.read_text().replace("80.0", "81.0"))
    with pytest.raises(TrainingError, match="another capture"):
        make_teacher_scene(tmp_path / "c", tmp_path / "out", again, options(), Progress())
    with pytest.raises(CaptureError, match="not a capture"):
        make_teacher_scene(tmp_path, tmp_path / "out", again, options(), Progress())


def test_a_copy_has_what_training_needs_and_nothing_of_the_persons_objects(tmp_path):
    source = flat_capture(tmp_path / "c")
    (source.root / "objects/mine").mkdir(parents=True)
    folder = source.root / "features/chance"
    folder.mkdir(parents=True)
    np.save(folder / "a.npy", np.ones((256, 64, 64), np.float16))
    (folder / "a.key").write_text(source.photo("a").sha256)
    before = {p: p.stat().st_mtime_ns for p in source.root.rglob("*") if p.name != ".lock"}
    copy = copy_capture(source, tmp_path / "copy", "chance")
    assert copy.photos() == source.photos()
    for view in "ab":
        one, other = source.pointmap(view), copy.pointmap(view)
        np.testing.assert_array_equal(one.points, other.points)
        photo = source.photo(view)
        assert source.photo_path(photo).read_bytes() == copy.photo_path(photo).read_bytes()
    assert (copy.root / "features/chance/a.npy").is_file()
    assert not (copy.root / "features/chance/b.npy").exists()
    assert not (copy.root / "objects").exists()
    after = {p: p.stat().st_mtime_ns for p in source.root.rglob("*") if p.name != ".lock"}
    assert before == after


def test_duplicates_are_told_by_their_masks():
    big, same, half = rectangle(0, 100), rectangle(0, 90), rectangle(0, 50)
    kept = without_duplicates([big, same, half], 0.7, 9)
    assert [id(one) for one in kept] == [id(big), id(half)]
    assert len(without_duplicates([big, half], 0.7, 1)) == 1


def test_sam_finds_a_disc_by_itself(tmp_path):
    """The real thing: SAM on a photo of a red disc on a grey wall."""
    capture = flat_capture(tmp_path / "disc", views=1)
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    cv2.circle(image, (40, 30), 16, (200, 30, 30), -1)
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(truth, (40, 30), 16, 1, -1)
    data = png(image)
    photo = Photo("a", "photos/a.png", WIDTH, HEIGHT, 1, hashlib.sha256(data).hexdigest(), "a.png")
    with capture.writing(), capture.transaction() as transaction:
        transaction.write("photos/a.png", data)
        capture.put_photos((photo,), transaction)
    scene = make_teacher_scene(
        capture.root, tmp_path / "out", load_sam(device="cpu"), options(grid=5), Progress()
    )
    assert Capture.open(scene / "capture").photos() == (photo,)
    best = 0.0
    for path in scene.glob("masks/*/a.png"):
        mask = np.asarray(Image.open(path)) > 0
        best = max(best, (mask & (truth > 0)).sum() / (mask | (truth > 0)).sum())
    assert best > 0.9


def test_the_grid_covers_the_photo(tmp_path):
    capture = flat_capture(tmp_path / "c", views=1)
    from mvsam_engine.segment.scene import load_views

    (view,) = load_views(capture, CheapEncoder(), Progress())
    points = grid_points(view, 6)
    assert len(points) == 6 * 4  # 96 x 64
    assert points.min(axis=0) == pytest.approx([85.3, 85.3], abs=1)
    assert points.max(axis=0) == pytest.approx([938.7, 597.4], abs=2)
