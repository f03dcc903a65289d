# SPDX-License-Identifier: GPL-3.0-or-later
"""MV-SAM: the network that knows where its tokens are in space, in rounds of asking and fusing.

`MVSamSegmenter` is what people get: the network instead of SAM in the rounds of `segment.rounds`.
Prompts reach every view by their place in space, and each round hands the network the masks of all
views, fused on the points, as dense prompts. `PaperSegmenter` is the method as published: every
view decoded once, no presence, nothing fused.

Source: Jeong et al., MV-SAM, arXiv 2601.17866; what goes beyond it is told in `segment.network`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from mvsam_engine.capture import ViewMask
from mvsam_engine.errors import SegmentationError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.base import (
    OnView,
    PreparedScene,
    Segmenter,
    first_answers,
    on_cells,
    view_mask,
)
from mvsam_engine.segment.baselines import finished
from mvsam_engine.segment.fusion import Fused, fused_logits
from mvsam_engine.segment.hints import Hints
from mvsam_engine.segment.lift import sam_witnesses
from mvsam_engine.segment.network import MVSam
from mvsam_engine.segment.network_file import read_network, shipped_network
from mvsam_engine.segment.points import spread_points
from mvsam_engine.segment.rounds import FusingSegmenter
from mvsam_engine.segment.sam import BATCH, DEFAULT_ENCODER, Sam, SamAnswer, load_sam
from mvsam_engine.segment.scale import Asked, is_clear, likely_choice
from mvsam_engine.segment.scene import SceneView
from mvsam_engine.segment.tokens import TokenScene, make_prompts, make_scene

# From the mask settled in a prompted view, so many points tell the other views what is meant.
DERIVED_INCLUDED = 8


class Decoder:
    """The network on the tokens of one scene at a time.

    Args:
        network: trained; used where its weights are.
    """

    def __init__(self, network: MVSam) -> None:
        self._network = network.eval().requires_grad_(False)
        self._tokens: TokenScene | None = None
        self.half = next(network.parameters()).device.type == "cuda" or has_fast_bfloat16()

    def look_at(self, scene: PreparedScene) -> None:
        """Make the tokens of a scene."""
        self._tokens = make_scene(scene.views, self._network.space_code)

    def forget(self) -> None:
        """Free the memory of the scene's tokens."""
        self._tokens = None

    def answers(
        self,
        hints: Mapping[int, Hints],
        which: Sequence[int],
        dense: Mapping[int, NDArray[np.float32]] | None = None,
    ) -> list[SamAnswer]:
        """What the network says of some views.

        Args:
            hints: all prompts, by index of the view.
            which: views to decode.
            dense: earlier masks, logits of the cells [h, w], by index of the view.

        Raises:
            SegmentationError: `look_at` was not called.
        """
        scene = self._tokens
        if scene is None:
            raise SegmentationError(
                "segmenter.unprepared", "The segmenter has no capture yet.", "Call prepare first."
            )
        found: list[SamAnswer] = []
        with torch.inference_mode():
            for start in range(0, len(which), BATCH):
                rows = list(which[start : start + BATCH])
                prompts = make_prompts(scene, hints, rows, dense)
                image = scene.tokens.rows(rows)
                with torch.autocast(image.features.device.type, torch.bfloat16, enabled=self.half):
                    answers = self._network(image, prompts)
                logits = answers.logits.float().cpu().numpy()
                ious = answers.ious.float().cpu().numpy()
                presence = answers.presence.float().sigmoid().cpu().numpy()
                found += [
                    SamAnswer(*one[:2], presence=float(one[2]))
                    for one in zip(logits, ious, presence, strict=True)
                ]
        return found


