# SPDX-License-Identifier: GPL-3.0-or-later
"""pycolmap's own pipeline with its default options, as a method's process.

Features, exhaustive matching and one of its two mappers; of several models the one with the most
photos counts. Its dense stereo needs CUDA and is not run, so it gives cameras only.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pycolmap

from mvsam_engine.evaluate.exchange import Result, write_result
from mvsam_engine.evaluate.methods import Job, read_job


def run(job: Job) -> Result:
    """Map the job's photos with the incremental or the global mapper."""
    photos, out = Path(job.photos), Path(job.out)
    database, models = out / "database.db", out / "models"
    models.mkdir()
    pycolmap.set_random_seed(job.seed)
    times, began = {}, time.monotonic()

    def book(stage: str) -> None:
        nonlocal began
        now = time.monotonic()
        times[stage], began = round(now - began, 2), now

    pycolmap.extract_features(database, photos)
    book("Features")
    pycolmap.match_exhaustive(database)
    book("Matching")
    if job.variant == "global":
        # The global mapper needs focal lengths; COLMAP's own tool calibrates the view graph first.
        pycolmap.calibrate_view_graph(database)
        found = pycolmap.global_mapping(database, photos, models)
    else:
        found = pycolmap.incremental_mapping(database, photos, models)
    book("Mapping")
    best = max(found.values(), key=lambda model: model.num_reg_images(), default=None)
    cameras = {} if best is None else _cameras(best)
    return Result(
        cameras=cameras,
        refused="" if cameras else "The mapper gave no model.",
        stages_s=times,
        version=f"pycolmap {pycolmap.__version__}",
        settings={"mapper": job.variant, "models": len(found), "seed": job.seed},
    )


def _cameras(model: pycolmap.Reconstruction) -> dict[str, np.ndarray]:
    cameras = {}
    for image in model.images.values():
        if image.has_pose:
            matrix = np.eye(4)
            matrix[:3] = image.cam_from_world().matrix()
            cameras[Path(image.name).stem] = matrix
    return cameras


if __name__ == "__main__":
    job = read_job()
    write_result(Path(job.out), run(job))
