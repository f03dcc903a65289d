# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifting a place in a photo: on planes exact, at edges on the object, uncertain places refused."""

import numpy as np
import pytest

from mvsam_engine.capture import Camera, Pointmap
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.capture.lifting import lift
from mvsam_engine.errors import CaptureError

WIDTH, HEIGHT, GRID = 320, 240, 4
MATRIX = np.array([[0.8, 0, 0.6, 0.3], [0, 1, 0, -0.2], [-0.6, 0, 0.8, 0.7], [0, 0, 0, 1.0]])
CAMERA = Camera("a", "SIMPLE_RADIAL", WIDTH, HEIGHT, (300.0, 160.0, 120.0, -0.05), MATRIX)


def pointmap(depth_of, confidence=0.9) -> Pointmap:
    """A pointmap whose depth is ``depth_of(pixels [..., 2])``."""
    rows, columns = HEIGHT // GRID, WIDTH // GRID
    pixels = grid_pixels(rows, columns, WIDTH, HEIGHT)
    points = CAMERA.unproject(pixels, depth_of(pixels)).astype(np.float32)
    return Pointmap(
        "a",
        points,
        np.full((rows, columns), confidence, np.float16),
        np.zeros((rows, columns, 3), np.uint8),
    )


def slanted(pixels):
    """Depth of a plane in the camera's frame: n . X = 4 with n = (0.5, -0.3, 1)."""
    return 4.0 / (CAMERA.rays(pixels) @ np.array([0.5, -0.3, 1.0]))


@pytest.mark.parametrize("xy", [(160.0, 120.0), (91.3, 77.7), (1.0, 1.0), (319.5, 239.5)])
def test_a_place_on_a_plane_is_exact(xy):
    found = lift(CAMERA, pointmap(slanted), *xy)
    expected = CAMERA.unproject(np.array(xy), slanted(np.array(xy)))
    assert found.point == pytest.approx(expected, abs=2e-3)
    assert CAMERA.project(found.point)[0] == pytest.approx(xy, abs=1e-6)
    assert found.spread < 1e-2
    assert found.confidence == pytest.approx(0.9, abs=1e-3)


def test_noise_and_gross_errors_are_averaged_out():
    made = pointmap(slanted)
    random = np.random.default_rng(3)
    noisy = made.points * (1 + 0.004 * random.normal(size=(*made.points.shape[:2], 1)))
    noisy[::5, ::5] *= 1.015
    found = lift(
        CAMERA, Pointmap("a", noisy.astype(np.float32), made.confidence, made.colors), 160, 120
    )
    expected = slanted(np.array([160.0, 120.0]))
    assert found.depth == pytest.approx(expected, rel=0.003)
    assert 0.001 * expected < found.spread < 0.02 * expected


@pytest.mark.parametrize("x", [158.0, 160.0, 162.0])
def test_at_an_edge_the_object_is_taken_not_what_is_behind_it(x):
    made = pointmap(lambda p: np.where(p[..., 0] < 161, 2.0, 3.0))
    assert lift(CAMERA, made, x, 120.0).depth == pytest.approx(2.0, abs=1e-4)


def test_beside_the_object_its_background_is_taken():
    made = pointmap(lambda p: np.where(p[..., 0] < 161, 2.0, 3.0))
    assert lift(CAMERA, made, 172.0, 120.0).depth == pytest.approx(3.0, abs=1e-4)


def test_single_flying_pixels_are_not_a_surface():
    made = pointmap(lambda p: np.full(p.shape[:-1], 3.0))
    points = made.points.copy()
    points[30, 40] = CAMERA.unproject(np.array([162.0, 122.0]), np.array(1.0))
    found = lift(CAMERA, Pointmap("a", points, made.confidence, made.colors), 162.0, 122.0)
    assert found.depth == pytest.approx(3.0, abs=1e-4)


def test_uncertain_places_are_refused_with_their_confidence():
    with pytest.raises(CaptureError, match=r"confidence is about 0\.20, 0\.5 is needed"):
        lift(CAMERA, pointmap(slanted, confidence=0.2), 160, 120)


def test_unknown_places_are_refused():
    made = pointmap(slanted)
    points = np.full_like(made.points, np.nan)
    with pytest.raises(CaptureError, match="no 3D point"):
        lift(CAMERA, Pointmap("a", points, made.confidence, made.colors), 160, 120)


@pytest.mark.parametrize("xy", [(-1, 5), (5, 240), (float("nan"), 5)])
def test_places_outside_the_photo_are_refused(xy):
    with pytest.raises(CaptureError, match="outside photo"):
        lift(CAMERA, pointmap(slanted), *xy)


def test_places_whose_points_scatter_are_refused():
    made = pointmap(slanted)
    scatter = np.random.default_rng(0).uniform(0.3, 3.0, (*made.points.shape[:2], 1))
    points = (made.points * scatter).astype(np.float32)
    with pytest.raises(CaptureError, match="form no surface"):
        lift(CAMERA, Pointmap("a", points, made.confidence, made.colors), 160, 120)


def test_a_slant_that_is_steep_for_the_grid_is_one_surface():
    def steep(pixels):
        return 1.0 / (0.2 + 0.02 * (pixels[..., 1] - 60) / GRID)

    made = pointmap(lambda p: np.where(p[..., 1] > 70, steep(p), 3.0))
    assert lift(CAMERA, made, 160.0, 120.0).depth == pytest.approx(2.0, rel=1e-5)
