# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth from a person's mesh for photos whose cameras are given, and whether the two fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mvsam_engine.capture.model import Pointmap
from mvsam_engine.capture.store import Capture
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.warmup import WarmUp
from mvsam_engine.reconstruct.posed import reasons
from mvsam_engine.reconstruct.posed.given import Given
from mvsam_engine.reconstruct.posed.mesh import Mesh
from mvsam_engine.reconstruct.posed.mesh_frame import MeshFrame, mesh_frame
from mvsam_engine.reconstruct.posed.photo_depth import check_all, has_enough_points
from mvsam_engine.reconstruct.posed.raycast import Surface
from mvsam_engine.reconstruct.posed.surface_views import sample_surface

if TYPE_CHECKING:
    from mvsam_engine.reconstruct.classical.dense import ReadPhoto
    from mvsam_engine.reconstruct.posed.from_mesh import MeshView

# Share of the rays that must meet the mesh before anything else is tried.
LEAST_HIT = 0.01
# Share of the textured pixels that the photos must confirm; below, cameras and mesh are checked
# against the photos' own points. A mesh 1.5 % off everywhere reached 0.00, one that is 1.5 % off
# in the median 0.15, one that is 0.7 % off 0.35, the true ones 0.85 and 0.95.
LEAST_CONFIRMED, WELL_CONFIRMED = 0.12, 0.4
# Share of the pixels with a point that must be asked for this share to be worth anything.
LEAST_ASKED = 0.03
# Observations of points that tell where a mesh lies.
LEAST_SEEN = 60


@dataclass(frozen=True, slots=True)
class MeshDepth:
    """What came of a mesh.

    Attributes:
        faces: how many it has.
        hit: mean share of the photos' pixels that see it.
        confirmed: share of its textured pixels that the photos confirm; None when too few could
            be asked.
        empty: views that see nothing of it.
    """

    faces: int
    hit: float
    confirmed: float | None
    empty: tuple[str, ...]


def in_world(mesh: Mesh, given: Given) -> Mesh:
    """The mesh in the world that the cameras are in.

    The mesh is in the person's frame: where they placed the capture's world, when they did; else
    that of the camera file, of which map coordinates were moved near the origin. A mesh that lies
    near the origin already was moved by the program that wrote it.
    """
    if not given.placement.is_default:
        return mesh.transformed(np.linalg.inv(given.placement.transform))
    if not given.offset.any():
        return mesh
    middle = np.median(mesh.vertices, axis=0)
    if np.linalg.norm(middle - given.offset) > np.linalg.norm(middle):
        return mesh
    moved = np.eye(4)
    moved[:3, 3] = -given.offset
    return mesh.transformed(moved)


def depth_from_mesh(
    capture: Capture,
    given: Given,
    mesh: Mesh,
    read_photo: ReadPhoto,
    options: ReconstructOptions,
    progress: Progress,
    put: Callable[[Pointmap], None],
) -> MeshDepth:
    """Cast the rays of all photos at a mesh; refuse what lies elsewhere.

    Args:
        capture: holds the photos.
        given: their cameras.
        mesh: in the cameras' world.
        read_photo: gives the photo of a camera and which of its pixels are used.
        options: what the person chose.
        progress: told every stage and what is doubtful.
        put: called with every pointmap.

    Raises:
        ReconstructionError: mesh, cameras and photos do not belong together.
    """
    warm_up = WarmUp()
    surface = Surface(mesh)
    samples = sample_surface(surface, given.model.cameras, progress)
    if samples.hit.mean() < LEAST_HIT:
        frame = _photos_say(capture, given, surface, options, progress)
        corners = mesh.vertices[np.unique(mesh.faces)]
        raise reasons.mesh_not_in_view(
            float(samples.hit.mean()), frame, corners.min(axis=0), corners.max(axis=0)
        )
    if samples.behind > 0.5:
        progress.warn("mesh.inside_out", *reasons.told(reasons.INSIDE_OUT, samples.behind))
    warm_up.wait(progress)
    from mvsam_engine.reconstruct.posed.from_mesh import pointmaps_from_mesh

    views = pointmaps_from_mesh(surface, samples, read_photo, options, progress, put)
    confirmed = _confirmed(views)
    if len(views) > 1 and (confirmed is None or confirmed < LEAST_CONFIRMED):
        # Photos that cannot be compared along the mesh are as suspicious as photos that differ.
        frame = _photos_say(capture, given, surface, options, progress)
        if frame is not None and not frame.in_place:
            raise reasons.mesh_elsewhere(frame)
    if confirmed is not None and confirmed < WELL_CONFIRMED:
        progress.warn("mesh.doubted", *reasons.told(reasons.MESH_DOUBTED, confirmed))
    empty = tuple(view.view for view in views if view.hit == 0)
    if empty:
        progress.warn(
            "mesh.unseen",
            f"{len(empty)} of {len(views)} photos see nothing of the mesh: {reasons.some(empty)}.",
        )
    return MeshDepth(
        faces=len(mesh.faces),
        hit=float(np.mean([view.hit for view in views])),
        confirmed=confirmed,
        empty=empty,
    )


def _confirmed(views: list[MeshView]) -> float | None:
    """Share of the textured pixels that the photos confirm; None when too few were asked."""
    asked = sum(view.supported.asked for view in views)
    if asked < LEAST_ASKED * sum(view.known for view in views):
        return None
    return sum(view.supported.confirmed for view in views) / max(asked, 1)


def _photos_say(
    capture: Capture,
    given: Given,
    surface: Surface,
    options: ReconstructOptions,
    progress: Progress,
) -> MeshFrame | None:
    """Where the mesh lies to the photos' own points; None when they have too few to tell.

    Raises:
        ReconstructionError: it is the cameras that contradict the photos.
    """
    model = given.model
    if not has_enough_points(model):
        if len(model.cameras) < 2:
            return None
        checked = check_all(capture, model, options, progress, triangulate=True)
        if checked.model is None:
            return None
        model = checked.model
    return mesh_frame(surface, model) if len(model.seen_point) >= LEAST_SEEN else None
