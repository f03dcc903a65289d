# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine client tells its owner: the engine's notes, and how requests ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.errors import MvsamError
from mvsam_engine.fields import JsonObject
from mvsam_engine.protocol import ErrorBody, Note

CANCELLED = "cancelled"


class EngineError(MvsamError):
    """The engine cannot be started, died, or refused a request."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A request ended well.

    Attributes:
        request: its id.
        method: what was asked.
        result: the answer in its JSON form.
    """

    request: int
    method: str
    result: JsonObject


@dataclass(frozen=True, slots=True)
class Failed:
    """A request ended without a result; `error.code` is `CANCELLED` when a person wanted that."""

    request: int
    method: str
    error: ErrorBody


@dataclass(frozen=True, slots=True)
class EngineDied:
    """The engine's process ended without being asked to.

    Attributes:
        error: what happened as a sentence, with a remedy.
        requests: the requests that were open; each got its own `Failed` before this event.
        last_lines: the last lines it wrote to its log.
        log: where the whole log lies.
    """

    error: ErrorBody
    requests: tuple[int, ...]
    last_lines: tuple[str, ...]
    log: Path


Event = Note | Finished | Failed | EngineDied
