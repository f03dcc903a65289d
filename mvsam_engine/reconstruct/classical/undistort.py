# SPDX-License-Identifier: GPL-3.0-or-later
"""Lens-corrected working views for matching, and depth maps back on the photo's own grid.

Convention:
    photo grid  h x w cells over the original, distorted photo (`capture.conventions`).
    canvas      the lens-corrected picture that matching works on: a pinhole camera with the same
                position, direction and focal length as the photo grid; its pixel coordinates are
                array indices (pixel centres are whole numbers). It is padded where the corrected
                photo is larger than the grid, so that no part of the photo is lost.
    depth       z in the camera frame; correcting the lens does not change it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import fit_size, grid_pixels
from mvsam_engine.reconstruct.images import shrink

FloatMap = NDArray[np.float32]

# A canvas may be this much wider than the photo grid on each side; the rest of a fisheye is left.
MOST_PADDING = 0.25
# Grey value outside the photo, so low that any interpolation with it stays below zero.
OUTSIDE = -1e4
# A cell of a mask counts when at least half of it does (of 0 to 255).
HALF = 127
# Neighbouring depths closer than this share of each other lie on one surface.
SAME_SURFACE = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class WorkingView:
    """One photo, corrected for its lens, at working size.

    Attributes:
        camera: the original camera; its matrix places the canvas too.
        intrinsics: pinhole matrix [3, 3] of the canvas, index coordinates.
        gray: [h, w] float32 0..1; `OUTSIDE` where the photo does not reach or is ignored.
        filled: [h, w] float32 0..1; border pixels continue where the photo does not reach.
        guide: [h, w, 3] uint8 RGB, continued like `filled`.
        colors: [gh, gw, 3] uint8 RGB on the photo grid.
        near: least z-depth considered.
        far: greatest z-depth considered.
        used: [gh, gw] bool on the photo grid, which cells get points; None for all.
    """

    camera: Camera
    intrinsics: NDArray[np.float64]
    gray: FloatMap
    filled: FloatMap
    guide: NDArray[np.uint8]
    colors: NDArray[np.uint8]
    near: float
    far: float
    used: NDArray[np.bool_] | None = None

    @property
    def rotation(self) -> NDArray[np.float64]:
        """Camera-from-world rotation [3, 3]."""
        return self.camera.camera_from_world[:3, :3]

    @property
    def translation(self) -> NDArray[np.float64]:
        """Camera-from-world translation [3]."""
        return self.camera.camera_from_world[:3, 3]


def warp_between(
    reference: WorkingView, source: WorkingView
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix [3, 3] and shift [3] that carry canvas pixels of one view into another.

    Pixel (x, y) at z-depth d lies at ``matrix @ (x, y, 1) * d + shift``, dehomogenised.
    """
    rotation = source.rotation @ reference.rotation.T
    translation = source.translation - rotation @ reference.translation
    matrix = source.intrinsics @ rotation @ np.linalg.inv(reference.intrinsics)
    return matrix, source.intrinsics @ translation


def make_working_view(
    camera: Camera,
    photo: NDArray[np.uint8],
    max_size: int,
    near: float,
    far: float,
    used: NDArray[np.bool_] | None = None,
) -> WorkingView:
    """Shrink a photo and correct its lens.

    Args:
        camera: of the photo.
        photo: [H, W, 3] uint8 RGB, upright.
        max_size: long side of the photo grid in pixels.
        near: least z-depth considered, world units.
        far: greatest z-depth considered.
        used: [H, W] bool, which pixels of the photo count; None for all.
    """
    grid_width, grid_height = fit_size(camera.width, camera.height, max_size)
    if used is not None:  # as a fourth channel it goes wherever the photo goes
        photo = np.dstack([photo, np.where(used, np.uint8(255), np.uint8(0))])
    colors = shrink(photo, grid_width, grid_height)
    intrinsics, width, height = _canvas(camera, grid_width, grid_height)
    if not camera.is_distorted and (width, height) == (grid_width, grid_height):
        guide, inside = colors, np.ones((height, width), bool)
    else:
        guide, inside = _corrected(camera, photo, intrinsics, width, height)
    cells = None
    if used is not None:
        cells, inside = colors[..., 3] > HALF, inside & (guide[..., 3] > HALF)
        guide, colors = (np.ascontiguousarray(image[..., :3]) for image in (guide, colors))
    return assemble(camera, intrinsics, near, far, guide, inside, colors, cells)


def assemble(
    camera: Camera,
    intrinsics: NDArray[np.float64],
    near: float,
    far: float,
    guide: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    colors: NDArray[np.uint8] | None = None,
    used: NDArray[np.bool_] | None = None,
) -> WorkingView:
    """A view from its pictures.

    Args:
        camera: see `WorkingView`, as all that is not named here.
        intrinsics: of the canvas.
        near: least z-depth considered.
        far: greatest z-depth considered.
        guide: [h, w, 3] the photo on the canvas.
        inside: [h, w] where the canvas shows the photo, and a part of it that is used.
        colors: [gh, gw, 3] the photo on its grid; None where that is the canvas.
        used: [gh, gw] which cells of the grid get points; None for all.
    """
    filled = (cv2.cvtColor(guide, cv2.COLOR_RGB2GRAY) / np.float32(255.0)).astype(np.float32)
    return WorkingView(
        camera=camera,
        intrinsics=intrinsics,
        gray=np.where(inside, filled, np.float32(OUTSIDE)),
        filled=filled,
        guide=guide,
        colors=guide if colors is None else colors,
        near=near,
        far=far,
        used=used,
    )


