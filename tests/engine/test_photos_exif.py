# SPDX-License-Identifier: GPL-3.0-or-later
"""Focal lengths from EXIF: right where EXIF says enough, absent where it says too little."""

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_files import HEIGHT, WIDTH, exif_with, is_upright, picture, saved
from PIL import Image, TiffImagePlugin

from mvsam_engine.photos import read_photo, read_rgb
from mvsam_engine.photos.exif import focal_pixels

FOCAL, FOCAL_35 = 0x920A, 0xA405
PLANE_X, PLANE_UNIT = 0xA20E, 0xA210
PIXEL_X, PIXEL_Y = 0xA002, 0xA003
ZOOM = 0xA404


def ratio(value, over=1000):
    return TiffImagePlugin.IFDRational(round(value * over), over)


def focal_of(tags, width=WIDTH, height=HEIGHT):
    """The focal length that a JPEG with these tags of the Exif directory is read with."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(tags)
    buffer = io.BytesIO()
    picture(width=width, height=height).save(buffer, "JPEG", exif=exif)
    return focal_pixels(Image.open(buffer).getexif(), width, height)


def test_focal_length_and_sensor_resolution():
    # 80 pixels on 8 mm = 254 pixels an inch; 12 mm in front of it: 120 pixels.
    inch = {FOCAL: ratio(12), PLANE_X: ratio(254), PLANE_UNIT: 2}
    assert focal_of(inch) == pytest.approx(120)
    assert focal_of({FOCAL: ratio(12), PLANE_X: ratio(100), PLANE_UNIT: 3}) == pytest.approx(120)
    assert focal_of({FOCAL: ratio(12), PLANE_X: ratio(10), PLANE_UNIT: 4}) == pytest.approx(120)
    assert focal_of({FOCAL: ratio(12), PLANE_X: ratio(254)}) == pytest.approx(120)  # inch if unsaid
    assert focal_of(inch | {ZOOM: ratio(2)}) == pytest.approx(240)


def test_the_35_mm_equivalent_goes_before_the_sensor():
    tags = {FOCAL: ratio(12), PLANE_X: ratio(254), PLANE_UNIT: 2, FOCAL_35: 50}
    assert focal_of(tags) == pytest.approx(100 * 50 / math.hypot(36, 24))


def test_focal_length_without_a_sensor_is_not_guessed():
    assert focal_of({FOCAL: ratio(12)}) is None


def test_a_resized_photo_has_the_resized_focal_length():
    tags = {FOCAL: ratio(12), PLANE_X: ratio(254), PIXEL_X: 160, PIXEL_Y: 120}
    assert focal_of(tags) == pytest.approx(60)
    assert focal_of({FOCAL_35: 50, PIXEL_X: 160, PIXEL_Y: 120}) == focal_of({FOCAL_35: 50})
    turned = {FOCAL: ratio(12), PLANE_X: ratio(254), PIXEL_X: 120, PIXEL_Y: 160}
    assert focal_of(turned) == pytest.approx(60)


def test_a_cropped_photo_has_no_focal_length():
    for tags in ({FOCAL_35: 50}, {FOCAL: ratio(12), PLANE_X: ratio(254)}):
        assert focal_of(tags | {PIXEL_X: 80, PIXEL_Y: 80}) is None


def test_a_panorama_has_no_focal_length():
    assert focal_of({FOCAL_35: 26}, width=200, height=60) is None
    assert focal_of({FOCAL_35: 26}, width=120, height=60) is not None


@pytest.mark.parametrize(
    "tags",
    [
        {FOCAL_35: 0},
        {FOCAL_35: 65535},
        {FOCAL: TiffImagePlugin.IFDRational(1, 0), PLANE_X: ratio(254)},
        {FOCAL: ratio(12), PLANE_X: TiffImagePlugin.IFDRational(0, 0)},
        {FOCAL: ratio(12), PLANE_X: ratio(254), PLANE_UNIT: 77},
        {FOCAL: ratio(0.0), PLANE_X: ratio(254)},
        {FOCAL: ratio(12), PLANE_X: ratio(4_000_000)},
    ],
)
def test_absurd_values_count_as_absent(tags):
    assert focal_of(tags) is None


@pytest.mark.parametrize("orientation", [1, 6])
def test_focal_length_is_the_same_upright(tmp_path, orientation):
    exif = exif_with(orientation)
    exif.get_ifd(0x8769)[FOCAL_35] = 50
    path = saved(tmp_path / "a.jpg", picture(), exif=exif)
    assert read_photo(path, path.read_bytes()).focal == pytest.approx(115.56, abs=0.01)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 119), st.binary(min_size=1, max_size=8))
def test_broken_exif_never_loses_the_photo(tmp_path_factory, junk, at, patch):
    exif = exif_with(1)
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[FOCAL_35] = 50
    good = exif.tobytes()
    broken = good[:at] + patch + good[at + len(patch) :]
    path = tmp_path_factory.mktemp("exif") / "a.jpg"
    for content in (broken, b"Exif\0\0" + junk):
        picture().save(path, "JPEG", exif=content)
        photo = read_photo(path, path.read_bytes())
        assert photo.focal is None or math.isfinite(photo.focal)
        assert read_rgb(path).shape[:2] in ((HEIGHT, WIDTH), (WIDTH, HEIGHT))
        if photo.orientation == 1:
            assert is_upright(read_rgb(path))
