# SPDX-License-Identifier: GPL-3.0-or-later
"""What every segmenter takes and gives, and the preparation that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, MaskSet, SceneObject, ViewMask, ViewScore
from mvsam_engine.errors import SegmentationError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.frame import CELL, MASK_SIDE
from mvsam_engine.segment.hints import Hints, gather_hints
from mvsam_engine.segment.masks import drop_specks
from mvsam_engine.segment.sam import FIRST_CHOICE, SINGLE, Sam, SamAnswer, SamPrompts
from mvsam_engine.segment.scene import SceneView, load_views
from mvsam_engine.segment.visibility import VisibilityTables

OnView = Callable[[ViewMask], None]

# With this many points, or a box or mask, SAM's single-mask output is the trained choice.
UNAMBIGUOUS_POINTS = 3

# A larger mask is taken when SAM's score of it is lower by no more than this. Measured with one
# click a view (4 seeds): espresso 0.58 to 0.66, robot 0.55 to 0.76, kitchen 0.46 to 0.73 mean IoU.
WHOLE_MARGIN = 0.1

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

    def prepare(self, capture: Capture, progress: Progress) -> None:
        """Load a capture's views into memory; does nothing when that was done and still holds.

        Raises:
            CaptureError: not reconstructed, or damaged.
            PhotoError: a photo cannot be read.
            Cancelled: cancellation was asked for.
        """
        fingerprint = _fingerprint(capture)
        if self._scene is not None and self._scene.fingerprint == fingerprint:
            return
        self._scene = None
        views = load_views(capture, self._sam.encoder, progress)
        tables = VisibilityTables(views, progress)
        self._scene = PreparedScene(capture, fingerprint, views, tables)
        # The first decode allocates and plans; a person's first click should not wait for it.
        center = SamPrompts(np.full((1, 2), 512.0, dtype=np.float32), np.ones(1, dtype=bool))
        self._sam.predict([views[0].embedding], [center])

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
        scene = self._scene
        if scene is None:
            raise SegmentationError(
                "segmenter.unprepared", "The segmenter has no capture yet.", "Call prepare first."
            )
        hints = gather_hints(item, scene.views, scene.capture)
        masks = self._answer(scene, hints, progress, on_view)
        return MaskSet(item.id, item.revision, self.name, tuple(masks))

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


def first_masks(
    sam: Sam, scene: PreparedScene, hints: dict[int, Hints], on_view: OnView | None
) -> dict[int, NDArray[np.float32]]:
    """SAM's answers in the views where something is included, told as soon as each is there.

    Returns:
        Logits [cells] by index of the view.
    """
    found: dict[int, NDArray[np.float32]] = {}
    for i, hint in hints.items():
        if not hint.says_where:
            continue
        view = scene.views[i]
        prompts = hint.sam_prompts(view.frame)
        (answer,) = sam.predict([view.embedding], [prompts])
        logits = view.frame.crop(answer.logits[likely_choice(answer, prompts)])
        found[i] = logits.reshape(-1)
        if on_view is not None:
            on_view(view_mask(view, found[i], 1.0, float(answer.scores.max())))
    return found


def likely_choice(answer: SamAnswer, prompts: SamPrompts) -> int:
    """Row of the mask to take when nothing but SAM and the prompts can tell.

    First come the masks that most points agree with. Among them, for clear prompts, SAM's single
    mask; else the largest of the three choices that SAM scores nearly as high as the best: a
    click means the object more often than its part.
    """
    fits = point_fit(answer.logits, prompts)
    fitting = fits >= fits.max()
    clear = prompts.box is not None or prompts.mask is not None
    clear = clear or len(prompts.points) >= UNAMBIGUOUS_POINTS
    if fitting[SINGLE] and (clear or not fitting[FIRST_CHOICE:].any()):
        return SINGLE
    scores = np.where(fitting, answer.scores, -np.inf)[FIRST_CHOICE:]
    areas = (answer.logits[FIRST_CHOICE:] > 0).sum(axis=(1, 2))
    return FIRST_CHOICE + int(np.where(scores >= scores.max() - WHOLE_MARGIN, areas, -1).argmax())


def point_fit(logits: NDArray[np.float32], prompts: SamPrompts) -> NDArray[np.float64]:
    """Share of the points that lie on the right side of each mask.

    Args:
        logits: [n, 256, 256].
        prompts: with points in the 1024-square.

    Returns:
        [n], 0..1; all 1 without points.
    """
    if len(prompts.points) == 0:
        return np.ones(len(logits))
    column, row = (prompts.points / CELL).astype(int).clip(0, MASK_SIDE - 1).T
    return ((logits[:, row, column] > 0) == prompts.labels).mean(axis=1)


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
