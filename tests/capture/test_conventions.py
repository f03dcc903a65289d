# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames and pixels of docs/conventions.md, on numbers that can be checked by eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvsam_engine.capture import Camera
from mvsam_engine.capture import conventions as cv
from mvsam_engine.errors import CaptureError


def looking_along_y(view="a", **changes):
    """A camera at (0, -5, 0) that looks along +Y with Z up: OpenCV rows are x=X, y=-Z, z=Y."""
    matrix = np.eye(4)
    matrix[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    matrix[:3, 3] = [0, 0, 5]
    settings = {
        "view": view,
        "model": "PINHOLE",
        "width": 640,
        "height": 480,
        "params": (500.0, 500.0, 320.0, 240.0),
        "camera_from_world": matrix,
    }
    return Camera(**(settings | changes))


def test_point_straight_ahead_falls_on_the_principal_point():
    pixels, depth = looking_along_y().project(np.array([0.0, 0.0, 0.0]))
    assert pixels == pytest.approx([320, 240])
    assert depth == pytest.approx(5)


def test_up_in_the_world_is_up_in_the_photo_and_right_is_right():
    pixels, _ = looking_along_y().project(np.array([[1.0, 0, 0], [0, 0, 1.0]]))
    assert pixels[0] == pytest.approx([420, 240])
    assert pixels[1] == pytest.approx([320, 140])


def test_behind_the_camera_is_nan():
    pixels, depth = looking_along_y().project(np.array([0.0, -6.0, 0.0]))
    assert np.isnan(pixels).all()
    assert depth < 0


def test_blender_camera_looks_down_minus_z_with_y_up():
    world = cv.blender_world_from_camera(looking_along_y().camera_from_world)
    assert world[:3, 3] == pytest.approx([0, -5, 0])
    assert -world[:3, 2] == pytest.approx([0, 1, 0])  # looks along +Y
    assert world[:3, 1] == pytest.approx([0, 0, 1])  # its up is +Z
    back = cv.camera_from_world_of_blender(world)
    assert back == pytest.approx(looking_along_y().camera_from_world)


def test_uv_has_its_origin_at_the_lower_left():
    uv = cv.pixels_to_uv(np.array([[0, 0], [640, 480], [320, 120]]), 640, 480)
    assert uv.tolist() == [[0, 1], [1, 0], [0.5, 0.75]]
    assert cv.uv_to_pixels(uv, 640, 480).tolist() == [[0, 0], [640, 480], [320, 120]]


def test_grid_cells_lie_at_their_centres():
    pixels = cv.grid_pixels(2, 4, 640, 480)
    assert pixels[0, 0].tolist() == [80, 120]
    assert pixels[1, 3].tolist() == [560, 360]
    rows, columns, inside = cv.pixels_to_grid(pixels, 2, 4, 640, 480)
    assert rows.tolist() == [[0] * 4, [1] * 4]
    assert columns.tolist() == [[0, 1, 2, 3]] * 2
    assert inside.all()


@pytest.mark.parametrize(
    "bad", [[-0.1, 5], [640, 5], [5, 480], [np.nan, 5], [np.inf, 5], [1e30, 1]]
)
def test_positions_outside_are_told(bad):
    rows, columns, inside = cv.pixels_to_grid(np.array(bad), 2, 4, 640, 480)
    assert not inside
    assert (rows, columns) == (0, 0)


def test_lens_and_shift_of_landscape_and_portrait():
    assert cv.blender_lens(500, 640, 480) == pytest.approx(500 * 36 / 640)
    assert cv.blender_lens(500, 480, 640) == pytest.approx(500 * 36 / 640)
    assert cv.blender_shift(320, 240, 640, 480) == (0, 0)
    assert cv.blender_shift(300, 250, 640, 480) == (20 / 640, 10 / 640)


@given(width=st.integers(1, 20000), height=st.integers(1, 20000), long_side=st.integers(32, 4096))
def test_fit_size_never_enlarges_and_keeps_the_shape(width, height, long_side):
    w, h = cv.fit_size(width, height, long_side)
    assert 1 <= w <= min(width, long_side) or w == 1
    assert 1 <= h <= min(height, long_side) or h == 1
    if min(w, h) > 20:
        assert w / h == pytest.approx(width / height, rel=0.06)


MODELS = {
    "SIMPLE_PINHOLE": (500.0, 310.0, 250.0),
    "PINHOLE": (500.0, 510.0, 310.0, 250.0),
    "SIMPLE_RADIAL": (500.0, 310.0, 250.0, -0.12),
    "RADIAL": (500.0, 310.0, 250.0, -0.12, 0.03),
    "OPENCV": (500.0, 510.0, 310.0, 250.0, -0.1, 0.02, 0.001, -0.002),
}


@pytest.mark.parametrize("model", MODELS)
def test_rays_undo_projection(model):
    camera = looking_along_y(model=model, params=MODELS[model])
    pixels = cv.grid_pixels(6, 8, 640, 480)
    depth = np.linspace(1, 9, 48).reshape(6, 8)
    again, z = camera.project(camera.unproject(pixels, depth))
    assert again == pytest.approx(pixels, abs=1e-6)
    assert z == pytest.approx(depth)


@pytest.mark.parametrize("model", MODELS)
def test_models_are_those_of_colmap(model):
    pycolmap = pytest.importorskip("pycolmap")
    camera = looking_along_y(model=model, params=MODELS[model])
    theirs = pycolmap.Camera(model=model, width=640, height=480, params=list(MODELS[model]))
    rays = np.random.default_rng(0).uniform((-0.5, -0.5, 1.5), (0.5, 0.5, 2.5), (20, 3))
    world = camera.center + rays @ camera.camera_from_world[:3, :3]
    assert camera.project(world)[0] == pytest.approx(np.array(theirs.img_from_cam(rays)), abs=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "EQUIRECTANGULAR"},
        {"params": (0.0, 500.0, 320.0, 240.0)},
        {"params": (500.0, 0.0, 320.0, 240.0)},
        {"width": 0},
        {"params": (1.0, 2.0)},
        {"params": (np.nan, 500.0, 320.0, 240.0)},
        {"camera_from_world": np.eye(4) * 2},
        {"camera_from_world": np.diag([1.0, 1.0, -1.0, 1.0])},
        {"camera_from_world": np.eye(3)},
    ],
)
def test_what_is_no_camera_is_refused(changes):
    with pytest.raises(CaptureError):
        looking_along_y(**changes)
