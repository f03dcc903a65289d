# SPDX-License-Identifier: GPL-3.0-or-later
"""Made-up scenes: the truth behind a photo is the truth."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from PIL import Image

from mvsam_engine.capture import Camera
from mvsam_engine.capture.conventions import grid_pixels, look_at
from mvsam_engine.train.scenes.cameras import DOWN, walk_around
from mvsam_engine.train.scenes.render import Studio
from mvsam_engine.train.scenes.shapes import SHAPES, random_shape
from mvsam_engine.train.scenes.textures import SIDE, Patches, make_texture
from mvsam_engine.train.scenes.world import Part, World, make_world

WIDTH, HEIGHT = 96, 72


def plain(value):
    return make_texture(np.full((SIDE, SIDE, 3), value, np.uint8), 1.0)


def one_box(texture=None):
    """A cube of one metre that stands on a floor, and its world."""
    floor = trimesh.creation.box(extents=[20, 20, 1])
    floor.apply_translation([0, 0, -0.5])
    cube = trimesh.creation.box(extents=[1, 1, 1])
    cube.apply_translation([0, 0, 0.5])
    parts = (
        Part(floor, plain(200), np.eye(4), 0, smooth=False),
        Part(cube, texture or plain(100), np.eye(4), 1, smooth=False),
    )
    sun = np.array([0.0, -0.6, 0.8])
    return World(parts, ("background", "box"), np.array([0, 0, 0.5]), 1.0, sun, np.ones(3))


def camera_at(center, target=(0.0, 0.0, 0.5), focal=80.0):
    pose = look_at(np.array(center, float), np.array(target, float), DOWN)
    return Camera("a", "SIMPLE_PINHOLE", WIDTH, HEIGHT, (focal, WIDTH / 2, HEIGHT / 2), pose)


@pytest.fixture(scope="module")
def worlds():
    patches = Patches()
    return [make_world(seed, patches) for seed in range(3)]


def test_depth_and_masks_of_a_box_are_exact():
    camera = camera_at((0.0, -4.0, 0.5))
    photo = Studio(one_box()).photograph(camera)
    assert photo.things[HEIGHT // 2, WIDTH // 2] == 1
    assert photo.depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(3.5, abs=1e-4)
    # The front face is one metre wide, 3.5 metres away, with 80 pixels focal length: 11.4 pixels
    # to each side of the middle, that is, 11 pixel centres.
    assert (photo.things[HEIGHT // 2] == 1).sum() == 22
    pixels = grid_pixels(HEIGHT, WIDTH, WIDTH, HEIGHT)
    points = camera.unproject(pixels, photo.depth)
    floor = (photo.things == 0) & (photo.depth > 0)
    assert floor.any()
    assert np.abs(points[floor][:, 2]).max() < 1e-3
    assert (photo.depth[0] == 0).all()  # sky


def test_the_sun_shades():
    photo = Studio(one_box()).photograph(camera_at((0.0, 5.0, 3.0)))
    pixels, _ = camera_at((0.0, 5.0, 3.0)).project(np.array([[0.0, 0.7, 0.0], [2.0, 0.7, 0.0]]))
    shaded, lit = (photo.colors[int(y), int(x)].mean() for x, y in pixels)
    assert shaded < 0.8 * lit


def test_textures_stick_to_their_thing():
    """The same point has the same colour from two places."""
    rng = np.random.default_rng(1)
    coarse = np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    world = one_box(make_texture(coarse, 1.0))
    studio = Studio(world)
    points = np.array([[x, -0.5, z] for x in (-0.31, 0.05, 0.33) for z in (0.2, 0.45, 0.8)])
    seen = []
    for center in ((0.6, -3.0, 1.0), (-0.9, -2.5, 1.4)):
        camera = camera_at(center)
        photo = studio.photograph(camera)
        pixels, _ = camera.project(points)
        seen.append(np.array([photo.colors[int(y), int(x)] for x, y in pixels], float))
    assert np.abs(seen[0] - seen[1]).mean() < 12
    assert seen[0].std(axis=0).mean() > 25  # they are not all alike


def test_same_seed_same_photo(worlds):
    world = make_world(1, Patches())
    cameras = walk_around(world, 2, WIDTH, HEIGHT, seed=1)
    again = walk_around(worlds[1], 2, WIDTH, HEIGHT, seed=1)
    first = Studio(world).photograph(cameras[1])
    second = Studio(worlds[1]).photograph(again[1])
    np.testing.assert_array_equal(first.colors, second.colors)
    np.testing.assert_array_equal(first.things, second.things)
    np.testing.assert_array_equal(first.depth, second.depth)
    assert worlds[0].names != worlds[2].names


def test_views_agree_about_things(worlds):
    """A point seen in two photos belongs to the same thing in both."""
    for seed, world in enumerate(worlds):
        studio = Studio(world)
        a, b = walk_around(world, 2, WIDTH * 2, HEIGHT * 2, seed=seed, step=8.0)
        first, second = studio.photograph(a, 1), studio.photograph(b, 1)
        pixels = grid_pixels(HEIGHT * 2, WIDTH * 2, WIDTH * 2, HEIGHT * 2)
        known = first.depth > 0
        points = a.unproject(pixels, first.depth)[known]
        there, depth = b.project(points)
        x, y = there[:, 0], there[:, 1]
        inside = (depth > 0) & (x >= 0) & (y >= 0) & (x < b.width) & (y < b.height)
        row, column = y[inside].astype(int), x[inside].astype(int)
        visible = np.abs(second.depth[row, column] / depth[inside] - 1) < 0.01
        assert visible.mean() > 0.3
        same = first.things[known][inside] == second.things[row, column]
        assert same[visible].mean() > 0.98


@pytest.mark.parametrize("maker", SHAPES, ids=lambda maker: maker.__name__)
def test_shapes_are_closed_and_named(maker):
    for seed in range(3):
        parts = maker(np.random.default_rng(seed))
        assert parts
        for part in parts:
            assert part.is_watertight
            assert len(part.faces) < 20_000


def test_random_shapes_stand_on_the_floor():
    for seed in range(20):
        _, parts = random_shape(np.random.default_rng(seed))
        low = np.min([part.bounds[0] for part in parts], axis=0)
        high = np.max([part.bounds[1] for part in parts], axis=0)
        assert low[2] == pytest.approx(0.0, abs=1e-9)
        assert max(high - low) == pytest.approx(1.0)


def test_patches_come_from_the_photos(tmp_path):
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[..., 0] = 220
    Image.fromarray(picture).save(tmp_path / "red.png")
    patches = Patches([tmp_path])
    rng = np.random.default_rng(0)
    reds = 0
    for _ in range(40):
        top = patches.draw(rng).levels[0]
        reds += bool((top[..., 0] > 0.1).all() and top[..., 1:].max() == 0)
    assert 15 < reds < 36  # 0.675 of them


def test_far_textures_are_blurred():
    fine = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (SIDE // 2, SIDE // 2))
    texture = make_texture(np.repeat(fine[..., None], 3, axis=2), 1.0)
    uv = np.random.default_rng(0).uniform(0, 1, (500, 2))
    near = texture.sample(uv, np.full(500, 1e-6))
    far = texture.sample(uv, np.full(500, 0.05))
    assert near.std() > 0.15
    assert far.std() < 0.01
    assert far.mean() == pytest.approx(0.5, abs=0.02)
