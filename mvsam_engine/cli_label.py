# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `mvsam label`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvsam_engine.commands.terminal import Terminal


def label(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The capture's folder.")],
    *,
    mesh: Annotated[
        Path, typer.Option(metavar="FILE", help="The mesh, where the capture was placed.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .ply or .npz with the weights.")],
    object_names: Annotated[
        list[str] | None, typer.Option("--object", metavar="NAME", help="Repeatable; default: all.")
    ] = None,
    visibility: Annotated[
        str, typer.Option(help="What hides a vertex: mesh, points (the photos' depth), both.")
    ] = "mesh",
    unseen: Annotated[
        str, typer.Option(help="Vertices that no photo sees: spread (from neighbours) or zero.")
    ] = "spread",
    smooth: Annotated[int, typer.Option(min=0, metavar="N", help="Rounds of smoothing.")] = 0,
    largest: Annotated[
        bool, typer.Option("--largest", help="Keep only the largest connected part.")
    ] = False,
    grow: Annotated[int, typer.Option(metavar="N", help="Rings; negative shrinks.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Result as JSON on stdout.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Tracebacks for errors.")] = False,
) -> None:
    """Weights 0..1 of objects on every vertex of a mesh, from their masks in all photos."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import label as command
        from mvsam_engine.labels.vertices import LabelOptions

        options = LabelOptions(visibility, unseen)  # type: ignore[arg-type]
        edits = command.Edits(smooth, largest, grow)
        command.label(terminal, directory, mesh, out, object_names or [], options, edits)
