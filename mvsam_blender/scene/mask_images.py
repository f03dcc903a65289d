# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks that a person brings, from files and from images in Blender, as prompts."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Prompt
from mvsam_engine.errors import SegmentationError

from ..core.given_masks import fit_mask, keep_mask
from . import images, objects, views
from .placement import OBJECT, require_capture
from .props import MVSAM_PG_object, MVSAM_PG_photo

# Tag of an image that is painted as a mask of a photo.
PAINTED = "mvsam_painted"


def from_file(scene: bpy.types.Scene, photo: MVSAM_PG_photo, path: Path) -> tuple[Prompt, str]:
    """A file as a mask prompt, and what was done to it in words.

    Raises:
        MvsamError: not an image, another shape than the photo's, or nothing marked in it.
    """
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise _unreadable(path.name) from error
    try:
        return from_image(scene, photo, image, path.name)
    finally:
        bpy.data.images.remove(image)


def from_image(
    scene: bpy.types.Scene, photo: MVSAM_PG_photo, image: bpy.types.Image, name: str = ""
) -> tuple[Prompt, str]:
    """An image of this file as a mask prompt, also painted and not saved.

    Its pixels are written into the capture, so that saving and opening the file again keeps them.

    Raises:
        MvsamError: without pixels, another shape than the photo's, or nothing marked in it.
    """
    root = require_capture(scene)
    name = name or image.name
    size = (photo.width, photo.height)
    mask, word = fit_mask(_values(image, name), size, name, photo.view)
    return Prompt("mask", photo.view, mask=keep_mask(root, mask)), word


def give(item: MVSAM_PG_object, prompt: Prompt) -> None:
    """Add a mask prompt in place of the one that its photo had.

    Raises:
        SegmentationError: the object is locked.
    """
    objects.require_unlocked(item)
    remove(item, prompt.view)
    objects.add_prompt(item, prompt)


def remove(item: MVSAM_PG_object, view: str) -> bool:
    """Remove the masks that were given for a photo; whether there were any.

    Raises:
        SegmentationError: the object is locked.
    """
    places = [i for i, p in enumerate(item.prompts) if p.kind == "mask" and p.view == view]
    for index in reversed(places):
        objects.remove_prompt(item, index)
    return bool(places)


def view_meant(scene: bpy.types.Scene, image: bpy.types.Image) -> str:
    """The photo that an image of this file is a mask of; the active photo where nothing tells."""
    return image.get(PAINTED, "") or images.view_of(scene, image) or views.active_view(scene)


def painted_image(
    scene: bpy.types.Scene, item: MVSAM_PG_object, photo: MVSAM_PG_photo
) -> bpy.types.Image:
    """An image to paint the object's mask of a photo in; begins with the present answer."""
    for image in bpy.data.images:
        if image.get(PAINTED) == photo.view and image.get(OBJECT) == item.object_id:
            return image
    name = f"{item.name}: {photo.view} painted"
    image = bpy.data.images.new(name, photo.width, photo.height, alpha=False)
    image[PAINTED] = photo.view
    image[OBJECT] = item.object_id
    image.colorspace_settings.name = images.NON_COLOR
    answer = images.tagged_images(scene).get((photo.view, item.object_id))
    if answer is not None and tuple(answer.size) == tuple(image.size):
        pixels = np.empty(len(image.pixels), dtype=np.float32)
        answer.pixels.foreach_get(pixels)
        image.pixels.foreach_set(pixels)
    image.update()
    return image


def _values(image: bpy.types.Image, name: str) -> NDArray[np.float32]:
    """How bright each pixel is, [h, w] 0..1, first row on top.

    The brightest channel, times the opacity: white on black, any colour on black, and any colour on
    nothing all mean the object.
    """
    width, height = image.size
    channels = image.channels
    if not width or not height or len(image.pixels) != width * height * channels:
        raise _unreadable(name)
    pixels = np.empty(width * height * channels, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    grid = pixels.reshape(height, width, channels)[::-1]
    colors = grid[..., :3].max(axis=-1)
    return colors * grid[..., 3] if channels == 4 else colors


def _unreadable(name: str) -> SegmentationError:
    return SegmentationError(
        "mask.unreadable",
        f"{name} cannot be read as an image.",
        "Give a PNG, TIFF or JPEG, white where the object is.",
    )


def is_photo(scene: bpy.types.Scene, image: bpy.types.Image) -> bool:
    """Whether an image is one of the capture's photos."""
    return bool(images.view_of(scene, image)) and not image.get(OBJECT, "")


def show_to_paint(context: bpy.types.Context, image: bpy.types.Image) -> bool:
    """Show an image in an Image Editor, ready to be painted; whether there is such an editor."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR" and area.ui_type == "IMAGE_EDITOR":
                space = area.spaces.active
                space.image = image
                space.mode = "PAINT"
                area.tag_redraw()
                return True
    return False
