# SPDX-License-Identifier: GPL-3.0-or-later
"""From the views of an object to its own textured mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.errors import SurfaceError
from mvsam_engine.progress import Progress
from mvsam_engine.surface.libraries import check_libraries
from mvsam_engine.surface.meshing import SEEN, decimate, mesh_volume
from mvsam_engine.surface.options import SurfaceOptions
from mvsam_engine.surface.texture import Canvas, paint
from mvsam_engine.surface.unwrap import unwrap
from mvsam_engine.surface.views import read_views
from mvsam_engine.surface.volume import fuse_views

# Share of the surface below which closing what nobody saw is worth a warning.
_MUCH_UNSEEN = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class TexturedMesh:
    """An object as an asset.

    Attributes:
        name: of the object.
        vertices: [v, 3] float32 relative to `origin`: upright and scaled as the capture is placed.
        faces: [m, 3] int32, counter-clockwise from outside.
        uv: [m, 3, 2] float32 UVs of the corners of each face, origin at the lower left.
        image: [size, size, 3] uint8 RGB, sRGB.
        colors: [v, 3] uint8 RGB of the vertices.
        seen: [v] float32 0..1, how surely photos saw the surface here; 0 where a hole is closed.
        origin: [3] float64 middle of the base in the person's frame.
        from_photos: share of the texture that a photo shows.
    """

    name: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    uv: NDArray[np.float32]
    image: NDArray[np.uint8]
    colors: NDArray[np.uint8]
    seen: NDArray[np.float32]
    origin: NDArray[np.float64]
    from_photos: float


def extract(
    capture: Capture,
    object_id: str | None,
    options: SurfaceOptions | None = None,
    progress: Progress | None = None,
) -> TexturedMesh:
    """Make an object's textured mesh; nothing is written.

    Args:
        capture: with a reconstruction.
        object_id: of an object with masks; None for the whole scene.
        options: how; None for the usual.
        progress: counts the work, and hears what is doubtful; can cancel.

    Raises:
        SurfaceError: no answer, no sure points, or a library is missing.
        Cancelled: the person cancelled.
    """
    options, progress = options or SurfaceOptions(), progress or Progress()
    check_libraries()
    item = None if object_id is None else answered(capture, object_id)
    views = read_views(capture, item, progress)
    volume = fuse_views(views, options.detail, progress, options.smooth)
    progress.stage("Making the mesh", 3)
    # What lies around a scene was seen from inside: closing it would wall it in.
    mesh = mesh_volume(volume, options.fill if item is not None else "none")
    del volume
    progress.step()
    mesh = decimate(mesh, options.faces)
    progress.step()
    uv = unwrap(mesh.vertices, mesh.faces, options.texture)
    progress.step()
    canvas = Canvas(mesh.vertices, mesh.faces, uv, options.texture)
    painted = paint(capture, item, views, canvas, progress)
    unseen = float(mesh.areas[(mesh.seen[mesh.faces] <= SEEN).all(axis=1)].sum())
    if unseen > _MUCH_UNSEEN * mesh.areas.sum():
        progress.warn(
            "surface.guessed",
            f"{100 * unseen / mesh.areas.sum():.0f} % of the surface was seen by no photo.",
            "Fill only small holes, or take photos of the rest.",
        )
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return TexturedMesh(
        name="Scene" if item is None else item.name,
        vertices=(mesh.vertices - origin).astype(np.float32),
        faces=mesh.faces,
        uv=uv,
        image=painted.image,
        colors=painted.vertex_colors,
        seen=mesh.seen,
        origin=origin,
        from_photos=painted.from_photos,
    )


def answered(capture: Capture, object_id: str) -> SceneObject:
    """The object, if it has masks for the cameras that the capture has now.

    Raises:
        SurfaceError: it was never segmented, or the reconstruction is newer than its masks.
    """
    item = capture.object(object_id)
    if not item.segmenter or not item.answered:
        raise SurfaceError(
            "surface.unanswered",
            f"Object {item.name!r} has no masks for this reconstruction yet.",
            "Run `mvsam segment`, or press Propagate in Blender.",
        )
    return item
