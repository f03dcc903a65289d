# SPDX-License-Identifier: GPL-3.0-or-later
"""Running methods on sets: every method answers the same prompts on the same geometry.

One method at a time holds a capture in memory. What fails is told and the rest goes on.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mvsam_engine.capture import Capture, Photo, Prompt, SceneObject, ViewMask
from mvsam_engine.capture.files import inside, write_atomic
from mvsam_engine.errors import MvsamError
from mvsam_engine.evaluate.segmentation.consistency import Surfaces
from mvsam_engine.evaluate.segmentation.geometry import (
    GeometryPlan,
    describe,
    placed_capture,
    unplaced_photos,
)
from mvsam_engine.evaluate.segmentation.judge import Answer, Case, FoundMasks, Judge
from mvsam_engine.evaluate.segmentation.methods import Method
from mvsam_engine.evaluate.segmentation.outcome import Key, Refusal, Run, case_name
from mvsam_engine.evaluate.segmentation.prompts import Asked, PromptPlan, ask
from mvsam_engine.evaluate.segmentation.sets import PhotoIndex, SegmentationSet, TrueMasks
from mvsam_engine.progress import Progress

if TYPE_CHECKING:
    from mvsam_engine.segment import Segmenter

# Mask prompts lie in the capture while they are used, since segmenters read them from there.
_PROMPT_FOLDER = "evaluation"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run on every set.

    Attributes:
        methods: side by side.
        prompts: kinds of prompts.
        seeds: one run for each where chance decides the prompts.
        geometry: of photos without a capture.
        captures: folder that reconstructions are kept in, None to delete them at the end.
        device: of the networks.
        least_area: views that show less than this share of the object's pixels, but some of it,
            are not scored.
        count_unplaced: whether photos without a camera count as empty answers.
    """

    methods: tuple[Method, ...]
    prompts: tuple[PromptPlan, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    geometry: GeometryPlan = field(default_factory=GeometryPlan)
    captures: Path | None = None
    device: str = "auto"
    least_area: float = 0.0
    count_unplaced: bool = False

    def cases(self, method: Method, truth: TrueMasks) -> list[Case]:
        """All that a method is asked about an object."""
        return [
            Case(truth, method, prompt, seed)
            for prompt in self.prompts
            for seed in (self.seeds if prompt.drawn else (0,))
        ]


class Listener:
    """Told of everything while it happens; subclasses keep, print and draw."""

    def wants(self, key: Key, geometry: str, weights: str) -> bool:
        """Whether a run is to be made; False when it is known already.

        Args:
            key: of the run.
            geometry: that it would be made on.
            weights: what tells the method's network file from others.
        """
        return True

    def on_set(self, one: SegmentationSet, capture: Capture) -> None:
        """A set begins."""

    def on_run(self, run: Run, found: FoundMasks) -> None:
        """A run ended, with these masks."""

    def on_refusal(self, refusal: Refusal) -> None:
        """Something could not be measured."""

    def after_set(self, one: SegmentationSet, capture: Capture) -> None:
        """All runs of a set ended."""


def evaluate(
    sets: list[SegmentationSet], plan: Plan, progress: Progress, listener: Listener
) -> None:
    """Run every method with every prompt and seed on every object of every set.

    Args:
        sets: what to measure on.
        plan: what to run.
        progress: counts.
        listener: told of each run; nothing is returned.

    Raises:
        Cancelled: what was told before stays told.
    """
    bench = _Bench(plan, progress, listener)
    with ExitStack() as stack:
        captures = plan.captures or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="mvsam-evaluate-"))
        )
        for one in sets:
            try:
                capture = placed_capture(one, plan.geometry, captures, progress)
                listener.on_set(one, capture)
                bench.run_set(one, capture)
                listener.after_set(one, capture)
            except MvsamError as error:
                listener.on_refusal(Refusal(one.benchmark, one.name, "", str(error)))


