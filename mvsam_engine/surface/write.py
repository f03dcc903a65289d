# SPDX-License-Identifier: GPL-3.0-or-later
"""Textured meshes as files: GLB, OBJ with its material and image, PLY with colours of vertices.

Convention: the asset's origin is the file's. glTF is Y up, so (x, y, z) becomes (x, z, -y), which
Blender and others turn back; OBJ and PLY stay Z up, as this project reads them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture.files import safe_name, write_atomic
from mvsam_engine.errors import SurfaceError, UsageError
from mvsam_engine.surface.asset import TexturedMesh
from mvsam_engine.surface.visible import vertex_normals

SUFFIXES = (".glb", ".ply", ".obj")
_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def check_target(path: Path) -> None:
    """Refuse before any work what could not be written after it.

    Raises:
        UsageError: another kind of file, or a folder that does not exist.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            "usage.out",
            f"{path.name} is not a kind of file that assets are written to.",
            f"End its name in {', '.join(SUFFIXES)}.",
        )
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(
            "usage.out",
            f"{path} cannot be a file: "
            + ("it is a folder." if path.is_dir() else f"{path.parent} is no folder."),
            "Name a file in a folder that exists.",
        )


def write_asset(mesh: TexturedMesh, path: Path) -> list[Path]:
    """Write the mesh; what is written is whole or not there.

    Returns:
        The files: one, and for OBJ its material and image.

    Raises:
        UsageError: see `check_target`.
        SurfaceError: a file could not be written.
    """
    check_target(path)
    kind = path.suffix.lower()
    if kind == ".obj":
        files = _obj(mesh, path)
    else:
        files = {path: glb_bytes(mesh) if kind == ".glb" else _ply(mesh)}
    for file, data in files.items():
        try:
            write_atomic(file, data)
        except OSError as error:
            raise SurfaceError(
                "surface.write", f"{file} cannot be written: {error.strerror or error}."
            ) from error
    return list(files)


def glb_bytes(mesh: TexturedMesh) -> bytes:
    """The mesh as a GLB with its texture inside; ``_seen`` of each vertex goes along."""
    import trimesh
    from trimesh.exchange.gltf import export_glb
    from trimesh.visual.material import PBRMaterial

    corners, vertices, uv, faces = split_corners(mesh)
    image = Image.open(io.BytesIO(image_png(mesh.image)))
    material = PBRMaterial(
        name=mesh.name, baseColorTexture=image, metallicFactor=0.0, roughnessFactor=0.9
    )
    solid = trimesh.Trimesh(
        vertices @ _Y_UP.T,
        faces,
        vertex_normals=(vertex_normals(mesh.vertices, mesh.faces) @ _Y_UP.T)[corners],
        vertex_attributes={"_seen": mesh.seen[corners]},
        visual=trimesh.visual.TextureVisuals(uv=uv, material=material),
        process=False,
    )
    scene = trimesh.Scene()
    scene.add_geometry(solid, node_name=mesh.name, geom_name=mesh.name)
    return bytes(export_glb(scene, include_normals=True))


def split_corners(
    mesh: TexturedMesh,
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """The mesh with one UV per vertex: vertices on seams are doubled.

    Returns:
        Which vertex [n] each is of, positions [n, 3], UVs [n, 2], and faces [m, 3].
    """
    vertex = mesh.faces.reshape(-1)
    rows = np.column_stack([vertex, mesh.uv.reshape(-1, 2)])
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    corners = unique[:, 0].astype(np.int64)
    faces = inverse.reshape(-1, 3).astype(np.int32)
    return corners, mesh.vertices[corners], unique[:, 1:].astype(np.float32), faces


def image_png(image: NDArray[np.uint8]) -> bytes:
    """An RGB image as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _ply(mesh: TexturedMesh) -> bytes:
    import trimesh

    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False)
    data: Any = solid.export(file_type="ply")
    return bytes(data)


def _obj(mesh: TexturedMesh, path: Path) -> dict[Path, bytes]:
    """OBJ, its material and its image, by the name of the OBJ."""
    stem = safe_name(path.stem, "asset")
    image, material = path.with_name(f"{stem}.png"), path.with_name(f"{stem}.mtl")
    uv, places = np.unique(mesh.uv.reshape(-1, 2), axis=0, return_inverse=True)
    lines = [f"mtllib {material.name}", f"o {stem}"]
    lines += [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in mesh.vertices.tolist()]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in uv.tolist()]
    lines.append("usemtl photos")
    for corners, at in zip(
        (mesh.faces + 1).tolist(), (places.reshape(-1, 3) + 1).tolist(), strict=True
    ):
        lines.append("f " + " ".join(f"{v}/{t}" for v, t in zip(corners, at, strict=True)))
    description = f"newmtl photos\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {image.name}\n"
    return {
        image: image_png(mesh.image),
        material: description.encode(),
        path: ("\n".join(lines) + "\n").encode(),
    }
