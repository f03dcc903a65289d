# SPDX-License-Identifier: GPL-3.0-or-later
"""A training run from folders of scenes to ``network.safetensors``, to be stopped and gone on with.

Everything that a run depends on is written to ``run.json`` before it begins; the model card is made
from that and the log (`train.card`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mvsam_engine
from mvsam_engine.capture.files import writer_lock
from mvsam_engine.errors import Cancelled
from mvsam_engine.progress import Progress
from mvsam_engine.segment.network import MVSam
from mvsam_engine.segment.network_file import write_network
from mvsam_engine.segment.sam import Sam, pick_device
from mvsam_engine.train.balance import parse_shares, repetitions
from mvsam_engine.train.data import check_apart, load_scenes, memory_of, split_scenes
from mvsam_engine.train.episodes import EpisodeOptions, TrainingScene
from mvsam_engine.train.folders import described, find_scenes, is_scene
from mvsam_engine.train.keeping import Keeper, load_photos
from mvsam_engine.train.loop import Trainer, TrainOptions
from mvsam_engine.train.record import NETWORK, Follower, Line, curve_writer, keep_settings
from mvsam_engine.train.settings import first_network, scaled_noise


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is made of.

    Attributes:
        data: folders of scenes to train on.
        validation: folders of scenes to judge by; empty takes some of `data`.
        folder: of the run.
        train: how it is trained.
        config: settings of the network as written, ``code=3d,views=full``.
        noise: scale of the errors that are put into the pointmaps.
        start: network to start from, None for SAM's decoder.
        keep: files and folders of real photos, on which it is held to what SAM says.
        device: auto, cpu, cuda or mps.
        most: scenes to train on at the most, None for all.
        shares: ``NAME=0.2``: of the examples, by name of a folder of `data` (`train.balance`).
    """

    data: tuple[Path, ...]
    validation: tuple[Path, ...]
    folder: Path
    train: TrainOptions
    config: str = ""
    noise: float = 1.0
    start: Path | None = None
    keep: tuple[Path, ...] = ()
    device: str = "auto"
    most: int | None = None
    shares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sides:
    """Folders of scenes to train on, and to judge by."""

    training: tuple[Path, ...]
    validation: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        step: how many steps are done.
        network: file that was written.
        finished: whether all steps are done.
    """

    step: int
    network: Path
    finished: bool


def choose_sides(options: RunOptions) -> Sides:
    """Which scenes are trained on, and which are judged by.

    Raises:
        TrainingError: there are too few, or one is on both sides.
        CaptureError: a scene cannot be read.
    """
    training = find_scenes(options.data)
    if options.validation:
        validation = find_scenes(options.validation)
        check_apart(training, validation)
    else:
        training, validation = split_scenes(training, options.train.seed)
    return Sides(tuple(training[: options.most]), tuple(validation))


def train_run(
    options: RunOptions, sam: Sam, progress: Progress, hear: Callable[[Line], None]
) -> Outcome:
    """Train, or go on with what was stopped.

    Args:
        options: what and how.
        sam: gives image features and the first weights.
        progress: counts scenes, then steps.
        hear: called with every line of the log.

    Returns:
        How far it came; a cancelled run leaves its network too.

    Raises:
        MvsamError: data, settings or an earlier state of the run cannot be used.
        Cancelled: before the first step.
    """
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    shares = parse_shares(options.shares, options.data)
    sides = choose_sides(options)
    network = first_network(sam, options.config, options.start)
    settings = _settings(options, sides, network, sam)
    with writer_lock(folder):
        keep_settings(folder, settings)
        training = load_scenes(sides.training, sam.encoder, progress)
        validation = load_scenes(sides.validation, sam.encoder, progress)
        left_out = _left_out(sides, training, validation)
        size = memory_of([*training.values(), *validation.values()]) / 1e9
        hear(
            Line(0, "data", {"training": len(training), "validation": len(validation), "gb": size})
        )
        photos = load_photos(options.keep, sam.encoder, progress) if options.keep else []
        keep_settings(folder, settings | {"left_out": left_out, "kept": len(photos)})
        device = pick_device(options.device)
        keeper = Keeper(MVSam.from_sam(sam).to(device), photos) if photos else None
        network.to(device).train()
        trainer = Trainer(
            network,
            _often(training, options.data, shares),
            list(validation.values()),
            folder,
            options.train,
            scaled_noise(options.noise),
            keeper,
        )
        finished = _train(trainer, folder, progress, hear)
        about = {"step": str(trainer.step), "made_by": f"mvsam {mvsam_engine.__version__}"}
        write_network(network, folder / NETWORK, sam.encoder.name, about)
        return Outcome(trainer.step, folder / NETWORK, finished)


def _settings(options: RunOptions, sides: Sides, network: MVSam, sam: Sam) -> dict[str, Any]:
    """All that the outcome depends on, as plain JSON values."""
    train = asdict(options.train)
    for name in ("steps", "save_every", "validate_every"):  # these may change on the way
        del train[name]
    shares = parse_shares(options.shares, options.data)
    return {
        "data": data_of(options.data, sides.training),
        "validation": data_of(options.validation or options.data, sides.validation),
        "train": train,
        "steps": options.train.steps,
        "examples": asdict(EpisodeOptions()),
        "noise": asdict(scaled_noise(options.noise)),
        "network": asdict(network.config),
        **({"shares": shares} if shares else {}),
        **({"keep": [source.name for source in options.keep]} if options.keep else {}),
        "encoder": sam.encoder.name,
        "start": options.start.name if options.start else "SAM",
        "device": pick_device(options.device).type,
        "versions": versions(),
    }


def _left_out(sides: Sides, *loaded: Mapping[Path, TrainingScene]) -> list[str]:
    """Names of the scenes that could not be used."""
    used = {folder for scenes in loaded for folder in scenes}
    wanted = (*sides.training, *sides.validation)
    return [f"{one.parent.name}/{one.name}" for one in wanted if one not in used]


def _often(
    scenes: Mapping[Path, TrainingScene], data: Sequence[Path], shares: Mapping[str, float]
) -> list[TrainingScene]:
    """Scenes as often as the share of their data folder asks for."""
    homes = {scene: source.resolve().name for source in data for scene in _of(source, scenes)}
    times = repetitions(Counter(homes.values()), shares)
    return [scene for folder, scene in scenes.items() for _ in range(times[homes[folder]])]


def _of(source: Path, scenes: Iterable[Path]) -> list[Path]:
    """Those of the scenes that a data folder is or holds."""
    return [s for s in scenes if s.resolve() == source.resolve() or s.parent == source]


def _train(
    trainer: Trainer, folder: Path, progress: Progress, hear: Callable[[Line], None]
) -> bool:
    """Train until the end or until it is stopped; whether it is the end."""
    curves = curve_writer(folder, trainer.step)

    def tell(line: Line) -> None:
        hear(line)
        if curves is not None:
            curves(line)

    follower = Follower(folder, tell)
    try:
        trainer.run(_Followed(progress, follower))
    except Cancelled:
        trainer.save()
        return False
    finally:
        follower.follow()
    return True


class _Followed(Progress):
    """Hands counts on to another progress, after reading what is new in the log."""

    def __init__(self, other: Progress, follower: Follower) -> None:
        super().__init__()
        self._other, self._follower = other, follower

    def stage(self, name: str, total: int) -> None:
        """See `Progress`."""
        self._other.stage(name, total)

    def step(self, amount: int = 1) -> None:
        """See `Progress`."""
        self._follower.follow()
        self._other.step(amount)

    def check(self) -> None:
        """See `Progress`."""
        self._other.check()

    def warn(self, code: str, message: str, remedy: str = "") -> None:
        """See `Progress`."""
        self._other.warn(code, message, remedy)


def data_of(sources: Sequence[Path], scenes: Sequence[Path]) -> list[dict[str, Any]]:
    """What the data is: for each folder its name, its scenes' names, and what it says of itself."""
    found: list[dict[str, Any]] = []
    for source in sources:
        inside = _of(source, scenes)
        home = source.parent if is_scene(source) else source
        found.append(
            {
                "name": source.resolve().name,
                "scenes": [scene.name for scene in inside],
                "description": described(home),
            }
        )
    return found


def versions() -> dict[str, str]:
    """Versions of what the outcome depends on."""
    found = {"mvsam": mvsam_engine.__version__}
    for name in ("torch", "numpy", "kornia"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


__all__ = ["Outcome", "RunOptions", "Sides", "choose_sides", "train_run"]
