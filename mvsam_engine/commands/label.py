# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam label`: objects' weights on the vertices of a mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.capture.vertex_graph import cloud_graph, mesh_graph, triangle_edges
from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.errors import SegmentationError
from mvsam_engine.labels.files import check_suffix, write_labels
from mvsam_engine.labels.vertices import LabelOptions, VertexLabels, label_vertices
from mvsam_engine.reconstruct.posed.mesh import Mesh, read_mesh


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes of the weights, in this order.

    Attributes:
        smooth: rounds of smoothing.
        largest: only the largest connected part is kept.
        grow: rings of neighbours that join; negative: that leave.
    """

    smooth: int = 0
    largest: bool = False
    grow: int = 0


def label(
    terminal: Terminal,
    root: Path,
    mesh_file: Path,
    out: Path,
    names: Sequence[str],
    options: LabelOptions,
    edits: Edits,
) -> None:
    """Label a mesh, write the weights, and tell how much of it the photos see."""
    check_suffix(out)
    capture = Capture.open(root)
    placement = capture.require_reconstruction().placement
    items = _objects(capture, names)
    given = read_mesh(mesh_file)
    # Meshes of people stand where the capture was placed; masks and cameras are in its own world.
    inner = given if placement.is_default else given.transformed(np.linalg.inv(placement.transform))
    with terminal.progress() as progress:
        labels = _edited(label_vertices(capture, inner, items, options, progress), inner, edits)
    write_labels(out, given, [item.id for item in items], labels)
    seen = float(labels.seen.mean()) if len(labels.views) else 0.0
    counts = {
        item.name: int((w > 0.5).sum()) for item, w in zip(items, labels.weights, strict=True)
    }
    terminal.print(
        f"{len(given.vertices):,} vertices, of which the photos see {seen:.0%}; "
        f"the others {'take their neighbours weight' if options.unseen == 'spread' else 'stay 0'}."
    )
    for name, count in counts.items():
        terminal.print(f"  {name}: {count:,} vertices")
    terminal.result(
        {
            "file": str(out),
            "vertices": len(given.vertices),
            "seen": round(seen, 4),
            "objects": counts,
            "seconds": {k: round(s, 2) for k, s in progress.seconds_by_stage().items()},
            "warnings": progress.warnings,
        }
    )


def _objects(capture: Capture, names: Sequence[str]) -> list[SceneObject]:
    """The named objects, or all that have masks.

    Raises:
        SegmentationError: one does not exist, or has no masks.
    """
    known = capture.objects()
    items = [item for item in known if item.name in names] if names else list(known)
    missing = [name for name in names if name not in {item.name for item in known}]
    if missing:
        there = ", ".join(repr(item.name) for item in known) or "none yet"
        raise SegmentationError(
            "object.missing", f"There is no object {missing[0]!r}.", f"Objects are: {there}."
        )
    with_masks = [item for item in items if item.segmenter]
    bare = [item.name for item in items if not item.segmenter]
    if not with_masks or (names and bare):
        what = f"Object {bare[0]!r} has" if bare else "The objects have"
        raise SegmentationError(
            "object.unsegmented", f"{what} no masks yet.", "Run `mvsam segment` first."
        )
    return with_masks


def _edited(labels: VertexLabels, mesh: Mesh, edits: Edits) -> VertexLabels:
    if edits == Edits():
        return labels
    graph = (
        mesh_graph(mesh.vertices, triangle_edges(mesh.faces))
        if len(mesh.faces)
        else cloud_graph(mesh.vertices)
    )
    changed = []
    for weights in labels.weights:
        smooth = graph.smoothed(weights, edits.smooth)
        part = graph.largest_part(smooth) if edits.largest else smooth
        changed.append(graph.grown(part, edits.grow))
    return VertexLabels(np.stack(changed), labels.views)