def _canvas(
    camera: Camera, grid_width: int, grid_height: int
) -> tuple[NDArray[np.float64], int, int]:
    """Pinhole matrix (index coordinates), width and height of the canvas."""
    intrinsics = np.diag([grid_width / camera.width, grid_height / camera.height, 1.0])
    intrinsics = intrinsics @ camera.intrinsics
    intrinsics[:2, 2] -= 0.5
    # Where the border of the photo ends up when the lens is corrected.
    border = grid_pixels(64, 64, camera.width, camera.height)
    border[:, 0, 0], border[:, -1, 0] = 0.0, camera.width
    border[0, :, 1], border[-1, :, 1] = 0.0, camera.height
    corrected = (camera.rays(border) @ intrinsics.T)[..., :2] + 0.5
    corrected = corrected[np.isfinite(corrected).all(axis=-1)]
    size = np.array([grid_width, grid_height])
    # Less than half a pixel is no reason for padding: an undistorted photo keeps its own grid.
    before = np.ceil(np.clip(-corrected.min(axis=0) - 0.5, 0.0, MOST_PADDING * size))
    after = np.ceil(np.clip(corrected.max(axis=0) - size - 0.5, 0.0, MOST_PADDING * size))
    intrinsics[:2, 2] += before
    width, height = (size + before + after).astype(int)
    return intrinsics, int(width), int(height)


def _corrected(
    camera: Camera,
    photo: NDArray[np.uint8],
    intrinsics: NDArray[np.float64],
    width: int,
    height: int,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The photo resampled onto the canvas, and where the canvas lies inside the photo."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).astype(np.float64)
    rays = pixels @ np.linalg.inv(intrinsics).T
    positions, _ = replace(camera, camera_from_world=np.eye(4)).project(rays)
    x, y = positions[..., 0], positions[..., 1]
    inside = (x >= 0) & (y >= 0) & (x <= camera.width) & (y <= camera.height)
    shrinking = camera.width / width
    if shrinking > 1.4:
        # Interpolation alone would pick single pixels of a large photo.
        photo = cv2.GaussianBlur(photo, (0, 0), 0.35 * shrinking).astype(np.uint8)
    resampled = cv2.remap(
        photo,
        (x - 0.5).astype(np.float32),
        (y - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return resampled.astype(np.uint8), inside


@dataclass(frozen=True, slots=True, eq=False)
class PhotoGrid:
    """Where each cell of the photo grid lies on the canvas.

    Attributes:
        x: [gh, gw] float32 canvas column (index coordinates).
        y: [gh, gw] float32 canvas row.
        pixels: [gh, gw, 2] positions in the photo.
    """

    x: FloatMap
    y: FloatMap
    pixels: NDArray[np.float64]

    def nearest(self, values: FloatMap) -> FloatMap:
        """`values` [h, w] of the canvas on the photo grid; 0 outside the canvas."""
        return cv2.remap(
            values, self.x, self.y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
        ).astype(np.float32)

    def depth(self, depth: FloatMap) -> FloatMap:
        """z-depth [h, w] of the canvas on the photo grid, 0 unknown.

        Interpolates the inverse depth, which is exact on planes, inside a surface; takes the
        nearest pixel at its edges, where a mean would hang in the air.
        """
        known = depth > 0
        inverse = np.where(known, 1.0 / np.where(known, depth, 1.0), 0.0).astype(np.float32)
        linear = cv2.remap(
            inverse, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        nearest = self.nearest(inverse)
        high = self.nearest(cv2.dilate(inverse, np.ones((3, 3), np.uint8)).astype(np.float32))
        low = self.nearest(cv2.erode(inverse, np.ones((3, 3), np.uint8)).astype(np.float32))
        smooth = (nearest > 0) & (high - low < SAME_SURFACE * nearest)
        chosen = np.where(smooth, linear, nearest)
        return np.where(chosen > 0, 1.0 / np.where(chosen > 0, chosen, 1.0), 0.0).astype(np.float32)


def photo_grid(view: WorkingView) -> PhotoGrid:
    """Where the photo grid of `view` lies on its canvas."""
    height, width = view.colors.shape[:2]
    pixels = grid_pixels(height, width, view.camera.width, view.camera.height)
    canvas = view.camera.rays(pixels) @ view.intrinsics.T
    # Rounding keeps an undistorted grid exactly on the canvas' pixels.
    x, y = np.round(canvas[..., 0], 4), np.round(canvas[..., 1], 4)
    return PhotoGrid(x=x.astype(np.float32), y=y.astype(np.float32), pixels=pixels)
