# SPDX-License-Identifier: GPL-3.0-or-later
"""What phones, scanners and renderers write: HEIC, AVIF, deep colour, profiles, transparency."""

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photo_files import (
    HEIGHT,
    STORED,
    WIDTH,
    brought_in,
    exif_with,
    is_upright,
    picture,
    saved,
    tiff_bytes,
)
from PIL import Image, features

from mvsam_engine.errors import PhotoError
from mvsam_engine.photos import read_photo, read_rgb, read_used
from mvsam_engine.photos.deep import to_8_bit


def kept(path):
    photo = read_photo(path, path.read_bytes())
    return photo, np.asarray(Image.open(io.BytesIO(photo.data)).convert("RGB"))


# --- HEIC and AVIF ----------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", STORED)
def test_heic_comes_out_upright_and_is_never_turned_twice(tmp_path, orientation):
    # Given EXIF as bytes, the encoder writes the HEIF rotation that phones write beside EXIF.
    exif = exif_with(orientation).tobytes()
    path = saved(tmp_path / "a.heic", STORED[orientation](picture()), exif=exif, quality=90)
    rotated = b"irot" in path.read_bytes() or b"imir" in path.read_bytes()
    assert rotated == (orientation != 1)
    photo, copy = kept(path)
    assert is_upright(read_rgb(path))
    assert is_upright(copy)
    assert (photo.width, photo.height, photo.suffix) == (WIDTH, HEIGHT, ".jpg")
    assert photo.orientation == 1  # every decoder gives these pixels upright


def test_heic_whose_exif_alone_is_turned_is_left_as_it_is(tmp_path):
    # HEIF: EXIF orientation only informs (ISO/IEC 23008-12). Given an Exif object, no rotation
    # is written into the file.
    path = saved(tmp_path / "a.heic", picture(), exif=exif_with(6), quality=90)
    assert b"irot" not in path.read_bytes()
    assert is_upright(read_rgb(path))


def test_heic_keeps_its_camera_and_focal_length(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Apple", "Phone 15"
    exif.get_ifd(0x8769)[0xA405] = 26
    path = saved(tmp_path / "a.heic", picture(), exif=exif.tobytes())
    photo, _ = kept(path)
    assert photo.camera_model == "Apple Phone 15"
    assert photo.focal == pytest.approx(100 * 26 / 43.2666, rel=1e-4)


def test_a_cut_heic_is_refused(tmp_path):
    path = saved(tmp_path / "a.heic", picture())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(PhotoError):
        read_rgb(path)


@pytest.mark.skipif(not features.check("avif"), reason="this pillow has no AVIF")
@pytest.mark.parametrize("orientation", STORED)
def test_avif_comes_out_upright(tmp_path, orientation):
    exif = exif_with(orientation)
    path = saved(tmp_path / "a.avif", STORED[orientation](picture()), exif=exif, quality=90)
    assert is_upright(read_rgb(path))
    assert kept(path)[0].orientation == orientation


# --- more than 8 bits -------------------------------------------------------------------------


def deep_picture(top=65535):
    return (np.asarray(picture()).astype(np.float64) / 255 * top).round().astype(np.uint16)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_colour_is_rounded_not_cut(tmp_path, name):
    deep = deep_picture()
    deep[0, 0] = (0, 128 + 200 * 257, 65535)  # 200.5 rounds to the even neighbour or up, never cut
    cv2.imwrite(str(tmp_path / name), deep[..., ::-1])
    rgb = read_rgb(tmp_path / name)
    assert rgb.dtype == np.uint8
    assert is_upright(rgb)
    assert np.array_equal(rgb, np.round(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("top", [1023, 4095, 16383])
def test_sensor_values_in_16_bits_are_not_black(tmp_path, top):
    cv2.imwrite(str(tmp_path / "a.png"), deep_picture(top)[..., ::-1])
    rgb = read_rgb(tmp_path / "a.png").astype(int)
    assert np.abs(rgb - np.asarray(picture())).max() <= 1


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("big_endian", [False, True])
def test_deep_tiff_of_every_orientation_is_turned_once(tmp_path, orientation, dtype, big_endian):
    values = np.asarray(STORED[orientation](picture())).astype(np.float64) / 255
    values = (values * 65535).round() if dtype == np.uint16 else values
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(values.astype(dtype), orientation, big_endian))
    photo, copy = kept(path)
    assert is_upright(read_rgb(path))
    assert is_upright(copy)
    assert (photo.width, photo.height) == (WIDTH, HEIGHT)
    assert photo.orientation == orientation


@pytest.mark.parametrize("orientation", [1, 6])
def test_grey_tiff_is_turned_once_whatever_its_depth(tmp_path, orientation):
    for mode in ("L", "I;16", "F"):
        grey = np.zeros((HEIGHT, WIDTH), np.float64)
        grey[: HEIGHT // 2] = 1.0
        scale, dtype = {"L": (255, np.uint8), "I;16": (65535, np.uint16), "F": (1, np.float32)}[
            mode
        ]
        stored = STORED[orientation](Image.fromarray((grey * 255).astype(np.uint8)))
        values = (np.asarray(stored) / 255 * scale).astype(dtype)
        path = tmp_path / "a.tif"
        Image.fromarray(values).save(path, tiffinfo={274: orientation})
        photo, copy = kept(path)
        assert copy.shape == (HEIGHT, WIDTH, 3)
        assert copy[5].min() == 255
        assert copy[-5].max() == 0
        assert photo.orientation == orientation


def test_float_colour_is_linear_light_and_one_hot_pixel_does_not_darken_it(tmp_path):
    linear = np.full((HEIGHT, WIDTH, 3), 0.2140, np.float32)  # sRGB 127.5
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes(linear))
    assert abs(int(read_rgb(path)[30, 30, 0]) - 127) <= 1
    linear[0, 0] = 1e6
    linear[0, 1] = np.nan
    path.write_bytes(tiff_bytes(linear))
    rgb = read_rgb(path)
    assert rgb[30, 30, 0] > 127  # scaled to the other pixels, not to the hot one
    assert rgb[0, 1].max() == 0


def test_deep_alpha_is_a_mask(tmp_path):
    rgba = np.dstack([deep_picture(), np.full((HEIGHT, WIDTH), 65535, np.uint16)])
    rgba[:, :20, 3] = 0
    cv2.imwrite(str(tmp_path / "a.png"), rgba[..., [2, 1, 0, 3]])
    photo, copy = kept(tmp_path / "a.png")
    assert not photo.used[:, :20].any()
    assert photo.used[:, 20:].all()
    assert (copy[:, :20] == 128).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 65535), st.integers(0, 2**32 - 1))
