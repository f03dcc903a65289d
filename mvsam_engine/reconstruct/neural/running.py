# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a model over all photos: by plan, window by window, joined into one world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.model import Photo
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.neural.answer import GeometryModel
from mvsam_engine.reconstruct.neural.framing import Framing, frame_photos
from mvsam_engine.reconstruct.neural.joining import DOUBTFUL, join, windows
from mvsam_engine.reconstruct.neural.plan import (
    Device,
    Plan,
    is_out_of_memory,
    plans,
    release,
)
from mvsam_engine.reconstruct.neural.settle import Settled, settle

ReadPhoto = Callable[[Photo], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What came of it.

    Attributes:
        settled: views in one world, by number of the photo.
        plan: the one that worked.
        seams: median share of the depth by which windows disagreed, one per joint.
    """

    settled: Settled
    plan: Plan
    seams: tuple[float, ...]


def run_model(
    model: GeometryModel,
    photos: Sequence[Photo],
    read: ReadPhoto,
    device: Device,
    long_side: int,
    progress: Progress,
) -> Run:
    """Run `model` over `photos`.

    Raises:
        ReconstructionError: no plan fits in memory, or the runs cannot be joined.
        Cancelled: between two runs of the network.
    """
    sizes = [(photo.width, photo.height) for photo in photos]
    usual = frame_photos(sizes, model.needs, long_side)
    pixels = usual[0].width * usual[0].height
    failed: Plan | None = None
    for plan in plans(len(photos), pixels, long_side, model.memory, device):
        if failed is not None:
            progress.warn(
                "memory.short",
                f"Memory ended ({failed.sentence(len(photos))}); now {plan.sentence(len(photos))}.",
                "Close other programs, use fewer photos, or choose a smaller model.",
            )
        try:
            return _run(model, photos, read, plan, progress)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failed = plan
        release(plan.device)
    raise ReconstructionError(
        "memory.full",
        f"The memory of this machine is too small for {model.name!r}, even for three photos at a "
        "time.",
        "Choose a smaller model, or --device cpu where the GPU's memory ended.",
    )


def _run(
    model: GeometryModel,
    photos: Sequence[Photo],
    read: ReadPhoto,
    plan: Plan,
    progress: Progress,
) -> Run:
    """One attempt by one plan."""
    model.to(plan.device, plan.precision)
    framings = frame_photos([(p.width, p.height) for p in photos], model.needs, plan.long_side)
    runs = windows(len(photos), plan.window)
    progress.stage(f"Running {model.name}", sum(len(run.members) for run in runs))
    views = {}
    left_out: dict[int, str] = {}
    seams: list[float] = []
    metric = False
    for run in runs:
        progress.check()
        settled = _one(model, photos, framings, run.members, read)
        left_out |= {i: why for i, why in settled.left_out.items() if i not in views}
        metric = settled.metric
        if not views:
            views = dict(settled.views)
        elif settled.views:
            views, off = join(views, settled.views, settled.metric)
            seams.append(off)
        progress.step(len(run.members))
    if seams and max(seams) > DOUBTFUL:
        progress.warn(
            "reconstruct.windows",
            f"The runs of the model disagree by up to {max(seams):.0%} of the depth where they "
            "were joined.",
            "Use fewer photos, or more memory, so that all fit in one run.",
        )
    kept = {i: why for i, why in left_out.items() if i not in views}
    return Run(Settled(dict(sorted(views.items())), kept, metric), plan, tuple(seams))


def _one(
    model: GeometryModel,
    photos: Sequence[Photo],
    framings: Sequence[Framing],
    members: Sequence[int],
    read: ReadPhoto,
) -> Settled:
    """One run of the network; views by number among all photos."""
    images = np.stack([framings[i].image(read(photos[i])) for i in members])
    answer = model.answer(images)
    found = settle(answer, [photos[i] for i in members], [framings[i] for i in members])
    return Settled(
        {members[k]: view for k, view in found.views.items()},
        {members[k]: why for k, why in found.left_out.items()},
        found.metric,
    )
