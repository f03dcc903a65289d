# SPDX-License-Identifier: GPL-3.0-or-later
"""Which camera of a file belongs to which photo of the capture."""

from __future__ import annotations

from dataclasses import replace

from mvsam_engine.capture.model import Photo
from mvsam_engine.reconstruct.posed.camera_set import (
    CameraSet,
    MatchedCameras,
    PhotoWithoutCamera,
)


def match_cameras(photos: tuple[Photo, ...], cameras: CameraSet) -> MatchedCameras:
    """Give each photo its camera, by name, in pixels of the upright photo."""
    by_name = {p.name: i for i, p in enumerate(cameras.photos)}
    found = [(p, by_name[p.original_name]) for p in photos if p.original_name in by_name]
    used = {i for _, i in found}
    return MatchedCameras(
        cameras=tuple(replace(cameras.photos[i].camera, view=p.view) for p, i in found),
        indices=tuple(i for _, i in found),
        photos_without=tuple(
            PhotoWithoutCamera(p.view, f"There is no camera called {p.original_name}.")
            for p in photos
            if p.original_name not in by_name
        ),
        cameras_without=tuple(p.name for i, p in enumerate(cameras.photos) if i not in used),
    )
