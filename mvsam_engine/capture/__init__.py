# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture folder, which engine and add-on both read (standard library and numpy only)."""

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import (
    MaskSet,
    Photo,
    Placement,
    Pointmap,
    Prompt,
    Reconstruction,
    SceneObject,
    Unplaced,
    ViewMask,
    ViewScore,
)
from mvsam_engine.capture.store import Capture, new_object_id

__all__ = [
    "Camera",
    "Capture",
    "MaskSet",
    "Photo",
    "Placement",
    "Pointmap",
    "Prompt",
    "Reconstruction",
    "SceneObject",
    "Unplaced",
    "ViewMask",
    "ViewScore",
    "new_object_id",
]
