# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras with lens distortion: projecting points and casting rays.

Convention: see `mvsam_engine.capture.conventions`. Models and the order of their parameters are
COLMAP's (https://colmap.github.io/cameras.html), whose pixel convention is ours too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import FloatArray, camera_center, transform_points
from mvsam_engine.capture.lens import Brown, Division, FieldOfView, Lens, Unified
from mvsam_engine.errors import CaptureError

_FULL = ("fx", "fy", "cx", "cy")

# Names of the parameters of each model, in order. "f" stands for both focal lengths. The first
# group is COLMAP's; models whose names begin with MVSAM are ours, for what no model of COLMAP has:
# skew together with the full Brown polynomial (Metashape, RealityScan), also behind a fisheye.
CAMERA_MODELS: dict[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "FULL_OPENCV": (*_FULL, "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "SIMPLE_FISHEYE": ("f", "cx", "cy"),
    "FISHEYE": _FULL,
    "SIMPLE_RADIAL_FISHEYE": ("f", "cx", "cy", "k1"),
    "RADIAL_FISHEYE": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV_FISHEYE": (*_FULL, "k1", "k2", "k3", "k4"),
    "THIN_PRISM_FISHEYE": (*_FULL, "k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1"),
    "RAD_TAN_THIN_PRISM_FISHEYE": (
        *_FULL, "k0", "k1", "k2", "k3", "k4", "k5", "p0", "p1", "s0", "s1", "s2", "s3",
    ),
    "FOV": (*_FULL, "omega"),
    "SIMPLE_DIVISION": ("f", "cx", "cy", "k1"),
    "DIVISION": (*_FULL, "k1"),
    "EUCM": (*_FULL, "alpha", "beta"),
    "MVSAM_BROWN": (*_FULL, "skew", "k1", "k2", "k3", "k4", "p1", "p2"),
    "MVSAM_BROWN_FISHEYE": (*_FULL, "skew", "k1", "k2", "k3", "k4", "p1", "p2"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """Where a photo was taken from, and through which lens.

    Attributes:
        view: name of the view.
        model: a key of `CAMERA_MODELS`.
        width: upright photo's width in pixels; the intrinsics refer to it.
        height: upright photo's height in pixels.
        params: the model's parameters in COLMAP's order, pixels (corner origin). A negative fx
            is a mirrored photo.
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
            CaptureError: unknown model, wrong number of parameters, no focal length, no pixels,
                or not a rigid matrix.
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
        if self.param("fx") == 0.0 or self.param("fy") == 0.0:
            raise CaptureError("camera.focal", f"Camera {self.view!r} has the focal length 0.")
        if self.width < 1 or self.height < 1:
            raise CaptureError(
                "camera.size", f"Camera {self.view!r} has {self.width} x {self.height} pixels."
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
                [self.param("fx"), self.param("skew"), self.param("cx")],
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
        return _lens(self.model, self.params) is not None

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Project world points into the photo.

        Args:
            points: [..., 3] world points.

        Returns:
            pixels [..., 2] and z-depth [...] in world units. Pixels are NaN behind the camera, and
            so far off the axis that the lens model would fold them back (`capture.lens`).
        """
        local = transform_points(self.camera_from_world, np.asarray(points, dtype=np.float64))
        depth = local[..., 2]
        safe = np.where(depth > 1e-9, depth, np.nan)
        bent = local[..., :2] / safe[..., None]
        lens = _lens(self.model, self.params)
        if lens is not None:
            with np.errstate(all="ignore"):
                bent = lens.bend(bent)
        x = bent[..., 0] * self.param("fx") + bent[..., 1] * self.param("skew") + self.param("cx")
        y = bent[..., 1] * self.param("fy") + self.param("cy")
        return np.stack([x, y], axis=-1), depth

    def rays(self, pixels: FloatArray) -> FloatArray:
        """Directions [..., 3] in the camera frame with z = 1 that photo `pixels` [..., 2] see.

        NaN where the lens model sees nothing in front of the camera.
        """
        pixels = np.asarray(pixels, dtype=np.float64)
        y = (pixels[..., 1] - self.param("cy")) / self.param("fy")
        x = (pixels[..., 0] - self.param("cx") - self.param("skew") * y) / self.param("fx")
        flat = np.stack([x, y], axis=-1)
        lens = _lens(self.model, self.params)
        if lens is not None:
            with np.errstate(all="ignore"):
                flat = lens.unbend(flat)
        return np.concatenate([flat, np.ones_like(flat[..., :1])], axis=-1)

    def unproject(self, pixels: FloatArray, depth: FloatArray) -> FloatArray:
        """World points [..., 3] at z-depth `depth` [...] seen at photo `pixels` [..., 2]."""
        local = self.rays(pixels) * np.asarray(depth, dtype=np.float64)[..., None]
        return (local - self.camera_from_world[:3, 3]) @ self.camera_from_world[:3, :3]


@lru_cache(maxsize=512)
def _lens(model: str, params: tuple[float, ...]) -> Lens | None:
    """The lens of a camera model; None when it bends nothing."""
    value = dict(zip(CAMERA_MODELS[model], params, strict=True))

    def get(*names: str) -> tuple[float, ...]:
        return tuple(value.get(name, 0.0) for name in names)

    if model.endswith("DIVISION"):
        return Division(value["k1"]) if value["k1"] else None
    if model == "FOV":
        return FieldOfView(value["omega"]) if value["omega"] else None
    if model == "EUCM":
        return Unified(value["alpha"], value["beta"]) if value["alpha"] else None
    if model == "RAD_TAN_THIN_PRISM_FISHEYE":
        # COLMAP counts from 0 here, and p0 is the one along x: OpenCV's p2.
        return Brown(
            fisheye=True,
            radial=_without_zeros(get("k0", "k1", "k2", "k3", "k4", "k5")),
            tangential=(value["p1"], value["p0"]),
            prism=(value["s0"], value["s1"], value["s2"], value["s3"]),
            after_radial=True,
        )
    rational = model == "FULL_OPENCV"
    lens = Brown(
        fisheye="FISHEYE" in model,
        radial=_without_zeros(get("k1", "k2", "k3") if rational else get("k1", "k2", "k3", "k4")),
        below=_without_zeros(get("k4", "k5", "k6")) if rational else (),
        tangential=(value.get("p1", 0.0), value.get("p2", 0.0)),
        prism=(value.get("sx1", 0.0), 0.0, value.get("sy1", 0.0), 0.0),
    )
    return None if lens == Brown() else lens


def _without_zeros(ks: tuple[float, ...]) -> tuple[float, ...]:
    """`ks` without the zeros at its end."""
    last = max((i + 1 for i, k in enumerate(ks) if k), default=0)
    return ks[:last]
