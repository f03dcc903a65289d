# SPDX-License-Identifier: GPL-3.0-or-later
"""Selecting an object's points in Edit Mode, as Blender's own tools understand it."""

from __future__ import annotations

from typing import Literal

import bpy
import numpy as np

from mvsam_engine.errors import SegmentationError

from . import points
from .attributes import AttributeSpec, read_attribute, write_attribute
from .props import MVSAM_PG_object

# Blender's own attribute of selected vertices; `foreach_set` on vertices is far slower.
_SELECTED = AttributeSpec(".select_vert", "BOOLEAN", "value", 1, np.bool_)

Action = Literal["SET", "ADD", "REMOVE"]


def select_object(context: bpy.types.Context, item: MVSAM_PG_object, action: Action) -> int:
    """Select or deselect an object's points and show them in Edit Mode; how many are selected.

    Args:
        context: its scene has the points; they become the active object.
        item: whose points.
        action: SET selects these and no others, ADD these too, REMOVE deselects them.

    Raises:
        SegmentationError: the points are gone, hidden, or carry no weights of the object.
    """
    scene = context.scene
    cloud = points.points_object(scene)
    if cloud is None or not cloud.visible_get():
        raise SegmentationError(
            "points.hidden",
            "The points are hidden or gone, so nothing can be selected on them.",
            "Show them in the Outliner, or open the capture again.",
        )
    if context.mode != "OBJECT":
        # The mesh takes in what was edited, before it is read and written.
        bpy.ops.object.mode_set(mode="OBJECT")
    weights = points.shown_weights(scene, cloud, item)
    if weights is None:
        raise SegmentationError(
            "points.unanswered", f"{item.name} has no points yet.", "Segment it first."
        )
    members = weights > scene.mvsam.display.threshold
    selected = _selection(cloud.data)
    chosen = {
        "SET": members,
        "ADD": selected | members,
        "REMOVE": selected & ~members,
    }[action]
    _select(cloud.data, chosen)
    for other in context.selected_objects:
        other.select_set(other == cloud)
    cloud.select_set(True)
    context.view_layer.objects.active = cloud
    bpy.ops.object.mode_set(mode="EDIT")
    context.tool_settings.mesh_select_mode = (True, False, False)
    return int(chosen.sum())


def _selection(mesh: bpy.types.Mesh) -> np.ndarray:
    """Which vertices are selected: [N] bool."""
    selected = read_attribute(mesh, _SELECTED)
    return selected if selected is not None else np.zeros(len(mesh.vertices), dtype=bool)


def _select(mesh: bpy.types.Mesh, chosen: np.ndarray) -> None:
    write_attribute(mesh, _SELECTED, chosen)
    mesh.update()
