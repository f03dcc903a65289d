# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras given to photos: by name, resized, and turned with the photo's EXIF orientation."""

import dataclasses

import numpy as np
import pytest
from camera_files import SHOTS
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from test_camera_models import CENTRE, HEIGHT, PARAMS, WIDTH

from mvsam_engine.capture import Camera
from mvsam_engine.capture.model import Photo
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.posed.cameras import CameraSet, PosedPhoto, match_cameras

POINTS = np.random.default_rng(1).uniform((-0.7, -0.5, 1.0), (0.7, 0.5, 2.0), (60, 3))


def photo(name, width=WIDTH, height=HEIGHT, orientation=1):
    return Photo(
        view=name.replace("/", "_"),
        file="photos/x.jpg",
        width=width,
        height=height,
        size=1,
        sha256="0",
        original_name=name,
        orientation=orientation,
    )


def posed(name, model="OPENCV", size="pixels", **changes):
    camera = Camera("", model, WIDTH, HEIGHT, PARAMS[model], np.eye(4))
    return PosedPhoto(name, dataclasses.replace(camera, **changes), size)


def camera_set(*items):
    photos = tuple(item if isinstance(item, PosedPhoto) else posed(item) for item in items)
    return CameraSet("COLMAP", photos)


def pairs(photo_names, camera_names):
    """Photo name to camera name, as matched; the reasons of the others."""
    cameras = camera_set(*camera_names)
    matched = match_cameras(tuple(photo(n) for n in photo_names), cameras)
    found = {
        camera.view: cameras.photos[i].name
        for camera, i in zip(matched.cameras, matched.indices, strict=True)
    }
    return found, {p.view: p.reason for p in matched.photos_without}, matched


# -- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("a.jpg", "a.jpg"),
        ("a.jpg", "A.JPG"),
        ("a.jpg", "images/a.jpg"),
        ("a.jpg", "a.png"),
        ("a.jpg", "a"),
        ("a.jpg", "C:/Users/me/photos/a.jpg"),
        ("left/a.jpg", "a.jpg"),
        ("left/a.jpg", "images/left/a.jpg"),
        ("scan.0001.jpg", "scan.0001"),
        ("Küche.jpg", "Ku\u0308che.jpg"),
        ("a b (1).jpg", "a b (1).jpg"),
    ],
)
def test_names_that_mean_the_same_photo(ours, theirs):
    found, _, _ = pairs([ours], ["b.jpg", theirs])
    assert found == {ours.replace("/", "_"): theirs}


def test_folders_tell_photos_of_one_name_apart():
    found, reasons, matched = pairs(
        ["left/a.jpg", "right/a.jpg", "b.jpg"],
        ["rig/right/a.png", "rig/left/a.jpg", "b.jpg", "c.jpg"],
    )
    assert found == {
        "left_a.jpg": "rig/left/a.jpg", "right_a.jpg": "rig/right/a.png", "b.jpg": "b.jpg",
    }  # fmt: skip
    assert not reasons
    assert matched.cameras_without == ("c.jpg",)


def test_a_camera_of_the_other_folder_is_not_taken():
    found, reasons, _ = pairs(["left/a.jpg", "right/a.jpg"], ["right/a.jpg"])
    assert found == {"right_a.jpg": "right/a.jpg"}
    assert reasons["left_a.jpg"] == "The camera right/a.jpg fits right/a.jpg better."


def test_several_cameras_of_one_name_are_ambiguous():
    found, reasons, _ = pairs(["a.jpg", "b.jpg"], ["left/a.jpg", "right/a.jpg", "b.jpg"])
    assert found == {"b.jpg": "b.jpg"}
    assert reasons["a.jpg"] == (
        "2 cameras fit its name a.jpg equally well, e.g. left/a.jpg and right/a.jpg."
    )


def test_two_photos_of_one_camera_are_ambiguous():
    found, reasons, _ = pairs(["left/a.jpg", "right/a.jpg", "b.jpg"], ["a.jpg", "b.jpg"])
    assert found == {"b.jpg": "b.jpg"}
    assert reasons["left_a.jpg"] == "The camera a.jpg fits right/a.jpg as well."


