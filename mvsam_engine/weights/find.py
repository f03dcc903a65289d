# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking an entry up by its name (standard library only)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from mvsam_engine.errors import WeightsError


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...


Entry = TypeVar("Entry", bound=Named)


def find_entry(entries: Iterable[Entry], name: str, purpose: str = "") -> Entry:
    """The entry called `name`.

    Args:
        entries: to look among.
        name: as written by a person.
        purpose: ends the sentence that refuses it, " to add or get".

    Raises:
        WeightsError: there is none; the message names those that exist.
    """
    by_name = {entry.name: entry for entry in entries}
    if name not in by_name:
        raise WeightsError(
            "weights.unknown",
            f"There are no weights called {name!r}{purpose}.",
            f"Known: {', '.join(by_name)}.",
        )
    return by_name[name]