def has_fast_bfloat16() -> bool:
    """Whether this processor is known to multiply bfloat16 faster than float32; Linux tells."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "avx512_bf16" in flags


class NetworkSegmenter(Segmenter):
    """A segmenter that asks a trained network.

    Args:
        sam: its encoder looks at the photos.
        network: trained on that encoder's features.
        rest: of the other base class (`FusingSegmenter`: `options`).
    """

    def __init__(self, sam: Sam, network: MVSam, **rest: Any) -> None:
        super().__init__(sam, **rest)
        self._decoder = Decoder(network)

    @classmethod
    def load(cls, device: str = "auto", encoder: str = DEFAULT_ENCODER) -> Self:
        """See `Segmenter.load`."""
        sam = load_sam(encoder, device)
        return cls(sam, shipped_network(sam))

    def _ready(self, scene: PreparedScene) -> None:
        self._decoder.look_at(scene)

    def release(self) -> None:
        """See `Segmenter.release`."""
        super().release()
        self._decoder.forget()


class MVSamSegmenter(NetworkSegmenter, FusingSegmenter):
    """See the module."""

    name = "mvsam"

    def _first(
        self, scene: PreparedScene, hints: dict[int, Hints], on_view: OnView | None
    ) -> dict[int, Asked]:
        """Clear prompts are the network's; part or whole is asked of SAM.

        SAM learnt what people mean by a click from eleven million photos, the network from a
        hundred made-up scenes (one click on the kitchen's bulldozer, three seeds: 0.89 to 0.60).
        """
        frames = [view.frame for view in scene.views]
        prompts = {i: h.sam_prompts(frames[i]) for i, h in hints.items() if h.says_where}
        unclear = {i: hints[i] for i, one in prompts.items() if not is_clear(one)}
        found = first_answers(self._sam, scene, unclear, on_view)
        for i in [i for i in prompts if i not in unclear]:
            (answer,) = self._decoder.answers(hints, [i])
            found[i] = Asked(prompts[i], answer, by_score=True)
            if on_view is not None:
                mask = on_cells(scene.views[i], answer, likely_choice(found[i]))
                score = float(answer.scores.max())
                on_view(view_mask(scene.views[i], mask, answer.presence, score))
        return found

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
        dense = {
            i: fused_logits(fused[i]).reshape(scene.views[i].shape)
            for i in which
            if fused[i].object.any()
        }
        told = {
            i: derived_hints(scene.views[i], hint, fused[i]) if hint.says_where else hint
            for i, hint in hints.items()
        }
        return self._decoder.answers(told, which, dense)


def derived_hints(view: SceneView, hint: Hints, fused: Fused) -> Hints:
    """A person's prompts in a view, with more points where the mask settled there is sure.

    One click says little in a view that does not see the place clicked at; points all over the
    object say more. A box or a mask says nothing at all elsewhere, until it has become points.
    """
    missing = DERIVED_INCLUDED - int(hint.labels.sum())
    if missing <= 0:
        return hint
    cells = spread_points(fused.object.reshape(view.shape), missing, margin=1.0)
    points = np.concatenate([hint.points, view.to_photo(cells)])
    labels = np.concatenate([hint.labels, np.ones(len(cells), bool)])
    return Hints(points, labels, hint.box, hint.mask)


class PaperSegmenter(NetworkSegmenter):
    """MV-SAM as published: each view decoded once against the prompts, its best-scored mask."""

    name = "mvsam-paper"

    def _answer(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        progress: Progress,
        on_view: OnView | None,
    ) -> list[ViewMask]:
        progress.stage("Masks", len(scene.views))
        logits: dict[int, NDArray[np.float32]] = {}
        prompted = [i for i in hints if hints[i].says_where]
        for i in (*prompted, *(i for i in range(len(scene.views)) if i not in prompted)):
            view = scene.views[i]
            (answer,) = self._decoder.answers(hints, [i])
            logits[i] = on_cells(view, answer, int(answer.scores.argmax()))
            if on_view is not None and i in prompted:
                on_view(view_mask(view, logits[i], 1.0, float(answer.scores.max())))
            progress.step()
        return finished(scene, logits)


def segmenter_of(path: Path, device: str = "auto", kind: str = "mvsam") -> Segmenter:
    """A segmenter with a network from a file.

    Args:
        path: written by `mvsam train run`.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        kind: ``mvsam`` or ``mvsam-paper``.

    Raises:
        WeightsError: the file is no network.
        SegmentationError: this machine has no such device.
    """
    sam = load_sam(device=device)
    network = read_network(path, sam)
    return (PaperSegmenter if kind == "mvsam-paper" else MVSamSegmenter)(sam, network)
