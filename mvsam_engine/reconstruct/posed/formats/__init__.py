# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats of cameras that other programs write: one file each, recognised by content."""

from __future__ import annotations

from pathlib import Path

from mvsam_engine.reconstruct.posed.camera_set import CameraSet
from mvsam_engine.reconstruct.posed.formats import colmap


def read(path: Path) -> CameraSet:
    """Read the cameras in `path`; see `posed.cameras.read_cameras`."""
    return colmap.read(path)
