# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras with lens distortion: projecting points and casting rays.

Convention: see `mvsam_engine.capture.conventions`. Models and the order of their parameters are
COLMAP's (https://colmap.github.io/cameras.html), whose pixel convention is ours too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import FloatArray, camera_center, transform_points
from mvsam_engine.errors import CaptureError

# Names of the parameters of each model, in order.
CAMERA_MODELS: dict[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """Where a photo was taken from, and through which lens.

    Attributes:
        view: name of the view.
        model: a key of `CAMERA_MODELS`.
        width: upright photo's width in pixels; the intrinsics refer to it.
        height: upright photo's height in pixels.
        params: the model's parameters in COLMAP's order, pixels (corner origin).
        camera_from_world: [4, 4] float64, OpenCV axes.
    """

    view: str
    model: str
    width: int
    height: int
    params: tuple[float, ...]
    camera_from_world: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse what cannot be a camera.

        Raises:
            CaptureError: unknown model, wrong number of parameters, or not a rigid matrix.
        """
        names = CAMERA_MODELS.get(self.model)
        if names is None:
            raise CaptureError(
                "camera.model",
                f"Camera {self.view!r} has the unknown model {self.model!r}.",
                f"Known models: {', '.join(CAMERA_MODELS)}.",
            )
        matrix = np.asarray(self.camera_from_world, dtype=np.float64)
        if len(self.params) != len(names) or not np.isfinite(self.params).all():
            raise CaptureError(
                "camera.params",
                f"Camera {self.view!r}: {self.model} takes {len(names)} finite parameters, "
                f"got {len(self.params)}.",
            )
        rigid = matrix.shape == (4, 4) and np.allclose(
            matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-4
        )
        if not rigid or not np.isfinite(matrix).all() or np.linalg.det(matrix[:3, :3]) < 0:
            raise CaptureError(
                "camera.pose",
                f"Camera {self.view!r}: its camera-from-world matrix is not a rotation and "
                "translation (4x4).",
            )
        object.__setattr__(self, "camera_from_world", matrix)

    def param(self, name: str, default: float = 0.0) -> float:
        """The parameter called `name` ("fx" and "fy" fall back on "f")."""
        names = CAMERA_MODELS[self.model]
        if name in ("fx", "fy") and name not in names:
            name = "f"
        return self.params[names.index(name)] if name in names else default

    @property
    def intrinsics(self) -> FloatArray:
        """Pinhole matrix K [3, 3] without the distortion."""
        return np.array(
            [
                [self.param("fx"), 0.0, self.param("cx")],
                [0.0, self.param("fy"), self.param("cy")],
                [0.0, 0.0, 1.0],
            ]
        )

    @property
    def center(self) -> FloatArray:
        """World position [3] of the camera."""
        return camera_center(self.camera_from_world)

    @property
    def is_distorted(self) -> bool:
        """Whether straight lines are bent by this lens model."""
        return any(self.param(k) != 0.0 for k in ("k1", "k2", "p1", "p2"))

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Project world points into the photo.

        Args:
            points: [..., 3] world points.

        Returns:
            pixels [..., 2] (NaN behind the camera) and z-depth [...] in world units.
        """
        local = transform_points(self.camera_from_world, np.asarray(points, dtype=np.float64))
        depth = local[..., 2]
        safe = np.where(depth > 1e-9, depth, np.nan)
        return self._pixels_of(local[..., :2] / safe[..., None]), depth

    def rays(self, pixels: FloatArray) -> FloatArray:
        """Directions [..., 3] in the camera frame with z = 1 that photo `pixels` [..., 2] see."""
        pixels = np.asarray(pixels, dtype=np.float64)
        fx, fy = self.param("fx"), self.param("fy")
        cx, cy = self.param("cx"), self.param("cy")
        distorted = np.stack([(pixels[..., 0] - cx) / fx, (pixels[..., 1] - cy) / fy], axis=-1)
        flat = distorted
        if self.is_distorted:
            # Fixed-point inversion; contracts for any lens worth the name of pinhole.
            for _ in range(30):
                flat = flat - (self._distort(flat) - distorted)
        return np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)

    def unproject(self, pixels: FloatArray, depth: FloatArray) -> FloatArray:
        """World points [..., 3] at z-depth `depth` [...] seen at photo `pixels` [..., 2]."""
        local = self.rays(pixels) * np.asarray(depth, dtype=np.float64)[..., None]
        return (local - self.camera_from_world[:3, 3]) @ self.camera_from_world[:3, :3]

    def _pixels_of(self, normalised: FloatArray) -> FloatArray:
        distorted = self._distort(normalised) if self.is_distorted else normalised
        x = distorted[..., 0] * self.param("fx") + self.param("cx")
        y = distorted[..., 1] * self.param("fy") + self.param("cy")
        return np.stack([x, y], axis=-1)

    def _distort(self, normalised: FloatArray) -> FloatArray:
        """Brown-Conrady: radial k1, k2 and tangential p1, p2 on normalised coordinates."""
        x, y = normalised[..., 0], normalised[..., 1]
        k1, k2 = self.param("k1"), self.param("k2")
        p1, p2 = self.param("p1"), self.param("p2")
        r2 = x * x + y * y
        radial = 1.0 + r2 * (k1 + r2 * k2)
        dx = 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
        dy = p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
        return np.stack([x * radial + dx, y * radial + dy], axis=-1)
