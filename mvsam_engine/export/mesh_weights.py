# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's mesh with the objects' weights on its vertices, for GLB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.export.glb import glb_bytes, unit, y_up
from mvsam_engine.export.ply import weight_names
from mvsam_engine.export.world import World
from mvsam_engine.labels.vertices import LabelOptions, label_vertices
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.posed.mesh import Mesh, read_mesh
from mvsam_engine.surface.visible import vertex_normals


@dataclass(frozen=True, slots=True, eq=False)
class WeightedMesh:
    """A mesh as its file has it, and [objects, n] float32 weights of its vertices."""

    mesh: Mesh
    weights: NDArray[np.float32]

    def glb(self, items: Sequence[SceneObject], world: World) -> bytes:
        """The bytes of a GLB."""
        names = weight_names(items)
        vertices, faces = self.mesh.vertices, self.mesh.faces
        attributes: dict[str, NDArray] = {
            "POSITION": y_up(vertices).astype(np.float32),
            "NORMAL": unit(y_up(vertex_normals(vertices, faces))),
        }
        if not (np.linalg.norm(attributes["NORMAL"], axis=1) > 0.99).all():
            del attributes["NORMAL"]  # vertices without a face have none, and glTF wants all
        for row, item in zip(self.weights, items, strict=True):
            attributes[f"_{names[item.id]}"] = row
        extras = {
            "frame": world.sentence(),
            "objects": {f"_{names[item.id]}": item.name for item in items},
        }
        return glb_bytes("mesh", attributes, faces.astype(np.uint32), extras)


def weighted_mesh(
    capture: Capture, path: Path, items: Sequence[SceneObject], world: World, progress: Progress
) -> WeightedMesh:
    """Read a mesh that stands in `world`, and ask all photos what its vertices belong to.

    Raises:
        MvsamError: the mesh cannot be read.
    """
    mesh = read_mesh(path)
    back = np.linalg.inv(world.placement.transform)
    if not items:
        return WeightedMesh(mesh, np.zeros((0, len(mesh.vertices)), np.float32))
    labels = label_vertices(capture, mesh.transformed(back), items, LabelOptions(), progress)
    return WeightedMesh(mesh, labels.weights)
