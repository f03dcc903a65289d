# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos as sources of colour: which points of the mesh each sees, how well, and in what colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Camera, Capture, SceneObject
from mvsam_engine.photos.read import read_rgb
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.posed.raycast import Surface
from mvsam_engine.surface.views import SurfaceView, read_mask
from mvsam_engine.surface.visible import ViewDepth, view_depth

# Pixels inside the mask's edge over which a photo's weight rises to its full: masks are a little
# wrong, and lenses blur what is behind into the edge.
_RAMP = 5.0
# Seen flatter than this cosine, a photo only smears.
_FLATTEST = 0.17
# Columns of the tables that OpenCV samples: it takes no side of 32768 and more.
_COLUMNS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class ColorSource:
    """One photo.

    Attributes:
        camera: in the person's frame.
        image: [H, W, 3] uint8 RGB.
        inside: [H, W] float32 0..1, rising from the mask's edge inwards.
        depth: of the mesh as the photo sees it.
        trust: 0..1 of its mask.
    """

    camera: Camera
    image: NDArray[np.uint8]
    inside: NDArray[np.float32]
    depth: ViewDepth
    trust: float

    def look(
        self, points: NDArray[np.floating], normals: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Where points are in the photo, and what the photo is worth there.

        Args:
            points: [n, 3] on the mesh.
            normals: [n, 3] unit normals.

        Returns:
            pixels [n, 2] and weights [n] float32: 0 where the photo does not see the point, else
            the pixels that a square of unit side shows, turned as it is, less near the mask's edge.
        """
        seen = self.depth.sees(points, normals)
        usable = seen.visible & (seen.cosine > _FLATTEST)
        pixels = np.where(usable[:, None], seen.pixels, 0.0)
        resolution = abs(self.camera.param("fx")) / np.maximum(seen.depth, 1e-9)
        inside = sample(self.inside, pixels)
        weight = resolution**2 * seen.cosine.astype(np.float64) * inside * self.trust
        return pixels, np.where(usable, weight, 0.0).astype(np.float32)

    def colors(self, pixels: NDArray[np.float64], blur: float = 0.0) -> NDArray[np.float32]:
        """Colours [n, 3] 0..255 at photo pixels [n, 2], of the photo blurred by `blur` pixels."""
        image = self.image
        if blur > 0.3:
            image = cv2.GaussianBlur(image, (0, 0), blur)
        return sample(image, pixels)


def color_sources(
    capture: Capture,
    item: SceneObject | None,
    views: Sequence[SurfaceView],
    surface: Surface,
    progress: Progress,
) -> Iterator[ColorSource]:
    """The photo of each view, one in memory at a time; counts a step each."""
    for view in views:
        camera = view.camera
        photo = capture.photo(camera.view)
        image = read_rgb(capture.photo_path(photo))
        mask = read_mask(capture, camera, item)
        used = capture.photo_mask_path(photo)
        if item is not None and used is not None:
            mask = mask & read_mask(capture, camera, None)
        yield ColorSource(camera, image, _rise(mask), view_depth(surface, camera), view.trust)
        progress.step()


def _rise(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Distance from the outside of the mask [H, W], up to 1 at `_RAMP` pixels; 0 outside."""
    if mask.all():
        return np.ones(mask.shape, np.float32)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.minimum(distance / _RAMP, 1.0).astype(np.float32)


def sample(image: NDArray[np.generic], pixels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values [n] or [n, k] of an image [H, W] or [H, W, k] between the centres of its pixels.

    Args:
        image: uint8 or float32.
        pixels: [n, 2] photo positions; beyond the edge counts as the edge.
    """
    count = len(pixels)
    rows = max(1, -(-count // _COLUMNS))
    places = np.zeros((rows * _COLUMNS, 2), np.float32)
    places[:count] = pixels - 0.5
    found = np.concatenate(
        [
            cv2.remap(
                image, part[..., 0], part[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            ).reshape(-1, *image.shape[2:])
            for part in np.split(places.reshape(rows, _COLUMNS, 2), range(4096, rows, 4096))
        ]
    )
    return found[:count].astype(np.float32)
