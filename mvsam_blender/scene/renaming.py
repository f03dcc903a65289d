# SPDX-License-Identifier: GPL-3.0-or-later
"""What carries an object's name and follows when it is renamed.

The object's id, and with it the attribute ``mvsam_<id>``, never changes: scripts, node trees and
the capture's folder rely on it.
"""

from __future__ import annotations

import bpy

from . import images
from .attributes import weight_spec


def follow(scene: bpy.types.Scene, object_id: str, old: str, new: str) -> None:
    """Rename everything of an object that is called `old` to `new`.

    Args:
        scene: the object's scene.
        object_id: the object.
        old: its name until now.
        new: its name from now on.
    """
    for follower in _FOLLOWERS:
        follower(scene, object_id, old, new)


def _groups(scene: bpy.types.Scene, object_id: str, old: str, new: str) -> None:
    """Vertex groups, on the points and on every mesh that carries the object's weights."""
    attribute = weight_spec(object_id).name
    for item in scene.objects:
        if item.type != "MESH" or attribute not in item.data.attributes:
            continue
        group = item.vertex_groups.get(old)
        if group is not None:
            group.name = new


def _masks(scene: bpy.types.Scene, object_id: str, _old: str, new: str) -> None:
    """Mask images of the photos."""
    images.rename_masks(scene, object_id, new)


_FOLLOWERS = (_groups, _masks)
