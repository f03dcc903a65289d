# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the request ``forecast``: what a reconstruction will take, before it is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mvsam_engine.protocol.reading import fields_of, texts_of


@dataclass(frozen=True, slots=True)
class ForecastParams:
    """How long would a reconstruction take, and how much memory? Nothing is changed.

    Attributes:
        capture: folder of the capture, made or not; its photos count too.
        photos: files and folders that would be added.
        preset: draft, normal or fine.
        max_size: long side of the pointmaps in pixels, 0 for the preset's.
        recursive: whether folders are searched below too.
        cameras: as for `ReconstructParams`; placing then costs nothing.
        mesh: as for `ReconstructParams`; matching then costs nothing.
    """

    METHOD: ClassVar[str] = "forecast"
    capture: str
    photos: tuple[str, ...] = ()
    preset: str = "normal"
    max_size: int = 0
    recursive: bool = False
    cameras: str = ""
    mesh: str = ""

    @classmethod
    def from_json(cls, data: object) -> ForecastParams:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(
            capture=f.text("capture"),
            photos=texts_of(f, "photos"),
            preset=f.text("preset", "normal"),
            max_size=f.integer("max_size", 0),
            recursive=f.flag("recursive", False),
            cameras=f.text("cameras", ""),
            mesh=f.text("mesh", ""),
        )


@dataclass(frozen=True, slots=True)
class ForecastResult:
    """What to expect of a reconstruction.

    Attributes:
        photos: how many.
        seconds: wall time.
        memory_mb: largest memory of all processes together.
        free_memory_mb: what is free now, 0 when it cannot be told.
        fits: whether that is enough, as far as can be told.
        smaller_preset: name of a preset that fits, "" when the asked one does or none.
        sentence: all of this for people.
    """

    photos: int
    seconds: float
    memory_mb: float
    free_memory_mb: float
    fits: bool
    smaller_preset: str
    sentence: str

    @classmethod
    def from_json(cls, data: object) -> ForecastResult:
        """Read `result`."""
        f = fields_of(data, "forecast result")
        return cls(
            photos=f.integer("photos"),
            seconds=f.number("seconds"),
            memory_mb=f.number("memory_mb"),
            free_memory_mb=f.number("free_memory_mb"),
            fits=f.flag("fits", True),
            smaller_preset=f.text("smaller_preset", ""),
            sentence=f.text("sentence"),
        )