def test_deep_values_keep_their_order(top, seed):
    values = np.random.default_rng(seed).integers(0, top + 1, (4, 5, 3)).astype(np.uint16)
    shown = to_8_bit(values)
    order = np.argsort(values, axis=None, kind="stable")
    assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all()


# --- colour profiles --------------------------------------------------------------------------


def cmyk_profile():
    """A made-up CMYK profile (ICC.1:2001 lut8): only black ink counts, the rest is ignored."""
    grid = np.zeros((2, 2, 2, 2, 3), np.uint8)
    grid[..., 0, :] = (255, 128, 128)  # Lab white without black ink
    grid[..., 1, :] = (0, 128, 128)
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    curve = bytes(range(256))
    lut = (
        b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + curve * 4 + grid.tobytes() + curve * 3
    )
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        b"A2B0": lut,
    }
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">2I", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    header += bytes(128 - len(header))
    return header + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_goes_through_its_profile(tmp_path, name):
    ink = Image.new("CMYK", (WIDTH, HEIGHT), (255, 255, 255, 0))  # black, if inks are just added
    plain = read_rgb(saved(tmp_path / name, ink))
    managed = read_rgb(saved(tmp_path / name, ink, icc_profile=cmyk_profile()))
    assert plain.max() < 60
    assert managed.min() > 240


def test_a_damaged_profile_does_not_lose_the_photo(tmp_path):
    image = picture().convert("CMYK")
    path = saved(tmp_path / "a.jpg", image, icc_profile=b"not a profile", quality=95)
    assert is_upright(read_rgb(path))


def test_lab_has_the_right_colours(tmp_path):
    from PIL import ImageCms

    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    path = saved(tmp_path / "a.tif", ImageCms.applyTransform(picture(), to_lab))
    assert (
        np.abs(read_rgb(path).astype(int) - np.asarray(picture())).max() <= 8
    )  # 8-bit Lab is coarse in blue


def test_a_wide_gamut_copy_keeps_its_profile(tmp_path):
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = STORED[6](picture())
    path = saved(tmp_path / "a.jpg", turned, exif=exif_with(6), icc_profile=icc, quality=95)
    copy = Image.open(io.BytesIO(kept(path)[0].data))
    assert copy.info["icc_profile"] == icc


