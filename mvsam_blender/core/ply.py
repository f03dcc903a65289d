# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a mesh as binary PLY (http://paulbourke.net/dataformats/ply/), to hand it to the engine.

Positions are doubles: meshes of surveys lie millions of metres from their origin, where floats
are steps of half a metre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ply_bytes(vertices: NDArray[np.float64], triangles: NDArray[np.int32]) -> bytes:
    """A triangle mesh as a little-endian binary PLY.

    Args:
        vertices: [n, 3] positions.
        triangles: [m, 3] indices of vertices.
    """
    header = (
        "ply\n"
        "format binary_little_endian 1.0\n"
        "comment MV-SAM\n"
        f"element vertex {len(vertices)}\n"
        "property double x\nproperty double y\nproperty double z\n"
        f"element face {len(triangles)}\n"
        "property list uchar int vertex_indices\n"
        "end_header\n"
    )
    faces = np.empty(len(triangles), dtype=[("count", "u1"), ("indices", "<i4", 3)])
    faces["count"], faces["indices"] = 3, triangles
    return header.encode() + vertices.astype("<f8").tobytes() + faces.tobytes()
