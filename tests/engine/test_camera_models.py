# SPDX-License-Identifier: GPL-3.0-or-later
"""Lens models: against COLMAP's and OpenCV's own, and rays that undo projection everywhere."""

import dataclasses

import cv2
import numpy as np
import pycolmap
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvsam_engine.capture import Camera
from mvsam_engine.capture.camera import CAMERA_MODELS
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.capture.model import Reconstruction
from mvsam_engine.capture.schema import reconstruction_from_json, reconstruction_to_json
from mvsam_engine.errors import CaptureError

WIDTH, HEIGHT = 640, 480
CENTRE = (310.0, 250.0)
# Strong enough that a wrong order, sign or power misses by many pixels.
PARAMS = {
    "SIMPLE_PINHOLE": (500.0, *CENTRE),
    "PINHOLE": (500.0, 510.0, *CENTRE),
    "SIMPLE_RADIAL": (500.0, *CENTRE, -0.12),
    "RADIAL": (500.0, *CENTRE, -0.12, 0.03),
    "OPENCV": (500.0, 510.0, *CENTRE, -0.1, 0.02, 0.003, -0.004),
    "FULL_OPENCV": (
        *(500.0, 510.0, *CENTRE, -0.1, 0.02, 0.003, -0.004, 0.01, 0.05, -0.02, 0.004),
    ),
    "SIMPLE_FISHEYE": (300.0, *CENTRE),
    "FISHEYE": (300.0, 310.0, *CENTRE),
    "SIMPLE_RADIAL_FISHEYE": (300.0, *CENTRE, 0.05),
    "RADIAL_FISHEYE": (300.0, *CENTRE, 0.05, -0.02),
    "OPENCV_FISHEYE": (300.0, 310.0, *CENTRE, 0.05, -0.02, 0.01, -0.003),
    "THIN_PRISM_FISHEYE": (
        *(300.0, 310.0, *CENTRE, 0.05, -0.02, 0.003, -0.004, 0.01, -0.002, 0.004, 0.002),
    ),
    "RAD_TAN_THIN_PRISM_FISHEYE": (
        *(300.0, 310.0, *CENTRE, 0.05, -0.02, 0.01, 0.002, -0.001, 0.0003),
        *(0.001, -0.002, 0.0004, 0.0002, -0.0003, 0.0001),
    ),
    "FOV": (400.0, 410.0, *CENTRE, 0.9),
    "SIMPLE_DIVISION": (500.0, *CENTRE, -0.2),
    "DIVISION": (500.0, 510.0, *CENTRE, 0.15),
    "EUCM": (300.0, 310.0, *CENTRE, 0.6, 1.1),
    "MVSAM_BROWN": (
        *(500.0, 510.0, *CENTRE, 7.0, -0.1, 0.02, 0.01, -0.005, 0.003, -0.004),
    ),
    "MVSAM_BROWN_FISHEYE": (
        *(300.0, 310.0, *CENTRE, 7.0, 0.05, -0.02, 0.01, -0.002, 0.003, -0.004),
    ),
}  # fmt: skip
COLMAPS = [model for model in PARAMS if not model.startswith("MVSAM")]


def camera(model, params=None, **changes):
    made = Camera("a", model, WIDTH, HEIGHT, params or PARAMS[model], np.eye(4))
    return dataclasses.replace(made, **changes)


def points_in_view(seed=0, count=300, spread=0.8):
    return np.random.default_rng(seed).uniform(
        (-spread, -spread, 1.0), (spread, spread, 2.0), (count, 3)
    )


def test_every_model_is_tested():
    assert set(PARAMS) == set(CAMERA_MODELS)
    colmaps = {name for name in pycolmap.CameraModelId.__members__ if name != "INVALID"}
    assert set(COLMAPS) == colmaps - {"EQUIRECTANGULAR"}


@pytest.mark.parametrize("model", COLMAPS)
def test_projection_is_colmaps(model):
    theirs = pycolmap.Camera(model=model, width=WIDTH, height=HEIGHT, params=list(PARAMS[model]))
    points = points_in_view()
    pixels, _ = camera(model).project(points)
    assert np.isfinite(pixels).all()
    assert pixels == pytest.approx(np.array(theirs.img_from_cam(points)), abs=1e-8)


