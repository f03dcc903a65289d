# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks of an export, checked in one place for command line, service and batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.errors import UsageError

ABSENT = ("blank", "full", "skip")
PHOTOS = ("original", "upright")
FRAMES = ("placed", "reconstructed")
# Farther than this no mask is grown: it costs time, and half a photo is no margin.
MOST_DILATION = 500


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How to export; every target uses what concerns it.

    Attributes:
        objects: names of the objects; empty for all that have masks.
        preset: program that masks are for (`presets.PRESETS`); "" for the target's own.
        remove: masks hide the objects instead of everything else.
        isolate: points of the objects only; with `remove` all others.
        union: one mask for all objects together, where the preset would write one for each.
        invert: black and white exchanged, after everything else.
        dilate: pixels of the photo that objects grow by; negative to shrink.
        absent: what a photo without the object gets: a mask that uses nothing (``blank``),
            one that uses everything (``full``), or none (``skip``).
        photos: which photos names and pixels refer to: the person's own files (``original``) or the
            capture's upright copies (``upright``); "" for what suits the target.
        frame: world of cameras and points: as the person placed it, or as reconstructed.
        text: text instead of binary files, where a format has both.
        undistort: photos and masks without lens distortion, with pinhole cameras.
        min_confidence: points below are left out.
        max_points: most points, thinned evenly; 0 for all.
        mesh: file of a mesh to export instead of the points; None for the points.
        overwrite: write into a folder, or over a file, that holds something else.
    """

    objects: tuple[str, ...] = ()
    preset: str = ""
    remove: bool = False
    isolate: bool = False
    union: bool = False
    invert: bool = False
    dilate: int = 0
    absent: str = "blank"
    photos: str = ""
    frame: str = "placed"
    text: bool = False
    undistort: bool = False
    min_confidence: float = 0.3
    max_points: int = 0
    mesh: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Refuse choices that do not exist.

        Raises:
            UsageError: the sentence names those that do.
        """
        known("choice for photos without the object", self.absent, ABSENT)
        known("kind of photos", self.photos, ("", *PHOTOS))
        known("frame", self.frame, FRAMES)
        if abs(self.dilate) > MOST_DILATION:
            raise UsageError(
                "usage.dilate",
                f"Masks cannot grow or shrink by {self.dilate} pixels.",
                f"At most {MOST_DILATION} is possible.",
            )
        if not 0.0 <= self.min_confidence <= 1.0:
            raise UsageError(
                "usage.confidence",
                f"{self.min_confidence:g} is no confidence.",
                "It is between 0 and 1.",
            )
        if self.max_points < 0:
            raise UsageError(
                "usage.points", f"{self.max_points} is no number of points.", "0 stands for all."
            )


def known(what: str, name: str, names: Iterable[str]) -> None:
    """Refuse a name that is not among `names`.

    Raises:
        UsageError: the sentence lists the names.
    """
    listed = [n for n in names if n]
    if name and name not in listed:
        raise UsageError(
            "usage.export", f"There is no {what} {name!r}.", f"Known: {', '.join(listed)}."
        )
