# SPDX-License-Identifier: GPL-3.0-or-later
"""Overlays, looked at pixel by pixel: masks, marks and points are where they should be."""

from __future__ import annotations

import importlib
from pathlib import Path

import bpy
import numpy as np
import pytest
import synthetic
from mathutils import Matrix

from mvsam_engine.capture import Prompt

WIDTH, HEIGHT = 320, 240
PICTURES = Path(__file__).resolve().parents[2] / ".cache" / "overlays"


@pytest.fixture
def addon(extension):
    return lambda name: importlib.import_module(f"{extension.__name__}.{name}")


@pytest.fixture
def answered(addon, tmp_path):
    """The exact capture with a complete answer for x > 0, opened."""
    capture = synthetic.make_capture(tmp_path / "capture")
    synthetic.add_answer(capture)
    addon("scene.build").load_capture(bpy.context, str(capture.root))
    return capture


@pytest.fixture(scope="session")
def let_go(in_gpu):
    """Binds a texture that is never freed in place of the last one that was drawn with.

    Without a window the next file is loaded while no drawing context is active, and Blender 5.2
    then keeps a pointer to a bound texture that the file took with it. Older versions make a new
    context for every drawing.
    """
    import gpu
    from gpu_extras.batch import batch_for_shader

    if not hasattr(gpu, "init"):
        return lambda: None

    kept = in_gpu(lambda: gpu.types.GPUTexture((1, 1)))

    def bind():
        shader = gpu.shader.from_builtin("IMAGE")
        outside = [(-9, -9), (-8, -9), (-9, -8)]
        batch = batch_for_shader(shader, "TRIS", {"pos": outside, "texCoord": outside})
        shader.bind()
        shader.uniform_sampler("image", kept)
        batch.draw(shader)

    return bind


@pytest.fixture
def picture(in_gpu, let_go, request):
    """``picture(draw)``: what `draw` paints on black, [h, w, 3] bytes, first row on top."""

    def take(draw, projection=None):
        def render():
            import gpu

            offscreen = gpu.types.GPUOffScreen(WIDTH, HEIGHT)
            with offscreen.bind():
                buffer = gpu.state.active_framebuffer_get()
                buffer.clear(color=(0, 0, 0, 1), depth=1)
                with gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
                    gpu.matrix.load_matrix(Matrix.Identity(4))
                    gpu.matrix.load_projection_matrix(projection or pixel_projection())
                    draw()
                    let_go()
                found = buffer.read_color(0, 0, WIDTH, HEIGHT, 4, 0, "UBYTE")
            found.dimensions = WIDTH * HEIGHT * 4
            pixels = np.array(found, dtype=np.uint8).reshape(HEIGHT, WIDTH, 4)[::-1, :, :3]
            offscreen.free()
            return pixels

        pixels = in_gpu(render)
        PICTURES.mkdir(parents=True, exist_ok=True)
        name = f"{request.node.name}_{bpy.app.version_string.split()[0]}.png"
        (PICTURES / name).write_bytes(synthetic.png_bytes(pixels))
        return pixels

    return take


def pixel_projection() -> Matrix:
    """Pixels of the picture, origin lower left, as in a region."""
    return Matrix(((2 / WIDTH, 0, 0, -1), (0, 2 / HEIGHT, 0, -1), (0, 0, -1, 0), (0, 0, 0, 1)))


def fill(u, v):
    """The image fills the picture."""
    return u * WIDTH, v * HEIGHT


def draw_image(addon, view="wide"):
    overlay = addon("ui.overlay_image").ImageOverlay()
    return lambda: overlay.draw(bpy.context.scene, view, fill, 1.0)


def truth(view="wide"):
    """Where the object is, at the picture's size."""
    camera = next(c for c in synthetic.cameras() if c.view == view)
    return synthetic.plane_points(camera, HEIGHT, WIDTH)[..., 0] > 0


def no_marks():
    bpy.context.scene.mvsam.objects[0].prompts.clear()


