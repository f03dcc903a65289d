# SPDX-License-Identifier: GPL-3.0-or-later
"""All segmenters, on a scene whose truth is known (`square_scene`)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from square_scene import (
    HEIGHT,
    POSES,
    SIZE,
    WIDTH,
    camera,
    check_square,
    click,
    iou,
    item,
    make_capture,
    prepared,
    render,
)

from mvsam_engine.capture import (
    Capture,
    Prompt,
)
from mvsam_engine.capture.conventions import grid_pixels, transform_points
from mvsam_engine.errors import Cancelled, SegmentationError
from mvsam_engine.progress import Progress
from mvsam_engine.segment import SEGMENTERS, load_segmenter
from mvsam_engine.segment.base import Segmenter
from mvsam_engine.segment.fusion import Fused, agreement, fuse
from mvsam_engine.segment.lift import LiftSegmenter
from mvsam_engine.segment.points import spread_points
from mvsam_engine.segment.sam import SamAnswer, SamPrompts
from mvsam_engine.segment.scale import Asked, likely_choice, settled_choice
from mvsam_engine.segment.visibility import UNSEEN, VisibilityTables, seen_cells


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_capture(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def lift(capture: Capture) -> Segmenter:
    return prepared("lift", capture)


@pytest.fixture(scope="module", params=["lift", "mvsam"])
def joining(request: pytest.FixtureRequest, capture: Capture) -> Segmenter:
    """The segmenters that join the views."""
    return prepared(request.param, capture)


def test_scene_is_what_it_claims() -> None:
    shown = {view: render(view, HEIGHT, WIDTH)[2].mean() for view in POSES}
    assert shown["left"] > 0.1
    assert shown["right"] > 0.1
    assert shown["away"] == shown["hidden"] == 0
    pixels, depth = camera("hidden").project(np.array([0.0, 0.0, 3.0]))
    assert depth > 0
    assert 0 < pixels[0] < WIDTH


# --- the answer -------------------------------------------------------------------------------


def test_clicks_in_one_view_reach_the_other_and_only_that(joining: Segmenter) -> None:
    clicks = [click(at=(x, y, 3)) for x, y in ((0, 0), (-0.4, 0.4), (0.4, -0.4), (0.4, 0.4))]
    outside = click(include=False, at=(-0.9, 0.0, 5.0))
    answer = joining.predict(item(*clicks, outside), Progress())
    check_square(answer)
    assert (answer.object_id, answer.revision, answer.segmenter) == ("square", 7, joining.name)


def test_box(joining: Segmenter) -> None:
    corners, _ = camera("left").project(np.array([[-SIZE, -SIZE, 3.0], [SIZE, SIZE, 3.0]]))
    low, high = corners.min(axis=0) - 2, corners.max(axis=0) + 2
    box = Prompt("box", "left", xy=((float(low[0]), float(low[1])), tuple(map(float, high))))
    check_square(joining.predict(item(box), Progress()))


def test_painted_mask(joining: Segmenter, capture: Capture) -> None:
    path = capture.root / "objects/square/prompts/right.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(render("right", HEIGHT, WIDTH)[2].astype(np.uint8) * 255).save(path)
    prompt = Prompt("mask", "right", mask="objects/square/prompts/right.png")
    check_square(joining.predict(item(prompt), Progress()))


def test_prompts_in_several_views_and_a_stroke(joining: Segmenter) -> None:
    line = np.stack([np.linspace(-0.5, 0.5, 20), np.zeros(20), np.full(20, 3.0)], axis=-1)
    pixels, _ = camera("right").project(line)
    stroke = Prompt("stroke", "right", xy=tuple((float(x), float(y)) for x, y in pixels), radius=3)
    prompts = (stroke, click("left", at=(0.3, 0.3, 3)), click("left", at=(-0.3, -0.3, 3)))
    seen: list[str] = []
    answer = joining.predict(item(*prompts), Progress(), lambda m: seen.append(m.view))
    check_square(answer)
    assert sorted(seen) == ["left", "right"]


def test_fused_weights_are_high_on_the_object_and_low_beside_it(joining: Segmenter) -> None:
    answer = joining.predict(item(*[click(at=(x, x, 3)) for x in (-0.4, 0, 0.4)]), Progress())
    for mask in answer.masks:
        assert mask.fused is not None
        assert mask.fused.shape == (150, 200)
        assert mask.fused.dtype == np.float16
        truth = render(mask.view, 150, 200)[2]
        assert np.nanmean(mask.fused[~truth]) < 0.05
        if truth.any():
            assert mask.fused[truth].mean() > 0.85


def test_first_mask_comes_before_the_others(joining: Segmenter) -> None:
    events: list[str] = []

    class Recording(Progress):
        def on_change(self) -> None:
            events.append(f"{self.done}/{self.total}")

    progress = Recording()
    joining.predict(item(click()), progress, lambda m: events.append(f"view {m.view}"))
    assert events[1] == "view left"  # right after the stage began
    assert progress.done == progress.total
    done = [int(e.split("/")[0]) for e in events if "/" in e]
    assert done == sorted(done)


def test_cancelling_stops_the_work(joining: Segmenter) -> None:
    progress = Progress()
    with pytest.raises(Cancelled):
        joining.predict(item(click()), progress, lambda _: progress.cancel())
    joining.predict(item(click()), Progress())


def test_same_question_same_answer(joining: Segmenter) -> None:
    first, second = (joining.predict(item(click()), Progress()) for _ in range(2))
    for a, b in zip(first.masks, second.masks, strict=True):
        np.testing.assert_allclose(a.logits, b.logits, atol=0.05)


@pytest.mark.parametrize(
    "name", [n for n in SEGMENTERS if n not in {"lift", "mvsam", "mvsam-paper"}]
)
def test_baselines_find_it_in_both_views(name: str, capture: Capture) -> None:
    segmenter = prepared(name, capture)
    clicks = [click(at=(x, y, 3)) for x, y in ((0, 0), (-0.4, 0.4), (0.4, -0.4), (0.4, 0.4))]
    masks = {m.view: m for m in segmenter.predict(item(*clicks), Progress()).masks}
    assert set(masks) == set(POSES)
    for view in ("left", "right"):
        assert iou(masks[view]) > 0.85, view
    assert not (masks["away"].logits > 0).any()


# --- what it refuses --------------------------------------------------------------------------


def test_refusals(lift: Segmenter, capture: Capture) -> None:
    with pytest.raises(SegmentationError, match="no prompt that includes"):
        lift.predict(item(click(include=False)), Progress())
    with pytest.raises(SegmentationError, match="could not be placed"):
        lift.predict(item(replace(click(), view="elsewhere")), Progress())
    with pytest.raises(SegmentationError, match="cannot be read"):
        lift.predict(item(Prompt("mask", "left", mask="objects/no/mask.png")), Progress())
    with pytest.raises(SegmentationError, match="prepare"):
        load_segmenter("lift", "cpu").predict(item(click()), Progress())
    with pytest.raises(SegmentationError, match="mvsam, mvsam-paper, lift, project, splat"):
        load_segmenter("guess")


def test_preparing_twice_is_free_until_the_cameras_change(capture: Capture, tmp_path: Path) -> None:
    segmenter = prepared("lift", capture)
    stages: list[str] = []

    class Recording(Progress):
        def stage(self, name: str, total: int) -> None:
            stages.append(name)
            super().stage(name, total)

    segmenter.prepare(capture, Recording())
    assert stages == []
    cameras = capture.root / "cameras.json"
    cameras.write_bytes(cameras.read_bytes() + b"\n")
    segmenter.prepare(capture, Recording())
    assert stages


def test_naming_segmenters_imports_no_torch() -> None:
    code = "import sys, mvsam_engine.segment; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


# --- the parts --------------------------------------------------------------------------------


def test_seen_cells_against_ray_casting(lift: LiftSegmenter) -> None:
    scene = lift._scene
    assert scene is not None
    views = {v.name: v for v in scene.views}
    source, target = views["left"], views["right"]
    cells = seen_cells(source.points, target)
    # A point of the wall is hidden from `right` where the ray to it passes through the square.
    center = target.camera.center
    toward = source.points - center
    at_square = center + toward * ((3.0 - center[2]) / toward[:, 2])[:, None]
    blocked = (source.points[:, 2] > 3.1) & (np.abs(at_square[:, :2]) < SIZE - 0.02).all(axis=1)
    pixels, _ = target.camera.project(source.points)
    framed = ((pixels > 1) & (pixels < (WIDTH - 1, HEIGHT - 1))).all(axis=1)
    free = framed & ~(np.abs(at_square[:, :2]) < SIZE + 0.02).all(axis=1)
    assert blocked.sum() > 100
    assert (cells[blocked] == -1).all()
    assert (cells[free] >= 0).mean() > 0.99
    distance = np.linalg.norm(target.points[cells] - source.points, axis=1)[cells >= 0]
    assert distance.max() < 0.25  # within a few cells on the slanted wall


def test_tables_and_fusion_against_a_plain_loop(lift: LiftSegmenter) -> None:
    scene = lift._scene
    assert scene is not None
    tables = VisibilityTables(scene.views, Progress())
    rng = np.random.default_rng(0)
    masks = {i: rng.random(len(v.points)).astype(np.float32) for i, v in enumerate(scene.views)}
    trust = {i: 0.5 + i for i in masks}
    fused = fuse(0, scene.views, tables, masks, trust)
    for cell in rng.integers(0, len(masks[0]), 50):
        total, evidence = trust[0] * masks[0][cell], trust[0]
        for j, table in tables.partners(0).items():
            if table[cell] != UNSEEN:
                other = table[cell]
                say = trust[j] * scene.views[0].confidence[cell]
                say *= scene.views[j].confidence[other]
                total, evidence = total + say * masks[j][other], evidence + say
        assert fused.weight[cell] == pytest.approx(total / evidence, abs=1e-5)
        assert fused.evidence[cell] == pytest.approx(evidence, rel=1e-5)


def test_agreement_looks_only_where_something_is_known() -> None:
    fused = Fused(np.array([1, 0, 0.5], np.float32), np.array([1, 1, 0], np.float32))
    assert agreement(np.array([1, 0, 1], np.float32), fused) == pytest.approx(1.0)
    assert agreement(np.array([0, 1, 0], np.float32), fused) == 0.0
    assert agreement(np.array([1, 1, 0], np.float32), fused) == pytest.approx(1 / 1.5)


def nested_answer(scores: tuple[float, ...], blurred: tuple[int, ...] = ()) -> SamAnswer:
    """Squares of 10, 20, 60 and 200 cells at the top-left corner; some end in a wide ramp."""
    logits = np.full((4, 256, 256), -5.0, dtype=np.float32)
    for row, side in enumerate((10, 20, 60, 200)):
        logits[row, :side, :side] = 0.5 if row in blurred else 5.0
    return SamAnswer(logits, np.array(scores, np.float32))


def test_likely_choice() -> None:
    one = SamPrompts(np.full((1, 2), 20, np.float32), np.ones(1, dtype=bool))
    near = nested_answer((0.99, 0.90, 0.95, 0.88))  # one cell is 4 positions wide
    assert likely_choice(Asked(one, near)) == 3  # the largest, with nearly the best score
    far = nested_answer((0.99, 0.90, 0.95, 0.60))
    assert likely_choice(Asked(one, far)) == 2  # the largest has too low a score
    vague = nested_answer((0.99, 0.90, 0.95, 0.94), blurred=(3,))
    assert likely_choice(Asked(one, vague)) == 2  # the largest ends nowhere in particular
    assert likely_choice(Asked(replace(one, box=np.zeros(4, np.float32)), far)) == 0
    positions = np.array([[20, 20], [600, 600]], np.float32)
    both = SamPrompts(positions, np.ones(2, dtype=bool))
    assert likely_choice(Asked(both, far)) == 3  # only the largest holds both clicks
    without = SamPrompts(positions, np.array([True, False]))
    assert likely_choice(Asked(without, near)) == 2  # the largest holds what was excluded


def test_other_views_settle_part_or_whole() -> None:
    one = SamPrompts(np.full((1, 2), 20, np.float32), np.ones(1, dtype=bool))
    asked = Asked(one, nested_answer((0.99, 0.95, 0.90, 0.95)))
    assert settled_choice(asked, {1: 0.5, 2: 0.9, 3: 0.4}.get) == 2
    assert settled_choice(asked, {1: 0.9, 2: 0.9, 3: 0.9}.get) == 3
    assert settled_choice(asked, lambda _: None) == likely_choice(asked)
    clear = Asked(replace(one, box=np.zeros(4, np.float32)), asked.answer)
    assert settled_choice(clear, pytest.fail) == 0  # nothing to settle, nobody is asked


@pytest.mark.parametrize("most", [1, 5])
def test_spread_points_lie_deep_inside_and_apart(most: int) -> None:
    area = np.zeros((60, 90), dtype=bool)
    area[10:50, 5:85] = True
    points = spread_points(area, most, margin=1.0)
    assert len(points) == most
    column, row = np.floor(points).astype(int).T
    assert area[row, column].all()
    assert abs(points[0, 1] - 30) <= 1.5  # the middle of the band
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(most)
    assert gaps.min() > 4
    assert len(spread_points(np.zeros((5, 5), dtype=bool), 3)) == 0


def test_rays_of_the_test_scene_follow_the_convention() -> None:
    points = render("left", 12, 16)[1]
    pixels, _ = camera("left").project(points)
    np.testing.assert_allclose(pixels, grid_pixels(12, 16, WIDTH, HEIGHT), atol=1e-6)
    assert (transform_points(POSES["left"], points)[..., 2] > 0).all()
