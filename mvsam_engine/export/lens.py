# SPDX-License-Identifier: GPL-3.0-or-later
"""Our cameras as the lens models of other programs; nothing is approximated.

Formulas: docs/cameras.md. What a program cannot express is refused or left out, in words.
"""

from __future__ import annotations

from dataclasses import dataclass

from mvsam_engine.capture import Camera

_PERSPECTIVE = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "MVSAM_BROWN"}
_FISHEYE = {
    "SIMPLE_FISHEYE",
    "FISHEYE",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "OPENCV_FISHEYE",
    "MVSAM_BROWN_FISHEYE",
}


@dataclass(frozen=True, slots=True)
class BrownLens:
    """A camera as a pinhole with Brown's polynomial, behind an equidistant fisheye or not.

    Attributes:
        fisheye: whether an equidistant fisheye comes first.
        fx: focal length, pixels.
        fy: focal length, pixels.
        cx: principal point from the photo's corner, pixels.
        cy: principal point from the photo's corner, pixels.
        skew: pixels.
        k: of r^2, r^4, r^6, r^8.
        p: p1, p2 in OpenCV's order.
    """

    fisheye: bool
    fx: float
    fy: float
    cx: float
    cy: float
    skew: float
    k: tuple[float, float, float, float]
    p: tuple[float, float]


def brown_of(camera: Camera) -> BrownLens | None:
    """The camera in Brown's terms, None where it is none (division, FOV, rational, prism)."""
    value = camera.param
    k = (value("k1"), value("k2"), value("k3"), value("k4"))
    fisheye = camera.model in _FISHEYE
    if camera.model == "FULL_OPENCV":
        # k4, k5, k6 stand below the line there.
        if any(value(name) for name in ("k4", "k5", "k6")):
            return None
        k = (*k[:3], 0.0)
    elif camera.model == "THIN_PRISM_FISHEYE":
        if value("sx1") or value("sy1"):
            return None
        fisheye = True
    elif camera.model not in _PERSPECTIVE and not fisheye:
        return None
    return BrownLens(
        fisheye=fisheye,
        fx=value("fx"),
        fy=value("fy"),
        cx=value("cx"),
        cy=value("cy"),
        skew=value("skew"),
        k=k,
        p=(value("p1"), value("p2")),
    )


def colmap_lens(camera: Camera) -> tuple[str, tuple[float, ...]] | None:
    """Model and parameters in COLMAP's terms, None where COLMAP has no such lens."""
    if camera.param("fx") < 0 or camera.param("fy") < 0:
        return None  # a mirrored photo
    if not camera.model.startswith("MVSAM"):
        return camera.model, camera.params
    lens = brown_of(camera)
    if lens is None or lens.skew or (lens.k[3] and not lens.fisheye):
        return None
    k1, k2, k3, k4 = lens.k
    common = (lens.fx, lens.fy, lens.cx, lens.cy, k1, k2, *lens.p)
    if lens.fisheye:
        return "THIN_PRISM_FISHEYE", (*common, k3, k4, 0.0, 0.0)
    return ("FULL_OPENCV", (*common, k3, 0.0, 0.0, 0.0)) if k3 else ("OPENCV", common)
