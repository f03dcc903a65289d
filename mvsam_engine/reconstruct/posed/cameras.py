# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the cameras that a person already has, and giving them to the photos of a capture."""

from __future__ import annotations

from pathlib import Path

from mvsam_engine.reconstruct.posed.camera_set import (
    CameraSet,
    MatchedCameras,
    PhotoWithoutCamera,
    PosedPhoto,
)
from mvsam_engine.reconstruct.posed.matching import match_cameras


def read_cameras(path: Path) -> CameraSet:
    """Read the cameras in a file or folder; the format is recognised by its content.

    Formats, conventions and what is refused: docs/cameras.md.

    Args:
        path: a file, or a folder that holds one (a COLMAP model, a folder of XMP files).

    Raises:
        ReconstructionError: nothing known, damaged, or empty; in a sentence.
    """
    from mvsam_engine.reconstruct.posed.formats import read

    return read(path)


__all__ = [
    "CameraSet",
    "MatchedCameras",
    "PhotoWithoutCamera",
    "PosedPhoto",
    "match_cameras",
    "read_cameras",
]
