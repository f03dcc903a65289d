# SPDX-License-Identifier: GPL-3.0-or-later
"""The `mvsam` command; each command is a thin skin over the engine's modules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import mvsam_engine
from mvsam_engine.cli_evaluate import evaluate_app
from mvsam_engine.cli_export import export_app
from mvsam_engine.cli_label import label
from mvsam_engine.cli_train import train_app
from mvsam_engine.commands.terminal import EXIT_FAILED, Terminal
from mvsam_engine.segment import DEFAULT_SEGMENTER, SEGMENTERS

app = typer.Typer(
    name="mvsam",
    help="Unposed photos to pointmaps and cameras; clicks to 3D-consistent masks in every photo.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(export_app, name="export")
weights_app = typer.Typer(help="Trained weights: what is known and here.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(train_app, name="train")
app.command()(label)

# Written out: the package of the methods imports numpy, and help should not wait. A test compares.
_GEOMETRIES = "auto, classical, posed, da3, da3-small, da3-large, vggt, pi3, dust3r, mast3r"

CaptureDir = Annotated[Path, typer.Argument(metavar="DIR", help="The capture's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Tracebacks for errors.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(mvsam_engine.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit.")
    ] = False,
) -> None:
    """Options of `mvsam` itself."""


@app.command()
def reconstruct(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTO_OR_FOLDER...", help="Photos, videos, or folders of them."),
    ] = None,
    *,
    capture: Annotated[Path, typer.Option(metavar="DIR", help="Made when it does not exist.")],
    geometry: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Method: {_GEOMETRIES}; default: by what is given and installed.",
        ),
    ] = None,
    cameras: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Cameras of another program, or 'capture' for those it has."
        ),
    ] = None,
    mesh: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Mesh of the scene, in the cameras' world.")
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="draft, normal or fine: how much work to put in.")
    ] = "normal",
    max_size: Annotated[
        int | None,
        typer.Option(
            min=64,
            max=4096,
            metavar="PX",
            help="Long side of the pointmaps; default: the preset's.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    masks: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Photo masks, named like the photos: white is used."),
    ] = None,
    masks_invert: Annotated[
        bool, typer.Option("--masks-invert", help="White in the masks is ignored instead.")
    ] = False,
    every: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Of a video, the sharpest of every N frames."),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Search folders below the named ones too.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Photos to cameras and one 3D point per pixel.

    Of a video, about 80 frames are taken unless --every says otherwise.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import work

        given = work.GivenPhotos(tuple(photos or ()), masks, masks_invert, every, recursive)
        known = work.Known(cameras, mesh)
        effort = work.Effort(preset, max_size, device)
        work.reconstruct(terminal, given, capture, work.options(geometry, effort, known))


@app.command()
def place(
    directory: CaptureDir,
    *,
    upright: Annotated[bool, typer.Option("--upright", help="Turn so that +Z is up.")] = False,
    ground: Annotated[
        bool, typer.Option("--ground", help="Move so that the ground lies at z = 0.")
    ] = False,
    distance: Annotated[
        list[str] | None,
        typer.Option(metavar="VIEW:x,y:VIEW:x,y:LENGTH", help="Known distance of two places."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="VIEW:VIEW:LENGTH", help="Known distance of two photos' cameras."),
    ] = None,
    camera_height: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="Of the cameras above the ground.")
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget the earlier placement first.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Set the world upright, on the ground, and to scale; each only when asked for.

    LENGTH is in metres, or has a unit: 1.2, 120cm, 4ft. --distance and --baseline may be repeated:
    all lengths together make the scale, and how far each is off is told.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import place as command

        command.place(
            terminal,
            directory,
            command.GivenPlace(
                upright, ground, distance or (), baseline or (), camera_height, reset
            ),
        )


@app.command()
def segment(
    directory: CaptureDir,
    *,
    object_name: Annotated[str, typer.Option("--object", metavar="NAME", help="Made when new.")],
    point: Annotated[
        list[str] | None, typer.Option(metavar="VIEW:x,y:+", help="A click; :- excludes.")
    ] = None,
    box: Annotated[list[str] | None, typer.Option(metavar="VIEW:x0,y0,x1,y1")] = None,
    mask: Annotated[list[str] | None, typer.Option(metavar="VIEW:FILE")] = None,
    segmenter: Annotated[
        str, typer.Option(metavar="NAME", help=f"Method: {', '.join(SEGMENTERS)}.")
    ] = DEFAULT_SEGMENTER,
    encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What looks at the photos, where the method can choose."),
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget the object's earlier prompts first.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Prompts in one or more photos to masks in every photo.

    New prompts are added to those the object has; VIEW is a photo's name without its ending,
    positions are pixels of the upright photo.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import work

        given = work.GivenPrompts(tuple(point or ()), tuple(box or ()), tuple(mask or ()))
        work.segment(
            terminal, directory, object_name, given, work.Answering(segmenter, encoder, reset)
        )


@app.command()
def info(directory: CaptureDir, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """What a capture holds."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import show

        show.info(terminal, directory)


@app.command()
def doctor(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """What is installed on this machine, and what is missing."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import show

        healthy = show.doctor(terminal)
    if not healthy:
        raise typer.Exit(EXIT_FAILED)


@weights_app.command("list")
def weights_list(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Weights that are known, whether they are here, and their licences."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import show

        show.weights(terminal)


@weights_app.command("get")
def weights_get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `mvsam weights list` has it.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You know the licence and accept it.")
    ] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Fetch published weights; what has come stays when the network breaks, run it again."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import weights

        weights.get(terminal, name, accept_licence)


@weights_app.command("add")
def weights_add(
    first: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Left out: the file's tensors tell.")
    ],
    second: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The checkpoint, under any name.")
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Take published weights from a file; only the published file itself is accepted."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import weights

        weights.add(terminal, first, second)


@weights_app.command("remove")
def weights_remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `mvsam weights list` has it.")],
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Delete weights that were fetched or added."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import weights

        weights.remove(terminal, name)


@app.command()
def serve() -> None:
    """Serve a client on stdin and stdout (docs/protocol.md); the add-on starts this."""
    from mvsam_engine.service import serve as run

    run()


def main() -> None:
    """Entry point of the console script."""
    app()