def test_same_ending_and_case_decide_between_neighbours():
    found, _, _ = pairs(["a.jpg"], ["a.png", "A.jpg", "a.jpg"])
    assert found == {"a.jpg": "a.jpg"}


def test_nothing_in_common_says_how_many_and_shows_names():
    with pytest.raises(ReconstructionError) as caught:
        pairs(["DSC_1.jpg", "DSC_2.jpg"], ["IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg"])
    assert caught.value.code == "cameras.no_match"
    assert caught.value.message == (
        "None of 2 photos (e.g. DSC_1.jpg) could be given one of the 3 cameras "
        "(e.g. IMG_1.jpg) of the COLMAP file. The COLMAP file has no camera for it."
    )


def test_few_in_common_is_told_in_one_sentence():
    names = [f"{i}.jpg" for i in range(10)]
    _, reasons, matched = pairs(names, ["3.jpg", "x.jpg"])
    assert len(reasons) == 9
    assert matched.remarks == (
        "Only 1 of 10 photos (e.g. 0.jpg) could be given one of the 2 cameras (e.g. 3.jpg) of "
        "the COLMAP file.",
    )
    assert not pairs(names, names)[2].remarks


# -- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", PARAMS)
@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (213, 160)])
def test_a_resized_photo_has_its_pixels_moved_alike(model, size):
    before = posed("a.jpg", model).camera
    (after,) = match_cameras((photo("a.jpg", *size),), camera_set(posed("a.jpg", model))).cameras
    assert (after.width, after.height, after.view) == (*size, "a.jpg")
    scale = np.array(size) / (WIDTH, HEIGHT)
    assert after.project(POINTS)[0] == pytest.approx(before.project(POINTS)[0] * scale, abs=1e-8)


@pytest.mark.parametrize("size", [(640, 400), (480, 640), (600, 480)])
def test_a_photo_of_another_shape_is_left_out(size):
    photos = (photo("a.jpg", *size), photo("b.jpg"))
    matched = match_cameras(photos, camera_set("a.jpg", "b.jpg"))
    assert [c.view for c in matched.cameras] == ["b.jpg"]
    (left_out,) = matched.photos_without
    assert "640 x 480" in left_out.reason
    assert f"{size[0]} x {size[1]}" in left_out.reason
    assert matched.cameras_without == ("a.jpg",)


@pytest.mark.parametrize(
    ("meaning", "params", "expected"),
    [
        # A nominal square of 2000: f, cx, cy in thousandths of a side are told by hand.
        ("long_side", (1500.0, 1020.0, 980.0), (1500.0 * 0.4, 400 + 20 * 0.4, 300 - 20 * 0.4)),
        ("width", (1500.0, 1000.0, 1000.0), (1500.0 * 0.4, 400.0, 300.0)),
        ("centre", (555.0, 1000.0, 1000.0), (555.0, 400.0, 300.0)),
        ("corner", (555.0, 405.0, 290.0), (555.0, 405.0, 290.0)),
    ],
)
def test_sizes_that_the_file_does_not_say_come_from_the_photo(meaning, params, expected):
    given_camera = Camera("", "SIMPLE_PINHOLE", 2000, 2000, params, np.eye(4))
    cameras = CameraSet("x", (PosedPhoto("a.jpg", given_camera, meaning),))
    (camera,) = match_cameras((photo("a.jpg", 800, 600),), cameras).cameras
    assert (camera.width, camera.height) == (800, 600)
    assert camera.params == pytest.approx(expected)


def test_corner_pixels_of_another_photo_are_left_out():
    camera = Camera("", "SIMPLE_PINHOLE", 800, 600, (555.0, 405.0, 290.0), np.eye(4))
    cameras = CameraSet("x", (PosedPhoto("a.jpg", camera, "corner"),))
    with pytest.raises(ReconstructionError, match=r"another photo of the same name"):
        match_cameras((photo("a.jpg", 4000, 3000),), cameras)


def test_an_upright_portrait_of_the_unknown_size_is_measured_along_its_longer_side():
    camera = Camera("", "SIMPLE_PINHOLE", 2000, 2000, (1500.0, 1000.0, 1000.0), np.eye(4))
    cameras = CameraSet("x", (PosedPhoto("a.jpg", camera, "long_side"),))
    (found,) = match_cameras((photo("a.jpg", 600, 800),), cameras).cameras
    assert found.params == pytest.approx((600.0, 300.0, 400.0))


