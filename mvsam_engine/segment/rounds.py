# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds of asking and fusing: what the segmenters that join the views have in common.

1. The person's prompts are answered in the views they were given in; where a click may mean a part
   or the whole, other views settle it (`segment.scale`).
2. Each 3D point gets one weight from the masks of all views that see it (`fusion.fuse`).
3. Every view that sees the object is asked again with those weights; of the answers the one that
   agrees best with the weights is kept, or the weights themselves where none does. The first time
   they are asked from the prompted views outward (`segment.waves`).
4. Steps 2 and 3 repeat with all views' masks.

A view in which no point of the object is seen gets an empty mask. What differs between segmenters
is who is asked, and how: `Segmenter._first` and `FusingSegmenter._ask`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    on_cells,
    probability,
    view_mask,
)
from mvsam_engine.segment.fusion import OBJECT, PROMPT_GAIN, Fused, agreement, fuse
from mvsam_engine.segment.hints import Hints
from mvsam_engine.segment.reconcile import reconciled
from mvsam_engine.segment.sam import BATCH, Sam, SamAnswer
from mvsam_engine.segment.scale import Asked, point_fit, settled_choice
from mvsam_engine.segment.scene import SceneView
from mvsam_engine.segment.visibility import UNSEEN
from mvsam_engine.segment.waves import Waves


@dataclass(frozen=True, slots=True)
class RoundOptions:
    """Numbers of the rounds; the defaults were chosen by `mvsam evaluate segmentation`.

    Attributes:
        rounds: how often masks are fused and fed back.
        shared: in the first round, a view's turn comes when it sees this share of what some view
            has found (`segment.waves`).
        person_trust: say of a view with prompts; a view without has at most 1.
        score_weight: what the decoder's own score of a candidate counts, against 1 for its
            agreement.
        least_agreement: the decoder's mask is kept when its agreement with the weights is above.
        witnesses: other views that are asked whether a candidate is an object of its own.
        least_area: share of a view's cells that must be object for it to be present.
    """

    rounds: int = 2
    shared: float = 0.6
    person_trust: float = 1.0
    score_weight: float = 0.5
    least_agreement: float = 0.4
    witnesses: int = 5
    least_area: float = 0.0005


