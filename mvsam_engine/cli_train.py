# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam train ...`; each command is a thin skin over `commands.train` (docs/training.md)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.errors import UsageError

train_app = typer.Typer(
    help="Train the MV-SAM network, and make data for it (docs/training.md).", no_args_is_help=True
)

OutDir = Annotated[Path, typer.Argument(metavar="OUT", help="Data folder; made.")]
EncoderName = Annotated[
    str, typer.Option("--encoder", metavar="NAME", help="Image encoder (docs/encoders.md).")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Tracebacks for errors.")]


@train_app.command("scenes", short_help="Make scenes with exact truth.")
def train_scenes(
    out: OutDir,
    *,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many scenes.")],
    first_seed: Annotated[
        int, typer.Option(min=0, metavar="S", help="Scenes have the seeds S, S + 1, ...")
    ],
    views: Annotated[int, typer.Option(min=1, max=200, help="Photos of each scene.")] = 8,
    textures: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Photographs to cut textures from; repeatable."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Processes; default: one less than cores."),
    ] = None,
    size: Annotated[
        int, typer.Option(min=64, max=4096, metavar="PX", help="Long side of most photos.")
    ] = 1024,
    step: Annotated[
        float | None,
        typer.Option(min=0.1, max=180, help="Degrees between photos; default: 5 to 25, by scene."),
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Kinds of things that training never has.")
    ] = False,
    encoder: EncoderName = "tiny-vit",
    device: Device = "auto",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Made-up scenes with exact pointmaps and masks, and their image features: OUT/<seed>/.

    Run it again to go on: whole scenes are left as they are, damaged ones are made again.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import train

        recipe = train.Recipe(tuple(textures or ()), views, size, step, held_out)
        seeds = range(first_seed, first_seed + count)
        workers = workers or max(1, (os.cpu_count() or 2) - 1)
        train.scenes(terminal, out, seeds, recipe, workers, train.Vision(encoder, device))


@train_app.command("teacher", short_help="Real photos with SAM's own masks.")
def train_teacher(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="Reconstructed.")],
    out: OutDir,
    *,
    grid: Annotated[
        int, typer.Option(min=1, max=64, help="Places asked about along a photo's long side.")
    ] = 16,
    masks: Annotated[int, typer.Option(min=1, help="Kept in a photo at the most.")] = 32,
    most: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Photos asked about; default: all.")
    ] = None,
    least_score: Annotated[
        float, typer.Option(min=0, max=1, help="IoU that SAM expects of a mask, at least.")
    ] = 0.88,
    least_stability: Annotated[
        float, typer.Option(min=0, max=1, help="Stability score of a mask, at least.")
    ] = 0.95,
    encoder: EncoderName = "tiny-vit",
    device: Device = "auto",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Real photos with SAM's own masks as the truth: OUT/<capture>/.

    Each mask is known in its own photo only, and only that one is trained on.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import train

        options = train.TeacherOptions(
            grid=grid,
            least_score=least_score,
            least_stability=least_stability,
            most=masks,
            views=most,
        )
        train.teacher(terminal, capture, out, options, train.Vision(encoder, device))


@train_app.command("sa1b", short_help="Read SA-1B, with pointmaps.")
def train_sa1b(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With sa_N.jpg and sa_N.json.")],
    out: OutDir,
    *,
    geometry: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="beside: sa_N.npz with points and confidence; or one that places single photos.",
        ),
    ],
    most: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Photos at the most; default: all.")
    ] = None,
    masks: Annotated[int, typer.Option(min=1, help="Of a photo at the most.")] = 64,
    encoder: EncoderName = "tiny-vit",
    device: Device = "auto",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """SA-1B, as MV-SAM's paper was trained on: OUT/sa_N/, a scene of one photo each."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import train

        options = train.Sa1bOptions(geometry, most, masks, device)
        train.sa1b(terminal, folder, out, options, train.Vision(encoder, device))


@train_app.command("run", short_help="Train, or go on with it.")
def train_run(
    data: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DATA...", help="Folders of scenes, or scenes."),
    ] = None,
    *,
    into: Annotated[
        Path, typer.Option(metavar="RUN", help="Folder of the run; one that is there is gone on.")
    ],
    validation: Annotated[
        list[Path] | None,
        typer.Option(metavar="DATA", help="Scenes to judge by; default: a tenth of DATA."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="In all.")] = 20_000,
    episodes: Annotated[int, typer.Option(min=1, help="Examples of a step.")] = 4,
    rate: Annotated[float, typer.Option(min=1e-8, max=1.0, help="Learning rate.")] = 4e-5,
    seed: Annotated[int, typer.Option(min=0, help="Of examples and of the split.")] = 0,
    config: Annotated[
        str, typer.Option(metavar="NAME=VALUE,...", help="The network: code=3d,views=full.")
    ] = "",
    noise: Annotated[
        float, typer.Option(min=0, max=20, metavar="SCALE", help="Of errors in pointmaps.")
    ] = 1.0,
    start: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trained network to start from, not SAM.")
    ] = None,
    keep: Annotated[
        list[Path] | None,
        typer.Option(metavar="PHOTOS", help="Real photos, to answer clicks on as SAM does."),
    ] = None,
    keep_weight: Annotated[
        float, typer.Option(min=0, max=100, help="Of that, beside what is learnt on scenes.")
    ] = 0.2,
    encoder: EncoderName = "tiny-vit",
    device: Device = "auto",
    most: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Scenes to train on at the most.")
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=0.2", help="Of the examples, from the folder NAME of DATA."),
    ] = None,
    validate_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps between validations.")
    ] = 500,
    save_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Steps between checkpoints.")
    ] = 200,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Train on scenes, from SAM's decoder on; Ctrl-C stops it, the same command goes on.

    RUN gets log.jsonl, checkpoint.pt, curves for TensorBoard where that is installed, and, in the
    end or when it is stopped, network.safetensors.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        if not data:
            raise UsageError(
                "train.data", "There is nothing to train on.", "Name folders of scenes."
            )
        from mvsam_engine.commands import train
        from mvsam_engine.train.loop import TrainOptions

        options = TrainOptions(
            steps=steps,
            episodes=episodes,
            rate=rate,
            keep=keep_weight,
            seed=seed,
            save_every=save_every,
            validate_every=validate_every,
        )
        train.run(
            terminal,
            train.RunOptions(
                data=tuple(data),
                validation=tuple(validation or ()),
                folder=into,
                train=options,
                config=config,
                noise=noise,
                start=start,
                keep=tuple(keep or ()),
                device=device,
                most=most,
                shares=tuple(share or ()),
            ),
            train.Vision(encoder, device),
        )


@train_app.command("blend", short_help="Part of the way from SAM to a network.")
def train_blend(
    network: Annotated[Path, typer.Argument(metavar="FILE", help="Network that was trained.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Network to write.")],
    share: Annotated[
        float, typer.Option(min=0, max=1, help="Of what was learnt; the rest is SAM's.")
    ] = 0.5,
    encoder: EncoderName = "tiny-vit",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Part of the way from SAM to a trained network: keeps what training on few scenes forgot."""
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import train

        train.blended(terminal, network, out, share, train.Vision(encoder, "cpu"))


@train_app.command("card", short_help="Write a run's model card.")
def train_card(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    *,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="Licence of each DATA, then of each --keep, in their order."
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """RUN/card.md and RUN/curves.png: what was trained on what, how, and how well it does.

    All of it is taken from the run's own settings and log.
    """
    terminal = Terminal(as_json, verbose)
    with terminal.guarded():
        from mvsam_engine.commands import train

        train.card(terminal, folder, licence or [])