@pytest.mark.parametrize("model", COLMAPS)
def test_rays_are_colmaps(model):
    theirs = pycolmap.Camera(model=model, width=WIDTH, height=HEIGHT, params=list(PARAMS[model]))
    pixels = grid_pixels(12, 16, WIDTH, HEIGHT).reshape(-1, 2)
    rays = camera(model).rays(pixels)
    known = np.isfinite(rays).all(axis=-1)
    assert known.mean() > 0.95
    expected = np.array(theirs.cam_from_img(pixels[known]))
    assert rays[known, :2] == pytest.approx(expected[:, :2], abs=1e-5)


@pytest.mark.parametrize("model", PARAMS)
def test_rays_undo_projection_over_the_whole_photo(model):
    made = camera(model)
    pixels = grid_pixels(48, 64, WIDTH, HEIGHT)
    rays = made.rays(pixels)
    known = np.isfinite(rays).all(axis=-1)
    assert known.mean() > 0.95
    assert made.project(rays[known])[0] == pytest.approx(pixels[known], abs=1e-7)


def test_own_brown_is_opencvs_without_skew_and_with_the_fourth_power_by_hand():
    fx, fy, cx, cy, skew, k1, k2, k3, k4, p1, p2 = PARAMS["MVSAM_BROWN"]
    points = points_in_view()
    plain = camera("MVSAM_BROWN", (fx, fy, cx, cy, 0.0, k1, k2, k3, 0.0, p1, p2))
    expected, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), plain.intrinsics, np.array([k1, k2, p1, p2, k3])
    )
    assert plain.project(points)[0] == pytest.approx(expected[:, 0], abs=1e-9)
    # One point of x/z = 0.3, y/z = -0.4, so r = 0.5, written out.
    radial = 1 + k1 * 0.25 + k2 * 0.0625 + k3 * 0.015625 + k4 * 0.00390625
    x = 0.3 * radial + 2 * p1 * 0.3 * -0.4 + p2 * (0.25 + 2 * 0.09)
    y = -0.4 * radial + p1 * (0.25 + 2 * 0.16) + 2 * p2 * 0.3 * -0.4
    pixel, _ = camera("MVSAM_BROWN").project(np.array([0.6, -0.8, 2.0]))
    assert pixel == pytest.approx([fx * x + skew * y + cx, fy * y + cy])


def test_own_fisheye_is_the_equidistant_one_and_then_brown():
    params = PARAMS["MVSAM_BROWN_FISHEYE"]
    points = points_in_view(spread=1.5)
    # The fisheye maps a point like a pinhole maps one at tan(r) -> r: the two models must agree.
    flat = points[:, :2] / points[:, 2:]
    r = np.hypot(*flat.T)[:, None]
    moved = np.concatenate([flat / r * np.arctan(r), np.ones_like(r)], axis=1)
    expected, _ = camera("MVSAM_BROWN", params).project(moved)
    assert camera("MVSAM_BROWN_FISHEYE").project(points)[0] == pytest.approx(expected, abs=1e-9)


def test_fisheye_is_opencvs():
    fx, fy, cx, cy, *k = PARAMS["OPENCV_FISHEYE"]
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    points = points_in_view(spread=1.5)
    expected, _ = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), matrix, np.array(k)
    )
    assert camera("OPENCV_FISHEYE").project(points)[0] == pytest.approx(expected[:, 0], abs=1e-9)


@pytest.mark.parametrize("k1", [-0.3, -0.6])
def test_points_that_would_fold_back_are_nowhere(k1):
    made = camera("SIMPLE_RADIAL", (500.0, *CENTRE, k1))
    # r (1 + k r^2) turns back at r = sqrt(-1 / (3 k)).
    border = np.sqrt(-1 / (3 * k1))
    inside, outside = made.project(np.array([[0.999 * border, 0, 1], [1.001 * border, 0, 1.0]]))[0]
    assert np.isfinite(inside).all()
    assert np.isnan(outside).all()
    # The farthest pixel that sees anything lies at 2/3 of the border.
    reach = 2 / 3 * border * 500
    seen, unseen = made.rays(np.array([[310 + 0.999 * reach, 250], [310 + 1.001 * reach, 250]]))
    assert np.isfinite(seen).all()
    assert np.isnan(unseen[:2]).all()


