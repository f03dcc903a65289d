# SPDX-License-Identifier: GPL-3.0-or-later
"""Two simple segmenters to compare with: what every cleverer one has to beat."""

from __future__ import annotations

import numpy as np

from mvsam_engine.capture import ViewMask
from mvsam_engine.capture.conventions import pixels_to_grid
from mvsam_engine.progress import Progress
from mvsam_engine.segment.base import (
    OnView,
    PreparedScene,
    Segmenter,
    absent_mask,
    decode_with_progress,
    first_masks,
    on_cells,
    probability,
    view_mask,
)
from mvsam_engine.segment.fusion import fuse
from mvsam_engine.segment.hints import Hints
from mvsam_engine.segment.rounds import RoundOptions, fused_on_points, splat_logits
from mvsam_engine.segment.sam import SamPrompts
from mvsam_engine.segment.scale import Asked, likely_choice
from mvsam_engine.segment.scene import SceneView


class ProjectSegmenter(Segmenter):
    """Clicks projected into every view, hidden or not, then SAM in each view on its own.

    Method: table 9 of MV-SAM, arXiv 2601.17866. Boxes and masks count as clicks at their middle.
    """

    name = "project"

    def _answer(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        progress: Progress,
        on_view: OnView | None,
    ) -> list[ViewMask]:
        progress.stage("Masks", len(scene.views))
        first = first_masks(self._sam, scene, hints, on_view)
        clicks = [_lifted(scene.views[i], hint) for i, hint in hints.items()]
        points = np.concatenate([c[0] for c in clicks])
        labels = np.concatenate([c[1] for c in clicks])
        asked: dict[int, SamPrompts] = {}
        for i, view in enumerate(scene.views):
            pixels, _ = view.camera.project(points)
            *_, inside = pixels_to_grid(pixels, 1, 1, view.photo.width, view.photo.height)
            if i not in first and (inside & labels).any():
                asked[i] = SamPrompts(view.frame.to_model(pixels[inside]), labels[inside])
        progress.step(len(scene.views) - len(asked))
        views = [scene.views[i] for i in asked]
        answers = decode_with_progress(self._sam, views, list(asked.values()), progress)
        logits = dict(first)
        for (i, prompts), view, answer in zip(asked.items(), views, answers, strict=True):
            logits[i] = on_cells(view, answer, likely_choice(Asked(prompts, answer)))
        return finished(scene, logits)


def _lifted(view: SceneView, hint: Hints) -> tuple[np.ndarray, np.ndarray]:
    """World points [n, 3] of a view's clicks and their labels [n]; unknown points are left out."""
    pixels, labels = hint.points, hint.labels
    if hint.box is not None:
        pixels = np.concatenate([pixels, hint.box.reshape(2, 2).mean(axis=0, keepdims=True)])
        labels = np.append(labels, True)
    rows, columns = view.shape
    row, column, _ = pixels_to_grid(pixels, rows, columns, view.photo.width, view.photo.height)
    points = view.points[row * columns + column]
    known = np.isfinite(points).all(axis=-1)
    return points[known], labels[known]


def finished(scene: PreparedScene, logits: dict[int, np.ndarray]) -> list[ViewMask]:
    """Masks of all views from logits [cells] of some; the others do not show the object."""
    masks = {i: probability(one) for i, one in logits.items()}
    trust = dict.fromkeys(masks, 1.0)
    answers: list[ViewMask] = []
    for i, view in enumerate(scene.views):
        on_points = fused_on_points(view, fuse(i, scene.views, scene.tables, masks, trust))
        if i in logits:
            answers.append(view_mask(view, logits[i], 1.0, 0.5, on_points))
        else:
            answers.append(absent_mask(view, 0.0, on_points))
    return answers


class SplatSegmenter(Segmenter):
    """Pure geometry: the masks of the prompted views carried over by the points alone."""

    name = "splat"

    def _answer(
        self,
        scene: PreparedScene,
        hints: dict[int, Hints],
        progress: Progress,
        on_view: OnView | None,
    ) -> list[ViewMask]:
        progress.stage("Masks", len(scene.views))
        first = first_masks(self._sam, scene, hints, on_view)
        masks = {i: probability(one) for i, one in first.items()}
        trust = dict.fromkeys(masks, 1.0)
        least_area = RoundOptions().least_area
        answers: list[ViewMask] = []
        for i, view in enumerate(scene.views):
            fused = fuse(i, scene.views, scene.tables, masks, trust)
            on_points = fused_on_points(view, fused)
            if i in first:
                answers.append(view_mask(view, first[i], 1.0, 1.0, on_points))
            elif fused.solid_area(view.shape) < least_area:
                answers.append(absent_mask(view, 0.0, on_points))
            else:
                answers.append(view_mask(view, splat_logits(view, fused), 1.0, 0.5, on_points))
            progress.step()
        return answers
