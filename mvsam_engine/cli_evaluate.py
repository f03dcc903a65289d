# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam evaluate ...`; each command is a thin skin over `commands`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mvsam_engine.commands.terminal import Terminal

evaluate_app = typer.Typer(help="Measure against known truth.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Tracebacks for errors.")]


@evaluate_app.command("geometry")
def evaluate_geometry(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Folders of photos with truth, captures, or files written with --results.",
        ),
    ] = None,
    *,
    truth: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Truth; default: found beside the photos.")
    ] = None,
    photos: Annotated[
        str, typer.Option(metavar="N,N", help="Evenly spaced subsets of so many photos.")
    ] = "",
    methods: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="all, or some of mvsam,pycolmap,pycolmap-global,pixelmap,openmvg."
        ),
    ] = "mvsam",
    seeds: Annotated[str, typer.Option(metavar="N|N,N|N-N", help="One run for each.")] = "0",
    preset: Annotated[str, typer.Option(help="draft, normal or fine; of mvsam.")] = "normal",
    max_size: Annotated[
        int | None, typer.Option(min=64, max=4096, metavar="PX", help="Long side of pointmaps.")
    ] = None,
    limit: Annotated[float, typer.Option(min=1, metavar="S", help="Time limit of a run.")] = 1800,
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save outcomes as JSON after every run.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Pictures: depth, errors, clouds, plot.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep what the methods made.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables for documents.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Cameras, pointmaps, confidence, time and memory against truth, beside other programs.

    Layouts of truth that are known, and how to read the tables: docs/geometry.md.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import evaluate

        asked = evaluate.Asked(
            tuple(sources or ()), truth, photos, methods, seeds, markdown, results, plots
        )
        plan = evaluate.Plan(preset=preset, max_size=max_size, limit_s=limit, keep=keep)
        evaluate.geometry(terminal, asked, plan)


@evaluate_app.command("segmentation")
def evaluate_segmentation(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Folders with photos (or a capture) and true masks, NVOS, SPIn-NeRF, or files "
            "written with --results.",
        ),
    ] = None,
    *,
    masks: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="True masks; default: masks/ or truth/masks."),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Holds the photo folders of NVOS's or MVSeg's scenes."),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(metavar="VIEW|SET=VIEW,...", help="Prompted photo; default: by object."),
    ] = "",
    objects: Annotated[
        str, typer.Option(metavar="PATTERNS", help="Of object names; !PATTERN leaves out.")
    ] = "",
    methods: Annotated[
        str,
        typer.Option(metavar="NAMES", help="all, names of segmenters, or NAME=FILE.safetensors."),
    ] = "all",
    prompts: Annotated[
        str, typer.Option(metavar="LIST", help="Of 8+2, 3, 1, ..., box, mask, scribbles.")
    ] = "8+2",
    at: Annotated[
        str, typer.Option(metavar="X,Y", help="One click there instead, in the reference.")
    ] = "",
    seeds: Annotated[str, typer.Option(metavar="N|N,N|N-N", help="One run for each.")] = "0-2",
    geometry: Annotated[
        str, typer.Option(metavar="NAME", help="Reconstructor of sets without a capture.")
    ] = "",
    cameras: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Of another program; looked for in each set first."),
    ] = None,
    preset: Annotated[str, typer.Option(help="draft, normal or fine.")] = "",
    max_size: Annotated[
        int | None, typer.Option(min=64, max=4096, metavar="PX", help="Long side of pointmaps.")
    ] = None,
    captures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep reconstructions, use those that are there."),
    ] = None,
    reconstruct: Annotated[
        bool, typer.Option("--reconstruct", help="Captures' photos anew, not what they hold.")
    ] = False,
    only_annotated: Annotated[
        bool, typer.Option("--only-annotated", help="Reconstruct from photos with masks alone.")
    ] = False,
    count_unplaced: Annotated[
        bool, typer.Option("--count-unplaced", help="Photos without a camera are empty answers.")
    ] = False,
    least_area: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Views that show less of the object do not count."
        ),
    ] = 0.0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Runs accumulate here, as JSON.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out runs that the results hold.")
    ] = False,
    figures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A picture of each scene.")
    ] = None,
    views: Annotated[bool, typer.Option("--views", help="Also a table of every view.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables for documents.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Masks from prompts in one photo against true masks in the others, methods side by side.

    Layouts, prompts, seeds and metrics: docs/segmentation.md.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import evaluate_segmentation as command

        asked = command.Asked(
            sources=tuple(sources or ()),
            masks=masks,
            photos=photos,
            reference=reference,
            objects=objects,
            prompts=prompts,
            at=at,
            seeds=seeds,
            methods=methods,
            anew=reconstruct,
        )
        plan = command.GeometryPlan(geometry, preset, max_size, device, cameras, only_annotated)
        running = command.Running(plan, captures, device, least_area, count_unplaced, resume)
        output = command.Output(results, figures, markdown, views)
        command.segmentation(terminal, asked, running, output)