class _Bench:
    """Segmenters, loaded once, and what they are run with."""

    def __init__(self, plan: Plan, progress: Progress, listener: Listener) -> None:
        self._plan = plan
        self._progress = progress
        self._listener = listener
        self._segmenters: dict[Method, Segmenter] = {}

    def run_set(self, one: SegmentationSet, capture: Capture) -> None:
        """All methods on a set.

        Raises:
            MvsamError: photos that are not placed, or a damaged capture.
            Cancelled: cancellation was asked for.
        """
        plan, progress = self._plan, self._progress
        unplaced = unplaced_photos(one, capture, plan.count_unplaced)
        index, geometry = PhotoIndex(capture.photos()), describe(capture)
        truths = [TrueMasks(task, index) for task in one.tasks]
        judge: Judge | None = None
        for method in plan.methods:
            weights = method.identity()
            due = [
                case
                for truth in truths
                for case in plan.cases(method, truth)
                if self._listener.wants(case.key(one), geometry, weights)
            ]
            if not due:
                continue
            if judge is None:
                surfaces = Surfaces.of(capture, progress)
                judge = Judge(one, surfaces, geometry, unplaced, plan.least_area)
            try:
                self._run_method(method, due, capture, judge)
            except MvsamError as error:
                self._refuse(one, method.label, error)

    def _run_method(self, method: Method, due: list[Case], capture: Capture, judge: Judge) -> None:
        progress = self._progress
        if method not in self._segmenters:
            self._segmenters[method] = method.load(self._plan.device)
        segmenter = self._segmenters[method]
        segmenter.prepare(capture, progress)
        progress.stage(f"{judge.one.name}: {method.label}", len(due))
        try:
            for case in due:
                try:
                    answer = answer_case(segmenter, capture, case, progress)
                    self._listener.on_run(*judge.judge(case, answer))
                except MvsamError as error:
                    name = case_name(case.truth.task.name, method.label, case.prompt.label)
                    self._refuse(judge.one, name, error)
                progress.step()
        finally:
            segmenter.release()

    def _refuse(self, one: SegmentationSet, what: str, error: MvsamError) -> None:
        self._listener.on_refusal(Refusal(one.benchmark, one.name, what, str(error)))


def answer_case(segmenter: Segmenter, capture: Capture, case: Case, progress: Progress) -> Answer:
    """Ask a prepared segmenter once, with the clock running.

    Raises:
        SegmentationError: prompts that cannot be made or answered.
        Cancelled: cancellation was asked for.
    """
    task = case.truth.task
    photo = case.truth.photo(task.reference)
    asked = ask(case.prompt, case.truth, photo, case.seed)
    with _stored(capture, asked, photo) as prompts:
        item = SceneObject(id="evaluation", name=task.name, prompts=prompts, revision=1)
        first: list[float] = []
        began, cpu_began = time.perf_counter(), time.process_time()

        def on_view(_: ViewMask) -> None:
            first.append(time.perf_counter() - began)

        masks = segmenter.predict(item, _Under(progress), on_view)
        total, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    return Answer(masks, prompts, first[0] if first else total, total, cpu)


@contextmanager
def _stored(capture: Capture, asked: Asked, photo: Photo) -> Iterator[tuple[Prompt, ...]]:
    """The prompts; a mask among them lies in the capture meanwhile, and is removed after.

    Raises:
        CaptureError: the capture cannot be written to.
    """
    if asked.mask is None:
        yield asked.prompts
        return
    name = f"{_PROMPT_FOLDER}/{os.getpid()}.png"
    path = inside(capture.root, name)
    buffer = io.BytesIO()
    Image.fromarray(asked.mask.astype(np.uint8) * 255).save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())
    try:
        yield (*asked.prompts, Prompt("mask", photo.view, mask=name))
    finally:
        path.unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


class _Under(Progress):
    """Progress of one answer: its counts are not shown, cancelling reaches it."""

    def __init__(self, outer: Progress) -> None:
        super().__init__()
        self._outer = outer

    def check(self) -> None:
        """Raise `Cancelled` when that was asked of the outer progress."""
        self._outer.check()

    def on_warning(self, code: str, message: str, remedy: str) -> None:
        """Hand on."""
        self._outer.warn(code, message, remedy)
