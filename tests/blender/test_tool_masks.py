# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks from files, folders and painted images as prompts."""

from __future__ import annotations

import importlib

import bpy
import numpy as np
import pytest
import synthetic


@pytest.fixture
def addon(extension):
    preferences = bpy.context.preferences.addons[extension.__name__].preferences
    preferences.engine_mode, preferences.engine_python = "PYTHON", ""
    yield lambda name: importlib.import_module(f"{extension.__name__}.{name}")
    importlib.import_module(f"{extension.__name__}.scene.session").session().message = None


@pytest.fixture
def opened(addon, tmp_path):
    capture = synthetic.make_capture(tmp_path / "capture")
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    settings().auto = False
    settings().active_photo = [p.view for p in settings().photos].index("wide")
    return capture


def settings():
    return bpy.context.scene.mvsam


def prompts(addon):
    return addon("scene.objects").prompts_of(settings().objects[0])


def left_half(width=160, height=120):
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[: height // 3, : width // 2] = 255
    return mask


def stored(capture, prompt):
    """The mask as the capture keeps it, first row on top."""
    image = bpy.data.images.load(str(capture.root / prompt.mask))
    values = np.array(image.pixels[:]).reshape(image.size[1], image.size[0], 4)[::-1, :, 0]
    bpy.data.images.remove(image)
    return (values > 0.5).astype(np.uint8) * 255


def test_a_file_becomes_a_mask_prompt_of_the_active_photo(addon, opened, tmp_path):
    (tmp_path / "m.png").write_bytes(synthetic.png_bytes(left_half()))
    images = len(bpy.data.images)
    assert bpy.ops.mvsam.import_mask(filepath=str(tmp_path / "m.png")) == {"FINISHED"}
    [prompt] = prompts(addon)
    assert (prompt.kind, prompt.view, prompt.include) == ("mask", "wide", True)
    np.testing.assert_array_equal(stored(opened, prompt), left_half())
    assert len(bpy.data.images) == images, "the file is read, not kept"


def test_a_smaller_mask_of_the_same_shape_is_resized_with_a_word(addon, opened, tmp_path):
    (tmp_path / "m.png").write_bytes(synthetic.png_bytes(left_half(80, 60)))
    bpy.ops.mvsam.import_mask(filepath=str(tmp_path / "m.png"))
    np.testing.assert_array_equal(stored(opened, prompts(addon)[0]), left_half())
    assert "from 80 x 60" in addon("scene.session").session().message.text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: synthetic.png_bytes(left_half(120, 160)), "120 x 160 pixels, the photo wide"),
        (lambda: synthetic.png_bytes(left_half() * 0), "marks nothing"),
        (lambda: b"no image", "cannot be read as an image"),
    ],
)
def test_wrong_masks_are_refused_and_change_nothing(addon, opened, tmp_path, make, words):
    (tmp_path / "m.png").write_bytes(make())
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.mvsam.import_mask(filepath=str(tmp_path / "m.png"))
    assert len(settings().objects) == 0 and not (opened.root / "mask_prompts").exists()
    with pytest.raises(RuntimeError, match="no file"):
        bpy.ops.mvsam.import_mask(filepath=str(tmp_path / "none.png"))


def test_a_folder_gives_each_photo_its_mask(addon, opened, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    (folder / "wide_mask.png").write_bytes(synthetic.png_bytes(left_half()))
    (folder / "tall.png.png").write_bytes(synthetic.png_bytes(left_half(120, 160)))
    bpy.ops.mvsam.import_mask(filepath=str(folder))
    assert [p.view for p in prompts(addon)] == ["wide"]
    bpy.ops.mvsam.import_mask(filepath=str(folder), all_photos=True)
    assert sorted(p.view for p in prompts(addon)) == ["tall", "wide"]
    with pytest.raises(RuntimeError, match="has no mask of shifted"):
        bpy.ops.mvsam.import_mask(filepath=str(folder), view="shifted")


def test_an_image_painted_and_not_saved_is_kept_in_the_capture(addon, opened, tmp_path):
    image = bpy.data.images.new("hand", 160, 120, alpha=True)
    pixels = np.zeros((120, 160, 4), dtype=np.float32)
    # Red on nothing: any colour counts as painted.
    pixels[::-1][left_half() > 0] = (1.0, 0.0, 0.0, 1.0)
    image.pixels.foreach_set(pixels.ravel())
    settings().marking.mask_image = image
    bpy.ops.mvsam.use_image_as_mask()
    [prompt] = prompts(addon)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert prompts(addon) == (prompt,)
    np.testing.assert_array_equal(stored(opened, prompt), left_half())


def test_painting_on_replaces_the_mask_and_undo_brings_the_earlier_one_back(addon, opened):
    bpy.ops.ed.undo_push(message="start")
    image = bpy.data.images.new("hand", 160, 120)
    image.pixels[:4] = (1.0, 1.0, 1.0, 1.0)
    bpy.ops.mvsam.use_image_as_mask("EXEC_DEFAULT", True, image="hand")
    first = prompts(addon)
    bpy.data.images["hand"].pixels[4:8] = (1.0, 1.0, 1.0, 1.0)
    bpy.ops.mvsam.use_image_as_mask("EXEC_DEFAULT", True, image="hand")
    second = prompts(addon)
    assert len(second) == 1 and second[0].mask != first[0].mask
    assert stored(opened, second[0]).sum() == 2 * 255
    bpy.ops.ed.undo()
    assert prompts(addon) == first
    assert stored(opened, first[0]).sum() == 255


def test_clicks_refine_a_mask_and_removing_it_keeps_them(addon, opened, tmp_path):
    (tmp_path / "m.png").write_bytes(synthetic.png_bytes(left_half()))
    bpy.ops.mvsam.import_mask(filepath=str(tmp_path / "m.png"))
    bpy.ops.mvsam.click(view="wide", x=120, y=90, include=False)
    assert [p.kind for p in prompts(addon)] == ["mask", "point"]
    bpy.ops.mvsam.remove_mask()
    assert [p.kind for p in prompts(addon)] == ["point"]
    assert bpy.ops.mvsam.remove_mask() == {"CANCELLED"}


def test_what_is_no_mask_is_refused_in_words(addon, opened):
    with pytest.raises(RuntimeError, match="is the photo itself"):
        bpy.ops.mvsam.use_image_as_mask(image="wide")
    with pytest.raises(RuntimeError, match="There is no image 'none'"):
        bpy.ops.mvsam.use_image_as_mask(image="none")
    with pytest.raises(RuntimeError, match="No image is chosen"):
        bpy.ops.mvsam.use_image_as_mask()


def test_painting_begins_with_the_answer_and_is_meant_for_its_photo(addon, tmp_path):
    capture = synthetic.make_capture(tmp_path / "capture")
    synthetic.add_answer(capture)
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    settings().auto = False
    bpy.ops.mvsam.paint_mask(view="tall")
    image = settings().marking.mask_image
    assert tuple(image.size) == (120, 160)
    values = np.array(image.pixels[:]).reshape(160, 120, 4)[::-1, :, 0]
    camera = next(c for c in synthetic.cameras() if c.view == "tall")
    truth = synthetic.plane_points(camera, 160, 120)[..., 0] > 0
    assert ((values > 0.5) == truth).mean() > 0.99
    bpy.ops.mvsam.paint_mask(view="tall")
    assert settings().marking.mask_image == image, "painting goes on in the same image"
    settings().active_photo = 0
    bpy.ops.mvsam.use_image_as_mask()
    assert prompts(addon)[-1].view == "tall"
