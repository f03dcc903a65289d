# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's folder of weights: files get in only when they are what the catalogue says."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mvsam_engine.capture.files import disk_error
from mvsam_engine.errors import WeightsError
from mvsam_engine.progress import Progress
from mvsam_engine.weights.official import CHECKPOINTS, OfficialCheckpoint

MEGABYTE = 1 << 20


def add_file(entry: OfficialCheckpoint, source: Path, progress: Progress) -> Path:
    """Copy a file that the person has into the folder of weights.

    Args:
        entry: which weights it should be.
        source: the file, under any name.
        progress: counts megabytes.

    Returns:
        The copy. What was there before is replaced only by the right file.

    Raises:
        WeightsError: not readable, or another file than `entry`.
        CaptureError: the folder cannot be written to.
        Cancelled: cancellation was asked for; nothing has changed.
    """
    target = entry.path
    try:
        size = source.stat().st_size
        if entry.sha256 and size != entry.size:
            raise wrong_file(entry, source, f"{size:,} bytes instead of {entry.size:,}", size)
        if not entry.sha256:
            check_content(entry, source, "")
        with source.open("rb") as file:
            if target.exists() and source.samefile(target):
                digest = digest_of(file, progress, f"Checking {entry.name}", size)
                check_content(entry, source, digest)
                return target
            return _copy(entry, source, file, size, progress)
    except OSError as error:
        raise WeightsError(
            "weights.unreadable",
            f"The file {source} cannot be read: {error.strerror or error}.",
            "Give the path of the checkpoint that you downloaded.",
        ) from error


def _copy(
    entry: OfficialCheckpoint, source: Path, file: BinaryIO, size: int, progress: Progress
) -> Path:
    """Copy through a temporary file that becomes the target when its content is right."""
    target = entry.path
    make_room(target, size)
    partial = target.with_name(f"{target.name}.{os.getpid()}.adding")
    digest = hashlib.sha256()
    progress.stage(f"Adding {entry.name}, MB", -(-size // MEGABYTE))
    try:
        with open_for_writing(partial, "wb") as out:
            for block in blocks(file):
                digest.update(block)
                write(out, block, partial)
                progress.step()
        check_content(entry, partial, digest.hexdigest())
        publish(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def remove(entry: OfficialCheckpoint) -> bool:
    """Delete an added checkpoint and what is left of a broken download; True if there was any.

    Raises:
        CaptureError: it cannot be deleted.
    """
    found = False
    for path in (entry.path, entry.path.with_name(entry.path.name + ".part")):
        if not path.is_file():
            continue
        try:
            path.unlink()
        except OSError as error:
            raise disk_error(path, error) from error
        found = True
    return found


def digest_of(file: BinaryIO, progress: Progress, stage: str, size: int) -> str:
    """SHA-256 of an open file, counting its megabytes."""
    digest = hashlib.sha256()
    progress.stage(f"{stage}, MB", -(-size // MEGABYTE))
    for block in blocks(file):
        digest.update(block)
        progress.step()
    return digest.hexdigest()


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file in pieces of a megabyte."""
    while block := file.read(MEGABYTE):
        yield block


def check_content(entry: OfficialCheckpoint, file: Path, digest: str) -> None:
    """Refuse a file of another hash or, where none is known, of other tensors.

    Raises:
        WeightsError: it is not `entry`.
    """
    if not entry.sha256:
        from mvsam_engine.weights.recognise import check_tensors

        check_tensors(entry, file)
    elif digest != entry.sha256:
        raise wrong_file(entry, file, "its SHA-256 differs")


def wrong_file(
    entry: OfficialCheckpoint, file: Path, why: str, size: int | None = None
) -> WeightsError:
    """The sentence for a file that is not `entry`, naming what it is where its size tells."""
    other = next((e for e in CHECKPOINTS if e.size == size), None)
    return WeightsError(
        "weights.changed",
        f"{file.name} is not the published {entry.name!r} ({why}).",
        f"It has the size of {other.name!r}: add it under that name."
        if other
        else f"Download it again from {entry.url}.",
    )


def make_room(target: Path, needed: int) -> None:
    """Make the folder, and see that `needed` bytes fit.

    Raises:
        WeightsError: too little space.
        CaptureError: the folder cannot be made.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
    except OSError as error:
        raise disk_error(target, error) from error
    if free < needed:
        raise WeightsError(
            "disk.full",
            f"{target.parent} has {free / 1e6:.0f} MB free, but {needed / 1e6:.0f} MB are needed.",
            "Free some space, or set MVSAM_WEIGHTS to a folder on another disk.",
        )


def open_for_writing(path: Path, mode: str) -> BinaryIO:
    """Open a file of the folder of weights.

    Raises:
        CaptureError: it cannot be written to.
    """
    try:
        return path.open(mode)  # type: ignore[return-value]
    except OSError as error:
        raise disk_error(path, error) from error


def write(out: BinaryIO, block: bytes, path: Path) -> None:
    """Write, with a sentence for a disk that fails.

    Raises:
        CaptureError: no space, or another failure.
    """
    try:
        out.write(block)
    except OSError as error:
        raise disk_error(path, error) from error


def publish(partial: Path, target: Path) -> None:
    """Move a complete, checked file to its place in one step.

    Raises:
        CaptureError: it cannot be moved.
    """
    try:
        partial.replace(target)
    except OSError as error:
        raise disk_error(target, error) from error
