# SPDX-License-Identifier: GPL-3.0-or-later
"""Which texels of an image belong to which faces of a mesh with UVs, and what lies there.

Convention: UVs have their origin at the image's lower left, as in Blender and glTF importers;
images are arrays with row 0 at the top. The texel in row i, column j of an H x W image has its
centre at u = (j + 0.5) / W, v = 1 - (i + 0.5) / H.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.surface.kernels import fill_triangles

_TEXELS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Texels:
    """The texels that faces cover, by the centres of the texels.

    Attributes:
        shape: (H, W) of the image.
        rows: [n] int32.
        columns: [n] int32.
        faces: [n] int32 index of the face that each belongs to.
        barycentric: [n, 3] float32 weights of the face's corners at the texel's centre.
        overlaps: texels that more than one face claims; 0 for an unwrap without overlap.
    """

    shape: tuple[int, int]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    faces: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    overlaps: int

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def covered(self) -> NDArray[np.bool_]:
        """[H, W] where a face lies."""
        image = np.zeros(self.shape, bool)
        image[self.rows, self.columns] = True
        return image

    def interpolate(
        self, values: NDArray[np.floating], faces: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Values of vertices at the texels.

        Args:
            values: [v, k] per vertex, such as positions or normals.
            faces: [m, 3] vertex indices of the faces that were rasterised.

        Returns:
            [n, k]; normals want to be normalised again.
        """
        corners = faces[self.faces]
        total = self.barycentric[:, :1] * values[corners[:, 0]]
        total += self.barycentric[:, 1:2] * values[corners[:, 1]]
        total += self.barycentric[:, 2:] * values[corners[:, 2]]
        return total

    def image(self, values: NDArray[np.generic], fill: float = 0) -> NDArray[np.generic]:
        """Values [n] or [n, k] of the texels as an image [H, W] or [H, W, k]."""
        image = np.full((*self.shape, *values.shape[1:]), fill, values.dtype)
        image[self.rows, self.columns] = values
        return image


def rasterise(uv: NDArray[np.floating], shape: tuple[int, int]) -> Texels:
    """Find the texels whose centre lies in each face.

    Args:
        uv: [m, 3, 2] UVs of the corners of every face; faces without area cover nothing, and
            what lies outside 0..1 is cut off.
        shape: (H, W) of the image.
    """
    height, width = shape
    corners = np.ascontiguousarray(uv, np.float64) * (width, -height) + (0.0, height)
    owner = np.full(shape, -1, np.int32)
    overlaps = int(fill_triangles(corners, owner))
    rows, columns = np.nonzero(owner >= 0)
    faces = owner[rows, columns]
    barycentric = np.empty((len(faces), 3), np.float32)
    for start in range(0, len(faces), _TEXELS_AT_ONCE):
        part = slice(start, start + _TEXELS_AT_ONCE)
        centres = np.stack([columns[part], rows[part]], axis=1) + 0.5
        barycentric[part] = _barycentric(corners[faces[part]], centres)
    return Texels(
        shape=shape,
        rows=rows.astype(np.int32),
        columns=columns.astype(np.int32),
        faces=faces,
        barycentric=barycentric,
        overlaps=overlaps,
    )


def dilate(
    image: NDArray[np.generic], known: NDArray[np.bool_], margin: float | None = None
) -> NDArray[np.generic]:
    """Fill texels that belong to no face from the nearest that does, so that seams do not show.

    Filtering and mipmaps of a renderer mix texels over the border of a chart.

    Args:
        image: [H, W] or [H, W, k].
        known: [H, W] which texels have a value.
        margin: how far to fill, in texels; None: everything.
    """
    if not known.any() or known.all():
        return image.copy()
    distance, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(int(labels.max()) + 1, np.int64)
    at = np.flatnonzero(known)
    source[labels.ravel()[at]] = at
    wanted = ~known if margin is None else ~known & (distance <= margin)
    filled = image.copy()
    filled[wanted] = image.reshape(-1, *image.shape[2:])[source[labels[wanted]]]
    return filled


def _barycentric(corners: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights [n, 3] of triangles' corners [n, 3, 2] at places [n, 2]."""
    to = corners - places[:, None]

    def cross(i: int, j: int) -> NDArray[np.float64]:
        return to[:, i, 0] * to[:, j, 1] - to[:, i, 1] * to[:, j, 0]

    weights = np.stack([cross(1, 2), cross(2, 0), cross(0, 1)], axis=1)
    return weights / weights.sum(axis=1, keepdims=True)
