# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain SAM with masks fused on the 3D points: the best that is known without training.

The rounds are those of `segment.rounds`; in each, a view's weights become points, a box and a mask,
with which SAM is asked there as if a person had given them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mvsam_engine.segment.base import PreparedScene
from mvsam_engine.segment.fusion import Fused, joined_prompts, prompts_from_fused
from mvsam_engine.segment.hints import NO_HINTS, Hints
from mvsam_engine.segment.rounds import FusingSegmenter
from mvsam_engine.segment.sam import Sam, SamAnswer, SamPrompts
from mvsam_engine.segment.scene import SceneView


class LiftSegmenter(FusingSegmenter):
    """See the module."""

    name = "lift"

    def _witnesses(
        self, scene: PreparedScene, hints: dict[int, Hints], fused: dict[int, Fused]
    ) -> dict[int, SamAnswer]:
        return sam_witnesses(self._sam, scene, fused)

    def _ask(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        fused: Mapping[int, Fused],
        which: Sequence[int],
    ) -> list[SamAnswer]:
        prompts = [self._prompts(scene.views[i], hints.get(i), fused[i]) for i in which]
        return self._sam.predict([scene.views[i].embedding for i in which], prompts)

    def _prompts(self, view: SceneView, hint: Hints | None, fused: Fused) -> SamPrompts:
        """What to ask in a view: the person's prompts there and those made of the weights."""
        derived = None
        if fused.solid_area(view.shape) >= self._options.least_area:
            derived = prompts_from_fused(fused, view.frame)
        if hint is None or derived is None:
            # A view without prompts is asked only where weights are.
            return derived or (hint or NO_HINTS).sam_prompts(view.frame)
        return joined_prompts(hint.sam_prompts(view.frame), derived)


def sam_witnesses(sam: Sam, scene: PreparedScene, fused: dict[int, Fused]) -> dict[int, SamAnswer]:
    """What SAM says of views where a candidate lies as in `fused`, by index of the view."""
    questions = {j: prompts_from_fused(f, scene.views[j].frame) for j, f in fused.items()}
    put = {j: prompts for j, prompts in questions.items() if prompts is not None}
    embeddings = [scene.views[j].embedding for j in put]
    answers = sam.predict(embeddings, list(put.values())) if put else []
    return dict(zip(put, answers, strict=True))
