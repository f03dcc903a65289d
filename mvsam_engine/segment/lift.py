# SPDX-License-Identifier: GPL-3.0-or-later
"""The default segmenter: masks fused on the 3D points and fed back to SAM in every view.

1. SAM answers the person's prompts in the views they were given in; where a click may mean a
   part or the whole, a few other views settle it (`segment.scale`).
2. Each 3D point gets one weight from the masks of all views that see it (`fusion.fuse`).
3. Each view's weights become points, a box and a mask, with which SAM is asked there; of its
   answers the one that agrees best with the weights is kept, or the weights themselves where none
   does.
4. Steps 2 and 3 repeat with all views' masks.

A view in which no point of the object is seen gets an empty mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import ViewMask
from mvsam_engine.progress import Progress
from mvsam_engine.segment.base import (
    ABSENT_LOGIT,
    OnView,
    PreparedScene,
    Segmenter,
    absent_mask,
    decode_with_progress,
    first_answers,
    on_cells,
    probability,
    view_mask,
)
from mvsam_engine.segment.fusion import (
    OBJECT,
    PROMPT_GAIN,
    Fused,
    agreement,
    fuse,
    joined_prompts,
    prompts_from_fused,
)
from mvsam_engine.segment.hints import Hints
from mvsam_engine.segment.sam import Sam, SamAnswer, SamPrompts
from mvsam_engine.segment.scale import Asked, point_fit, settled_choice
from mvsam_engine.segment.scene import SceneView
from mvsam_engine.segment.visibility import UNSEEN


@dataclass(frozen=True, slots=True)
class LiftOptions:
    """Numbers of the method; the defaults were chosen by `benchmarks/segmentation.py`.

    Attributes:
        rounds: how often masks are fused and fed back.
        person_trust: say of a view with prompts; a view without has at most 1.
        score_weight: what SAM's own score of a candidate counts, against 1 for its agreement.
        least_agreement: SAM's mask is kept when its agreement with the weights is above.
        witnesses: other views that are asked whether a candidate is an object of its own.
        least_area: share of a view's cells that must be object for it to be present.
    """

    rounds: int = 2
    person_trust: float = 1.0
    score_weight: float = 0.5
    least_agreement: float = 0.4
    witnesses: int = 5
    least_area: float = 0.0005


class LiftSegmenter(Segmenter):
    """See the module.

    Args:
        sam: encoder and decoder.
        options: numbers of the method.
    """

    name = "lift"

    def __init__(self, sam: Sam, options: LiftOptions | None = None) -> None:
        super().__init__(sam)
        self._options = options or LiftOptions()

    def _answer(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        progress: Progress,
        on_view: OnView | None,
    ) -> list[ViewMask]:
        options, views = self._options, scene.views
        progress.stage("Masks", len(hints) + options.rounds * len(views))
        asked = first_answers(self._sam, scene, hints, on_view)
        logits = {i: self._settled(scene, i, one) for i, one in asked.items()}
        progress.step(len(hints))
        trust = dict.fromkeys(logits, options.person_trust)
        for number in range(options.rounds):
            fused = self._fuse_all(scene, logits, trust)
            fixed = set(logits) if number == 0 else set()
            new = self._ask_all(scene, hints, fused, fixed, progress)
            logits = new | {i: logits[i] for i in fixed}
            trust = self._trust(logits, fused, hints)
        fused = self._fuse_all(scene, logits, trust)
        return [self._final(view, logits.get(i), fused[i]) for i, view in enumerate(views)]

    def _settled(self, scene: PreparedScene, i: int, asked: Asked) -> NDArray[np.float32]:
        """Logits [cells] of the candidate that view `i` and the views beside it settle on."""
        view = scene.views[i]
        partners = scene.tables.partners(i)

        def agreement_elsewhere(row: int) -> float | None:
            mask = probability(on_cells(view, asked.answer, row))
            object_cells = mask > OBJECT
            shared = {
                j: int((table[object_cells] != UNSEEN).sum()) for j, table in partners.items()
            }
            witnesses = sorted(shared, key=lambda j: -shared[j])[: self._options.witnesses]
            fused = {j: fuse(j, scene.views, scene.tables, {i: mask}, {i: 1.0}) for j in witnesses}
            questions = {j: prompts_from_fused(f, scene.views[j].frame) for j, f in fused.items()}
            put = {j: prompts for j, prompts in questions.items() if prompts is not None}
            embeddings = [scene.views[j].embedding for j in put]
            answers = self._sam.predict(embeddings, list(put.values())) if put else []
            best = [
                max(
                    agreement(probability(on_cells(scene.views[j], answer, k)), fused[j])
                    for k in range(len(answer.logits))
                )
                for j, answer in zip(put, answers, strict=True)
            ]
            return float(np.mean(best)) if best else None

        return on_cells(view, asked.answer, settled_choice(asked, agreement_elsewhere))

    def _fuse_all(
        self,
        scene: PreparedScene,
        logits: dict[int, NDArray[np.float32]],
        trust: dict[int, float],
    ) -> list[Fused]:
        masks = {i: probability(one) for i, one in logits.items()}
        return [fuse(i, scene.views, scene.tables, masks, trust) for i in range(len(scene.views))]

    def _ask_all(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        fused: list[Fused],
        fixed: set[int],
        progress: Progress,
    ) -> dict[int, NDArray[np.float32]]:
        """Logits [cells] of every view that sees the object and is not among `fixed`."""
        asked: dict[int, SamPrompts] = {}
        for i, view in enumerate(scene.views):
            prompts = self._prompts(view, hints.get(i), fused[i])
            if prompts is not None and i not in fixed:
                asked[i] = prompts
        progress.step(len(scene.views) - len(asked))
        answers = decode_with_progress(
            self._sam, [scene.views[i] for i in asked], list(asked.values()), progress
        )
        return {
            i: self._chosen(scene.views[i], answer, fused[i], hints.get(i))
            for i, answer in zip(asked, answers, strict=True)
        }

    def _prompts(self, view: SceneView, hint: Hints | None, fused: Fused) -> SamPrompts | None:
        """What to ask in a view; None when the object is not seen there."""
        derived = None
        if fused.solid_area(view.shape) >= self._options.least_area:
            derived = prompts_from_fused(fused, view.frame)
        if hint is None or not (hint.says_where or derived is not None):
            return derived
        own = hint.sam_prompts(view.frame)
        return own if derived is None else joined_prompts(own, derived)

    def _chosen(
        self, view: SceneView, answer: SamAnswer, fused: Fused, hint: Hints | None
    ) -> NDArray[np.float32]:
        """The candidate that agrees best with the weights and with the person's own points.

        Where no candidate agrees with the weights, these themselves, unless a person said
        something in this very view.
        """
        candidates = [on_cells(view, answer, row) for row in range(len(answer.logits))]
        agreements = np.array([agreement(probability(c), fused) for c in candidates])
        merits = agreements + self._options.score_weight * answer.scores
        if hint is not None:
            merits = merits + point_fit(answer.logits, hint.sam_prompts(view.frame))
        best = int(np.argmax(merits))
        if hint is not None or agreements[best] >= self._options.least_agreement:
            return candidates[best]
        return splat_logits(view, fused)

    def _trust(
        self,
        logits: dict[int, NDArray[np.float32]],
        fused: list[Fused],
        hints: dict[int, Hints],
    ) -> dict[int, float]:
        """How much each view's mask counts in the next fusion."""
        trust: dict[int, float] = {}
        for i, one in logits.items():
            stated = i in hints and hints[i].says_where
            agreed = agreement(probability(one), fused[i])
            trust[i] = self._options.person_trust if stated else agreed
        return trust

    def _final(self, view: SceneView, logits: NDArray[np.float32] | None, fused: Fused) -> ViewMask:
        on_points = fused_on_points(view, fused)
        support = fused.solid_area(view.shape) / self._options.least_area
        presence = support / (1.0 + support)
        if logits is None or not (logits > 0).any():
            return absent_mask(view, presence, on_points)
        return view_mask(view, logits, presence, agreement(probability(logits), fused), on_points)


def splat_logits(view: SceneView, fused: Fused) -> NDArray[np.float32]:
    """Logits [cells] from the weights alone: smoothed, and closed where points are missing."""
    rows, columns = view.shape
    known = np.where(fused.known, (fused.weight - 0.5) * PROMPT_GAIN, ABSENT_LOGIT / 4)
    grid = known.reshape(rows, columns).astype(np.float32)
    closed = cv2.morphologyEx(grid, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return cv2.GaussianBlur(closed, (0, 0), 0.7).reshape(-1)


def fused_on_points(view: SceneView, fused: Fused) -> NDArray[np.float16]:
    """Weights [H, W] on the pointmap's grid, NaN where it has no point, 0 where unknown."""
    weight = np.where(fused.known, fused.weight, 0.0).astype(np.float32).reshape(view.shape)
    height, width = view.pointmap_size
    fine = cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where(view.unknown, np.nan, fine).astype(np.float16)
