# SPDX-License-Identifier: GPL-3.0-or-later
"""What every segmenter takes and gives, and the preparation that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, MaskSet, SceneObject, ViewMask, ViewScore
from mvsam_engine.errors import SegmentationError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.hints import Hints, gather_hints
from mvsam_engine.segment.masks import drop_specks
from mvsam_engine.segment.sam import DEFAULT_ENCODER, Sam, SamAnswer, SamPrompts, load_sam
from mvsam_engine.segment.scale import Asked, likely_choice
from mvsam_engine.segment.scene import SceneView, load_views
from mvsam_engine.segment.visibility import VisibilityTables

OnView = Callable[[ViewMask], None]

# Logits of cells without the object: far enough from 0 that interpolation stays negative.
ABSENT_LOGIT = -10.0


@dataclass(frozen=True, slots=True, eq=False)
class PreparedScene:
    """What does not depend on prompts.

    Attributes:
        capture: the capture.
        fingerprint: changes when the capture's photos or cameras do.
        views: all placed views.
        tables: which cells of the views show the same surface.
    """

    capture: Capture
    fingerprint: tuple[object, ...]
    views: tuple[SceneView, ...]
    tables: VisibilityTables


class Segmenter(ABC):
    """Prepare once per capture, then answer any number of objects.

    Args:
        sam: encoder and decoder.
    """

    name = ""

    def __init__(self, sam: Sam) -> None:
        self._sam = sam
        self._scene: PreparedScene | None = None

    @classmethod
    def load(cls, device: str = "auto", encoder: str = DEFAULT_ENCODER) -> Self:
        """Make one with its weights.

        Args:
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            encoder: what looks at the photos, a key of `segment.encoders.ENCODERS`.

        Raises:
            SegmentationError: this machine has no such device.
            WeightsError: weights are missing or damaged.
        """
        return cls(load_sam(encoder, device))

    def prepare(self, capture: Capture, progress: Progress) -> None:
        """Load a capture's views into memory; does nothing when that was done and still holds.

        Raises:
            CaptureError: not reconstructed, or damaged.
            PhotoError: a photo cannot be read.
            Cancelled: cancellation was asked for.
        """
        if self.is_prepared(capture):
            return
        fingerprint = _fingerprint(capture)
        self._scene = None
        views = load_views(capture, self._sam.encoder, progress)
        tables = VisibilityTables(views, progress)
        self._scene = PreparedScene(capture, fingerprint, views, tables)
        # The first decode allocates and plans; a person's first click should not wait for it.
        center = SamPrompts(np.full((1, 2), 512.0, dtype=np.float32), np.ones(1, dtype=bool))
        self._sam.predict([views[0].embedding], [center])
        self._ready(self._scene)

    def _ready(self, scene: PreparedScene) -> None:  # noqa: B027
        """Prepare what a segmenter needs besides; nothing for most."""

    def release(self) -> None:
        """Forget the prepared capture, so that its memory is free; `prepare` loads it again."""
        self._scene = None

    def is_prepared(self, capture: Capture) -> bool:
        """Whether `prepare` would have nothing to do for this capture."""
        return self._scene is not None and self._scene.fingerprint == _fingerprint(capture)

    def first_answer(self, item: SceneObject, view: str) -> ViewMask:
        """What `predict` would tell first of a view, without asking the others.

        Args:
            item: the object; only its prompts in `view` may be given.
            view: name of a view in which something is included.

        Raises:
            SegmentationError: not prepared, or prompts that cannot be answered.
        """
        scene = self._require_scene()
        told: list[ViewMask] = []
        self._first(scene, gather_hints(item, scene.views, scene.capture), told.append)
        return next(mask for mask in told if mask.view == view)

    def predict(
        self, item: SceneObject, progress: Progress, on_view: OnView | None = None
    ) -> MaskSet:
        """Answer an object's prompts in every view of the prepared capture.

        Args:
            item: the object with its prompts.
            progress: counts decoded views.
            on_view: called at once with the first answer in each view that has prompts.

        Returns:
            One mask per placed view, empty where the object is not seen.

        Raises:
            SegmentationError: not prepared, or prompts that cannot be answered.
            Cancelled: cancellation was asked for.
        """
        scene = self._require_scene()
        hints = gather_hints(item, scene.views, scene.capture)
        masks = self._answer(scene, hints, progress, on_view)
        return MaskSet(item.id, item.revision, self.name, tuple(masks))

    def _require_scene(self) -> PreparedScene:
        if self._scene is None:
            raise SegmentationError(
                "segmenter.unprepared", "The segmenter has no capture yet.", "Call prepare first."
            )
        return self._scene

    def _first(
        self, scene: PreparedScene, hints: dict[int, Hints], on_view: OnView | None
    ) -> dict[int, Asked]:
        """Answers in the views where something is included, told to `on_view` at once."""
        return first_answers(self._sam, scene, hints, on_view)

    @abstractmethod
    def _answer(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        progress: Progress,
        on_view: OnView | None,
    ) -> list[ViewMask]:
        """One mask per view of the scene, in order."""


def _fingerprint(capture: Capture) -> tuple[object, ...]:
    stats = [(capture.root / name).stat() for name in ("capture.json", "cameras.json")
             if (capture.root / name).is_file()]  # fmt: skip
    return (capture.root.resolve(), *((s.st_mtime_ns, s.st_size, s.st_ino) for s in stats))


def first_answers(
    sam: Sam, scene: PreparedScene, hints: dict[int, Hints], on_view: OnView | None
) -> dict[int, Asked]:
    """SAM's answers in the views where something is included, told as soon as each is there.

    Returns:
        Question and answer by index of the view.
    """
    found: dict[int, Asked] = {}
    for i, hint in hints.items():
        if not hint.says_where:
            continue
        view = scene.views[i]
        prompts = hint.sam_prompts(view.frame)
        (answer,) = sam.predict([view.embedding], [prompts])
        found[i] = Asked(prompts, answer)
        if on_view is not None:
            mask = on_cells(view, answer, likely_choice(found[i]))
            on_view(view_mask(view, mask, 1.0, float(answer.scores.max())))
    return found


def first_masks(
    sam: Sam, scene: PreparedScene, hints: dict[int, Hints], on_view: OnView | None
) -> dict[int, NDArray[np.float32]]:
    """`first_answers`, with the likely choice of each as logits [cells]."""
    return {
        i: on_cells(scene.views[i], asked.answer, likely_choice(asked))
        for i, asked in first_answers(sam, scene, hints, on_view).items()
    }


def on_cells(view: SceneView, answer: SamAnswer, row: int) -> NDArray[np.float32]:
    """A row of an answer as logits [cells] of the view."""
    return view.frame.crop(answer.logits[row]).reshape(-1)


def view_mask(
    view: SceneView,
    logits: NDArray[np.float32],
    presence: float,
    confidence: float,
    fused: NDArray[np.float16] | None = None,
) -> ViewMask:
    """A cleaned mask of a view from logits [cells]."""
    clean = drop_specks(logits.reshape(view.shape))
    area = float((clean > 0).mean())
    score = ViewScore(
        view=view.name,
        presence=float(np.clip(presence, 0.0, 1.0)),
        confidence=float(np.clip(confidence, 0.0, 1.0)),
        area=area,
    )
    return ViewMask(score, clean.astype(np.float16), fused)


def absent_mask(view: SceneView, presence: float, fused: NDArray[np.float16]) -> ViewMask:
    """The empty mask of a view that does not see the object."""
    logits = np.full(view.shape[0] * view.shape[1], ABSENT_LOGIT, dtype=np.float32)
    return view_mask(view, logits, presence, 1.0 - presence, fused)


def probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """0..1 from logits, without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))


def decode_with_progress(
    sam: Sam,
    views: Sequence[SceneView],
    prompts: Sequence[SamPrompts],
    progress: Progress,
) -> list[SamAnswer]:
    """Decode views in batches, counting them."""
    from mvsam_engine.segment.sam import BATCH

    answers: list[SamAnswer] = []
    for start in range(0, len(views), BATCH):
        part = slice(start, start + BATCH)
        answers += sam.predict([v.embedding for v in views[part]], prompts[part])
        progress.step(len(prompts[part]))
    return answers
