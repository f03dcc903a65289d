# SPDX-License-Identifier: GPL-3.0-or-later
"""The point of the cloud that is under the mouse in a 3D Viewport."""

from __future__ import annotations

import bpy
import numpy as np

from ..core.picking import point_under
from ..scene import points
from ..scene.attributes import PointAttribute, read_attribute
from .overlay_points import isolated

# How far from a point, in pixels of the interface, a click still means it.
REACH = 14.0


def is_view3d(context: bpy.types.Context) -> bool:
    """Whether the context is the main region of a 3D Viewport."""
    space, region = context.space_data, context.region
    return (
        space is not None
        and space.type == "VIEW_3D"
        and region is not None
        and region.type == "WINDOW"
    )


def point_under_mouse(context: bpy.types.Context, event: bpy.types.Event) -> int | None:
    """Index of the point that is seen under the mouse; None when there is none."""
    scene = context.scene
    cloud = points.points_object(scene)
    if cloud is None or not cloud.visible_get():
        return None
    position = read_attribute(cloud.data, PointAttribute.POSITION.value)
    if position is None:
        return None
    shown = isolated(scene, cloud)
    if shown is not None:
        position = position[shown]
    region, scale = context.region, context.preferences.system.ui_scale
    matrix = context.region_data.perspective_matrix @ cloud.matrix_world
    found = point_under(
        position,
        np.array(matrix),
        (region.width, region.height),
        (event.mouse_region_x, event.mouse_region_y),
        disc=max(2.0, scene.mvsam.display.point_size / 2),
        reach=REACH * scale,
    )
    if found is None or shown is None:
        return found
    return int(np.flatnonzero(shown)[found])
