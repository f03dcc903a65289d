# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of scenes into memory: which are for training, which for judging, and what is unusable.

A scene of eight views takes about 40 MB: 2 MB of image features, 1 MB of points and the masks of
its objects for each view. All of them are kept, since a training step looks into any.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mvsam_engine.capture import Capture
from mvsam_engine.errors import MvsamError, TrainingError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.train.episodes import LEAST_CELLS, TrainingScene, load_scene
from mvsam_engine.train.make import DONE

# Of the scenes, where nobody says which are for validation.
VALIDATION_SHARE = 0.1
# Scenes that are read at once: most of the time goes into unpacking masks, which needs a core each.
READERS = min(8, os.cpu_count() or 1)


def identities(folder: Path) -> frozenset[str]:
    """What tells a scene from others: its photos' hashes and, of a made-up one, its seed.

    Raises:
        CaptureError: its capture cannot be read.
    """
    found = {photo.sha256 for photo in Capture.open(folder / "capture").photos()}
    done = folder / DONE
    text = done.read_text(encoding="utf-8", errors="replace").strip() if done.is_file() else ""
    return frozenset(found | ({text} if text.startswith("seed ") else set()))


def split_scenes(
    folders: Sequence[Path], seed: int, share: float = VALIDATION_SHARE
) -> tuple[list[Path], list[Path]]:
    """Scenes to train on, and scenes to judge by.

    A scene's side is decided by what it shows and by the seed alone: it stays there when others
    are added, and copies of a scene are on the same side.

    Args:
        folders: of scenes.
        seed: of the run.
        share: that is put aside, at least one scene.

    Raises:
        TrainingError: there are not two scenes.
        CaptureError: a scene's capture cannot be read.
    """
    ranks: dict[Path, float] = {}
    for folder in folders:
        name = sorted(identities(folder))[-1]  # "seed ..." where there is one
        digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
        ranks[folder] = int.from_bytes(digest[:8], "big") / 2**64
    if len(set(ranks.values())) < 2:
        raise TrainingError(
            "train.split",
            "One scene cannot be both trained on and judged by.",
            "Give more scenes, or others with --validation.",
        )
    # Some on each side, however few there are.
    ordered = sorted(set(ranks.values()))
    border = min(max(share, ordered[0]), ordered[-2])
    training = [folder for folder in folders if ranks[folder] > border]
    validation = [folder for folder in folders if ranks[folder] <= border]
    check_apart(training, validation)
    return training, validation


def check_apart(training: Sequence[Path], validation: Sequence[Path]) -> None:
    """Refuse scenes that are on both sides.

    Raises:
        TrainingError: a photo or a made-up world is on both sides.
        CaptureError: a scene's capture cannot be read.
    """
    known = {name: folder for folder in training for name in identities(folder)}
    for folder in validation:
        for name in identities(folder):
            if name in known:
                raise TrainingError(
                    "train.leak",
                    f"Scene {folder} is to be judged by, but {known[name]}, which is trained on, "
                    "shows the same.",
                    "Take it out of one of them; made-up scenes with the same seed count as one.",
                )


def load_scenes(
    folders: Sequence[Path], encoder: ImageEncoder, progress: Progress
) -> dict[Path, TrainingScene]:
    """Read scenes; those that cannot be used are left out with a warning.

    Args:
        folders: of scenes.
        encoder: computes features that are not there yet.
        progress: counts scenes.

    Returns:
        Scenes by their folder, in the given order.

    Raises:
        TrainingError: none of them can be used.
        Cancelled: between two scenes.
    """
    scenes: dict[Path, TrainingScene] = {}
    progress.stage("Reading scenes", len(folders))
    with ThreadPoolExecutor(READERS) as pool:
        try:
            found = pool.map(lambda folder: _read(folder, encoder), folders)
            for folder, scene in zip(folders, found, strict=True):
                if isinstance(scene, MvsamError):
                    reason = f"Scene {folder.name} is left out: {scene.message}"
                    progress.warn(scene.code, reason)
                else:
                    scenes[folder] = scene
                progress.step()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if not scenes:
        raise TrainingError(
            "train.data",
            f"None of the {len(folders)} scenes can be used.",
            "The warnings above say why for each.",
        )
    return scenes


def _read(folder: Path, encoder: ImageEncoder) -> TrainingScene | MvsamError:
    """A scene, or why it cannot be used."""
    try:
        check_mask_names(folder)
        scene = load_scene(folder, encoder, Progress())
    except MvsamError as error:
        return error
    if not askable(scene):
        return TrainingError("train.small", "It shows no object that is large enough.")
    return scene


def askable(scene: TrainingScene) -> bool:
    """Whether some view shows enough of some object to ask about it."""
    return any((mask.sum(axis=(1, 2)) >= LEAST_CELLS).any() for mask in scene.masks.values())


def check_mask_names(folder: Path) -> None:
    """Refuse masks that belong to no photo: a mask that is not found counts as not known.

    Raises:
        TrainingError: a mask's name is no view.
        CaptureError: the scene's capture cannot be read.
    """
    views = {photo.view for photo in Capture.open(folder / "capture").photos()}
    for path in sorted((folder / "masks").glob("*/*.png")):
        if path.stem not in views:
            raise TrainingError(
                "train.mask",
                f"The mask {path.parent.name}/{path.name} belongs to no photo of the scene.",
                f"Masks are named like views, as {min(views, default='view')}.png.",
            )


def memory_of(scenes: Iterable[TrainingScene]) -> int:
    """Bytes that scenes take."""
    total = 0
    for scene in scenes:
        total += sum(mask.nbytes for mask in scene.masks.values())
        for view in scene.views:
            arrays = (view.embedding, view.points, view.confidence, view.depth, view.unknown)
            total += sum(array.nbytes for array in arrays)
    return total