class FusingSegmenter(Segmenter):
    """See the module.

    Args:
        sam: encoder and decoder.
        options: numbers of the rounds.
    """

    def __init__(self, sam: Sam, options: RoundOptions | None = None) -> None:
        super().__init__(sam)
        self._options = options or RoundOptions()

    @abstractmethod
    def _witnesses(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        fused: dict[int, Fused],
    ) -> dict[int, SamAnswer]:
        """What other views answer, where a candidate carried over to them lies as in `fused`."""

    @abstractmethod
    def _ask(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        fused: Mapping[int, Fused],
        which: Sequence[int],
    ) -> list[SamAnswer]:
        """Answers of some views, given the prompts and the fused weights."""

    def _answer(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        progress: Progress,
        on_view: OnView | None,
    ) -> list[ViewMask]:
        options, views = self._options, scene.views
        progress.stage("Masks", len(hints) + options.rounds * len(views))
        asked = self._first(scene, hints, on_view)
        logits = {i: self._settled(scene, hints, i, one) for i, one in asked.items()}
        logits = reconciled(scene, asked, logits)
        progress.step(len(hints))
        trust = dict.fromkeys(logits, options.person_trust)
        presence = self._spread(scene, hints, logits, trust, progress)
        everyone = range(len(views))
        for _ in range(options.rounds - 1):
            fused = self._fuse(scene, everyone, logits, trust)
            logits, presence = self._ask_seeing(scene, hints, fused, everyone, progress)
            trust = self._trust(logits, fused, hints)
        fused = self._fuse(scene, everyone, logits, trust)
        return [
            self._final(view, logits.get(i), fused[i], presence.get(i, 1.0))
            for i, view in enumerate(views)
        ]

    def _settled(
        self, scene: PreparedScene, hints: dict[int, Hints], i: int, asked: Asked
    ) -> NDArray[np.float32]:
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
            best = [
                max(
                    agreement(probability(on_cells(scene.views[j], answer, k)), fused[j])
                    for k in range(len(answer.logits))
                )
                for j, answer in self._witnesses(scene, hints, fused).items()
            ]
            return float(np.mean(best)) if best else None

        return on_cells(view, asked.answer, settled_choice(asked, agreement_elsewhere))

    def _spread(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        logits: dict[int, NDArray[np.float32]],
        trust: dict[int, float],
        progress: Progress,
    ) -> dict[int, float]:
        """Let the views answer one after the other, from the prompted ones outward.

        Args:
            scene: the views.
            hints: the person's prompts.
            logits: [cells] of the prompted views; those of the others are added.
            trust: of the same views; that of the others is added.
            progress: counts views.

        Returns:
            Presence of the views that were asked.
        """
        presence: dict[int, float] = {}
        waves = Waves(scene.tables, range(len(scene.views)), self._options.shared)
        waves.answered({i: one > 0 for i, one in logits.items()})
        left = len(scene.views) - len(logits)
        progress.step(len(logits))
        while wave := waves.next():
            left -= len(wave)
            fused = self._fuse(scene, {*wave, *hints}, logits, trust)
            new, seen = self._ask_seeing(scene, hints, fused, wave, progress)
            presence |= seen
            logits |= new
            trust |= self._trust(new, fused, hints)
            waves.answered({i: one > 0 for i, one in new.items()})
            waves.give_up([i for i in wave if i not in new])
        progress.step(left)
        return presence

    def _fuse(
        self,
        scene: PreparedScene,
        which: Iterable[int],
        logits: dict[int, NDArray[np.float32]],
        trust: dict[int, float],
    ) -> dict[int, Fused]:
        masks = {i: probability(one) for i, one in logits.items()}
        return {i: fuse(i, scene.views, scene.tables, masks, trust) for i in which}

    def _ask_seeing(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        fused: dict[int, Fused],
        among: Collection[int],
        progress: Progress,
    ) -> tuple[dict[int, NDArray[np.float32]], dict[int, float]]:
        """Logits [cells] and presence of those views that see the object.

        Args:
            scene: the views.
            hints: the person's prompts.
            fused: of these views, and of all with prompts.
            among: the views.
            progress: counts them.
        """
        which = [i for i in among if self._asks(scene, hints, fused[i], i)]
        progress.step(len(among) - len(which))
        logits: dict[int, NDArray[np.float32]] = {}
        presence: dict[int, float] = {}
        for start in range(0, len(which), BATCH):
            part = which[start : start + BATCH]
            for i, answer in zip(part, self._ask(scene, hints, fused, part), strict=True):
                presence[i] = answer.presence
                logits[i] = self._chosen(scene.views[i], answer, fused[i], hints.get(i))
            progress.step(len(part))
        return logits, presence

    def _asks(self, scene: PreparedScene, hints: dict[int, Hints], fused: Fused, i: int) -> bool:
        """Whether view `i` has anything of the object to be asked about."""
        if i in hints and hints[i].says_where:
            return True
        return fused.solid_area(scene.views[i].shape) >= self._options.least_area

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
        fused: dict[int, Fused],
        hints: dict[int, Hints],
    ) -> dict[int, float]:
        """How much each view's mask counts in the next fusion."""
        trust: dict[int, float] = {}
        for i, one in logits.items():
            stated = i in hints and hints[i].says_where
            agreed = agreement(probability(one), fused[i])
            trust[i] = self._options.person_trust if stated else agreed
        return trust

    def _final(
        self, view: SceneView, logits: NDArray[np.float32] | None, fused: Fused, seen: float
    ) -> ViewMask:
        on_points = fused_on_points(view, fused)
        support = fused.solid_area(view.shape) / self._options.least_area
        presence = seen * support / (1.0 + support)
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
    import torch

    # numpy rounds to float16 one number after the other, at a tenth of the speed.
    halves = torch.from_numpy(np.where(view.unknown, np.float32(np.nan), fine)).half()
    found: NDArray[np.float16] = halves.numpy()
    return found
