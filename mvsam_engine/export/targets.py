# SPDX-License-Identifier: GPL-3.0-or-later
"""All targets by name, for command line, service and batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from mvsam_engine.capture import Capture
from mvsam_engine.errors import UsageError
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.progress import Progress

Exporter = Callable[[Capture, Path, ExportOptions, Progress], list[Path]]


@dataclass(frozen=True, slots=True)
class Target:
    """What can be exported.

    Attributes:
        name: as people write it.
        what: a sentence about what is written.
        module: that has the exporter ``export_<name>``, below `mvsam_engine.export`.
    """

    name: str
    what: str
    module: str

    def load(self) -> Exporter:
        """The exporter; imports what it needs."""
        module = import_module(f"mvsam_engine.export.{self.module}")
        return getattr(module, f"export_{self.name}")


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("masks", "Mask images in the naming and polarity of another program.", "masks"),
        Target(
            "colmap", "A COLMAP project: images, masks, sparse/0 with cameras and points.", "colmap"
        ),
        Target("nerfstudio", "transforms.json with images, masks and sparse points.", "nerfstudio"),
        Target("metashape", "cameras.xml and masks for Metashape.", "metashape"),
        Target(
            "realityscan",
            "XMP cameras and masks beside the photos, for RealityScan.",
            "realityscan",
        ),
        Target("coco", "COCO annotations: one mask for each object and photo.", "coco"),
        Target("ply", "Points with colours, normals, confidence and weights.", "ply"),
        Target("glb", "Points, or a mesh, with weights as glTF attributes.", "glb"),
        Target("overlays", "Pictures to judge the masks by.", "overlays"),
    )
}


def export(
    capture: Capture, kind: str, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Export a capture.

    Args:
        capture: with what the target needs.
        kind: a name of `TARGETS`.
        out: folder, or file where the target is one file.
        options: what is wanted.
        progress: counts, and hears of what should be known.

    Returns:
        The files that were written.

    Raises:
        UsageError: an unknown kind, a preset where there are none, or an occupied place.
        MvsamError: what is asked for is not there, or cannot be written.
        Cancelled: the person cancelled; nothing was written.
    """
    if kind not in TARGETS:
        raise UsageError(
            "usage.export", f"There is no export {kind!r}.", f"Known: {', '.join(TARGETS)}."
        )
    if options.preset and kind != "masks":
        raise UsageError(
            "usage.export",
            f"The export {kind!r} has no presets.",
            "Presets are for `mvsam export masks`.",
        )
    return TARGETS[kind].load()(capture, out, options, progress)
