# SPDX-License-Identifier: GPL-3.0-or-later
"""The 3D Viewport's overlay: the points in their photos' colours, objects tinted.

Solid view shows no colour on points by itself.
"""

from __future__ import annotations

import bpy
import gpu
import numpy as np
from numpy.typing import NDArray

from ..scene.attributes import PointAttribute, read_attribute
from ..scene.points import active_weight_name, points_modifier, points_object, read_weights
from ..scene.session import session
from .shaders import point_shader

_TINT = 0.6


class PointsOverlay:
    """Draws the points; keeps them on the GPU until points, weights or display change."""

    def __init__(self) -> None:
        self._batch: gpu.types.GPUBatch | None = None
        self._made_for: tuple[object, ...] = ()

    def draw_region(self) -> None:
        """Draw into the region that Blender is drawing."""
        scene = bpy.context.scene
        item = points_object(scene)
        if item is None or not scene.mvsam.display.show_points or not item.visible_get():
            return
        modifier = points_modifier(item)
        if modifier is not None and modifier.show_viewport:
            return
        self.draw(scene, item)

    def draw(self, scene: bpy.types.Scene, item: bpy.types.Object) -> None:
        """Draw the points of `item` with the present view matrices."""
        batch = self._batch_of(scene, item)
        if batch is None:
            return
        shader = point_shader()
        gpu.state.depth_test_set("LESS_EQUAL")
        gpu.state.depth_mask_set(True)
        gpu.state.point_size_set(scene.mvsam.display.point_size)
        with gpu.matrix.push_pop():
            gpu.matrix.multiply_matrix(item.matrix_world)
            shader.bind()
            batch.draw(shader)
        gpu.state.point_size_set(1.0)
        gpu.state.depth_mask_set(False)
        gpu.state.depth_test_set("NONE")

    def _batch_of(
        self, scene: bpy.types.Scene, item: bpy.types.Object
    ) -> gpu.types.GPUBatch | None:
        wanted = (session().stamp, item.name_full, len(item.data.vertices))
        if wanted != self._made_for:
            self._made_for = wanted
            self._batch = _make_batch(*_shown_points(scene, item))
        return self._batch


def _shown_points(
    scene: bpy.types.Scene, item: bpy.types.Object
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positions [N, 3] and colours [N, 4] (sRGB) of the points to draw."""
    position = read_attribute(item.data, PointAttribute.POSITION.value)
    color = read_attribute(item.data, PointAttribute.COLOR.value)
    if position is None or color is None:
        return np.zeros((0, 3), dtype=np.float32), np.zeros((0, 4), dtype=np.float32)
    if scene.mvsam.display.tint_objects:
        _tint(scene, item, color)
    kept = isolated(scene, item)
    return (position, color) if kept is None else (position[kept], color[kept])


def isolated(scene: bpy.types.Scene, item: bpy.types.Object) -> NDArray[np.bool_] | None:
    """Which points [N] are shown while the active object is isolated, None when all are."""
    if not (scene.mvsam.display.isolate and active_weight_name(scene)):
        return None
    active = scene.mvsam.objects[scene.mvsam.active_object]
    weights = read_weights(item, active.object_id)
    return None if weights is None else weights > scene.mvsam.display.threshold


def _tint(scene: bpy.types.Scene, item: bpy.types.Object, color: NDArray[np.float32]) -> None:
    """Mix the colours of the visible objects into `color` [N, 4], in place."""
    for thing in scene.mvsam.objects:
        weights = read_weights(item, thing.object_id) if thing.visible else None
        if weights is None:
            continue
        members = weights > scene.mvsam.display.threshold
        mixed = _TINT * np.array(thing.color, dtype=np.float32)
        color[members, :3] = color[members, :3] * (1 - _TINT) + mixed


def _make_batch(
    position: NDArray[np.float32], color: NDArray[np.float32]
) -> gpu.types.GPUBatch | None:
    if len(position) == 0:
        return None
    layout = gpu.types.GPUVertFormat()
    layout.attr_add(id="pos", comp_type="F32", len=3, fetch_mode="FLOAT")
    layout.attr_add(id="color", comp_type="F32", len=4, fetch_mode="FLOAT")
    buffer = gpu.types.GPUVertBuf(len=len(position), format=layout)
    buffer.attr_fill(id="pos", data=np.ascontiguousarray(position))
    buffer.attr_fill(id="color", data=np.ascontiguousarray(color))
    return gpu.types.GPUBatch(type="POINTS", buf=buffer)
