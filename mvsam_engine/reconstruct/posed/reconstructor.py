# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own cameras, and perhaps their mesh, as a `Reconstructor`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.files import Transaction
from mvsam_engine.capture.model import Photo, Pointmap, Reconstruction, Setting, Unplaced
from mvsam_engine.capture.store import Capture
from mvsam_engine.photos import read_rgb, read_used
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.posed import reasons
from mvsam_engine.reconstruct.posed.given import Given, given_cameras


class PosedReconstructor:
    """Keeps the cameras as given; depth from the photos, or from the mesh when there is one."""

    name = "posed"

    def reconstruct(
        self,
        capture: Capture,
        options: ReconstructOptions,
        progress: Progress,
        transaction: Transaction,
    ) -> Reconstruction:
        """See `Reconstructor.reconstruct`."""
        if options.cameras is None and options.mesh is None:
            raise reasons.nothing_given()
        photos = capture.photos()
        if not photos:
            raise reasons.no_photos()
        given = given_cameras(capture, photos, options.cameras, progress)
        work = _Work(capture, options, progress, transaction)
        if options.mesh is None:
            found = _from_photos(work, given)
        else:
            found = _from_mesh(work, given, options.mesh)
        unplaced = _unplaced(photos, given, found.left_out)
        if unplaced:
            progress.warn(
                "reconstruct.unplaced",
                f"{len(unplaced)} of {len(photos)} photos have no camera that can be used.",
                "The list of photos tells why for each of them.",
            )
        return Reconstruction(
            cameras=found.cameras,
            unplaced=unplaced,
            method=self.name,
            settings={
                "preset": options.preset,
                "max_size": options.size,
                "seed": options.seed,
                "cameras": given.source,
                **found.settings,
                **given.offset_settings(),
            },
            metric=given.metric,
            upright=given.upright,
            placement=given.placement,
        )


class _Work:
    """One run: where photos come from and pointmaps go."""

    def __init__(
        self,
        capture: Capture,
        options: ReconstructOptions,
        progress: Progress,
        transaction: Transaction,
    ) -> None:
        self.capture, self.options, self.progress = capture, options, progress
        self._transaction = transaction
        self._photos = {photo.view: photo for photo in capture.photos()}

    def read_photo(self, camera: Camera) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        """The upright photo of a camera, and which of its pixels are used."""
        photo = self._photos[camera.view]
        mask = self.capture.photo_mask_path(photo)
        used = None if mask is None else read_used(mask, photo.width, photo.height)
        return read_rgb(self.capture.photo_path(photo)), used

    def put(self, pointmap: Pointmap) -> None:
        """Stage a view's pointmap."""
        self.capture.put_pointmap(pointmap, self._transaction)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What either way of finding depth comes to.

    Attributes:
        cameras: those that have pointmaps.
        left_out: view to the reason, of the given cameras that have none.
        settings: for the record.
    """

    cameras: tuple[Camera, ...]
    left_out: dict[str, str]
    settings: dict[str, Setting]


def _from_photos(work: _Work, given: Given) -> _Found:
    """Depth measured in the photos."""
    from mvsam_engine.reconstruct.posed.photo_depth import measure_depth

    done = measure_depth(
        work.capture, given.model, work.read_photo, work.options, work.progress, work.put
    )
    agreement = float(np.mean(list(done.agreement.values())))
    settings: dict[str, Setting] = {
        "fill": work.options.fill,
        "points": len(done.model.points),
        "points_from": done.model.method,
        "matches": done.verdict.matches,
        "matches_fit": round(done.verdict.share, 4),
        "agreement": round(agreement, 4),
    }
    return _Found(done.model.cameras, done.left_out, settings)


def _from_mesh(work: _Work, given: Given, path: Path) -> _Found:
    """Depth taken from a mesh."""
    from mvsam_engine.reconstruct.posed.mesh import read_mesh
    from mvsam_engine.reconstruct.posed.mesh_depth import depth_from_mesh, in_world

    work.progress.stage("Reading mesh", 1)
    mesh = in_world(read_mesh(path), given)
    work.progress.step()
    done = depth_from_mesh(
        work.capture, given, mesh, work.read_photo, work.options, work.progress, work.put
    )
    settings: dict[str, Setting] = {
        "mesh": path.name,
        "faces": done.faces,
        "mesh_in_view": round(done.hit, 4),
        "mesh_confirmed": None if done.confirmed is None else round(done.confirmed, 4),
    }
    return _Found(given.model.cameras, {}, settings)


def _unplaced(
    photos: tuple[Photo, ...], given: Given, left_out: dict[str, str]
) -> tuple[Unplaced, ...]:
    """Every photo without a usable camera, with the reason, in the order of the photos."""
    reason_of = {u.view: u.reason for u in given.unplaced} | left_out
    return tuple(Unplaced(p.view, reason_of[p.view]) for p in photos if p.view in reason_of)
