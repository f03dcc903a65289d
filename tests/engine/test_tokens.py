# SPDX-License-Identifier: GPL-3.0-or-later
"""From views and clicks to the network's tokens, on a made-up scene whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvsam_engine.capture import Camera, Photo, Pointmap
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.segment import network
from mvsam_engine.segment.frame import ModelFrame
from mvsam_engine.segment.hints import Hints
from mvsam_engine.segment.network import SpaceCode
from mvsam_engine.segment.scene import make_view
from mvsam_engine.segment.tokens import make_prompts, make_scene, point_under
from mvsam_engine.train.scenes.cameras import walk_around
from mvsam_engine.train.scenes.render import Studio
from mvsam_engine.train.scenes.textures import Patches
from mvsam_engine.train.scenes.world import make_world

WIDTH, HEIGHT = 256, 192
VIEWS = 4


def pointmap_of(photo, confidence):
    pixels = grid_pixels(HEIGHT, WIDTH, WIDTH, HEIGHT)
    points = photo.camera.unproject(pixels, photo.depth).astype(np.float32)
    points[photo.depth <= 0] = np.nan
    return Pointmap(photo.camera.view, points, confidence.astype(np.float16), photo.colors)


@pytest.fixture(scope="module")
def photos():
    world = make_world(5, Patches())
    studio = Studio(world)
    return [studio.photograph(c, 1) for c in walk_around(world, VIEWS, WIDTH, HEIGHT, 5, step=25)]


@pytest.fixture(scope="module")
def views(photos):
    rng = np.random.default_rng(0)
    made = []
    for photo in photos:
        name = photo.camera.view
        record = Photo(name, f"photos/{name}.jpg", WIDTH, HEIGHT, 0, "", name)
        embedding = rng.normal(size=(256, 64, 64)).astype(np.float16)
        confidence = rng.uniform(0.2, 1.0, (HEIGHT, WIDTH))
        made.append(make_view(record, photo.camera, embedding, pointmap_of(photo, confidence)))
    return made


@pytest.fixture(scope="module")
def space_code():
    return SpaceCode(128, 0.6, 4.0)


def clicks(*xy, labels=None):
    return Hints(np.array(xy, float), np.array(labels or [True] * len(xy)))


def middle_of(photo, thing):
    """A pixel centre well inside a thing."""
    rows, columns = np.nonzero(photo.things == thing)
    best = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return columns[best] + 0.5, rows[best] + 0.5


def thing_seen_by_all(photos):
    counts = [np.bincount(p.things.ravel(), minlength=32) for p in photos]
    return int(np.argmax(np.min(counts, axis=0)[1:])) + 1


def test_a_click_finds_its_place_in_space(views, photos, space_code):
    scene = make_scene(views, space_code)
    x, y = middle_of(photos[0], thing_seen_by_all(photos))
    prompts = make_prompts(scene, {0: clicks((x, y))}, range(VIEWS))
    true = photos[0].camera.unproject(np.array([x, y]), photos[0].depth[int(y), int(x)])
    for row in range(VIEWS):
        assert prompts.located[row, 0]
        found = prompts.points[row, 0].numpy() * scene.scale + scene.middle
        np.testing.assert_allclose(found, true, atol=1e-3)
    np.testing.assert_allclose(prompts.pixels[0, 0], [x * 4, y * 4], atol=1e-3)
    assert prompts.kind[0].tolist() == [network.INCLUDE, network.NOT_A_POINT]
    assert prompts.valid.all()


def test_only_views_that_see_the_place_have_a_pixel(views, photos, space_code):
    scene = make_scene(views, space_code)
    rng = np.random.default_rng(1)
    spots = rng.uniform([4, 4], [WIDTH - 4, HEIGHT - 4], (60, 2)).astype(int) + 0.5
    spots = [s for s in spots if photos[0].depth[int(s[1]), int(s[0])] > 0]
    prompts = make_prompts(scene, {0: clicks(*spots)}, range(VIEWS))
    hidden = shown = 0
    for k, (x, y) in enumerate(spots):
        point = photos[0].camera.unproject(np.array([x, y]), photos[0].depth[int(y), int(x)])
        for row in range(1, VIEWS):
            pixel, depth = photos[row].camera.project(point)
            inside = depth > 0 and (pixel > 1).all() and (pixel < [WIDTH - 1, HEIGHT - 1]).all()
            there = photos[row].depth[int(pixel[1]), int(pixel[0])] if inside else 0.0
            if inside and abs(there / depth - 1) < 0.005:
                assert prompts.seen[row, k]
                np.testing.assert_allclose(prompts.pixels[row, k], pixel * 4, atol=1e-2)
                shown += 1
            elif not inside or (there > 0 and there < 0.9 * depth):
                near_edge = inside and prompts.seen[row, k]
                hidden += not near_edge
                assert not prompts.seen[row, k] or near_edge
    assert shown > 20
    assert hidden > 5


def test_a_box_is_said_only_where_it_was_drawn(views, space_code):
    scene = make_scene(views, space_code)
    hint = Hints(np.zeros((0, 2)), np.zeros(0, bool), box=np.array([30.0, 40.0, 90.0, 120.0]))
    prompts = make_prompts(scene, {1: hint}, range(VIEWS))
    assert prompts.kind[1].tolist() == [network.BOX_START, network.BOX_END, network.NOT_A_POINT]
    assert prompts.valid.tolist() == [
        [False, False, True], [True, True, False], [False, False, True], [False, False, True]
    ]  # fmt: skip
    np.testing.assert_allclose(prompts.pixels[1, :2], [[120, 160], [360, 480]])
    assert not prompts.located.any()


def test_masks_go_to_their_views(views, space_code):
    scene = make_scene(views, space_code)
    rows, columns = views[0].shape
    own = np.zeros((rows, columns), bool)
    own[10:40, 20:60] = True
    earlier = {i: np.full((256, 256), float(i + 1), np.float32) for i in (0, 2)}
    hint = Hints(np.zeros((0, 2)), np.zeros(0, bool), mask=own)
    prompts = make_prompts(scene, {0: hint}, range(VIEWS), earlier)
    assert prompts.masked.tolist() == [True, False, True, False]
    assert (prompts.masks[0, :rows, :columns].numpy() > 0).sum() == own.sum()
    assert (prompts.masks[2] == 3.0).all()


def test_low_confidence_is_the_lowest_share(views, space_code):
    scene = make_scene(views, space_code)
    share = (scene.tokens.low * scene.tokens.known).sum() / scene.tokens.known.sum()
    assert float(share) == pytest.approx(0.15, abs=0.02)


def test_padding_of_all_photos_is_left_out(views, space_code):
    scene = make_scene(views, space_code)
    rows, columns = -(-views[0].shape[0] // 4), -(-views[0].shape[1] // 4)
    assert rows < 64
    assert scene.tokens.features.shape == (len(views), 256, rows, columns)
    assert scene.tokens.code.shape == (len(views), rows, columns, 256)
    assert scene.tokens.known.mean() > 0.5


def test_padding_of_one_photo_is_unknown(views, space_code):
    lying = views[0]

    def stood_up(values):
        grid = values.reshape(*lying.shape, -1).swapaxes(0, 1)
        return grid.reshape(values.shape)

    upright = replace(
        lying,
        frame=ModelFrame(HEIGHT, WIDTH),
        points=stood_up(lying.points),
        confidence=stood_up(lying.confidence),
    )
    scene = make_scene([upright, views[1]], space_code)
    beside = -(-upright.shape[1] // 4)
    assert scene.tokens.features.shape[2:] == (64, 64)
    assert (scene.tokens.known[0, :, beside:] == 0).all()
    assert (scene.tokens.code[0, :, beside:] == 0).all()


def moved(view, rotation, shift, scale):
    """A view in another world frame."""
    matrix = np.eye(4)
    matrix[:3, :3] = view.camera.camera_from_world[:3, :3] @ rotation.T
    matrix[:3, 3] = scale * view.camera.camera_from_world[:3, 3] - matrix[:3, :3] @ shift
    camera = Camera(view.camera.view, view.camera.model, WIDTH, HEIGHT, view.camera.params, matrix)
    points = (scale * view.points @ rotation.T + shift).astype(np.float32)
    return replace(view, camera=camera, points=points, depth=view.depth * np.float32(scale))


def test_moving_and_scaling_the_world_changes_nothing(views, photos, space_code):
    place = {0: clicks(middle_of(photos[0], thing_seen_by_all(photos)))}
    scene = make_scene(views, space_code)
    shift = np.array([3.0, -2.0, 5.0])
    other = make_scene([moved(v, np.eye(3), shift, 4.0) for v in views], space_code)
    torch.testing.assert_close(other.tokens.code, scene.tokens.code, atol=5e-3, rtol=0)
    first, second = (make_prompts(s, place, range(VIEWS)) for s in (scene, other))
    torch.testing.assert_close(first.points, second.points, atol=1e-3, rtol=0)
    assert torch.equal(first.seen, second.seen)


def test_turning_the_world_turns_the_coordinates(views, photos, space_code):
    place = {0: clicks(middle_of(photos[0], thing_seen_by_all(photos)))}
    c, s = np.cos(0.7), np.sin(0.7)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    scene = make_scene(views, space_code)
    other = make_scene([moved(v, rotation, np.zeros(3), 1.0) for v in views], space_code)
    first, second = (make_prompts(s, place, range(VIEWS)) for s in (scene, other))
    # Medians per axis move a little with the axes; distances in the scene do not.
    assert other.scale == pytest.approx(scene.scale, rel=0.05)
    found = second.points[0, 0].numpy() * other.scale + other.middle
    expected = rotation @ (first.points[0, 0].numpy() * scene.scale + scene.middle)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_click_beside_a_hole_finds_the_surface(views):
    view = views[0]
    rows, columns = view.shape
    points = view.points.copy()
    points[50 * columns + 60] = np.nan
    holed = replace(view, points=points)
    xy = np.array([60.5, 50.5])
    point, confidence = point_under(holed, xy)
    around = [
        (50 + dy) * columns + 60 + dx
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if (dx, dy) != (0, 0)
    ]
    best = max(around, key=lambda cell: view.confidence[cell])
    np.testing.assert_allclose(point, view.points[best])
    assert confidence == pytest.approx(view.confidence[best])
    empty = replace(view, points=np.full_like(points, np.nan))
    assert np.isnan(point_under(empty, xy)[0]).all()
    assert rows > 50
