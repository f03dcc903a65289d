# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that people read: what happened, and what they can do about it."""

from __future__ import annotations


class MvsamError(Exception):
    """A failure that is told to a person as a sentence with a remedy.

    Attributes:
        code: stable machine-readable name, e.g. ``"photo.unreadable"``.
        message: one sentence that says what happened.
        remedy: one sentence that says what to do; may be empty.
    """

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[MvsamError], tuple[str, str, str]]:
        """So that it comes whole out of another process."""
        return type(self), (self.code, self.message, self.remedy)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class CaptureError(MvsamError):
    """The capture folder is missing, damaged, newer than this program, or unsafe."""


class PhotoError(MvsamError):
    """A photo cannot be read or used."""


class ReconstructionError(MvsamError):
    """The photos do not give a trustworthy reconstruction."""


class PlacementError(MvsamError):
    """The world cannot be put where the person wants it."""


class SegmentationError(MvsamError):
    """The prompts cannot be answered."""


class SurfaceError(MvsamError):
    """The points do not make a surface, or what makes one is not installed."""


class TrainingError(MvsamError):
    """The training data cannot be used, or a training run cannot go on."""


class WeightsError(MvsamError):
    """Trained weights are missing, damaged or of the wrong kind."""


class ProtocolError(MvsamError):
    """A message between add-on and engine is malformed or cannot be served."""


class UsageError(MvsamError):
    """The person's arguments are wrong (exit code 2)."""


class Cancelled(Exception):  # noqa: N818 - it is an outcome, not an error
    """The person cancelled the work; nothing was written."""
