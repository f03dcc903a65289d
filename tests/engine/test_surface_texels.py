# SPDX-License-Identifier: GPL-3.0-or-later
"""Texels of faces, dilated seams, and which points of a mesh a photo sees."""

import numpy as np
import pytest
import trimesh

from mvsam_engine.capture import Camera
from mvsam_engine.reconstruct.posed.mesh import Mesh
from mvsam_engine.reconstruct.posed.raycast import Surface
from mvsam_engine.surface.texels import dilate, rasterise
from mvsam_engine.surface.visible import sees_exactly, vertex_normals, view_depth

# Two triangles that fill the square 0.25..0.75.
SQUARE = np.array(
    [
        [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75]],
        [[0.25, 0.25], [0.75, 0.75], [0.25, 0.75]],
    ]
)


def plain_owner(uv, shape):
    """Texel by texel: the first triangle whose edges all have the centre on the same side."""
    owner = np.full(shape, -1)
    for row in range(shape[0]):
        for column in range(shape[1]):
            at = np.array([(column + 0.5) / shape[1], 1 - (row + 0.5) / shape[0]])
            for index, triangle in enumerate(uv):
                sides = [
                    np.linalg.det(np.array([triangle[(i + 1) % 3] - triangle[i], at - triangle[i]]))
                    for i in range(3)
                ]
                if owner[row, column] < 0 and (min(sides) > 0 or max(sides) < 0):
                    owner[row, column] = index
    return owner


def camera(distance=3.0, k1=0.0, x=0.0):
    """Looks along +z at the origin from `distance`, 200 x 150 pixels."""
    pose = np.eye(4)
    pose[:3, 3] = -x, 0.0, distance
    return Camera("view", "SIMPLE_RADIAL", 200, 150, (180.0, 100.0, 75.0, k1), pose)


def test_a_square_covers_its_texels_once():
    texels = rasterise(SQUARE, (8, 16))
    expected = np.zeros((8, 16), bool)
    expected[2:6, 4:12] = True
    assert np.array_equal(texels.covered, expected)
    assert texels.overlaps == 0
    assert np.allclose(texels.barycentric.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_rasterising_agrees_with_its_plain_form(seed):
    uv = np.random.default_rng(seed).uniform(-0.2, 1.2, (6, 3, 2))
    texels = rasterise(uv, (24, 31))
    assert np.array_equal(texels.image(texels.faces, fill=-1), plain_owner(uv, (24, 31)))


def test_interpolated_uvs_are_the_texels_own():
    uv = np.random.default_rng(3).uniform(0, 1, (5, 3, 2))
    texels = rasterise(uv, (32, 32))
    faces = np.arange(15).reshape(5, 3)
    found = texels.interpolate(uv.reshape(-1, 2), faces)
    assert np.allclose(found[:, 0], (texels.columns + 0.5) / 32, atol=1e-5)
    assert np.allclose(found[:, 1], 1 - (texels.rows + 0.5) / 32, atol=1e-5)


def test_overlapping_faces_are_counted():
    # The 8 texels on the diagonal lie on an edge of both faces.
    assert rasterise(np.concatenate([SQUARE, SQUARE]), (16, 16)).overlaps == 64 - 8


def test_faces_outside_or_without_area_cover_nothing():
    flat = np.array([[[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]]])
    undefined = np.full((1, 3, 2), np.nan)
    assert len(rasterise(np.concatenate([flat, flat + 3, undefined]), (16, 16))) == 0


def test_dilation_takes_the_nearest_known_texel():
    known = np.zeros((9, 9), bool)
    known[4, 2] = known[4, 6] = True
    image = np.zeros((9, 9, 3), np.uint8)
    image[4, 2], image[4, 6] = (255, 0, 0), (0, 255, 0)
    everywhere = dilate(image, known)
    assert (everywhere[:, :4] == (255, 0, 0)).all()
    assert (everywhere[:, 5:] == (0, 255, 0)).all()
    near = dilate(image, known, margin=1.5)
    assert (near[4, 1] == (255, 0, 0)).all() and not near[4, 4].any() and not near[0].any()


def two_walls():
    """A square of side 1 at z = 0 and one of side 4 behind it at z = 1, both facing the camera."""
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float)
    vertices = np.concatenate([square * (0.5, 0.5, 1), square * (2, 2, 1) + (0, 0, 1)])
    faces = np.array([[0, 2, 1], [0, 3, 2], [4, 6, 5], [4, 7, 6]], np.int32)
    return Mesh(vertices, faces)


@pytest.mark.parametrize("k1", [0.0, -0.1])
@pytest.mark.parametrize("exact", [True, False])
def test_what_stands_in_front_hides_what_is_behind(exact, k1):
    surface, view = Surface(two_walls()), camera(k1=k1)
    points = np.array([[0, 0, 0], [0.3, 0.2, 0], [0, 0, 1], [0.4, 0.3, 1], [1.2, 0, 1], [9, 0, 1]])
    normals = np.tile([0.0, 0.0, -1.0], (6, 1))
    if exact:
        seen = sees_exactly(surface, view, points, normals)
    else:
        seen = view_depth(surface, view).sees(points, normals)
    assert seen.visible.tolist() == [True, True, False, False, True, False]
    assert np.allclose(seen.depth, [3, 3, 4, 4, 4, 4])
    assert np.allclose(seen.pixels[0], (100, 75))
    assert seen.cosine[0] == pytest.approx(1.0)


def test_both_ways_see_the_same_of_a_ball():
    ball = trimesh.creation.icosphere(4)
    vertices, faces = np.asarray(ball.vertices), np.asarray(ball.faces, np.int32)
    surface, view = Surface(Mesh(vertices, faces)), camera(4.0, x=0.3)
    normals = vertex_normals(vertices, faces)
    assert np.allclose(normals, vertices, atol=0.02)
    exact = sees_exactly(surface, view, vertices, normals)
    grid = view_depth(surface, view).sees(vertices, normals)
    clear = np.abs(exact.cosine) > 0.15
    assert np.array_equal(exact.visible[clear], grid.visible[clear])
    assert np.array_equal(exact.visible[clear], exact.cosine[clear] > 0)