def test_a_mask_tints_the_object_and_outlines_it(addon, answered, picture):
    no_marks()
    bpy.context.scene.mvsam.objects[0].color = (1.0, 0.0, 0.0)
    red = picture(draw_image(addon))[..., 0].astype(int)
    object_here = truth()
    # Away from the border, which is two pixels of the photo wide at this size.
    border = np.zeros_like(object_here)
    for row in range(HEIGHT):
        [change] = np.nonzero(np.diff(object_here[row].astype(int)))[0]
        border[row, change - 4 : change + 6] = True
    assert np.abs(red[object_here & ~border] - 0.35 * 255).max() <= 3
    assert red[~object_here & ~border].max() == 0
    assert all(red[row, border[row]].max() > 220 for row in range(HEIGHT))


def test_measure_marks_are_drawn_where_they_are_with_the_line_between(addon, answered, picture):
    no_marks()
    settings = bpy.context.scene.mvsam
    settings.display.show_masks = False
    assert picture(draw_image(addon)).max() == 0
    for mark, x in ((settings.place.first, 40.0), (settings.place.second, 120.0)):
        mark.view, mark.x, mark.y = "wide", x, 60.0
    yellow = picture(draw_image(addon)).astype(int)
    yellow = (yellow[..., 0] > 200) & (yellow[..., 1] > 150) & (yellow[..., 2] < 80)
    row = HEIGHT // 2
    assert yellow[row - 1 : row + 1, WIDTH // 2].any()
    for x in (40, 120):
        column = round(x / 160 * WIDTH)
        assert yellow[row - 4, column] and yellow[row + 4, column]
        assert not yellow[row - 14 : row - 10, column].any()
    settings.place.second.view = "tall"
    assert picture(draw_image(addon))[row, WIDTH // 2].max() == 0
    assert picture(draw_image(addon, "shifted")).max() == 0
    settings.place.second.view = "wide"
    white = picture(draw_image(addon)).min(axis=-1) > 200
    assert white[row - 30 : row, WIDTH // 4 : WIDTH // 4 + 30].any()  # the letter A


def test_a_hidden_object_and_hidden_masks_are_not_drawn(addon, answered, picture):
    settings = bpy.context.scene.mvsam
    settings.objects[0].visible = False
    assert picture(draw_image(addon)).max() == 0
    settings.objects[0].visible = True
    no_marks()
    settings.display.show_masks = False
    assert picture(draw_image(addon)).max() == 0


def test_the_first_answer_is_drawn_from_its_logits(addon, answered, picture):
    """Logits that are positive in the upper left quarter, for prompts that changed since."""
    item = bpy.context.scene.mvsam.objects[0]
    no_marks()
    item.revision = 2
    item.color = (0.0, 1.0, 0.0)
    logits = np.full((6, 8), -4, dtype=np.float32)
    logits[:3, :4] = 4
    session = addon("scene.session").session()
    pending = addon("scene.session").PendingMask
    session.pending[((bpy.context.scene.mvsam.capture_dir, item.object_id), "wide")] = pending(
        2, logits
    )
    green = picture(draw_image(addon))[..., 1]
    assert green[60, 80] == pytest.approx(0.35 * 255, abs=3)
    assert green[180, 80] == green[60, 240] == green[180, 240] == 0
    # An answer to other prompts is not shown; the earlier complete one is, dimmed.
    session.pending[((bpy.context.scene.mvsam.capture_dir, item.object_id), "wide")] = pending(
        1, logits
    )
    dimmed = picture(draw_image(addon))[..., 1]
    assert dimmed[180, 300] == pytest.approx(0.35 * 0.45 * 255, abs=3) and dimmed[60, 20] == 0
    session.pending.clear()


def test_marks_differ_in_shape_and_color_and_stand_where_clicked(addon, answered, picture):
    objects = addon("scene.objects")
    item = bpy.context.scene.mvsam.objects[0]
    bpy.context.scene.mvsam.display.show_masks = False
    prompts = (
        Prompt("point", "wide", True, ((40.0, 30.0),)),
        Prompt("point", "wide", False, ((120.0, 90.0),)),
        Prompt("point", "tall", True, ((80.0, 60.0),)),
    )
    objects.set_prompts(item, prompts, item.answered)
    pixels = picture(draw_image(addon)).astype(int)
    # Photo pixel (40, 30) lies at (80, 60) of a picture twice as large.
    include, exclude = pixels[50:71, 70:91], pixels[170:191, 230:251]
    assert include[10, 10].min() > 240 and exclude[10, 10].min() > 240
    assert include[10 + 4, 10].min() > 240, "a plus has an upright bar"
    assert exclude[10 + 4, 10].min() < 100, "a minus has none"
    assert include[10 + 4, 10 + 4, 1] > include[10 + 4, 10 + 4, 0], "green"
    assert exclude[10 + 4, 10 + 4, 0] > exclude[10 + 4, 10 + 4, 1], "red"
    # The corner belongs to the square, not to the disc.
    assert include[3, 3].max() < 40 and exclude[4, 4].max() > 150
    pixels[50:71, 70:91] = pixels[170:191, 230:251] = 0
    assert pixels.max() == 0, "the mark of another photo is not drawn"


def test_marks_look_different_until_they_are_answered(addon, answered, picture):
    item = bpy.context.scene.mvsam.objects[0]
    bpy.context.scene.mvsam.display.show_masks = False
    prompt = (Prompt("point", "wide", True, ((80.0, 60.0),)),)
    addon("scene.objects").set_prompts(item, prompt, item.answered)
    done = picture(draw_image(addon))[110:131, 150:171].astype(int)
    item.revision += 1
    pending = picture(draw_image(addon))[110:131, 150:171].astype(int)
    assert pending[10, 10].min() > 240 and done[10, 10].min() > 240
    assert pending[14, 14, 1] < done[14, 14, 1] - 40
    # The rim: light while pending, dark when answered.
    assert pending[10, 1].min() > 200 > done[10, 1].max()


def test_points_have_their_photos_colors(addon, answered, picture):
    """Seen from straight above, the points repeat the checker; tinted where the object is."""
    scene = bpy.context.scene
    item = addon("scene.points").points_object(scene)
    scene.mvsam.display.point_size = 10
    overlay = addon("ui.overlay_points").PointsOverlay()
    half = 0.8
    above = Matrix.Diagonal((1 / half * HEIGHT / WIDTH, 1 / half, -0.1, 1))
    scene.mvsam.display.tint_objects = False
    plain = picture(lambda: overlay.draw(scene, item), above).astype(int)
    x = (np.arange(WIDTH) + 0.5 - WIDTH / 2) / (HEIGHT / 2) * half
    y = -(np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / (HEIGHT / 2) * half
    places = np.stack(np.broadcast_arrays(x[None, :], y[:, None], 0.0), axis=-1)
    expected = synthetic.colors_of(places).astype(int)
    lit = plain.max(axis=-1) > 0
    assert lit.mean() > 0.8
    difference = np.abs(plain - expected).max(axis=-1)[lit]
    assert np.median(difference) <= 2 and (difference < 10).mean() > 0.75

    scene.mvsam.objects[0].color = (0.0, 0.0, 1.0)
    scene.mvsam.display.tint_objects = True
    tinted = picture(lambda: overlay.draw(scene, item), above).astype(int)
    right = places[..., 0] > 0.05
    assert np.median(tinted[..., 2][lit & right]) == pytest.approx(0.6 * 255, abs=3)
    assert tinted[..., 2][lit & (places[..., 0] < -0.05)].max() < 5

    scene.mvsam.display.isolate = True
    alone = picture(lambda: overlay.draw(scene, item), above).max(axis=-1) > 0
    assert alone[right].mean() > 0.7 and alone[places[..., 0] < -0.05].mean() == 0


def test_points_are_uploaded_once_until_something_changes(addon, answered, picture, monkeypatch):
    module = addon("ui.overlay_points")
    scene = bpy.context.scene
    item = addon("scene.points").points_object(scene)
    overlay, made, original = module.PointsOverlay(), [], module._make_batch
    monkeypatch.setattr(module, "_make_batch", lambda *a: made.append(1) or original(*a))
    picture(lambda: (overlay.draw(scene, item), overlay.draw(scene, item)))
    assert len(made) == 1
    addon("scene.build").load_object(bpy.context, synthetic.OBJECT)
    picture(lambda: overlay.draw(scene, item))
    assert len(made) == 2
