# SPDX-License-Identifier: GPL-3.0-or-later
"""Any geometry model as a `Reconstructor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.files import Transaction
from mvsam_engine.capture.model import Photo, Pointmap, Reconstruction, Setting, Unplaced
from mvsam_engine.capture.store import Capture
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.photos import read_rgb, read_used
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.images import shrink
from mvsam_engine.reconstruct.neural.answer import GeometryModel
from mvsam_engine.reconstruct.neural.calibrate import Calibration, calibrate
from mvsam_engine.reconstruct.neural.plan import pick_device
from mvsam_engine.reconstruct.neural.resample import grid_size, to_grid
from mvsam_engine.reconstruct.neural.running import Run, run_model
from mvsam_engine.reconstruct.neural.settle import SettledView
from mvsam_engine.reconstruct.normalise import VIEWING_DISTANCE, world_change

# Share of a model's own image size that a preset's quick look gets by with.
DRAFT_SIZE = 0.65
# Of the points that other photos should see too, this share must be confirmed to be shown without
# a word, and the second to be shown at all.
DOUBTFUL, HOPELESS = 0.25, 0.04
# Photos that are cut by more than this are told of.
MUCH_CUT = 0.1


class NeuralReconstructor:
    """A geometry model behind the common interface.

    Args:
        name: as in ``--geometry NAME``.
        load: makes the model, with its weights; called when photos are to be reconstructed.
    """

    def __init__(self, name: str, load: Callable[[], GeometryModel]) -> None:
        self.name, self._load = name, load

    def reconstruct(
        self,
        capture: Capture,
        options: ReconstructOptions,
        progress: Progress,
        transaction: Transaction,
    ) -> Reconstruction:
        """See `Reconstructor.reconstruct`."""
        photos = capture.photos()
        if not photos:
            raise ReconstructionError(
                "reconstruct.empty", "The capture holds no photos.", "Add at least one photo."
            )
        device = pick_device(options.device)
        progress.stage(f"Loading {self.name}", 1)
        model = self._load()
        progress.step()
        long_side = model.needs.long_side
        if options.preset == "draft":
            long_side = round(long_side * DRAFT_SIZE)

        def read(photo: Photo) -> NDArray[np.uint8]:
            return read_rgb(capture.photo_path(photo))

        run = run_model(model, photos, read, device, long_side, progress)
        if not run.settled.views:
            raise _nothing(self.name, run)
        calibration = calibrate(list(run.settled.views.values()), model.prior)
        _judge(self.name, run, calibration, progress)
        views, upright = _in_people_frame(run)
        put_views(capture, views, photos, calibration, options, progress, transaction)
        return Reconstruction(
            cameras=tuple(view.camera for view in views.values()),
            unplaced=tuple(Unplaced(photos[i].view, w) for i, w in run.settled.left_out.items()),
            method=self.name,
            settings=_settings(options, run, calibration),
            metric=run.settled.metric,
            upright=upright,
        )


def _in_people_frame(run: Run) -> tuple[dict[int, SettledView], bool]:
    """The views upright and centred, of a usual size unless their unit is a metre; upright?"""
    views = run.settled.views
    some: list[NDArray[np.float64]] = []
    distances: list[float] = []
    for view in views.values():
        points = view.world_points().reshape(-1, 3)
        points = points[np.isfinite(points).all(axis=1)]
        some.append(points[:: max(1, len(points) // 2000)].astype(np.float64))
        distances.append(float(np.nanmedian(view.depth)))
    distance = VIEWING_DISTANCE if run.settled.metric else float(np.median(distances))
    cameras = tuple(view.camera for view in views.values())
    change = world_change(cameras, np.concatenate(some), distance)
    return {i: v.moved(change.scale, change.matrix) for i, v in views.items()}, change.upright


def put_views(
    capture: Capture,
    views: dict[int, SettledView],
    photos: Sequence[Photo],
    calibration: Calibration,
    options: ReconstructOptions,
    progress: Progress,
    transaction: Transaction,
) -> None:
    """Stage the pointmap of every view."""
    progress.stage("Writing points", len(views))
    for i, view in views.items():
        photo = photos[i]
        width, height = grid_size(view.framing, options.size)
        depth, raw, pixels = to_grid(view, width, height)
        mask = capture.photo_mask_path(photo)
        if mask is not None:
            used = read_used(mask, photo.width, photo.height)
            at = np.minimum(pixels.astype(np.int64), [photo.width - 1, photo.height - 1])
            depth[~used[at[..., 1], at[..., 0]]] = np.nan
        confidence = np.where(np.isfinite(depth), calibration(raw), 0.0)
        capture.put_pointmap(
            Pointmap(
                view=photo.view,
                points=view.camera.unproject(pixels, depth).astype(np.float32),
                confidence=confidence.astype(np.float16),
                colors=shrink(read_rgb(capture.photo_path(photo)), width, height),
            ),
            transaction,
        )
        progress.step()


def _judge(name: str, run: Run, calibration: Calibration, progress: Progress) -> None:
    """Refuse nonsense and say what is doubtful: a model always has an answer."""
    agreement, views = calibration.agreement, run.settled.views
    if agreement is not None and calibration.answers >= 500 and agreement < HOPELESS:
        raise ReconstructionError(
            "reconstruct.disagreement",
            f"What {name!r} makes of the photos contradicts itself: of the points that another "
            f"photo should show too, only {agreement:.1%} are there.",
            "The weights may be damaged or not trained; or the photos do not belong together. Try "
            "another --geometry.",
        )
    if agreement is not None and agreement < DOUBTFUL:
        progress.warn(
            "reconstruct.doubtful",
            f"Only {agreement:.0%} of the points that another photo should show too are there.",
            "Look at the points before you rely on them; the confidence tells which are poor.",
        )
    cut = {i: 1 - view.framing.covers for i, view in views.items()}
    much = [share for share in cut.values() if share > MUCH_CUT]
    if much:
        progress.warn(
            "reconstruct.cut",
            f"{len(much)} photos of other shapes were cut to the common middle; up to "
            f"{max(much):.0%} of them has no points.",
            "Reconstruct upright and wide photos apart, or use a model that pads (vggt).",
        )
    if run.settled.left_out:
        progress.warn(
            "reconstruct.unplaced",
            f"{len(run.settled.left_out)} photos could not be placed.",
            "The list of photos tells why for each of them.",
        )


def _nothing(name: str, run: Run) -> ReconstructionError:
    why = next(iter(run.settled.left_out.values()), "The model found nothing.")
    return ReconstructionError(
        "reconstruct.nothing",
        f"{name!r} made nothing of the photos. {why}",
        "Try other photos, or another --geometry.",
    )


def _settings(
    options: ReconstructOptions, run: Run, calibration: Calibration
) -> dict[str, Setting]:
    plan = run.plan
    return {
        "preset": options.preset,
        "max_size": options.size,
        "seed": options.seed,
        "device": plan.device,
        "precision": plan.precision,
        "window": plan.window,
        "network_size": plan.long_side,
        "seam": round(max(run.seams), 4) if run.seams else None,
        "agreement": None if calibration.agreement is None else round(calibration.agreement, 4),
    }
