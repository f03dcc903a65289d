# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY of points: position, normal, colour, confidence, view, and one weight for each object.

Properties: float x, y, z, nx, ny, nz (zeros where the normal is not known); uchar red, green,
blue; float confidence; int view; float ``weight_<object>``. Comments name the objects and views.
Format: Turk 1994, http://paulbourke.net/dataformats/ply/.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.export.folder import check_single, single_file, write_single
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.points import Points, gather_points
from mvsam_engine.export.selecting import chosen_objects
from mvsam_engine.export.world import export_world
from mvsam_engine.progress import Progress


def export_ply(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write the points of all views as one PLY.

    Raises:
        MvsamError: no points, an object that is not there, or a file that cannot be written.
    """
    path = single_file(out, "points.ply")
    check_single(path, options.overwrite)
    items = chosen_objects(capture, options.objects, progress)
    world = export_world(capture.require_reconstruction(), options.frame, progress)
    points = gather_points(capture, items, options, world, progress)
    progress.stage("Writing points", 1)
    write_single(path, ply_bytes(points, items, world.sentence(), options.text), options.overwrite)
    progress.step()
    return [path]


def weight_names(items: Sequence[SceneObject]) -> dict[str, str]:
    """Object id to a name for its weights that every reader takes: ASCII, one word, unique."""
    names: dict[str, str] = {}
    for item in items:
        base = "weight_" + (re.sub(r"[^A-Za-z0-9]+", "_", item.name).strip("_").lower() or "object")
        name, number = base, 2
        while name in names.values():
            name, number = f"{base}_{number}", number + 1
        names[item.id] = name
    return names


def ply_bytes(
    points: Points, items: Sequence[SceneObject], frame: str, text: bool = False
) -> bytes:
    """The points as the bytes of a PLY."""
    names = weight_names(items)
    columns: list[tuple[str, np.ndarray]] = [
        *zip(("x", "y", "z"), points.position.T.astype(np.float32), strict=True),
        *zip(("nx", "ny", "nz"), points.normal.T, strict=True),
        *zip(("red", "green", "blue"), points.color.T, strict=True),
        ("confidence", points.confidence),
        ("view", points.view),
        *((names[item.id], points.weights[item.id]) for item in items),
    ]
    types = {"f": "float", "u": "uchar", "i": "int"}
    remarks = [f"MV-SAM points; {frame}"]
    remarks += [f"{names[item.id]} {_line(item.name)}" for item in items]
    remarks += [f"view {i} {_line(view)}" for i, view in enumerate(points.views)]
    head = [
        "ply",
        f"format {'ascii' if text else 'binary_little_endian'} 1.0",
        *(f"comment {remark}" for remark in remarks),
        f"element vertex {len(points)}",
        *(f"property {types[v.dtype.kind]} {name}" for name, v in columns),
        "end_header\n",
    ]
    kinds = {"f": "<f4", "u": "u1", "i": "<i4"}
    rows = np.empty(len(points), dtype=[(name, kinds[v.dtype.kind]) for name, v in columns])
    for name, values in columns:
        rows[name] = values
    if not text:
        return "\n".join(head).encode() + rows.tobytes()
    lines = (
        " ".join(f"{value:.9g}" if isinstance(value, float) else str(value) for value in row)
        for row in rows.tolist()
    )
    return ("\n".join(head) + "\n".join(lines) + "\n").encode()


def _line(name: str) -> str:
    """A name that cannot end its comment."""
    return " ".join(name.split())
