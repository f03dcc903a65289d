# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of vertices as files that other programs read: PLY for people, NPZ for scripts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mvsam_engine.capture.files import write_atomic
from mvsam_engine.errors import UsageError
from mvsam_engine.labels.vertices import VertexLabels
from mvsam_engine.reconstruct.posed.mesh import Mesh

SUFFIXES = (".ply", ".npz")


def check_suffix(path: Path) -> None:
    """Refuse a file that could not be written, before any work.

    Raises:
        UsageError: of another kind than `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            "usage.out", f"{path.name} is no kind of file for weights.", "Name a .ply or .npz."
        )


def write_labels(path: Path, mesh: Mesh, ids: Sequence[str], labels: VertexLabels) -> Path:
    """Write weights with their mesh.

    Args:
        path: PLY with a property ``weight_<id>`` per object and ``views``, or NPZ with
            ``vertices``, ``faces``, ``views``, ``weights`` [objects, n] and ``objects``.
        mesh: as it was labelled.
        ids: of the objects, in the order of the weights.
        labels: of the mesh's vertices.

    Raises:
        UsageError: another kind of file.
        CaptureError: it cannot be written.
    """
    check_suffix(path)
    data = _ply(mesh, ids, labels) if path.suffix.lower() == ".ply" else _npz(mesh, ids, labels)
    write_atomic(path, data)
    return path


def _npz(mesh: Mesh, ids: Sequence[str], labels: VertexLabels) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        vertices=mesh.vertices,
        faces=mesh.faces,
        views=labels.views,
        weights=labels.weights,
        objects=np.array(ids, dtype=np.str_),
    )
    return buffer.getvalue()


def _ply(mesh: Mesh, ids: Sequence[str], labels: VertexLabels) -> bytes:
    """Binary PLY; property names are ASCII words, as the format wants them."""
    names = property_names(ids)
    rows = np.empty(
        len(mesh.vertices),
        [("p", "<f8", 3), *((name, "<f4") for name in names), ("views", "<i4")],
    )
    rows["p"], rows["views"] = mesh.vertices, labels.views
    for name, weight in zip(names, labels.weights, strict=True):
        rows[name] = weight
    faces = np.empty(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    header = [
        "ply", "format binary_little_endian 1.0", "comment MV-SAM weights 0..1",
        f"element vertex {len(rows)}",
        *(f"property double {axis}" for axis in "xyz"),
        *(f"property float {name}" for name in names),
        "property int views",
        f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", "",
    ]  # fmt: skip
    return "\n".join(header).encode() + rows.tobytes() + faces.tobytes()


def property_names(ids: Sequence[str]) -> list[str]:
    """``weight_<id>`` with only ASCII letters, digits and ``_``, unique."""
    names: list[str] = []
    for object_id in ids:
        word = "".join(c if c.isascii() and c.isalnum() else "_" for c in object_id)
        name, number = f"weight_{word}", 2
        while name in names:
            name, number = f"weight_{word}_{number}", number + 1
        names.append(name)
    return names
