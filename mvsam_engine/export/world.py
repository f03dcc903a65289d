# SPDX-License-Identifier: GPL-3.0-or-later
"""In which world exported cameras and points are.

Convention: `capture.placement`. ``placed`` is the frame that the person asked for, upright and in
metres where that is known; ``reconstructed`` is the world of cameras.json and the pointmaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Placement, Reconstruction
from mvsam_engine.progress import Progress


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The frame of an export.

    Attributes:
        placement: from the reconstruction's world to this one.
        metric: whether one unit is one metre.
        upright: whether +Z is up.
    """

    placement: Placement
    metric: bool
    upright: bool

    def points(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Reconstructed points [..., 3] in this frame."""
        return np.asarray(self.placement.apply(points), dtype=np.float64)

    def directions(self, directions: NDArray[np.floating]) -> NDArray[np.float64]:
        """Reconstructed unit directions [..., 3] in this frame."""
        return np.asarray(directions, dtype=np.float64) @ self.placement.matrix[:3, :3].T

    def camera(self, camera: Camera) -> Camera:
        """A reconstructed camera in this frame."""
        return self.placement.place_camera(camera)

    def sentence(self) -> str:
        """The frame in words, for files that can hold a remark."""
        axes = "+Z is up" if self.upright else "axes as reconstructed"
        return f"right-handed, {axes}, unit {'1 metre' if self.metric else 'unknown'}"


def export_world(reconstruction: Reconstruction, frame: str, progress: Progress) -> World:
    """The frame called `frame`; tells when map coordinates were moved near the origin."""
    from mvsam_engine.reconstruct.posed.given import recorded_offset

    offset = recorded_offset(reconstruction)
    if offset.any():
        x, y, z = offset
        progress.warn(
            "export.offset",
            "The cameras that were given are in map coordinates; what is exported lies near the "
            "origin.",
            f"Add ({x:g}, {y:g}, {z:g}) to reconstructed coordinates to return to them.",
        )
    if frame == "placed":
        return World(reconstruction.placement, reconstruction.is_metric, reconstruction.is_upright)
    return World(Placement(), reconstruction.metric, reconstruction.upright)
