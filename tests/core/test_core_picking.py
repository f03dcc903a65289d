# SPDX-License-Identifier: GPL-3.0-or-later
"""The point under the mouse, with and without perspective."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mvsam_blender.core.picking import point_under

SIZE = (800, 600)


def perspective(near=0.1, far=100.0, focal=1.5):
    """A camera at the origin that looks along -z, as OpenGL has it."""
    a, b = -(far + near) / (far - near), -2 * far * near / (far - near)
    return np.array(
        [[focal * SIZE[1] / SIZE[0], 0, 0, 0], [0, focal, 0, 0], [0, 0, a, b], [0, 0, -1, 0]]
    )


def flat(half=3.0, far=100.0):
    """A view without perspective along -z."""
    return np.diag([SIZE[1] / SIZE[0] / half, 1 / half, -1 / far, 1.0])


def on_screen(matrix, point):
    clip = matrix @ [*point, 1.0]
    return tuple((clip[i] / clip[3] + 1) * SIZE[i] / 2 for i in range(2))


def wall(z, step=0.05, half=2.0):
    x, y = np.meshgrid(np.arange(-half, half, step), np.arange(-half, half, step))
    return np.stack([x, y, np.full_like(x, z)], axis=-1).reshape(-1, 3).astype(np.float32)


def pick(position, matrix, mouse, disc=1.5, reach=16.0):
    return point_under(position, matrix, SIZE, mouse, disc, reach)


@pytest.mark.parametrize("matrix", [perspective(), flat()], ids=["perspective", "flat"])
def test_the_front_of_two_walls_is_picked_also_in_its_gaps(matrix):
    front, back = wall(-5.0), wall(-8.0, step=0.011)
    both = np.concatenate([back, front])
    for mouse in ((400, 300), (423.4, 311.7), (391.2, 280.0)):
        found = pick(both, matrix, mouse)
        assert found >= len(back), "a dense wall behind is not seen through the gaps"
        place = on_screen(matrix, both[found])
        distances = [np.hypot(*np.subtract(on_screen(matrix, p), mouse)) for p in front]
        assert np.hypot(*np.subtract(place, mouse)) == pytest.approx(min(distances), abs=0.01)


def test_a_covered_mouse_takes_the_point_that_covers_it_not_a_nearer_one_beside():
    matrix = perspective()
    beside, far = [0.05, 0.0, -3.0], [0.0, 0.0, -9.0]
    points = np.array([beside, far], dtype=np.float32)
    mouse = on_screen(matrix, far)
    assert np.hypot(*np.subtract(on_screen(matrix, beside), mouse)) < 16
    assert pick(points, matrix, mouse) == 1


def test_nothing_within_reach_behind_or_clipped_is_none():
    matrix = perspective()
    assert pick(np.zeros((0, 3), np.float32), matrix, (400, 300)) is None
    points = np.array([[0, 0, 5.0], [0, 0, -200.0], [2.0, 0, -5.0]], dtype=np.float32)
    assert pick(points, matrix, (400, 300)) is None
    assert pick(points, matrix, on_screen(matrix, points[2])) == 2


def test_the_objects_own_transform_counts():
    turn = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 1], [-2.0, 0, 0, -10], [0, 0, 0, 1]])
    points = wall(0.0, step=0.25)
    matrix = perspective() @ turn
    target = 37
    mouse = on_screen(matrix, points[target])
    # Seen edge-on many points share a column of the screen: the frontmost of those there.
    found = pick(points, matrix, mouse, disc=0.5)
    assert np.hypot(*np.subtract(on_screen(matrix, points[found]), mouse)) < 0.5


def test_a_million_points_take_no_time_that_is_felt():
    points = np.random.default_rng(0).uniform(-2, 2, (1_000_000, 3)).astype(np.float32)
    points[:, 2] -= 6
    began = time.process_time()
    assert pick(points, perspective(), (400, 300)) is not None
    assert time.process_time() - began < 0.5
