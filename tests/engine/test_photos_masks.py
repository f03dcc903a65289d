# SPDX-License-Identifier: GPL-3.0-or-later
"""Photo masks: found by name, laid over the photo exactly, refused in words."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photo_files import STORED, Collecting, brought_in, exif_with, picture, saved
from PIL import Image

from mvsam_engine.capture import Capture, Photo
from mvsam_engine.errors import CaptureError, PhotoError
from mvsam_engine.photos import find_masks, read_used
from mvsam_engine.photos.masks import match_masks, read_mask

BLOCK = (slice(10, 40), slice(5, 30))  # rows, columns of the upright photo that are used


def block(width=80, height=60):
    mask = np.zeros((height, width), np.uint8)
    mask[BLOCK] = 255
    return Image.fromarray(mask)


def photo(name, view=None, width=80, height=60, orientation=1):
    return Photo(
        view=view or name.rsplit("/", 1)[-1].rsplit(".", 1)[0],
        file="photos/x.jpg",
        width=width,
        height=height,
        size=1,
        sha256="0",
        original_name=name,
        orientation=orientation,
    )


def used_of(capture, view):
    entry = capture.photo(view)
    path = capture.photo_mask_path(entry)
    return None if path is None else read_used(path, entry.width, entry.height)


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["IMG 1.png", "IMG 1.jpg.png", "IMG 1_mask.png", "IMG 1.jpg", "img 1.JPG.PNG",
             "IMG 1.jpg_mask.png", "deep/er/IMG 1.tif"],
)  # fmt: skip
def test_names_that_people_give_masks(tmp_path, name):
    masks = tmp_path / "masks"
    (masks / name).parent.mkdir(parents=True)
    block().save(masks / name)
    image = saved(tmp_path / "IMG 1.jpg", picture())
    capture, progress = brought_in(tmp_path / "capture", image, masks=masks)
    used = used_of(capture, "IMG 1")
    lossy = 0.99 if name.lower().endswith("jpg") else 1.0
    assert (used == (np.asarray(block()) > 0)).mean() >= lossy
    assert progress.codes == []


def matched(tmp_path, photos, names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = match_masks(tmp_path, find_masks(tmp_path), photos)
    return (
        {view: path.relative_to(tmp_path).as_posix() for view, path in found.files.items()},
        [path.relative_to(tmp_path).as_posix() for path in found.spare],
    )


def test_subfolders_tell_equal_names_apart(tmp_path):
    photos = [photo("left/1.jpg", "1"), photo("right/1.jpg", "1_jpg")]
    files, spare = matched(tmp_path, photos, ["left/1.png", "right/1.jpg.png", "other/2.png"])
    assert files == {"1": "left/1.png", "1_jpg": "right/1.jpg.png"}
    assert spare == ["other/2.png"]


def test_a_mask_that_could_belong_to_two_photos_belongs_to_none(tmp_path):
    photos = [photo("left/1.jpg", "1"), photo("right/1.jpg", "1_jpg")]
    assert matched(tmp_path, photos, ["1.png"]) == ({}, ["1.png"])


def test_one_of_two_masks_elsewhere_is_not_guessed(tmp_path):
    assert matched(tmp_path, [photo("1.jpg")], ["a/1.png", "b/1.png"])[0] == {}


def test_the_full_name_goes_before_the_stem(tmp_path):
    photos = [photo("1.jpg", "1"), photo("1.png", "1_png")]
    files, _ = matched(tmp_path, photos, ["1.jpg.png", "1.png.png"])
    assert files == {"1": "1.jpg.png", "1_png": "1.png.png"}


def test_masks_of_the_capture_s_own_view_names(tmp_path):
    files, _ = matched(tmp_path, [photo("IMG.jpg", "IMG_2")], ["IMG_2.png"])
    assert files == {"IMG_2": "IMG_2.png"}


def test_composed_and_decomposed_accents_are_the_same(tmp_path):
    files, _ = matched(tmp_path, [photo("Ko\u0308ln.jpg", "k")], ["K\u00f6ln.png"])
    assert files == {"k": "K\u00f6ln.png"}


# --- pixels -----------------------------------------------------------------------------------


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(list(STORED)), st.sampled_from(["stored", "own tag", "upright"]))
def test_mask_and_photo_agree_pixel_for_pixel(tmp_path, orientation, how):
    """Whatever way photo and mask are turned, the mask lies on what it was drawn on.

    The drawn block is as wide as it is unlike itself turned or mirrored, so any mistake shows.
    """
    if how == "upright" and orientation < 5:
        how = "stored"  # an upright mask of the stored size cannot be told from a stored one
    mask = block()
    exif = None
    if how != "upright":
        mask = STORED[orientation](mask)
    if how == "own tag":
        exif = exif_with(orientation)
    path = saved(tmp_path / "1.png", mask, **({"exif": exif} if exif else {}))
    used = read_mask(path, photo("1.jpg", orientation=orientation))
    assert np.array_equal(used, np.asarray(block()) > 0)


@pytest.mark.parametrize("orientation", STORED)
def test_masked_photos_of_every_orientation(tmp_path, orientation):
    # The photo shows what the mask covers: bright where used. Read back, both must agree.
    turned = STORED[orientation](block())
    saved(tmp_path / "a.jpg", turned.convert("RGB"), exif=exif_with(orientation), quality=100)
    (tmp_path / "masks").mkdir()
    saved(tmp_path / "masks" / "a.png", turned)
    capture, _ = brought_in(tmp_path / "c", tmp_path / "a.jpg", masks=tmp_path / "masks")
    (entry,) = capture.photos()
    shown = np.asarray(Image.open(capture.photo_path(entry)).convert("L")) > 127
    assert entry.orientation == orientation
    assert np.array_equal(used_of(capture, "a"), shown)


@pytest.mark.parametrize("scale", [0.55, 2, 3])
def test_a_mask_at_another_scale(tmp_path, scale):
    mask = block().resize((int(80 * scale), int(60 * scale)), Image.Resampling.NEAREST)
    used = read_mask(saved(tmp_path / "1.png", mask), photo("1.jpg"))
    wrong = used != (np.asarray(block()) > 0)
    assert wrong.sum() <= (0 if scale > 1 else 2 * (30 + 25))


def test_a_rounded_scale_fits(tmp_path):
    mask = saved(tmp_path / "1.png", Image.new("L", (333, 250), 255))
    assert read_mask(mask, photo("1.jpg", width=1333, height=1000)).shape == (1000, 1333)


@pytest.mark.parametrize("size", [(80, 61), (60, 80), (81, 60), (40, 40), (4, 3), (1, 1)])
def test_another_shape_is_refused_in_words(tmp_path, size):
    path = saved(tmp_path / "1.png", Image.new("L", size, 255))
    if size in ((80, 61), (81, 60)):
        assert read_mask(path, photo("1.jpg")).all()  # one pixel off: rounding of some program
        return
    with pytest.raises(PhotoError, match=f"{size[0]} x {size[1]} pixels, its photo 1.jpg 80 x 60"):
        read_mask(path, photo("1.jpg"))


def kinds():
    grey = np.asarray(block())
    rgb = np.zeros((60, 80, 3), np.uint8)
    rgb[..., 0] = grey // 255 * 128  # dark red, as label palettes have it
    alpha = np.dstack([np.full((60, 80, 3), 255, np.uint8), grey])
    palette = Image.fromarray((grey > 0).astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0])
    return {
        "1 bit": block().convert("1"),
        "label": Image.fromarray((grey > 0).astype(np.uint8)),
        "colour": Image.fromarray(rgb),
        "palette": palette,
        "alpha": Image.fromarray(alpha),
        "16 bit": Image.fromarray(grey.astype(np.uint16) * 257),
        "16 bit label": Image.fromarray((grey > 0).astype(np.uint16)),
    }


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("invert", [False, True])
def test_kinds_of_mask_images(tmp_path, kind, invert):
    path = saved(tmp_path / "1.png", kinds()[kind])
    used = read_mask(path, photo("1.jpg"), invert)
    assert np.array_equal(used, (np.asarray(block()) > 0) != invert)


def test_a_float_mask(tmp_path):
    path = saved(
        tmp_path / "1.tif", Image.fromarray((np.asarray(block()) / 255).astype(np.float32))
    )
    assert np.array_equal(read_mask(path, photo("1.jpg")), np.asarray(block()) > 0)


# --- what is told -----------------------------------------------------------------------------


def three(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "masks").mkdir()
    for i in range(3):
        saved(tmp_path / "photos" / f"{i}.png", picture(i))
    return tmp_path / "photos", tmp_path / "masks"


def test_counts_are_told(tmp_path):
    photos, masks = three(tmp_path)
    saved(masks / "0.png", block())
    saved(masks / "1.png", Image.new("L", (33, 50), 255))
    saved(masks / "nobody.png", block())
    capture, progress = brought_in(tmp_path / "c", photos, masks=masks)
    assert sorted(progress.codes) == ["mask.missing", "mask.size", "mask.unmatched"]
    told = " ".join(progress.messages)
    assert "1 of 3 masks fit no photo by their name: nobody.png." in told
    assert "1 of 3 photos have no mask and are used whole: 2.png." in told
    assert [bool(p.mask) for p in capture.photos()] == [True, False, False]


def test_a_mask_that_ignores_everything_is_refused(tmp_path):
    photos, masks = three(tmp_path)
    for i in range(3):
        saved(masks / f"{i}.png", Image.new("L", (80, 60), 255 if i == 0 else 0))
    capture, progress = brought_in(tmp_path / "c", photos, masks=masks)
    assert progress.codes == ["mask.empty"]
    assert "2 of 3 masks were not used" in progress.messages[0]
    assert all(not p.mask for p in capture.photos())  # all used, and twice refused
    with pytest.raises(PhotoError, match=r"ignores all of 0\.png"):
        saved(masks / "0.png", Image.new("L", (80, 60), 0))
        brought_in(tmp_path / "d", photos, masks=masks)
    assert Capture.open(tmp_path / "d").photos() == ()


def test_masks_of_other_photos_are_an_error(tmp_path):
    photos, masks = three(tmp_path)
    saved(masks / "a.png", block())
    with pytest.raises(PhotoError, match=r"None of the 1 masks in .* has the name of a photo"):
        brought_in(tmp_path / "c", photos, masks=masks)


def test_a_missing_or_empty_folder_is_an_error(tmp_path):
    photos, masks = three(tmp_path)
    for folder, words in ((tmp_path / "nowhere", "does not exist"), (masks, "no masks in")):
        with pytest.raises(PhotoError, match=words):
            brought_in(tmp_path / "c", photos, masks=folder)


def test_a_damaged_mask_is_named_and_the_others_are_used(tmp_path):
    photos, masks = three(tmp_path)
    for i in range(3):
        saved(masks / f"{i}.png", block())
    (masks / "1.png").write_bytes(b"not an image")
    capture, progress = brought_in(tmp_path / "c", photos, masks=masks)
    assert progress.codes == ["photo.unreadable"]
    assert [bool(p.mask) for p in capture.photos()] == [True, False, True]


# --- later ------------------------------------------------------------------------------------


def test_masks_given_later_update_photos_that_are_there(tmp_path):
    photos, masks = three(tmp_path)
    capture, _ = brought_in(tmp_path / "c", photos)
    (capture.root / "cameras.json").write_text('{"schema": 1}')
    assert not any(p.mask for p in capture.photos())
    for i in range(3):
        saved(masks / f"{i}.png", block())
    brought_in(tmp_path / "c", masks=masks)  # no photos named
    assert np.array_equal(used_of(capture, "1"), np.asarray(block()) > 0)
    brought_in(tmp_path / "c", photos, masks=masks, masks_invert=True)
    assert np.array_equal(used_of(capture, "1"), np.asarray(block()) == 0)
    saved(masks / "1.png", Image.new("L", (80, 60), 0))  # inverted: all used
    brought_in(tmp_path / "c", masks=masks, masks_invert=True)
    assert used_of(capture, "1") is None
    assert not (capture.root / "photo_masks" / "1.png").exists()
    assert used_of(capture, "2") is not None
    assert capture.reconstruction() is not None  # an earlier reconstruction stays


def test_a_mask_from_the_folder_replaces_the_photo_s_own(tmp_path):
    _, masks = three(tmp_path)
    image = picture()
    image.putalpha(block())
    saved(tmp_path / "a.png", image)
    saved(masks / "a.png", Image.fromarray(255 - np.asarray(block())))
    capture, _ = brought_in(tmp_path / "c", tmp_path / "a.png", masks=masks)
    assert np.array_equal(used_of(capture, "a"), np.asarray(block()) == 0)


def test_masks_beside_their_photos_are_not_photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    saved(folder / "a.jpg", picture())
    saved(folder / "b.jpg", picture(1))
    saved(folder / "a_mask.png", block())
    saved(folder / "b.jpg.png", block())
    saved(folder / "lone_mask.png", picture(2))
    capture, progress = brought_in(tmp_path / "c", folder)
    assert [p.view for p in capture.photos()] == ["a", "b", "lone_mask"]
    assert progress.codes == []
    capture, progress = brought_in(tmp_path / "c", masks=folder)
    assert np.array_equal(used_of(capture, "a"), np.asarray(block()) > 0)
    assert np.array_equal(used_of(capture, "b"), np.asarray(block()) > 0)
    assert progress.codes == ["mask.missing"]


def test_the_photos_themselves_are_no_masks(tmp_path):
    photos, _ = three(tmp_path)
    with pytest.raises(PhotoError, match="is the photo itself and no mask"):
        brought_in(tmp_path / "c", photos, masks=photos)


# --- the capture ------------------------------------------------------------------------------


def test_a_capture_of_before_masks_opens(tmp_path):
    capture, _ = brought_in(tmp_path / "c", saved(tmp_path / "a.png", picture()))
    path = capture.root / "capture.json"
    data = json.loads(path.read_text())
    del data["photos"][0]["mask"], data["photos"][0]["orientation"]
    path.write_text(json.dumps(data))
    (entry,) = capture.photos()
    assert (entry.mask, entry.orientation) == ("", 1)


@pytest.mark.parametrize(("key", "value"), [("mask", "../../secret.png"), ("orientation", 9)])
def test_a_capture_that_leads_outside_is_refused(tmp_path, key, value):
    capture, _ = brought_in(tmp_path / "c", saved(tmp_path / "a.png", picture()))
    path = capture.root / "capture.json"
    data = json.loads(path.read_text())
    data["photos"][0][key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(CaptureError):
        capture.photo_mask_path(capture.photos()[0])


@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_a_damaged_mask_in_the_capture_is_a_sentence(tmp_path, content):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PhotoError, match="missing or damaged"):
        read_used(path, 80, 60)
    saved(path, block())
    with pytest.raises(PhotoError, match="80 x 60 pixels, its photo 60 x 80"):
        read_used(path, 60, 80)


def test_cancelling_while_masks_are_read_changes_nothing(tmp_path):
    from mvsam_engine.errors import Cancelled
    from mvsam_engine.photos import IntakeOptions, add_photos

    photos, masks = three(tmp_path)
    capture, _ = brought_in(tmp_path / "c", photos)
    for i in range(3):
        saved(masks / f"{i}.png", block())

    class Impatient(Collecting):
        def on_change(self):
            if self.stage_name == "Reading masks" and self.done == 1:
                self.cancel()

    with capture.writing(), pytest.raises(Cancelled):
        add_photos(capture, [], Impatient(), IntakeOptions(masks=masks))
    assert not any(p.mask for p in capture.photos())