def test_a_pole_of_the_rational_model_is_not_crossed():
    made = camera("FULL_OPENCV", (500.0, 500.0, *CENTRE, 0, 0, 0, 0, 0, -0.5, 0, 0))
    # 1 / (1 - 0.5 r^2) is infinite at r = sqrt(2).
    pixels, _ = made.project(np.array([[1.3, 0, 1], [1.5, 0, 1.0]]))
    assert np.isfinite(pixels[0]).all()
    assert np.isnan(pixels[1]).all()


def test_fisheye_sees_nothing_beyond_a_right_angle():
    made = camera("FISHEYE", (100.0, 100.0, 320.0, 240.0))
    rays = made.rays(np.array([[320 + 156.0, 240.0], [320 + 158.0, 240.0]]))
    assert np.isfinite(rays[0]).all()  # 156 px at 100 px a radian: 89.4 degrees
    assert np.isnan(rays[1, :2]).all()


def test_undefined_pixels_stay_undefined_and_disturb_no_others():
    pixels = np.array([[np.nan, 3.0], [400.0, 300.0], [1e30, 1e30], [np.inf, 0.0]])
    for model in PARAMS:
        rays = camera(model).rays(pixels)
        assert np.isnan(rays[0, :2]).any()
        assert np.isfinite(rays[1]).all()
        if camera(model).is_distorted:
            assert not np.isfinite(rays[3, :2]).all()


coefficients = st.floats(-0.4, 0.4)


@settings(max_examples=150, deadline=None)
@given(
    k=st.tuples(coefficients, coefficients, coefficients, coefficients),
    p=st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)),
    skew=st.floats(-30, 30),
    model=st.sampled_from(["MVSAM_BROWN", "MVSAM_BROWN_FISHEYE"]),
    mirrored=st.booleans(),
)
def test_whatever_a_ray_says_projects_back(k, p, skew, model, mirrored):
    fx = -450.0 if mirrored else 450.0
    made = camera(model, (fx, 470.0, *CENTRE, skew, *k, *p))
    pixels = grid_pixels(12, 16, WIDTH, HEIGHT)
    rays = made.rays(pixels)
    known = np.isfinite(rays).all(axis=-1)
    again, _ = made.project(rays[known])
    assert known[6, 8]
    assert again == pytest.approx(pixels[known], abs=1e-4)


@settings(max_examples=150, deadline=None)
@given(
    k=st.tuples(coefficients, coefficients, coefficients, coefficients),
    model=st.sampled_from(["MVSAM_BROWN", "OPENCV_FISHEYE"]),
    seed=st.integers(0, 1000),
)
def test_whatever_projects_is_found_again(k, model, seed):
    tail = (0.0, *k, 0.0, 0.0) if model == "MVSAM_BROWN" else k
    made = camera(model, (450.0, 470.0, *CENTRE, *tail))
    points = points_in_view(seed, 50)
    pixels, _ = made.project(points)
    known = np.isfinite(pixels).all(axis=-1)
    flat = points[known] / points[known, 2:]
    # Where the profile is flat, a rounding of the pixel is a long way on the ray.
    steep = np.hypot(*(made.project(flat * [1.001, 1.001, 1.0])[0] - pixels[known]).T)
    found = made.rays(pixels[known])
    good = steep > 0.02
    assert found[good] == pytest.approx(flat[good], abs=1e-6)


@pytest.mark.parametrize("model", PARAMS)
def test_every_model_is_stored_in_a_capture(model):
    before = Reconstruction(cameras=(camera(model),))
    (after,) = reconstruction_from_json(reconstruction_to_json(before)).cameras
    assert (after.model, after.params) == (model, camera(model).params)
    broken = reconstruction_to_json(before)
    broken["cameras"][0]["params"].append(0.0)
    with pytest.raises(CaptureError):
        reconstruction_from_json(broken)


@pytest.mark.parametrize("model", PARAMS)
def test_distortion_is_told(model):
    undistorted = {"SIMPLE_PINHOLE", "PINHOLE"}
    assert camera(model).is_distorted == (model not in undistorted)
    if "FISHEYE" not in model and model not in undistorted:
        names = CAMERA_MODELS[model]
        kept = {"f", "fx", "fy", "cx", "cy", "skew", "beta"}
        flat = [p if n in kept else 0.0 for n, p in zip(names, PARAMS[model], strict=True)]
        assert not camera(model, tuple(flat)).is_distorted
