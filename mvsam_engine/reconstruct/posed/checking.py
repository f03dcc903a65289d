# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the photos' own matches whether the given cameras are right, and makes points of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.model import Photo
from mvsam_engine.capture.store import Capture
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.sfm import run_worker
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, PhotoFacts, load_facts
from mvsam_engine.reconstruct.classical.sparse import SparseModel, load_model, save_model
from mvsam_engine.reconstruct.posed.check_job import CheckJob, Verdict
from mvsam_engine.reconstruct.posed.given import without_points
from mvsam_engine.reconstruct.posed.neighbours import Pair

WORKER = "mvsam_engine.reconstruct.posed.check_worker"


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What the photos' matches say.

    Attributes:
        verdict: whether they fit the cameras.
        facts: by view.
        model: the cameras that fit, with points; None when none were asked for or the cameras
            contradict the photos.
    """

    verdict: Verdict
    facts: dict[str, PhotoFacts]
    model: SparseModel | None


def check_cameras(
    capture: Capture,
    cameras: Sequence[Camera],
    pairs: Sequence[Pair],
    options: ReconstructOptions,
    progress: Progress,
    *,
    triangulate: bool,
) -> Checked:
    """Match photos and compare the matches with their cameras.

    Args:
        capture: holds the photos.
        cameras: as given; their views name the photos.
        pairs: numbers of cameras to match; photos in no pair are not even read.
        options: what the person chose.
        progress: told the stages.
        triangulate: whether to make points of the matches.

    Raises:
        ReconstructionError: the child process died.
        Cancelled: cancellation was asked for.
    """
    asked = sorted({index for pair in pairs for index in pair})
    number = {index: i for i, index in enumerate(asked)}
    photos = {photo.view: photo for photo in capture.photos()}
    chosen = tuple(cameras[i] for i in asked)
    with tempfile.TemporaryDirectory(prefix="mvsam-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "given").mkdir()
        save_model(without_points(chosen), folder / "given")
        job = CheckJob(
            photos=tuple(_job_photo(capture, photos[camera.view]) for camera in chosen),
            folder=name,
            size=options.numbers.feature_size,
            pairs=tuple((number[a], number[b]) for a, b in pairs),
            triangulate=triangulate,
            seed=options.seed,
        )
        run_worker(WORKER, job.save(), folder, progress)
        model = load_model(folder) if (folder / "model.json").is_file() else None
        return Checked(Verdict.load(folder), load_facts(folder), model)


def _job_photo(capture: Capture, photo: Photo) -> JobPhoto:
    mask = capture.photo_mask_path(photo)
    return JobPhoto(
        view=photo.view,
        path=str(capture.photo_path(photo).resolve()),
        width=photo.width,
        height=photo.height,
        focal=None,
        camera_model=photo.camera_model,
        mask="" if mask is None else str(mask.resolve()),
    )
