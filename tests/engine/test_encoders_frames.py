# SPDX-License-Identifier: GPL-3.0-or-later
"""From click to masks through SAM's frame and through SAM 2's, which squeezes the photo.

TinyViT knows padded photos, but does well enough on squeezed ones to show that clicks, points and
masks are put through the encoder's own frame all the way.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from square_scene import check_square, click, item, make_capture

from mvsam_engine.capture import Capture
from mvsam_engine.progress import Progress
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.frame import ModelFrame, SquareFrame
from mvsam_engine.segment.lift import LiftSegmenter
from mvsam_engine.segment.masks import full_size_mask
from mvsam_engine.segment.sam import FIRST_CHOICE, Sam, SamPrompts, load_sam


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return make_capture(tmp_path_factory.mktemp("scene"))


class Squeezing(ImageEncoder):
    """TinyViT on photos that fill the square."""

    name = "squeezing-00000000"

    def __init__(self, encoder: ImageEncoder) -> None:
        self._encoder = encoder

    def frame(self, width: int, height: int) -> ModelFrame:
        return SquareFrame(width, height)

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        # Of a square photo both frames are the same.
        square = Image.fromarray(image).resize((1024, 1024), Image.Resampling.BILINEAR)
        return self._encoder.embed(np.asarray(square))


@pytest.fixture(scope="module")
def tiny_vit() -> Sam:
    return load_sam(device="cpu")


@pytest.fixture(scope="module")
def squeezing(tiny_vit: Sam) -> Sam:
    parts = tiny_vit.prompt_encoder, tiny_vit.mask_decoder, tiny_vit.device
    return Sam(Squeezing(tiny_vit.encoder), *parts)


@pytest.mark.parametrize("name", ["tiny_vit", "squeezing"])
def test_a_mask_comes_back_to_its_photo(name: str, request: pytest.FixtureRequest) -> None:
    sam: Sam = request.getfixturevalue(name)
    picture = Image.new("RGB", (480, 300), (150, 150, 145))
    ImageDraw.Draw(picture).ellipse((80, 70, 220, 210), fill=(190, 40, 35))
    frame = sam.encoder.frame(480, 300)
    asked = SamPrompts(frame.to_model(np.array([[150, 140]])), np.array([True]))
    (answer,) = sam.predict([sam.encoder.embed(np.asarray(picture))], [asked])
    best = FIRST_CHOICE + int(answer.scores[FIRST_CHOICE:].argmax())
    found = full_size_mask(frame.crop(answer.logits[best]), 480, 300)
    y, x = np.mgrid[0:300, 0:480] + 0.5
    truth = (x - 150) ** 2 + (y - 140) ** 2 < 70**2
    assert (found & truth).sum() / (found | truth).sum() > 0.93


def test_clicks_reach_the_other_views_of_a_squeezing_encoder(
    squeezing: Sam, capture: Capture
) -> None:
    segmenter = LiftSegmenter(squeezing)
    segmenter.prepare(capture, Progress())
    clicks = [click(at=(x, y, 3)) for x, y in ((0, 0), (-0.4, 0.4), (0.4, -0.4), (0.4, 0.4))]
    outside = click(include=False, at=(-0.9, 0.0, 5.0))
    answer = segmenter.predict(item(*clicks, outside), Progress())
    assert all(mask.logits.shape == (256, 256) for mask in answer.masks)
    check_square(answer)
