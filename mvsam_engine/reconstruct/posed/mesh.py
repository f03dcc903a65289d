# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a person's mesh: every part of the file, where its scene puts it, as triangles.

Convention: PLY, OBJ, STL and OFF are taken as they stand. glTF and GLB are Y up by their
specification, and are turned to Z up as Blender turns them when it imports one:
(x, y, z) becomes (x, -z, y).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import ReconstructionError, UsageError

MESH_SUFFIXES = (".ply", ".obj", ".glb", ".gltf", ".stl", ".off")
_Y_UP_SUFFIXES = (".glb", ".gltf")
_Z_UP_FROM_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles.

    Attributes:
        vertices: [n, 3] float64 positions; finite where a face uses them.
        faces: [m, 3] int32 indices into `vertices`.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]

    def transformed(self, matrix: NDArray[np.float64]) -> Mesh:
        """The mesh with an affine 4x4 `matrix` applied."""
        return Mesh(self.vertices @ matrix[:3, :3].T + matrix[:3, 3], self.faces)


def read_mesh(path: Path) -> Mesh:
    """Read all meshes of a file, with the transforms of its scene applied.

    Raises:
        UsageError: the file is of a kind that is not known.
        ReconstructionError: it is damaged, or holds no faces.
    """
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise UsageError(
            "mesh.kind",
            f"{path.name} is not a kind of mesh file that can be read.",
            f"Export the mesh as one of {', '.join(MESH_SUFFIXES)}.",
        )
    parts = _parts(path)
    meshes = [part for part in parts if len(getattr(part, "faces", ()))]
    if not meshes:
        points = sum(len(getattr(part, "vertices", ())) for part in parts)
        raise ReconstructionError(
            "mesh.faces",
            f"{path.name} holds {points:,} points but no faces, so rays pass through it."
            if points
            else f"{path.name} holds no mesh.",
            "Export the mesh itself; a point cloud has to be made into a mesh first.",
        )
    mesh = _joined(meshes, path)
    if suffix in _Y_UP_SUFFIXES:
        mesh = Mesh(mesh.vertices @ _Z_UP_FROM_Y_UP.T, mesh.faces)
    return mesh


def _parts(path: Path) -> list[Any]:
    """Every geometry of the file at its place in the scene; materials are not read."""
    import trimesh

    known = {} if path.suffix.lower() in (".stl", ".off") else {"skip_materials": True}
    try:
        # Unprocessed: merging the vertices of a large mesh takes more memory than casting rays.
        scene = trimesh.load_scene(str(path), process=False, **known)
        return scene.dump()
    except MemoryError:
        raise
    # The parsers raise whatever their parts raise on damaged files; all mean the same to a person.
    except Exception as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReconstructionError(
            "mesh.damaged",
            f"{path.name} cannot be read as a mesh ({said}).",
            "Export it again, without compression; binary PLY is the safest kind.",
        ) from error


def _joined(meshes: list[Any], path: Path) -> Mesh:
    """One mesh of many, without faces that have no area or no place."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    vertices = np.concatenate([np.asarray(m.vertices, np.float64).reshape(-1, 3) for m in meshes])
    faces = np.concatenate(
        [np.asarray(m.faces, np.int64) + s for m, s in zip(meshes, starts[:-1], strict=True)]
    )
    within = (faces >= 0) & (faces < len(vertices))
    placed = np.isfinite(vertices).all(axis=1)
    good = within.all(axis=1)
    good[good] = placed[faces[good]].all(axis=1)
    if not good.any():
        raise ReconstructionError(
            "mesh.damaged",
            f"{path.name} has {len(faces):,} faces, but none with finite corners.",
            "Export it again from the program that made it.",
        )
    # Corners that no face needs may be undefined; the ray caster must not see them.
    vertices[~placed] = 0.0
    return Mesh(vertices, faces[good].astype(np.int32))
