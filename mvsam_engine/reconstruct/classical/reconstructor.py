# SPDX-License-Identifier: GPL-3.0-or-later
"""The classical route as a `Reconstructor`: places the photos, measures depth, refuses nonsense."""

from __future__ import annotations

import tempfile

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.files import Transaction
from mvsam_engine.capture.model import Photo, Pointmap, Reconstruction, Unplaced
from mvsam_engine.capture.store import Capture
from mvsam_engine.photos import read_rgb, read_used
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.reasons import (
    no_model,
    no_parallax,
    reason,
    too_few_photos,
    too_small,
)
from mvsam_engine.reconstruct.classical.sfm import run_sfm
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, PhotoFacts, SfmJob
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.support import LEAST_ANGLE, viewing_angle
from mvsam_engine.reconstruct.classical.warmup import WarmUp
from mvsam_engine.reconstruct.normalise import WorldChange, world_change

# Photos with a shorter long side hold too few features to be placed.
SMALLEST_PHOTO = 160
# Factor between two focal lengths that are still called the same.
SAME_FOCAL = 1.25


class ClassicalReconstructor:
    """SIFT and structure from motion, then plane sweep, PatchMatch, agreement and filling."""

    name = "classical"

    def reconstruct(
        self,
        capture: Capture,
        options: ReconstructOptions,
        progress: Progress,
        transaction: Transaction,
    ) -> Reconstruction:
        """See `Reconstructor.reconstruct`."""
        photos = capture.photos()
        if len(photos) < 2:
            raise too_few_photos(len(photos))
        warm_up = WarmUp()
        model, facts = _place(capture, photos, options, progress)
        _warn_of_focal(model, photos, progress)
        model, change = _in_people_frame(model)
        warm_up.wait(progress)
        model, agreement = _densify(capture, model, options, progress, transaction)
        for view, share in agreement.items():
            facts[view].agreement = share
        unplaced = _unplaced(photos, model, facts)
        if unplaced:
            progress.warn(
                "reconstruct.unplaced",
                f"{len(unplaced)} of {len(photos)} photos could not be placed.",
                "The list of photos tells why for each of them.",
            )
        return Reconstruction(
            cameras=model.cameras,
            unplaced=unplaced,
            method=self.name,
            settings={
                "preset": options.preset,
                "max_size": options.size,
                "seed": options.seed,
                "fill": options.fill,
                "feature_size": options.numbers.feature_size,
                "mapper": model.method,
                "points": len(model.points),
                "agreement": round(float(np.mean(list(agreement.values()))), 4),
            },
            metric=False,
            upright=change.upright,
        )


def _is_large_enough(photo: Photo) -> bool:
    return max(photo.width, photo.height) >= SMALLEST_PHOTO


def _place(
    capture: Capture, photos: tuple[Photo, ...], options: ReconstructOptions, progress: Progress
) -> tuple[SparseModel, dict[str, PhotoFacts]]:
    """Cameras that are well supported, in the order of the photos.

    Raises:
        ReconstructionError: fewer than two photos are, or nothing has depth.
    """
    usable = [photo for photo in photos if _is_large_enough(photo)]
    if len(usable) < 2:
        raise too_small(SMALLEST_PHOTO)
    with tempfile.TemporaryDirectory(prefix="mvsam-", ignore_cleanup_errors=True) as folder:
        job = SfmJob(
            photos=tuple(
                JobPhoto(
                    view=photo.view,
                    path=str(capture.photo_path(photo).resolve()),
                    width=photo.width,
                    height=photo.height,
                    focal=photo.focal,
                    camera_model=photo.camera_model,
                    mask="" if (mask := capture.photo_mask_path(photo)) is None else str(mask),
                )
                for photo in usable
            ),
            folder=folder,
            size=options.numbers.feature_size,
            seed=options.seed,
        )
        model, facts = run_sfm(job, progress)
    if model is None:
        raise no_model(facts)
    if viewing_angle(model) < LEAST_ANGLE:
        raise no_parallax()
    order = {photo.view: i for i, photo in enumerate(photos)}
    ranks = sorted(range(len(model.cameras)), key=lambda i: order[model.cameras[i].view])
    return model.keep(ranks), facts


def _warn_of_focal(model: SparseModel, photos: tuple[Photo, ...], progress: Progress) -> None:
    """Say when the lens that was found is not the one that EXIF tells of."""
    told = {photo.view: photo.focal for photo in photos if photo.focal}
    strange = [
        (camera.params[0], told[camera.view])
        for camera in model.cameras
        if camera.view in told
        and not 1 / SAME_FOCAL < camera.params[0] / told[camera.view] < SAME_FOCAL
    ]
    if strange:
        found, said = np.median(np.array(strange), axis=0)
        progress.warn(
            "reconstruct.focal",
            f"The focal length found (about {found:.0f} pixels, {len(strange)} of the photos) is "
            f"not what EXIF says (about {said:.0f}).",
            "Photos that were cropped or zoomed by software are like this; otherwise look at the "
            "result with care.",
        )


def _in_people_frame(model: SparseModel) -> tuple[SparseModel, WorldChange]:
    """The model centred, scaled and turned upright."""
    centers = np.array([camera.center for camera in model.cameras])
    rays = model.points[model.seen_point] - centers[model.seen_by]
    distance = float(np.median(np.linalg.norm(rays, axis=1)))
    seen = np.unique(model.seen_point)
    change = world_change(model.cameras, model.points[seen], distance)
    return model.transformed(change.scale, change.matrix), change


def _densify(
    capture: Capture,
    model: SparseModel,
    options: ReconstructOptions,
    progress: Progress,
    transaction: Transaction,
) -> tuple[SparseModel, dict[str, float]]:
    """Stage the pointmap of every view that others confirm.

    Returns:
        The model of those views, and for every view the share of its pixels whose depth other
        views confirm.

    Raises:
        ReconstructionError: the views contradict each other, so the cameras are wrong.
    """
    from mvsam_engine.reconstruct.classical.dense import densify

    photos = {photo.view: photo for photo in capture.photos()}
    confirmed: set[str] = set()

    def read(camera: Camera) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
        photo = photos[camera.view]
        mask = capture.photo_mask_path(photo)
        used = None if mask is None else read_used(mask, photo.width, photo.height)
        return read_rgb(capture.photo_path(photo)), used

    def put(pointmap: Pointmap) -> None:
        capture.put_pointmap(pointmap, transaction)
        confirmed.add(pointmap.view)

    agreement = densify(model, read, options, progress, put)
    kept = [i for i, camera in enumerate(model.cameras) if camera.view in confirmed]
    return model.keep(kept), agreement


def _unplaced(
    photos: tuple[Photo, ...], model: SparseModel, facts: dict[str, PhotoFacts]
) -> tuple[Unplaced, ...]:
    """Every photo without a camera, with the reason."""
    placed = {camera.view for camera in model.cameras}
    return tuple(
        Unplaced(photo.view, reason(photo, facts.get(photo.view)))
        for photo in photos
        if photo.view not in placed
    )