# --- transparency -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "RGB key"])
def test_transparency_becomes_a_mask(tmp_path, kind):
    image = picture()
    if kind == "RGBA":
        image.putalpha(
            Image.fromarray(np.tile(np.r_[[0] * 40, [255] * 40].astype(np.uint8), (60, 1)))
        )
        image.save(tmp_path / "a.png")
    elif kind == "LA":
        image = image.convert("L")
        image.putalpha(
            Image.fromarray(np.tile(np.r_[[0] * 40, [9] * 40].astype(np.uint8), (60, 1)))
        )
        image.save(tmp_path / "a.png")
    elif kind == "P":
        indexed = np.tile(np.r_[[3] * 40, [1] * 40].astype(np.uint8), (60, 1))
        image = Image.fromarray(indexed).convert("P")
        image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250])
        image.save(tmp_path / "a.png", transparency=3)
    else:
        plain = np.asarray(picture()).copy()
        plain[:, :40] = (1, 2, 3)
        Image.fromarray(plain).save(tmp_path / "a.png", transparency=(1, 2, 3))
    capture, progress = brought_in(tmp_path / "capture", tmp_path / "a.png")
    (photo,) = capture.photos()
    assert photo.mask == "photo_masks/a.png"
    used = read_used(capture.photo_mask_path(photo), photo.width, photo.height)
    assert not used[:, :40].any()
    assert used[:, 40:].all()
    assert (read_rgb(capture.photo_path(photo))[:, :40] == 128).all()
    assert progress.codes == []


def test_an_opaque_alpha_is_no_mask(tmp_path):
    image = picture()
    image.putalpha(255)
    capture, _ = brought_in(tmp_path / "capture", saved(tmp_path / "a.png", image))
    assert capture.photos()[0].mask == ""
    assert capture.photo_mask_path(capture.photos()[0]) is None


def test_a_photo_that_is_transparent_all_over_keeps_its_colours(tmp_path):
    image = picture()
    image.putalpha(0)
    capture, progress = brought_in(tmp_path / "capture", saved(tmp_path / "a.png", image))
    assert progress.codes == ["mask.empty"]
    assert capture.photos()[0].mask == ""
    assert is_upright(read_rgb(capture.photo_path(capture.photos()[0])))


# --- reduced decoding -------------------------------------------------------------------------


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(160, 900),
    st.integers(160, 900),
    st.integers(20, 400),
    st.sampled_from(list(STORED)),
)
def test_a_reduced_photo_covers_exactly_the_whole(tmp_path, width, height, at_least, orientation):
    # A ramp along x and y: by the grid convention, pixel (i, j) of a smaller grid has the ramp's
    # value at ((j + .5) W / w, (i + .5) H / h).
    x = (np.arange(width) + 0.5) / width
    y = (np.arange(height) + 0.5) / height
    ramp = np.stack(np.broadcast_arrays(40 + 160 * x, 40 + 160 * y[:, None], 128.0), axis=-1)
    upright = Image.fromarray(ramp.round().astype(np.uint8))
    path = tmp_path / "a.jpg"
    stored = STORED[orientation](upright)
    stored.save(path, quality=97, subsampling=0, exif=exif_with(orientation))
    small = read_rgb(path, at_least).astype(float)
    h, w = small.shape[:2]
    assert max(w, h) >= min(at_least, max(width, height))
    factor = round(max(width, height) / max(w, h))
    assert (w, h) == (-(-width // factor), -(-height // factor))
    for axis, length, values in ((1, w, small[..., 0]), (0, h, small[..., 1])):
        centres = np.arange(length) + 0.5
        seen = (values.mean(axis=1 - axis) - 40) / 160 * length  # where the ramp says it is, pixels
        slope, offset = np.polyfit(centres[1:-1], seen[1:-1], 1)
        ends = np.array([0.0, length])
        rounding = 0.8 * length / 160  # of colours, in pixels of the ramp
        assert np.abs(slope * ends + offset - ends).max() < 0.1 + rounding


def test_only_jpeg_is_reduced(tmp_path):
    big = picture(width=800, height=600)
    assert read_rgb(saved(tmp_path / "a.jpg", big), at_least=100).shape == (75, 100, 3)
    assert read_rgb(saved(tmp_path / "a.jpg", big), at_least=101).shape == (150, 200, 3)
    assert read_rgb(saved(tmp_path / "a.png", big), at_least=100).shape == (600, 800, 3)
    assert read_rgb(saved(tmp_path / "a.jpg", big)).shape == (600, 800, 3)
