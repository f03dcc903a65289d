# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files of every kind that people have: upright, 8-bit, or refused in a sentence."""

import io

import numpy as np
import pytest
from photo_files import HEIGHT, STORED, WIDTH, Collecting, is_upright, picture, saved
from PIL import Image

from mvsam_engine.capture import Capture
from mvsam_engine.capture.sources import natural_order
from mvsam_engine.errors import CaptureError, PhotoError
from mvsam_engine.photos import add_photos, read_photo, read_rgb
from mvsam_engine.photos import decode as decoder


@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation_comes_out_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.jpg", STORED[orientation](picture()), exif=exif, quality=95)
    assert is_upright(read_rgb(path))
    copy = read_photo(path, path.read_bytes())
    assert (copy.width, copy.height) == (WIDTH, HEIGHT)
    again = Image.open(io.BytesIO(copy.data))
    assert again.getexif().get(0x0112, 1) == 1  # Blender ignores the tag: pixels must be turned
    assert is_upright(np.asarray(again.convert("RGB")))


@pytest.mark.parametrize(
    ("mode", "name"),
    [("RGB", "a.png"), ("RGBA", "a.png"), ("P", "a.png"), ("CMYK", "a.jpg"), ("CMYK", "a.tif"),
     ("RGB", "a.webp"), ("RGB", "a.bmp"), ("LAB", "a.tif"), ("YCbCr", "a.jpg")],
)  # fmt: skip
def test_modes_become_rgb(tmp_path, mode, name):
    image = picture()
    if mode == "LAB":
        from PIL import ImageCms

        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        image = ImageCms.applyTransform(image, to_lab)
    else:
        image = image.convert(mode)
    path = saved(tmp_path / name, image)
    rgb = read_rgb(path)
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    assert rgb.dtype == np.uint8
    if mode != "LAB":
        assert is_upright(rgb)
    kept = Image.open(io.BytesIO(read_photo(path, path.read_bytes()).data))
    assert kept.mode == "RGB"


def test_16_bit_grey_keeps_its_range(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, WIDTH).astype(np.uint16), (HEIGHT, 1))
    path = saved(tmp_path / "a.png", Image.fromarray(ramp))
    rgb = read_rgb(path)
    assert rgb[0, 0, 0] == 0
    assert rgb[0, -1, 0] == 255
    assert abs(int(rgb[0, WIDTH // 2, 0]) - 128) < 4


def test_upright_jpeg_is_kept_byte_by_byte(tmp_path):
    path = saved(tmp_path / "a.jpg", picture(), quality=80)
    assert read_photo(path, path.read_bytes()).data == path.read_bytes()


def test_the_first_picture_of_an_mpo(tmp_path):
    path = tmp_path / "a.mpo"
    picture().save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))])
    assert is_upright(read_rgb(path))
    kept = read_photo(path, path.read_bytes())
    assert (kept.suffix, kept.data) == (".jpg", path.read_bytes())


def test_focal_length_from_exif(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker\x00", " Model 7 "
    exif.get_ifd(0x8769)[0xA405] = 50
    path = saved(tmp_path / "a.jpg", picture(), exif=exif)
    photo = read_photo(path, path.read_bytes())
    # A 4:3 photo of an 80 x 60 sensor has a diagonal of 100; 50 mm on a 43.27 mm diagonal.
    assert photo.focal == pytest.approx(100 * 50 / 43.2666, rel=1e-4)
    assert photo.camera_model == "Maker Model 7"


@pytest.mark.parametrize("value", [0, 65535])
def test_absurd_focal_lengths_are_ignored(tmp_path, value):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = value
    path = saved(tmp_path / "a.jpg", picture(), exif=exif)
    assert read_photo(path, path.read_bytes()).focal is None


def bad_files(folder):
    jpeg = io.BytesIO()
    picture().save(jpeg, "JPEG")
    (folder / "text.jpg").write_text("I am not a photo")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(jpeg.getvalue()[: len(jpeg.getvalue()) // 2])
    (folder / "header.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Image.new("RGB", (1, 1)).save(folder / "pixel.png")
    (folder / "phone.heic").write_bytes(b"\x00\x00\x00\x18ftypheic")


def test_bad_files_are_named_and_left_out(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    bad_files(folder)
    saved(folder / "good.jpg", picture())
    capture, progress = Capture.create(tmp_path / "capture"), Collecting()
    with capture.writing():
        photos = add_photos(capture, [folder], progress)
    assert [p.view for p in photos] == ["good"]
    assert sorted(progress.codes) == ["photo.damaged", "photo.tiny", *["photo.unreadable"] * 4]
    assert progress.done == progress.total == 7


def test_only_bad_files_is_an_error_that_changes_nothing(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    bad_files(folder)
    capture = Capture.create(tmp_path / "capture")
    with capture.writing(), pytest.raises(PhotoError, match="None of the 6 files"):
        add_photos(capture, [folder], Collecting())
    assert capture.photos() == ()


def test_huge_photo_is_refused_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder, "MAX_PIXELS", WIDTH * HEIGHT - 1)
    path = saved(tmp_path / "a.png", picture())
    with pytest.raises(PhotoError, match="smaller copy"):
        read_rgb(path)


@pytest.mark.parametrize("source", ["missing.jpg", "nowhere"])
def test_missing_sources_are_named(tmp_path, source):
    capture = Capture.create(tmp_path / "capture")
    with pytest.raises(PhotoError, match="does not exist"):
        add_photos(capture, [tmp_path / source], Collecting())


def test_folder_without_photos_says_what_photos_are(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(PhotoError, match="no photos"):
        add_photos(Capture.create(tmp_path / "capture"), [tmp_path], Collecting())


def test_duplicates_and_equal_names(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    saved(first / "IMG 1.jpg", picture())
    saved(first / "IMG 1.png", picture(1))
    saved(second / "img 1.jpg", picture(2))
    (second / "copy.jpg").write_bytes((first / "IMG 1.jpg").read_bytes())
    saved(second / "Übung 写真.png", picture(3))
    capture, progress = Capture.create(tmp_path / "capture"), Collecting()
    with capture.writing():
        photos = add_photos(capture, [first, second], progress)
        again = add_photos(capture, [first, second], progress)
    assert [p.view for p in photos] == ["IMG 1", "IMG 1_png", "img 1_jpg", "Übung 写真"]
    assert again == photos
    assert set(progress.codes) == {"photo.duplicate"}
    for photo in photos:
        assert read_rgb(capture.photo_path(photo)).shape == (HEIGHT, WIDTH, 3)


def test_full_disk_while_importing_changes_nothing(tmp_path, monkeypatch):
    saved(tmp_path / "a.jpg", picture())
    capture = Capture.create(tmp_path / "capture")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CaptureError, match="no space left"):
        add_photos(capture, [tmp_path / "a.jpg"], Collecting())
    monkeypatch.undo()
    assert capture.photos() == ()


def test_numbers_in_names_count_as_numbers():
    names = ["IMG_10.jpg", "IMG_9.jpg", "img_1.jpg", "IMG_²_1.jpg"]
    assert sorted(names, key=natural_order) == ["img_1.jpg", "IMG_9.jpg", "IMG_10.jpg", names[3]]
