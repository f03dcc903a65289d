# SPDX-License-Identifier: GPL-3.0-or-later
"""Points, boxes, strokes and masks: what each says, and that any of them finds the square."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from square_scene import HEIGHT, WIDTH, click, iou, item, make_capture, prepared, render

from mvsam_engine.capture import Capture, Prompt
from mvsam_engine.errors import SegmentationError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.base import Segmenter
from mvsam_engine.segment.hints import POINTS_PER_AREA, Hints, gather_hints


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    made = make_capture(tmp_path_factory.mktemp("scene"))
    (made.root / "mask_prompts").mkdir()
    for view in ("left", "right"):
        mask = render(view, HEIGHT, WIDTH)[2].astype(np.uint8) * 255
        Image.fromarray(mask).save(made.root / "mask_prompts" / f"{view}.png")
    return made


@pytest.fixture(scope="module")
def mvsam(capture: Capture) -> Segmenter:
    return prepared("mvsam", capture)


def told(mvsam: Segmenter, capture: Capture, *prompts: Prompt) -> Hints:
    """What the prompts of the view "left" become."""
    scene = mvsam._require_scene()
    index = [view.name for view in scene.views].index("left")
    return gather_hints(item(*prompts), scene.views, capture)[index]


def corners(view: str) -> tuple[tuple[float, float], tuple[float, float]]:
    y, x = np.nonzero(render(view, HEIGHT, WIDTH)[2])
    return (float(x.min()), float(y.min())), (float(x.max() + 1), float(y.max() + 1))


def prompt(kind: str, view: str) -> Prompt:
    """The square, said in one of four ways."""
    (x0, y0), (x1, y1) = corners(view)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    across = tuple((x + t * (x1 - x0) * 0.3, y) for t in np.linspace(-1, 1, 25).tolist())
    return {
        "point": click(view),
        "box": Prompt("box", view, xy=((x0, y0), (x1, y1))),
        "stroke": Prompt("stroke", view, xy=across, radius=(x1 - x0) / 8),
        "mask": Prompt("mask", view, mask=f"mask_prompts/{view}.png"),
    }[kind]


KINDS = ("box", "stroke", "mask")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_finds_the_square_from_one_view(mvsam: Segmenter, kind: str) -> None:
    answer = mvsam.predict(item(prompt(kind, "left")), Progress())
    masks = {mask.view: mask for mask in answer.masks}
    assert iou(masks["left"]) > 0.9 and iou(masks["right"]) > 0.9
    assert not (masks["away"].logits > 0).any() and not (masks["hidden"].logits > 0).any()


@pytest.mark.parametrize("pair", [("mask", "box"), ("stroke", "stroke"), ("box", "point")])
def test_kinds_of_two_views_agree(mvsam: Segmenter, pair: tuple[str, str]) -> None:
    prompts = [prompt(kind, view) for kind, view in zip(pair, ("left", "right"), strict=True)]
    answer = mvsam.predict(item(*prompts), Progress())
    assert all(iou(mask) > 0.8 for mask in answer.masks if mask.view in ("left", "right"))


def test_a_thin_strokes_points_lie_evenly_on_it_however_the_mouse_was_read(
    mvsam: Segmenter, capture: Capture
) -> None:
    # Slow at its beginning: most positions are there.
    x = np.concatenate([np.linspace(100, 110, 50), [200.0]])
    path = tuple((float(v), 90.0) for v in x)
    hints = told(mvsam, capture, Prompt("stroke", "left", xy=path, radius=1.0))
    assert hints.labels.all() and len(hints.points) == POINTS_PER_AREA
    np.testing.assert_allclose(hints.points[:, 0], np.linspace(100, 200, POINTS_PER_AREA))
    assert (hints.points[:, 1] == 90).all()


def test_a_wide_strokes_points_lie_all_over_it(mvsam: Segmenter, capture: Capture) -> None:
    path = ((100.0, 90.0), (200.0, 90.0))
    radius = 40.0
    stroke = Prompt("stroke", "left", include=False, xy=path, radius=radius)
    hints = told(mvsam, capture, click(), stroke)
    points = hints.points[~hints.labels]
    assert 3 <= len(points) <= POINTS_PER_AREA
    beyond = np.maximum(np.abs(points[:, 0] - 150) - 50, 0)
    assert (np.hypot(beyond, points[:, 1] - 90) <= radius).all()
    assert np.ptp(points[:, 0]) > 80


def test_a_stroke_of_one_position_is_a_click(mvsam: Segmenter, capture: Capture) -> None:
    hints = told(mvsam, capture, Prompt("stroke", "left", xy=((50.0, 60.0), (50.0, 60.0))))
    assert hints.points.tolist() == [[50.0, 60.0]]


def test_an_excluded_box_excludes_its_middle_and_its_quarters(
    mvsam: Segmenter, capture: Capture
) -> None:
    box = Prompt("box", "left", include=False, xy=((80.0, 60.0), (40.0, 20.0)))
    hints = told(mvsam, capture, click(), box)
    assert hints.box is None
    excluded = hints.points[~hints.labels]
    assert sorted(map(tuple, excluded.tolist())) == [
        (50.0, 30.0), (50.0, 50.0), (60.0, 40.0), (70.0, 30.0), (70.0, 50.0)
    ]  # fmt: skip


def test_the_first_answer_is_what_predict_tells_first(mvsam: Segmenter) -> None:
    asked = item(prompt("box", "right"), click("right"))
    first = []
    mvsam.predict(asked, Progress(), first.append)
    alone = mvsam.first_answer(asked, "right")
    assert [mask.view for mask in first] == ["right"]
    np.testing.assert_array_equal(alone.logits, first[0].logits)


def test_the_first_answer_needs_something_included(mvsam: Segmenter) -> None:
    with pytest.raises(SegmentationError, match="no prompt that includes"):
        mvsam.first_answer(item(click(include=False)), "left")
