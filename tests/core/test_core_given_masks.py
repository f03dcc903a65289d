# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks from people: found, checked, brought to the photo's size, kept by their content."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mvsam_blender.core.given_masks import find_mask, fit_mask, keep_mask
from mvsam_blender.core.png import grey_png
from mvsam_engine.errors import SegmentationError


def half(rows, columns):
    values = np.zeros((rows, columns), dtype=np.float32)
    values[:, columns // 2 :] = 1
    return values


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (120, 161)])
def test_png_is_read_back_by_pillow(shape):
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    with Image.open(io.BytesIO(grey_png(pixels))) as image:
        assert image.mode == "L" and image.size == shape[::-1]
        np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(
    "name", ["IMG_1.png", "IMG_1_mask.png", "IMG_1.jpg.png", "img_1.TIF", "IMG_1.JPG.mask.png"]
)
def test_names_of_masks_that_programs_write_are_found(tmp_path, name):
    for other in ("IMG_10.png", "IMG_1.txt", "IMG_2_mask.png", name):
        (tmp_path / other).write_bytes(b"")
    (tmp_path / "IMG_1.png.d").mkdir()
    assert find_mask(tmp_path, "IMG_1", "IMG_1.jpg") == tmp_path / name


def test_no_mask_of_that_name_is_none(tmp_path):
    (tmp_path / "IMG_2.png").write_bytes(b"")
    assert find_mask(tmp_path, "IMG_1", "IMG_1.jpg") is None


def test_a_mask_of_the_photos_size_is_taken_as_it_is():
    mask, word = fit_mask(half(60, 80), (80, 60), "m.png", "IMG_1")
    assert word == "" and mask.shape == (60, 80)
    np.testing.assert_array_equal(mask, half(60, 80) > 0)


def test_a_mask_of_the_same_shape_is_resized_with_a_word():
    mask, word = fit_mask(half(15, 20), (80, 60), "m.png", "IMG_1")
    assert "from 20 x 15 to the photo's 80 x 60" in word
    np.testing.assert_array_equal(mask, half(60, 80) > 0)
    assert fit_mask(half(68, 101), (1000, 667), "m.png", "IMG_1")[0].shape == (667, 1000)


@pytest.mark.parametrize("shape", [(80, 60), (60, 60), (59, 80 * 2)])
def test_another_shape_is_refused_with_both_sizes(shape):
    with pytest.raises(SegmentationError, match=r"photo IMG_1 is 80 x 60") as raised:
        fit_mask(half(*shape), (80, 60), "m.png", "IMG_1")
    assert f"{shape[1]} x {shape[0]}" in str(raised.value) and raised.value.remedy


def test_masks_that_say_nothing_are_refused():
    with pytest.raises(SegmentationError, match="marks nothing of the photo"):
        fit_mask(np.zeros((60, 80)), (80, 60), "m.png", "IMG_1")
    with pytest.raises(SegmentationError, match="marks all of the photo"):
        fit_mask(np.ones((60, 80)), (80, 60), "m.png", "IMG_1")


def test_masks_are_kept_by_content_so_that_none_is_ever_changed(tmp_path):
    first = keep_mask(tmp_path, half(6, 8) > 0)
    second = keep_mask(tmp_path, half(6, 8) == 0)
    assert first != second and keep_mask(tmp_path, half(6, 8) > 0) == first
    with Image.open(tmp_path / first) as image:
        np.testing.assert_array_equal(np.asarray(image), half(6, 8).astype(np.uint8) * 255)
    assert len(list((tmp_path / "mask_prompts").iterdir())) == 2
