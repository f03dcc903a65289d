# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of training scenes: made whole or not at all, checked, described, and found again.

A data folder holds scenes (`train.make` says what a scene is) and, where a command of ours made
them, ``data.json``: what they are and with which settings they were made. The model card of a
network quotes it.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from mvsam_engine.capture import Camera, Capture, Photo
from mvsam_engine.capture.files import (
    disk_error,
    is_safe_name,
    json_bytes,
    read_json,
    write_atomic,
    writer_lock,
)
from mvsam_engine.errors import CaptureError, MvsamError, TrainingError
from mvsam_engine.photos import read_rgb
from mvsam_engine.train.make import DONE

DESCRIPTION = "data.json"
# A scene has this prefix until it is whole; one that is being replaced has the other.
MAKING, REPLACED = ".making-", ".replaced-"
# What a scene folder may hold; one with anything else in it is never replaced.
CONTENT = frozenset({"capture", "masks", "originals", DONE})

Description = dict[str, str | int | float | list[str]]


@contextmanager
def whole_scene(out: Path, name: str) -> Generator[Path]:
    """A new folder to make a scene in, which becomes ``out/name`` when everything went well.

    A scene that is there already is replaced in the end; until then, and after an error, it is as
    it was. What a killed process left under the same name is removed first.

    Raises:
        TrainingError: the name is not safe, or a folder with other things in it is in the way.
        CaptureError: the folder cannot be written to.
    """
    if not is_safe_name(name):
        raise TrainingError("train.name", f"{name!r} is not a safe name for a scene's folder.")
    target, new, old = out / name, out / f"{MAKING}{name}", out / f"{REPLACED}{name}"
    try:
        for left in (new, old):
            if left.exists():
                shutil.rmtree(left)
        new.mkdir(parents=True)
    except OSError as error:
        raise disk_error(new, error) from error
    try:
        yield new
        if target.exists():
            _refuse_others(target)
            target.rename(old)
        new.rename(target)
    except OSError as error:
        raise disk_error(target, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _refuse_others(folder: Path) -> None:
    """Keep hands off a folder that holds more than a scene."""
    others = sorted(p.name for p in folder.iterdir() if p.name not in CONTENT)
    if others:
        raise TrainingError(
            "train.occupied",
            f"{folder} is to be made again, but it also holds {others[0]!r}.",
            "Move that elsewhere, or name another folder for the scenes.",
        )


def damage(folder: Path) -> str:
    """What is wrong with a scene folder, as a sentence; "" when it is whole.

    Photos, pointmaps and masks are opened, so a file that was cut off is found.
    """
    if not (folder / DONE).is_file():
        return "It was not finished."
    try:
        capture = Capture.open(folder / "capture")
        photos = {photo.view: photo for photo in capture.photos()}
        for camera in capture.require_reconstruction().cameras:
            _check_view(folder, capture, camera, photos)
    except MvsamError as error:
        return error.message
    return "" if any((folder / "masks").glob("*/*.png")) else "It has no masks."


def _check_view(
    folder: Path, capture: Capture, camera: Camera, photos: Mapping[str, Photo]
) -> None:
    photo = photos.get(camera.view)
    if photo is None:
        raise CaptureError("train.photo", f"The photo of view {camera.view} is missing.")
    read_rgb(capture.photo_path(photo), at_least=64)
    capture.pointmap(camera.view)
    for path in (folder / "masks").glob(f"*/{camera.view}.png"):
        try:
            with Image.open(path) as image:
                right = image.size == (photo.width, photo.height)
                image.verify()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            right = False
        if not right:
            raise CaptureError("train.mask", f"The mask {path.parent.name}/{path.name} is damaged.")


@contextmanager
def data_folder(out: Path, description: Description) -> Generator[None]:
    """Hold a data folder to make scenes in; what killed processes left half made is removed.

    Args:
        out: the folder; made.
        description: see `describe`.

    Raises:
        TrainingError: the folder holds scenes that were made with other settings.
        CaptureError: it cannot be written to, or another program is making scenes in it.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(out / DESCRIPTION, error) from error
    with writer_lock(out):
        describe(out, description)
        for left in out.glob(f"{MAKING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def describe(out: Path, description: Description) -> None:
    """Say in ``out/data.json`` what the scenes in `out` are; those that are there must be the same.

    Args:
        out: the data folder; made.
        description: what they are, and the settings they are made with. What begins with "count"
            may change.

    Raises:
        TrainingError: the folder holds scenes that were made with other settings.
        CaptureError: the folder cannot be written to.
    """
    before = described(out)
    for key in {**before, **description}:
        same = before.get(key) == description.get(key)
        if before and not same and not key.startswith("count"):
            raise TrainingError(
                "train.mixed",
                f"{out} holds scenes made with {key} = {before.get(key, 'none')}, "
                f"not {description.get(key, 'none')}.",
                "Name another folder, or give the same settings.",
            )
    if before != description:
        write_atomic(out / DESCRIPTION, json_bytes(description))


def described(folder: Path) -> Description:
    """What ``data.json`` of a data folder says; empty when there is none.

    Raises:
        TrainingError: it is not of that kind.
        CaptureError: it is damaged.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return {}
    data = read_json(path)
    plain = isinstance(data, dict) and all(
        isinstance(value, str | int | float)
        or (isinstance(value, list) and all(isinstance(item, str) for item in value))
        for value in data.values()
    )
    if not plain:
        raise TrainingError(
            "train.description",
            f"{path} does not describe training data.",
            "Remove it, or make the data again.",
        )
    return dict(data)


def is_scene(folder: Path) -> bool:
    """Whether a folder has the form of a finished scene."""
    return (
        not folder.name.startswith(".")
        and (folder / "capture" / "capture.json").is_file()
        and (folder / "masks").is_dir()
        and not (folder / "originals").exists()  # it is being made
    )


def find_scenes(sources: Sequence[Path]) -> list[Path]:
    """Scene folders among `sources`: those that are scenes, and the scenes in the others.

    Raises:
        TrainingError: a source is no folder, or holds no scene.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        if not source.is_dir():
            raise TrainingError(
                "train.data", f"There is no folder {source}.", "Check the path of the data."
            )
        below = sorted(p for p in source.iterdir() if p.is_dir() and is_scene(p))
        scenes = [source] if is_scene(source) else below
        if not scenes:
            raise TrainingError(
                "train.data",
                f"{source} holds no training scene.",
                "A scene is a folder with capture/ and masks/<object>/<view>.png; "
                "`mvsam train scenes` makes some.",
            )
        for scene in scenes:
            found.setdefault(scene.resolve(), scene)
    return list(found.values())


__all__ = [
    "Description",
    "damage",
    "data_folder",
    "describe",
    "described",
    "find_scenes",
    "is_scene",
    "whole_scene",
]
