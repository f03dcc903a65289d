# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and files that exports write: whole or not at all, and never over a person's own.

An export is staged inside its folder and moved into place when it is complete
(`capture.files.Transaction`). What it wrote it lists in ``mvsam_export.json``, so that the next
export of the same kind can take its place; anything else in a folder is somebody's own.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

from mvsam_engine.capture.files import (
    LOCK,
    STAGING,
    Transaction,
    disk_error,
    inside,
    json_bytes,
    read_json,
    recover,
    write_atomic,
    writer_lock,
)
from mvsam_engine.errors import CaptureError, UsageError
from mvsam_engine.fields import Fields, JsonObject

MANIFEST = "mvsam_export.json"
# Stands at the beginning of every single file that an export writes.
SIGNATURE = b"MV-SAM"
_SIGNED_WITHIN = 4096


class OutputFolder:
    """A folder that an export fills; use as a context manager, an exception leaves no trace.

    Args:
        out: the folder; made when it does not exist.
        kind: of the export, e.g. ``masks colmap``.
        overwrite: whether the folder may hold other things; they stay, but for files of the
            same names.
    """

    def __init__(self, out: Path, kind: str, overwrite: bool) -> None:
        self.out = out
        self._kind = kind
        self._overwrite = overwrite
        self._parts: dict[str, list[str]] = {}
        self._written: set[str] = set()

    def __enter__(self) -> OutputFolder:
        """Begin.

        Raises:
            UsageError: the folder holds something else, or is none.
            CaptureError: it cannot be written to, or another export is at it.
        """
        self._made = _make(self.out)
        try:
            self._known = self._check()
            self._lock = writer_lock(self.out)
            self._lock.__enter__()
        except BaseException:
            self._tidy()
            raise
        recover(self.out)
        self._transaction = Transaction(self.out)
        return self

    def write(self, relative: str, data: bytes, part: str = "") -> Path:
        """Stage a file.

        Args:
            relative: path below the folder, with forward slashes.
            data: its content.
            part: of the export that it belongs to. A later export replaces the parts that it
                writes and leaves the others, such as the masks of other objects.

        Returns:
            Where it will be.

        Raises:
            CaptureError: the path leaves the folder, or the disk is full.
        """
        path = inside(self.out, relative)
        if relative.casefold() in self._written:
            raise CaptureError(
                "export.twice",
                f"Two photos would give the same file {relative}.",
                "Rename one of the photos, and bring it in again.",
            )
        self._written.add(relative.casefold())
        self._transaction.write(relative, data)
        self._parts.setdefault(part, []).append(relative)
        return path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        try:
            if kind is None:
                self._stage_manifest()
            self._transaction.__exit__(kind, value, trace)
        finally:
            self._lock.__exit__(None, None, None)
            (self.out / LOCK).unlink(missing_ok=True)
            self._tidy()
        return False

    def _check(self) -> dict[str, dict[str, list[str]]]:
        """Kind to part to files of earlier exports, when the folder may be used."""
        known = _read_manifest(self.out)
        held = [p.name for p in self.out.iterdir() if not p.name.startswith(".")]
        if not held or self._kind in known or self._overwrite:
            return known
        what = (
            f"another export ({', '.join(known)})" if known else f"other things, such as {held[0]}"
        )
        raise UsageError(
            "export.occupied",
            f"{self.out} holds {what}.",
            "Name another folder, or allow it with --overwrite: what is there stays, but for "
            "files of the same names.",
        )

    def _stage_manifest(self) -> None:
        """Note what was written, and remove what it replaces."""
        parts = dict(self._known.get(self._kind, {}))
        for part, files in self._parts.items():
            for old in parts.get(part, []):
                if old not in files:
                    self._transaction.delete(old)
            parts[part] = files
        exports: JsonObject = {**self._known, self._kind: parts}
        self._transaction.write(MANIFEST, json_bytes({"mvsam_export": 1, "exports": exports}))

    def _tidy(self) -> None:
        with suppress(OSError):
            (self.out / STAGING).rmdir()
        if self._made:
            with suppress(OSError):  # not empty: the export is there
                self.out.rmdir()


def _make(out: Path) -> bool:
    """Make the folder; whether it was not there."""
    if out.exists() and not out.is_dir():
        raise UsageError(
            "export.file", f"{out} is a file, not a folder.", "Name a folder to write to."
        )
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(out, error) from error
    return made


def _read_manifest(out: Path) -> dict[str, dict[str, list[str]]]:
    """What earlier exports wrote; a manifest that is none counts as somebody's own file."""
    try:
        fields = Fields(read_json(out / MANIFEST), MANIFEST, CaptureError)
        exports = Fields(fields.mapping("exports"), MANIFEST, CaptureError)
        known: dict[str, dict[str, list[str]]] = {}
        for kind in fields.mapping("exports"):
            parts = Fields(exports.mapping(kind), MANIFEST, CaptureError)
            known[kind] = {
                part: [str(name) for name in parts.items(part)] for part in exports.mapping(kind)
            }
        return known
    except CaptureError:
        return {}


def single_file(out: Path, name: str) -> Path:
    """Where an export of one file goes: to `out` itself, or into it when it is a folder.

    Args:
        out: as the person named it; a name with the ending of `name` is a file.
        name: of the file in a folder.
    """
    if out.suffix.lower() == Path(name).suffix and not out.is_dir():
        return out
    return out / name


def write_single(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a file that holds `SIGNATURE`, over one that does too but over no other.

    Raises:
        UsageError: there is another file.
        CaptureError: the disk is full, or the folder cannot be written to.
    """
    check_single(path, overwrite)
    write_atomic(path, data)


def check_single(path: Path, overwrite: bool) -> None:
    """Refuse to write over a file that no export of ours made, before any work is done.

    Raises:
        UsageError: there is one.
    """
    if path.is_dir():
        raise UsageError("export.folder", f"{path} is a folder.", "Name a file.")
    if overwrite or not path.exists():
        return
    try:
        with path.open("rb") as file:
            ours = SIGNATURE in file.read(_SIGNED_WITHIN)
    except OSError as error:
        raise disk_error(path, error) from error
    if not ours:
        raise UsageError(
            "export.occupied",
            f"{path} is there already and was not written by an export.",
            "Name another file, or allow it to be replaced with --overwrite.",
        )


def add_tree(folder: OutputFolder, root: Path, below: str) -> list[Path]:
    """Stage all files under `root`, which another program's library wrote, at ``below/``."""
    found: list[Path] = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            relative = f"{below}/{path.relative_to(root).as_posix()}"
            found.append(folder.write(relative, path.read_bytes()))
    shutil.rmtree(root, ignore_errors=True)
    return found
