# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos and masks as image datablocks: found again by tags, reloaded in place."""

from __future__ import annotations

from pathlib import Path

import bpy

from mvsam_engine.capture import Capture

from .placement import OBJECT, SCENE, VIEW, scene_uid

NON_COLOR = "Non-Color"


def place_photos(scene: bpy.types.Scene, capture: Capture) -> dict[str, bpy.types.Image]:
    """One image per photo of the capture, by view."""
    known = tagged_images(scene)
    return {
        photo.view: _placed(
            known.get((photo.view, "")),
            capture.photo_path(photo),
            photo.view,
            {SCENE: scene_uid(scene), VIEW: photo.view, OBJECT: ""},
        )
        for photo in capture.photos()
    }


def place_masks(scene: bpy.types.Scene, capture: Capture, object_id: str, name: str) -> int:
    """One Non-Color image per view that the object has a mask of; how many there are."""
    known = tagged_images(scene)
    count = 0
    for photo in capture.photos():
        path = capture.mask_path(object_id, photo.view)
        if not path.is_file():
            continue
        image = _placed(
            known.get((photo.view, object_id)),
            path,
            mask_name(name, photo.view),
            {SCENE: scene_uid(scene), VIEW: photo.view, OBJECT: object_id},
        )
        image.colorspace_settings.name = NON_COLOR
        # Nothing may use a mask yet, and Blender does not save what nothing uses.
        image.use_fake_user = True
        count += 1
    return count


def mask_name(object_name: str, view: str) -> str:
    """Name of a mask's image datablock."""
    return f"{object_name}: {view}"


def remove_masks(scene: bpy.types.Scene, object_id: str) -> None:
    """Remove an object's mask images."""
    for (_view, owner), image in tagged_images(scene).items():
        if owner == object_id:
            bpy.data.images.remove(image)


def rename_masks(scene: bpy.types.Scene, object_id: str, name: str) -> None:
    """Let an object's mask images follow its new name."""
    for (view, owner), image in tagged_images(scene).items():
        if owner == object_id:
            image.name = mask_name(name, view)


def tagged_images(scene: bpy.types.Scene) -> dict[tuple[str, str], bpy.types.Image]:
    """The scene's images by (view, object id); photos have the object id ""."""
    uid = scene.mvsam.uid
    return {
        (image[VIEW], image.get(OBJECT, "")): image
        for image in bpy.data.images
        if uid and image.get(SCENE) == uid and VIEW in image
    }


def photo_image(scene: bpy.types.Scene, view: str) -> bpy.types.Image | None:
    """The photo of a view, None when it is not loaded."""
    return tagged_images(scene).get((view, ""))


def view_of(scene: bpy.types.Scene, image: bpy.types.Image | None) -> str:
    """The view whose photo or mask `image` is, "" when it is none of ours."""
    if image is None or not scene.mvsam.uid or image.get(SCENE) != scene.mvsam.uid:
        return ""
    return image.get(VIEW, "")


def relink(scene: bpy.types.Scene, capture: Capture) -> None:
    """Point the scene's images to where the capture lies now."""
    files = {photo.view: capture.photo_path(photo) for photo in capture.photos()}
    for (view, object_id), image in tagged_images(scene).items():
        path = capture.mask_path(object_id, view) if object_id else files.get(view)
        if path is not None and path.is_file():
            _point_to(image, path)


def _placed(
    image: bpy.types.Image | None, path: Path, name: str, tags: dict[str, str]
) -> bpy.types.Image:
    if image is None:
        image = bpy.data.images.load(str(path))
        image.name = name
        for key, value in tags.items():
            image[key] = value
    else:
        _point_to(image, path)
        image.reload()
    return image


def _point_to(image: bpy.types.Image, path: Path) -> None:
    if Path(bpy.path.abspath(image.filepath)) != path:
        image.filepath = str(path)
