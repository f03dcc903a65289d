# SPDX-License-Identifier: GPL-3.0-or-later
"""GLB (glTF 2.0) of points, or of a person's mesh with weights on its vertices.

Convention: glTF is Y up, so (x, y, z) of the export's frame becomes (x, z, -y); readers such as
Blender's turn it back. ``COLOR_0`` is linear (glTF 2.0, section 3.7.2.1). Attributes of our own
begin with an underscore, as section 3.7.2.1 asks: ``_confidence``, ``_view`` and one
``_weight_<object>`` for each object; readers keep or ignore them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.export.folder import check_single, single_file, write_single
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.ply import weight_names
from mvsam_engine.export.points import Points, gather_points
from mvsam_engine.export.selecting import chosen_objects
from mvsam_engine.export.world import World, export_world
from mvsam_engine.progress import Progress

_POINTS, _TRIANGLES = 0, 4
_ARRAY, _INDICES = 34962, 34963
# numpy type and width to glTF's component type and accessor type.
_COMPONENTS = {"float32": 5126, "uint32": 5125, "uint16": 5123, "uint8": 5121}
_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}


def export_glb(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write the points, or ``options.mesh`` with the objects' weights, as one GLB.

    Raises:
        MvsamError: no points, a mesh that cannot be read, or a file that cannot be written.
    """
    path = single_file(out, "points.glb" if options.mesh is None else "mesh.glb")
    check_single(path, options.overwrite)
    items = chosen_objects(capture, options.objects, progress)
    world = export_world(capture.require_reconstruction(), options.frame, progress)
    if options.mesh is None:
        points = gather_points(capture, items, options, world, progress)
        data = points_glb(points, items, world)
    else:
        from mvsam_engine.export.mesh_weights import weighted_mesh

        mesh = weighted_mesh(capture, options.mesh, items, world, progress)
        data = mesh.glb(items, world)
    progress.stage("Writing GLB", 1)
    write_single(path, data, options.overwrite)
    progress.step()
    return [path]


def points_glb(points: Points, items: Sequence[SceneObject], world: World) -> bytes:
    """The points as the bytes of a GLB."""
    names = weight_names(items)
    attributes: dict[str, NDArray[Any]] = {"POSITION": y_up(points.position).astype(np.float32)}
    if (points.normal != 0).any(axis=1).all():  # glTF wants unit length, so all or none
        attributes["NORMAL"] = unit(y_up(points.normal))
    attributes["COLOR_0"] = linear_colors(points.color)
    attributes["_confidence"] = points.confidence
    attributes["_view"] = points.view.astype(np.float32)
    for item in items:
        attributes[f"_{names[item.id]}"] = points.weights[item.id]
    extras = {
        "frame": world.sentence(),
        "objects": {f"_{names[item.id]}": item.name for item in items},
        "views": list(points.views),
    }
    return glb_bytes("points", attributes, None, extras)


def y_up(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Z-up vectors [N, 3] in glTF's axes."""
    x, y, z = np.asarray(vectors, dtype=np.float64).T
    return np.stack([x, z, -y], axis=1)


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors [N, 3] at unit length in single precision."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float32)


def linear_colors(colors: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Bytes of sRGB [N, 3] as linear normalised shorts [N, 4] (IEC 61966-2-1), opaque."""
    table = np.arange(256) / 255.0
    linear = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4)
    shorts = np.rint(65535.0 * linear).astype(np.uint16)
    opaque = np.full((len(colors), 1), 65535, dtype=np.uint16)
    return np.concatenate([shorts[colors], opaque], axis=1)


def glb_bytes(
    name: str,
    attributes: dict[str, NDArray[Any]],
    indices: NDArray[np.uint32] | None,
    extras: dict[str, Any],
) -> bytes:
    """One mesh primitive as the bytes of a GLB.

    Args:
        name: of node and mesh.
        attributes: glTF semantic to [N] or [N, width]; integers other than indices are normalised.
        indices: [F, 3] triangles, None for points.
        extras: remarks for people and programs.
    """
    buffers: list[bytes] = []
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []

    def add(values: NDArray[Any], target: int) -> int:
        data = np.ascontiguousarray(values).tobytes()
        offset = sum(len(b) for b in buffers)
        buffers.append(data + b"\0" * (-len(data) % 4))
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(data), "target": target})
        width = 1 if values.ndim == 1 else values.shape[1]
        accessors.append(
            {
                "bufferView": len(views) - 1,
                "componentType": _COMPONENTS[values.dtype.name],
                "count": len(values),
                "type": _KINDS[width],
            }
        )
        return len(accessors) - 1

    semantic: dict[str, int] = {}
    for key, values in attributes.items():
        semantic[key] = add(values, _ARRAY)
        if values.dtype.kind == "u":
            accessors[-1]["normalized"] = True
        if key == "POSITION":  # the specification asks for the bounds
            accessors[-1]["min"] = [float(v) for v in values.min(axis=0)]
            accessors[-1]["max"] = [float(v) for v in values.max(axis=0)]
    primitive: dict[str, Any] = {"attributes": semantic, "mode": _POINTS, "material": 0}
    if indices is not None:
        primitive["indices"] = add(indices.reshape(-1), _INDICES)
        primitive["mode"] = _TRIANGLES
    body = b"".join(buffers)
    # What Blender and viewers show of a material without texture is COLOR_0.
    material = {
        "name": name,
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
        "doubleSided": True,
    }
    document = {
        "asset": {"version": "2.0", "generator": "MV-SAM", "extras": extras},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": [primitive]}],
        "materials": [material],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(body)}],
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(body)
    return (
        struct.pack("<4sII", b"glTF", 2, length)
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(body), b"BIN\0")
        + body
    )
