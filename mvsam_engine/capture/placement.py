# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a person puts the reconstruction's world: turned upright, set on the ground, scaled.

Cameras and pointmaps stay in the world of the reconstruction, on disk and in memory; a placement
leads from there to the person's frame. Blender carries it on the one parent of points and cameras,
exporters apply it.

Convention: ``X_person = matrix @ (scale * X_world)``; everything else as in
`mvsam_engine.capture.conventions`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import FloatArray, transform_points
from mvsam_engine.errors import CaptureError

_RIGID_TOLERANCE = 1e-6


def _identity() -> NDArray[np.float64]:
    return np.eye(4)


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A similarity from the reconstruction's world to the person's frame.

    Attributes:
        scale: factor on all lengths, applied first.
        matrix: [4, 4] float64, rotation and translation.
        metric: whether one unit of the person's frame is one metre.
        upright: whether +Z of the person's frame is up.
        source: how it was found, as a short sentence for people; "" for the identity.
    """

    scale: float = 1.0
    matrix: NDArray[np.float64] = field(default_factory=_identity)
    metric: bool = False
    upright: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be a placement.

        Raises:
            CaptureError: the scale is not a positive number, or the matrix not rigid.
        """
        matrix = np.array(self.matrix, dtype=np.float64)
        good = np.isfinite(self.scale) and self.scale > 0 and matrix.shape == (4, 4)
        if good:
            turn = matrix[:3, :3]
            good = (
                bool(np.isfinite(matrix).all())
                and np.allclose(turn @ turn.T, np.eye(3), atol=_RIGID_TOLERANCE)
                and float(np.linalg.det(turn)) > 0
                and np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0])
            )
        if not good:
            raise CaptureError(
                "placement.invalid",
                "A placement needs a positive scale and a 4x4 matrix that only turns and moves.",
                "Clear the placement and make it again.",
            )
        object.__setattr__(self, "matrix", matrix)

    @property
    def is_default(self) -> bool:
        """Whether nobody asked for a frame: the person's is the reconstruction's world."""
        return not self.source and self.scale == 1.0 and np.array_equal(self.matrix, np.eye(4))

    @property
    def transform(self) -> NDArray[np.float64]:
        """[4, 4] person-from-world with the scale inside, as Blender's ``matrix_world`` has it."""
        full = self.matrix.copy()
        full[:3, :3] *= self.scale
        return full

    def apply(self, points: FloatArray) -> FloatArray:
        """World points [..., 3] in the person's frame; NaN stays NaN."""
        return transform_points(self.matrix, self.scale * np.asarray(points, dtype=np.float64))

    def place_camera(self, camera: Camera) -> Camera:
        """`camera` in the person's frame: it sees the placed points at the same pixels."""
        matrix = np.eye(4)
        matrix[:3, :3] = camera.camera_from_world[:3, :3] @ self.matrix[:3, :3].T
        matrix[:3, 3] = (
            self.scale * camera.camera_from_world[:3, 3] - matrix[:3, :3] @ self.matrix[:3, 3]
        )
        return replace(camera, camera_from_world=matrix)

    def after(self, scale: float, matrix: FloatArray) -> Placement:
        """This placement for a world that has changed.

        Args:
            scale: of the change, applied first.
            matrix: rigid [4, 4] of the change: ``X_this_world = matrix @ (scale * X_new_world)``.

        Returns:
            The placement that carries the new world to where this one carries the old world.
        """
        moved = self.matrix.copy()
        moved[:3, 3] = self.matrix[:3, :3] @ (self.scale * matrix[:3, 3]) + self.matrix[:3, 3]
        moved[:3, :3] = self.matrix[:3, :3] @ matrix[:3, :3]
        return replace(self, scale=self.scale * scale, matrix=moved)


__all__ = ["Placement"]
