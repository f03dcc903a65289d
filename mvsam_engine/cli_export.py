# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam export ...`; each command is a thin skin over `commands.export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mvsam_engine.commands.terminal import Terminal

export_app = typer.Typer(help="Write results for other programs.", no_args_is_help=True)

CaptureDir = Annotated[Path, typer.Argument(metavar="DIR", help="The capture's folder.")]
OutDir = Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")]
OutFile = Annotated[Path, typer.Argument(metavar="OUT", help="File, or folder, to write to.")]
ObjectNames = Annotated[
    list[str] | None, typer.Option("--object", metavar="NAME", help="Repeatable; default: all.")
]
Remove = Annotated[bool, typer.Option("--remove", help="Hide the objects, use everything else.")]
Dilate = Annotated[
    int, typer.Option(metavar="PX", help="Grow the objects by so many pixels; negative: shrink.")
]
Absent = Annotated[
    str,
    typer.Option(help="Photos without the object: blank (use nothing), full (use all) or skip."),
]
Photos = Annotated[
    str,
    typer.Option(metavar="WHICH", help="original files or upright copies; default: the target's."),
]
Frame = Annotated[str, typer.Option(help="World of cameras and points: placed or reconstructed.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Write where other things are; they stay.")
]
Undistort = Annotated[
    bool, typer.Option("--undistort", help="Photos, masks and cameras without lens distortion.")
]
MinConfidence = Annotated[float, typer.Option(help="Leave out points below.")]
MaxPoints = Annotated[int, typer.Option(metavar="N", help="Most points, thinned evenly.")]
Isolate = Annotated[
    bool, typer.Option("--isolate", help="Only the objects' points; with --remove all others.")
]
AsText = Annotated[bool, typer.Option("--text", help="A text file instead of a binary one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Tracebacks for errors.")]


def _run(
    kind: str,
    *,
    directory: Path,
    out: Path,
    as_json: bool,
    verbose: bool,
    object_names: list[str] | None,
    **options: Any,
) -> None:
    """Check the options and export.

    A command hands on all of its parameters as `locals()`: they are called as in `ExportOptions`.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands.export import export
        from mvsam_engine.export.options import ExportOptions

        names = tuple(object_names or ())
        export(terminal, kind, directory, out, ExportOptions(objects=names, **options))


@export_app.command("masks")
def export_masks(
    directory: CaptureDir,
    out: OutDir,
    *,
    object_names: ObjectNames = None,
    preset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="generic, colmap, metashape, realityscan, realitycapture, nerfstudio or splat.",
        ),
    ] = "",
    remove: Remove = False,
    union: Annotated[
        bool, typer.Option("--union", help="One mask for all objects together.")
    ] = False,
    invert: Annotated[
        bool, typer.Option("--invert", help="Exchange black and white at the end.")
    ] = False,
    dilate: Dilate = 0,
    absent: Absent = "blank",
    photos: Photos = "",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """OUT/<object>/<view>.png for every photo: 8-bit, 255 = object, size of the photo.

    With a preset, in the naming, polarity and orientation of another program (docs/exports.md).
    """
    _run("masks", **locals())


@export_app.command("colmap")
def export_colmap(
    directory: CaptureDir,
    out: OutDir,
    *,
    object_names: ObjectNames = None,
    remove: Remove = False,
    dilate: Dilate = 0,
    absent: Absent = "blank",
    photos: Photos = "",
    frame: Frame = "placed",
    undistort: Undistort = False,
    text: AsText = False,
    min_confidence: MinConfidence = 0.3,
    max_points: MaxPoints = 50_000,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """A COLMAP project: sparse/0 with cameras, points and tracks; images and masks beside it."""
    _run("colmap", **locals())


@export_app.command("nerfstudio")
def export_nerfstudio(
    directory: CaptureDir,
    out: OutDir,
    *,
    object_names: ObjectNames = None,
    remove: Remove = False,
    dilate: Dilate = 0,
    absent: Absent = "blank",
    photos: Photos = "",
    frame: Frame = "placed",
    undistort: Undistort = False,
    min_confidence: MinConfidence = 0.3,
    max_points: MaxPoints = 50_000,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """transforms.json with images, masks and sparse_pc.ply, for nerfstudio and 3DGS trainers."""
    _run("nerfstudio", **locals())


@export_app.command("metashape")
def export_metashape(
    directory: CaptureDir,
    out: OutDir,
    *,
    object_names: ObjectNames = None,
    remove: Remove = False,
    dilate: Dilate = 0,
    absent: Absent = "blank",
    photos: Photos = "",
    frame: Frame = "placed",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """cameras.xml (Import Cameras) and masks/ (Import Masks) for Metashape."""
    _run("metashape", **locals())


@export_app.command("realityscan")
def export_realityscan(
    directory: CaptureDir,
    out: OutDir,
    *,
    object_names: ObjectNames = None,
    remove: Remove = False,
    dilate: Dilate = 0,
    absent: Absent = "blank",
    photos: Photos = "",
    frame: Frame = "placed",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """One XMP and one mask for each photo, to be put beside the photos for RealityScan."""
    _run("realityscan", **locals())


@export_app.command("coco")
def export_coco(
    directory: CaptureDir,
    out: OutDir,
    *,
    object_names: ObjectNames = None,
    dilate: Dilate = 0,
    photos: Photos = "",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """annotations.json: one mask (RLE) for each object and photo; upright photos in images/."""
    _run("coco", **locals())


@export_app.command("ply")
def export_ply(
    directory: CaptureDir,
    out: OutFile,
    *,
    object_names: ObjectNames = None,
    isolate: Isolate = False,
    remove: Remove = False,
    frame: Frame = "placed",
    text: AsText = False,
    min_confidence: MinConfidence = 0.3,
    max_points: MaxPoints = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """The points with colours, normals, confidence, view, and a weight for each object."""
    _run("ply", **locals())


@export_app.command("glb")
def export_glb(
    directory: CaptureDir,
    out: OutFile,
    *,
    object_names: ObjectNames = None,
    isolate: Isolate = False,
    remove: Remove = False,
    mesh: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A mesh in this frame instead of the points."),
    ] = None,
    frame: Frame = "placed",
    min_confidence: MinConfidence = 0.3,
    max_points: MaxPoints = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """The points, or a mesh, with weights as glTF attributes whose names begin with _."""
    _run("glb", **locals())


@export_app.command("overlays")
def export_overlays(
    directory: CaptureDir,
    out: OutDir,
    *,
    object_names: ObjectNames = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """OUT/<view>.jpg with the objects tinted, and OUT/contact_sheet.jpg, to judge masks by."""
    _run("overlays", **locals())
