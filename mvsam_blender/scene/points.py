# SPDX-License-Identifier: GPL-3.0-or-later
"""The point cloud: a mesh that has only vertices, with attributes, rendered through a modifier.

Portable from Blender 4.2 on: vertex groups, weight paint, Select and the Mask modifier work on it,
which they do not on Blender's own point clouds.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..core.points import PointCloud
from . import groups, nodes
from .attributes import PointAttribute, read_attribute, weight_spec, write_attribute
from .placement import find_tagged, tagged_object
from .props import MVSAM_PG_object

OBJECT_NAME = "MV-SAM Points"
MODIFIER_NAME = "MV-SAM Points"
VIEWS_KEY = "mvsam_views"

# Points a little wider than their distance close the gaps of a rendered surface.
_RADIUS_PER_SPACING = 0.75


def place_points(scene: bpy.types.Scene, cloud: PointCloud, spacing: float) -> bpy.types.Object:
    """Make the cloud, or replace the points inside the object that is there."""
    item = points_object(scene)
    if item is None:
        item = tagged_object(scene, "points", OBJECT_NAME, bpy.data.meshes.new(OBJECT_NAME))
    mesh = item.data
    mesh.clear_geometry()
    mesh.vertices.add(len(cloud))
    if len(cloud):
        _write(mesh, cloud)
    mesh[VIEWS_KEY] = "\n".join(cloud.views)
    mesh.update()
    _ensure_modifier(item, spacing * _RADIUS_PER_SPACING)
    return item


def points_object(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The scene's points, None before the first reconstruction."""
    return find_tagged(scene, "points")


def view_names(mesh: bpy.types.Mesh) -> tuple[str, ...]:
    """Names of the views that the attribute ``view`` counts."""
    stored = mesh.get(VIEWS_KEY, "")
    return tuple(stored.split("\n")) if stored else ()


def points_modifier(item: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """Our modifier, under whatever name it has now."""
    group = nodes.point_group()
    return next((m for m in item.modifiers if m.type == "NODES" and m.node_group == group), None)


def apply_display(scene: bpy.types.Scene) -> None:
    """Let the points follow the display settings: Isolate, its threshold, the active object."""
    item = points_object(scene)
    if item is not None:
        # Blender would draw every vertex as a black dot over our coloured points.
        item.display_type = "BOUNDS" if scene.mvsam.display.show_points else "TEXTURED"
    modifier = points_modifier(item) if item is not None else None
    if modifier is None:
        return
    active = active_weight_name(scene)
    nodes.set_input(modifier, nodes.ISOLATE, bool(scene.mvsam.display.isolate and active))
    nodes.set_input(modifier, nodes.WEIGHT_NAME, active)
    nodes.set_input(modifier, nodes.THRESHOLD, scene.mvsam.display.threshold)
    item.update_tag()


def active_weight_name(scene: bpy.types.Scene) -> str:
    """Attribute of the active object's weights, "" when there is no active object."""
    settings = scene.mvsam
    if not 0 <= settings.active_object < len(settings.objects):
        return ""
    return weight_spec(settings.objects[settings.active_object].object_id).name


def read_weights(item: bpy.types.Object, object_id: str) -> np.ndarray | None:
    """Weights [N] float32 of an object on the points, None when it has none."""
    return read_attribute(item.data, weight_spec(object_id))


def shown_weights(
    scene: bpy.types.Scene, item: bpy.types.Object, thing: MVSAM_PG_object
) -> np.ndarray | None:
    """Weights [N] float32 as the object's vertex group has them: without what belongs to others.

    None when the object has no weights on the points.
    """
    return groups.shown_weights(item, thing.object_id, thing.number, scene.mvsam.independent)


def _write(mesh: bpy.types.Mesh, cloud: PointCloud) -> None:
    color = np.ones((len(cloud), 4), dtype=np.float32)
    color[:, :3] = cloud.color / np.float32(255)
    for attribute, values in (
        (PointAttribute.POSITION, cloud.position),
        (PointAttribute.COLOR, color),
        (PointAttribute.CONFIDENCE, cloud.confidence),
        (PointAttribute.VIEW, cloud.view),
        (PointAttribute.PIXEL, np.stack([cloud.column, cloud.row], axis=1)),
        (PointAttribute.OBJECT, np.zeros(len(cloud), dtype=np.int32)),
    ):
        write_attribute(mesh, attribute.value, values)
    mesh.color_attributes.active_color_name = PointAttribute.COLOR.value.name


def _ensure_modifier(item: bpy.types.Object, radius: float) -> None:
    modifier = points_modifier(item)
    if modifier is None:
        modifier = item.modifiers.new(MODIFIER_NAME, "NODES")
        modifier.node_group = nodes.point_group()
        nodes.set_input(modifier, nodes.MATERIAL, nodes.point_material())
        # The viewport draws the points by our own handler: coloured, and without the cost of
        # evaluating a million spheres after every change.
        modifier.show_viewport = False
    nodes.set_input(modifier, nodes.RADIUS, radius)
    if nodes.point_material().name not in item.data.materials:
        item.data.materials.append(nodes.point_material())