# -- orientation -----------------------------------------------------------------------------


def moved_by_exif(pixels, orientation):
    """Where Pillow's own transposition puts stored positions, measured on a picture of them."""
    # A picture whose pixels hold their own stored position, turned by Pillow as photos are.
    small_w, small_h = WIDTH // 4, HEIGHT // 4
    ids = np.arange(small_w * small_h, dtype=np.int32).reshape(small_h, small_w)
    image = Image.fromarray(ids)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    order = np.argsort(upright.ravel())
    rows, columns = np.divmod(order, upright.shape[1])
    # The map is affine: three pixels of the picture determine it.
    at = [0, small_w - 1, (small_h - 1) * small_w]
    stored = np.array([[i % small_w + 0.5, i // small_w + 0.5, 1.0] for i in at])
    target = np.array([[columns[i] + 0.5, rows[i] + 0.5] for i in at])
    affine = np.linalg.solve(stored, target).T
    return np.asarray(pixels) @ affine[:, :2].T + affine[:, 2] * 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("model", PARAMS)
def test_every_orientation_of_every_model(model, orientation):
    before = posed("a.jpg", model).camera
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = SHOTS[0].rotation, (0.1, -0.2, 0.3)
    before = dataclasses.replace(before, camera_from_world=pose)
    world = (POINTS - pose[:3, 3]) @ pose[:3, :3]
    upright = (HEIGHT, WIDTH) if orientation >= 5 else (WIDTH, HEIGHT)
    given_photo = photo("a.jpg", *upright, orientation=orientation)
    cameras = CameraSet("x", (PosedPhoto("a.jpg", before),))
    (after,) = match_cameras((given_photo,), cameras).cameras
    assert (after.width, after.height) == upright
    expected = moved_by_exif(before.project(world)[0], orientation)
    found, depth = after.project(world)
    assert found == pytest.approx(expected, abs=1e-7)
    assert depth == pytest.approx(POINTS[:, 2])
    assert after.center == pytest.approx(before.center)
    # Rays of the upright photo see what those of the stored photo saw.
    again = after.unproject(found, depth)
    assert again == pytest.approx(world, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    orientation=st.integers(1, 8),
    skew=st.floats(-40, 40),
    fy=st.floats(300, 900),
    p=st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)),
)
def test_skew_and_oblong_pixels_are_turned_exactly(orientation, skew, fy, p):
    params = (500.0, fy, *CENTRE, skew, -0.1, 0.02, 0.01, -0.005, *p)
    before = Camera("", "MVSAM_BROWN", WIDTH, HEIGHT, params, np.eye(4))
    upright = (HEIGHT, WIDTH) if orientation >= 5 else (WIDTH, HEIGHT)
    given_photo = photo("a.jpg", *upright, orientation=orientation)
    (after,) = match_cameras((given_photo,), CameraSet("x", (PosedPhoto("a.jpg", before),))).cameras
    expected = moved_by_exif(before.project(POINTS)[0], orientation)
    assert after.project(POINTS)[0] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("orientation", [6, 8])
def test_cameras_of_photos_that_were_turned_before_are_not_turned_again(orientation):
    """The other program was given upright copies: its cameras have the upright photo's shape."""
    camera = Camera("", "PINHOLE", HEIGHT, WIDTH, (500.0, 510.0, 235.0, 330.0), np.eye(4))
    given_photo = photo("a.jpg", HEIGHT, WIDTH, orientation=orientation)
    (after,) = match_cameras((given_photo,), camera_set(PosedPhoto("a.jpg", camera))).cameras
    assert after.params == camera.params
    assert np.array_equal(after.camera_from_world, np.eye(4))


def test_turned_and_resized_at_once():
    before = posed("a.jpg").camera
    given_photo = photo("a.jpg", HEIGHT // 2, WIDTH // 2, orientation=6)
    (after,) = match_cameras((given_photo,), camera_set("a.jpg")).cameras
    expected = moved_by_exif(before.project(POINTS)[0], 6) / 2
    assert after.project(POINTS)[0] == pytest.approx(expected, abs=1e-8)
