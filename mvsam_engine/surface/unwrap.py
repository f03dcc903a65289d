# SPDX-License-Identifier: GPL-3.0-or-later
"""UVs for a mesh, by xatlas (https://github.com/jpcy/xatlas)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import SurfaceError
from mvsam_engine.surface.libraries import library

# Texels between charts, so that filtering and a few mipmaps do not mix them.
PADDING = 4


def unwrap(
    vertices: NDArray[np.floating], faces: NDArray[np.int32], texture: int
) -> NDArray[np.float32]:
    """Cut the mesh into charts and pack them without overlap.

    Args:
        vertices: [n, 3].
        faces: [m, 3].
        texture: side of the texture in texels, which the gaps between charts are made for.

    Returns:
        [m, 3, 2] UVs of the corners of every face, 0..1; in each face's order of corners.

    Raises:
        SurfaceError: xatlas is missing, or it found no place for some faces.
    """
    xatlas = library("xatlas")
    atlas = xatlas.Atlas()
    # Unit size: xatlas has absolute limits for areas and lengths that count as nothing.
    middle, size = vertices.mean(axis=0), float(np.ptp(vertices, axis=0).max())
    atlas.add_mesh(((vertices - middle) / size).astype(np.float32), faces.astype(np.uint32))
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = texture, PADDING, True
    atlas.generate(xatlas.ChartOptions(), packing)
    origin, corners, places = atlas[0]
    if len(corners) != len(faces) or not (origin[corners] == faces).all():
        raise SurfaceError(
            "surface.unwrap",
            "The mesh could not be unwrapped.",
            "Try another number of faces.",
        )
    return np.clip(places[corners], 0.0, 1.0).astype(np.float32)
