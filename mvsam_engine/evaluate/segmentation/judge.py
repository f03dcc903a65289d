# SPDX-License-Identifier: GPL-3.0-or-later
"""One answer of a segmenter, scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import mvsam_engine
from mvsam_engine.capture import MaskSet, Prompt
from mvsam_engine.evaluate.segmentation.consistency import Surfaces
from mvsam_engine.evaluate.segmentation.methods import Method
from mvsam_engine.evaluate.segmentation.metrics import ViewScores, iou, score_view
from mvsam_engine.evaluate.segmentation.outcome import Key, Run
from mvsam_engine.evaluate.segmentation.prompts import PromptPlan
from mvsam_engine.evaluate.segmentation.sets import SegmentationSet, TrueMasks
from mvsam_engine.segment.masks import full_size_mask


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What one run is of: an object, asked for once, by one method."""

    truth: TrueMasks
    method: Method
    prompt: PromptPlan
    seed: int

    def key(self, one: SegmentationSet) -> Key:
        """Of its run on a set."""
        name = self.truth.task.name
        label, prompt = self.method.label, self.prompt.label
        return (one.benchmark, one.name, name, label, prompt, self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a segmenter answered, and what it cost.

    Attributes:
        masks: of all placed views.
        prompts: that it was asked with.
        first_s: seconds to the first mask.
        all_s: seconds to all masks.
        cpu_s: processor seconds to all masks, which another program's load changes less.
    """

    masks: MaskSet
    prompts: tuple[Prompt, ...]
    first_s: float
    all_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, eq=False)
class FoundMasks:
    """The masks of an answer by photo; made when asked for, since many at full size are large.

    Attributes:
        truth: of the task.
        masks: the answer.
    """

    truth: TrueMasks
    masks: MaskSet

    def read(self, name: str) -> NDArray[np.bool_]:
        """The found mask [H, W] at the true one's resolution; empty in a photo without a camera."""
        height, width = self.truth.read(name).shape
        photo = self.truth.index.find(name)
        view = "" if photo is None else photo.view
        found = next((mask for mask in self.masks.masks if mask.view == view), None)
        if found is None:
            return np.zeros((height, width), bool)
        return full_size_mask(found.logits, width, height)


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Scores answers on one set.

    Attributes:
        one: the set.
        surfaces: of its capture.
        geometry: in a phrase.
        unplaced: by task, scored photos without a camera; they count as empty answers.
        least_area: views that show less than this share of the object's pixels are not scored.
    """

    one: SegmentationSet
    surfaces: Surfaces
    geometry: str
    unplaced: Mapping[str, tuple[str, ...]]
    least_area: float = 0.0

    def judge(self, case: Case, answer: Answer) -> tuple[Run, FoundMasks]:
        """Score an answer; gives the run and the masks that were found."""
        task, truth = case.truth.task, case.truth
        found = FoundMasks(truth, answer.masks)
        unplaced = self.unplaced[task.name]
        views: dict[str, ViewScores] = {}
        absent: dict[str, bool] = {}
        for name in task.scored:
            true = truth.read(name)
            if not true.any():
                # Nothing was decided in a photo without a camera, so it is not right either.
                if name not in unplaced:
                    absent[name] = not found.read(name).any()
            elif true.mean() >= self.least_area:
                views[name] = score_view(found.read(name), true)
        run = Run(
            benchmark=self.one.benchmark,
            set=self.one.name,
            object=task.name,
            method=case.method.label,
            prompt=case.prompt.label,
            seed=case.seed,
            reference=task.reference,
            views=views,
            absent=absent,
            reference_iou=_reference_iou(truth, found),
            consistency=self.surfaces.consistency(answer.masks),
            first_s=round(answer.first_s, 3),
            all_s=round(answer.all_s, 3),
            cpu_s=round(answer.cpu_s, 3),
            photos=len(answer.masks.masks),
            geometry=self.geometry,
            unplaced=list(unplaced),
            clicks=[[*p.xy[0], float(p.include)] for p in answer.prompts if p.kind == "point"],
            weights=case.method.identity(),
            version=mvsam_engine.__version__,
        )
        return run, found


def _reference_iou(truth: TrueMasks, found: FoundMasks) -> float | None:
    """Of the prompted photo; None without a true mask that shows the object there."""
    name = truth.task.reference
    if name not in truth.task.masks or not truth.read(name).any():
        return None
    return iou(found.read(name), truth.read(name))
