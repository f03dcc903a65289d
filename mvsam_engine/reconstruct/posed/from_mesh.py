# SPDX-License-Identifier: GPL-3.0-or-later
"""Pointmaps from a mesh: every pixel's ray is cast, and the photos are asked how far to trust it.

Nothing is invented: a pixel whose ray meets nothing gets no point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import Pointmap
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.dense import ReadPhoto
from mvsam_engine.reconstruct.classical.sources import select_sources
from mvsam_engine.reconstruct.classical.undistort import (
    PhotoGrid,
    WorkingView,
    make_working_view,
    photo_grid,
)
from mvsam_engine.reconstruct.posed.mesh_confidence import (
    Support,
    chance_within_one_percent,
    support,
)
from mvsam_engine.reconstruct.posed.photo_agreement import PhotoAgreement, compare_photos
from mvsam_engine.reconstruct.posed.raycast import Surface, cast_pixels
from mvsam_engine.reconstruct.posed.surface_views import SurfaceSamples, SurfaceViews

# Photos that each photo is compared with.
SOURCES = 3


@dataclass(frozen=True, slots=True)
class MeshView:
    """What came of one view.

    Attributes:
        view: its name.
        known: number of pixels that got a point.
        hit: share of its used pixels whose rays meet the mesh.
        supported: how far the photos confirm the mesh.
    """

    view: str
    known: int
    hit: float
    supported: Support


def pointmaps_from_mesh(
    surface: Surface,
    samples: SurfaceSamples,
    read_photo: ReadPhoto,
    options: ReconstructOptions,
    progress: Progress,
    put: Callable[[Pointmap], None],
) -> list[MeshView]:
    """Cast every view's rays at a mesh, and compare the photos along it.

    Args:
        surface: the mesh in the cameras' world frame.
        samples: its coarse look through the cameras.
        read_photo: gives the photo of a camera and which of its pixels are used.
        options: what the person chose.
        progress: told every finished view.
        put: called with every view's pointmap, one after the other.
    """
    cameras = samples.model.cameras
    sources = select_sources(samples.model, SOURCES)

    def make(index: int) -> WorkingView:
        photo, used = read_photo(cameras[index])
        # The depths that matching would look at play no part here.
        return make_working_view(cameras[index], photo, options.size, 1.0, 2.0, used)

    views = SurfaceViews(surface, make)
    progress.stage("Depth", len(cameras))
    done: list[MeshView] = []
    for index, camera in enumerate(cameras):
        found = compare_photos(views[index], [views[j] for j in sources[index]])
        supported = support(found)
        pointmap, hit = _pointmap(surface, camera, views[index].view, found, supported)
        put(pointmap)
        known = int(np.isfinite(pointmap.points[..., 0]).sum())
        done.append(MeshView(camera.view, known, hit, supported))
        progress.step()
    return done


def _pointmap(
    surface: Surface,
    camera: Camera,
    view: WorkingView,
    found: PhotoAgreement,
    supported: Support,
) -> tuple[Pointmap, float]:
    """The pointmap on the photo's own grid, and the share of used pixels that have a point."""
    grid = photo_grid(view)
    hits = cast_pixels(surface, camera, camera.rays(grid.pixels))
    used = np.ones(hits.hit.shape, bool) if view.used is None else view.used
    known = hits.hit & used
    points = camera.unproject(grid.pixels, hits.distance).astype(np.float32)
    points[~known] = np.nan
    confidence = chance_within_one_percent(_on_grid(found, grid), hits.cosine, supported)
    pointmap = Pointmap(
        view=camera.view,
        points=points,
        confidence=np.where(known, confidence, np.float32(0.0)).astype(np.float16),
        colors=view.colors,
    )
    return pointmap, float(known.sum() / max(int(used.sum()), 1))


def _on_grid(found: PhotoAgreement, grid: PhotoGrid) -> PhotoAgreement:
    """What was found on the canvas, on the photo's grid."""
    return PhotoAgreement(
        score=grid.nearest(found.score),
        margin=grid.nearest(found.margin),
        around=grid.nearest(found.around),
        photos=grid.nearest(found.photos.astype(np.float32)).astype(np.uint8),
        texture=grid.nearest(found.texture),
    )
