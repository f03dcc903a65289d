# SPDX-License-Identifier: GPL-3.0-or-later
"""Handing a mesh of the scene to the engine, as a PLY in the capture.

Frames: the engine takes a mesh in the frame that the person placed the capture's cameras in, or,
when cameras are read from a file, in the frame of that file. Points and cameras are children of
the one parent, so what is seen beside them is in the cameras' frame once the parent's transform is
taken back.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from mvsam_engine.capture import Capture
from mvsam_engine.capture.files import write_atomic
from mvsam_engine.errors import CaptureError

from ..core.ply import ply_bytes
from . import world
from .placement import KIND

HANDED_OVER = "mesh/handed_over.ply"


def may_be_handed_over(_self: object, item: bpy.types.Object) -> bool:
    """Whether the engine can use an object: a mesh that is not our own points."""
    return item.type == "MESH" and not item.get(KIND)


def hand_over_mesh(
    scene: bpy.types.Scene, item: bpy.types.Object, root: Path, frame: str, own_cameras: bool
) -> Path:
    """Write a mesh, with its modifiers, into the capture at `root`; the file.

    Args:
        scene: the mesh stands in it.
        item: the mesh object.
        root: folder of the capture, made when it is not there.
        frame: PARENT: it stands right beside points and cameras; WORLD: Blender's world is the
            cameras' frame; LOCAL: its own coordinates are, as a file had them.
        own_cameras: whether the capture's cameras are used, rather than those of a file.

    Raises:
        CaptureError: it is not in the scene, has no faces, or the capture cannot be written.
    """
    if scene.objects.get(item.name) != item:
        raise CaptureError(
            "mesh.gone",
            f"{item.name} is not in this scene any more.",
            "Choose a mesh that is, or clear the field.",
        )
    vertices, triangles = _evaluated(item)
    if len(triangles) == 0:
        raise CaptureError(
            "mesh.empty", f"{item.name} has no faces.", "Choose the mesh of the scene's surface."
        )
    capture = Capture.create(root)
    matrix = _cameras_from_mesh(scene, item, frame)
    if own_cameras:
        stored = capture.reconstruction()
        if stored is not None:
            matrix = stored.placement.transform @ matrix
    moved = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    if np.linalg.det(matrix[:3, :3]) < 0:
        triangles = triangles[:, ::-1]
    path = root / HANDED_OVER
    with capture.writing():
        write_atomic(path, ply_bytes(moved, triangles))
    return path


def _cameras_from_mesh(scene: bpy.types.Scene, item: bpy.types.Object, frame: str) -> np.ndarray:
    """[4, 4] from the object's own coordinates to those of the cameras."""
    if frame == "LOCAL":
        return np.eye(4)
    placed = np.array(item.matrix_world, dtype=np.float64)
    if frame == "WORLD":
        return placed
    return np.linalg.inv(np.array(world.frame_of(scene), dtype=np.float64)) @ placed


def _evaluated(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [n, 3] and triangles [m, 3] as the modifiers leave them, own coordinates."""
    if item.mode == "EDIT":
        item.update_from_editmode()
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    try:
        vertices = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
        mesh.vertices.foreach_get("co", vertices)
        mesh.calc_loop_triangles()
        triangles = np.empty(len(mesh.loop_triangles) * 3, dtype=np.int32)
        mesh.loop_triangles.foreach_get("vertices", triangles)
    finally:
        evaluated.to_mesh_clear()
    return vertices.reshape(-1, 3).astype(np.float64), triangles.reshape(-1, 3)
