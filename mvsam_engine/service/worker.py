# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service does for each request, and what it keeps warm between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mvsam_engine import doctor, jobs, memory
from mvsam_engine.capture import Capture, ViewMask
from mvsam_engine.capture.schema import object_from_json, object_to_json, placement_to_json
from mvsam_engine.fields import JsonObject
from mvsam_engine.memory import MemoryShortError
from mvsam_engine.progress import Progress
from mvsam_engine.protocol import (
    DeleteParams,
    ForecastParams,
    ForecastResult,
    FoundLength,
    PlaceParams,
    PlaceResult,
    PrepareParams,
    PreviewParams,
    ReconstructParams,
    ReconstructResult,
    Request,
    SegmentParams,
    SegmentResult,
    ViewAnsweredNote,
    to_json,
)
from mvsam_engine.service.channel import Channel
from mvsam_engine.service.previewing import preview
from mvsam_engine.service.wishes import wish_of

if TYPE_CHECKING:
    from mvsam_engine.segment import Segmenter


class Worker:
    """Runs jobs one at a time; the last segmenter stays in memory with its capture."""

    METHODS = frozenset(
        {
            "doctor",
            ForecastParams.METHOD,
            ReconstructParams.METHOD,
            PrepareParams.METHOD,
            SegmentParams.METHOD,
            DeleteParams.METHOD,
            PlaceParams.METHOD,
            PreviewParams.METHOD,
        }
    )

    def __init__(self) -> None:
        self._segmenters: dict[tuple[str, str], Segmenter] = {}

    def do(self, request: Request, progress: Progress, channel: Channel) -> JsonObject:
        """Do a request of `METHODS` and give its result.

        Raises:
            MvsamError: it cannot be done, in a sentence.
            Cancelled: it was cancelled.
        """
        params = request.params
        answers: dict[str, Callable[[], JsonObject]] = {
            ForecastParams.METHOD: lambda: _forecast(ForecastParams.from_json(params)),
            ReconstructParams.METHOD: lambda: self._reconstruct(
                ReconstructParams.from_json(params), progress
            ),
            PrepareParams.METHOD: lambda: self._prepare(PrepareParams.from_json(params), progress),
            SegmentParams.METHOD: lambda: self._segment(request, progress, channel),
            DeleteParams.METHOD: lambda: self._delete(DeleteParams.from_json(params)),
            PlaceParams.METHOD: lambda: self._place(PlaceParams.from_json(params), progress),
            PreviewParams.METHOD: lambda: to_json(
                preview(PreviewParams.from_json(params), self._segmenters.values())
            ),
            "doctor": doctor.report,
        }
        try:
            return answers[request.method]()
        except MemoryShortError:
            # What is only kept warm may be what is missing now.
            self._segmenters.clear()
            memory.release()
            raise

    def _reconstruct(self, params: ReconstructParams, progress: Progress) -> JsonObject:
        from mvsam_engine.photos import IntakeOptions
        from mvsam_engine.reconstruct import ReconstructOptions, method_for

        began = time.monotonic()
        options = ReconstructOptions(
            preset=params.preset,
            max_size=params.max_size or None,
            device=params.device,
            cameras=Path(params.cameras) if params.cameras else None,
            mesh=Path(params.mesh) if params.mesh else None,
        )
        root, sources = Path(params.capture), [Path(p) for p in params.photos]
        if params.careful:
            jobs.refuse_if_short(root, sources, options, params.recursive)
        _, reconstruction = jobs.reconstruct_photos(
            root,
            sources,
            method_for(params.geometry, options),
            options,
            progress,
            IntakeOptions(
                masks=Path(params.masks) if params.masks else None,
                masks_invert=params.masks_invert,
                every=params.every or None,
                recursive=params.recursive,
            ),
        )
        return to_json(
            ReconstructResult(
                views=tuple(c.view for c in reconstruction.cameras),
                unplaced=tuple((u.view, u.reason) for u in reconstruction.unplaced),
                seconds=round(time.monotonic() - began, 2),
            )
        )

    def _prepare(self, params: PrepareParams, progress: Progress) -> JsonObject:
        capture = Capture.open(Path(params.capture))
        capture.require_reconstruction()
        with capture.writing(), memory.told_when_short(*jobs.SEGMENT_SHORT):
            self._segmenter(params.segmenter, params.device).prepare(capture, progress)
        return {}

    def _segment(self, request: Request, progress: Progress, channel: Channel) -> JsonObject:
        began = time.monotonic()
        params = SegmentParams.from_json(request.params)
        item = object_from_json(params.object)
        capture = Capture.open(Path(params.capture))

        def tell(mask: ViewMask) -> None:
            channel.send(ViewAnsweredNote(request.id, item.id, item.revision, mask.view))

        with memory.told_when_short(*jobs.SEGMENT_SHORT):
            segmenter = self._segmenter(params.segmenter, params.device)
        stored = jobs.segment_object(capture, item, segmenter, progress, tell)
        return to_json(
            SegmentResult(
                object_id=stored.id,
                revision=stored.answered,
                object=object_to_json(stored),
                seconds=round(time.monotonic() - began, 3),
            )
        )

    def _delete(self, params: DeleteParams) -> JsonObject:
        capture = Capture.open(Path(params.capture))
        with capture.writing(), capture.transaction() as transaction:
            capture.delete_object(params.object_id, transaction)
        return {}

    def _place(self, params: PlaceParams, progress: Progress) -> JsonObject:
        capture = Capture.open(Path(params.capture))
        placed = jobs.place_world(capture, wish_of(params), progress)
        return to_json(
            PlaceResult(
                placement=placement_to_json(placed.placement),
                up_from=placed.up_from,
                up_degrees=placed.up_degrees,
                lengths=tuple(FoundLength(r.label, r.metres, r.found) for r in placed.residuals),
                sentences=placed.sentences,
            )
        )

    def _segmenter(self, name: str, device: str) -> Segmenter:
        from mvsam_engine.segment import DEFAULT_SEGMENTER, load_segmenter

        key = (name or DEFAULT_SEGMENTER, device)
        if key not in self._segmenters:
            self._segmenters.clear()  # before the next is loaded: two may be too much
            self._segmenters[key] = load_segmenter(*key)
        return self._segmenters[key]


def _forecast(params: ForecastParams) -> JsonObject:
    from mvsam_engine.reconstruct import ReconstructOptions

    options = ReconstructOptions(
        preset=params.preset,
        max_size=params.max_size or None,
        cameras=Path(params.cameras) if params.cameras else None,
        mesh=Path(params.mesh) if params.mesh else None,
    )
    photos = [Path(photo) for photo in params.photos]
    expected = jobs.forecast_photos(Path(params.capture), photos, options, params.recursive)
    return to_json(
        ForecastResult(
            photos=expected.photos,
            seconds=round(expected.seconds, 1),
            memory_mb=round(expected.memory_mb),
            free_memory_mb=round(expected.free_memory_mb or 0),
            fits=expected.fits,
            smaller_preset=expected.smaller,
            sentence=expected.sentence(),
        )
    )
