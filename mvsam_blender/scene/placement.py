# SPDX-License-Identifier: GPL-3.0-or-later
"""Where our data stands in the scene: one collection, one parent empty, found again by tags.

Names belong to people; we find our own data by custom properties, so renaming breaks nothing and
running again replaces data inside the objects that are there.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import bpy

from mvsam_engine.errors import CaptureError

COLLECTION_NAME = "MV-SAM"
KIND = "mvsam_kind"
VIEW = "mvsam_view"
OBJECT = "mvsam_object"
SCENE = "mvsam_scene"


def capture_path(scene: bpy.types.Scene) -> Path | None:
    """Folder of the scene's capture, None when it has none."""
    stored = scene.mvsam.capture_dir
    return Path(bpy.path.abspath(stored)) if stored else None


def require_capture(scene: bpy.types.Scene) -> Path:
    """Folder of the scene's capture.

    Raises:
        CaptureError: it has none.
    """
    root = capture_path(scene)
    if root is None:
        raise CaptureError(
            "capture.unset",
            "This scene has no capture yet.",
            "Import photos, or open the folder of a capture.",
        )
    return root


def scene_uid(scene: bpy.types.Scene) -> str:
    """Name that tells this scene's images from those of other scenes."""
    if not scene.mvsam.uid:
        scene.mvsam.uid = uuid.uuid4().hex[:12]
    return scene.mvsam.uid


def our_collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    """The collection for points, cameras and their parent; made when it is not there."""
    for collection in scene.collection.children_recursive:
        if collection.get(KIND) == "root":
            return collection
    collection = bpy.data.collections.new(COLLECTION_NAME)
    collection[KIND] = "root"
    scene.collection.children.link(collection)
    return collection


def find_tagged(scene: bpy.types.Scene, kind: str, view: str = "") -> bpy.types.Object | None:
    """Our object of a kind (``parent``, ``points``, ``camera``), of a view for cameras."""
    for item in scene.objects:
        if item.get(KIND) == kind and item.get(VIEW, "") == view:
            return item
    return None


def parent_empty(scene: bpy.types.Scene) -> bpy.types.Object:
    """The empty that carries up and scale; what a person did to it is kept."""
    found = find_tagged(scene, "parent")
    if found is not None:
        return found
    empty = bpy.data.objects.new(COLLECTION_NAME, None)
    empty[KIND] = "parent"
    empty.empty_display_type = "ARROWS"
    empty.empty_display_size = 0.25  # the photos were taken from about 2 units away
    our_collection(scene).objects.link(empty)
    return empty


def tagged_object(
    scene: bpy.types.Scene, kind: str, name: str, data: bpy.types.ID, view: str = ""
) -> bpy.types.Object:
    """Our object of this kind, made with `data` and put under the parent when it is not there."""
    found = find_tagged(scene, kind, view)
    if found is not None:
        return found
    item = bpy.data.objects.new(name, data)
    item[KIND] = kind
    item[VIEW] = view
    item.parent = parent_empty(scene)
    our_collection(scene).objects.link(item)
    return item
