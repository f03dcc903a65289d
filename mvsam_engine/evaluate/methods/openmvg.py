# SPDX-License-Identifier: GPL-3.0-or-later
"""openmvg-rs (structure from motion in Rust) with its default options, as a method's process.

It gives cameras and a sparse cloud; it has no dense step. A ``K.txt`` beside photos would fix the
intrinsics; the folder that it is given here holds photos only.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openmvg_rs

from mvsam_engine.evaluate.exchange import Result, write_result
from mvsam_engine.evaluate.methods import Job, read_job


def run(job: Job) -> Result:
    """Reconstruct the job's photos."""
    settings = {"engine": job.variant, "seed": job.seed}
    version = f"openmvg-rs {openmvg_rs.__version__}"
    try:
        scene = openmvg_rs.reconstruct(
            job.photos, engine=job.variant, seed=job.seed, progress=False
        )
    except openmvg_rs.NoReconstructionError as error:
        return Result(refused=_sentence(error), version=version, settings=settings)
    cameras = {}
    for view in scene.views:
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = view.pose.rotation, view.pose.translation
        cameras[view.image.stem] = matrix
    return Result(
        cameras=cameras,
        refused="" if cameras else "It registered no photo.",
        unplaced={path.stem: "" for path in scene.unregistered_images},
        version=version,
        settings=settings | {"intrinsics": str(scene.intrinsics_mode)},
    )


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    job = read_job()
    write_result(Path(job.out), run(job))
