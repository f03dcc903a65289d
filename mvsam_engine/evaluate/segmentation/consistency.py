# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the masks of all views are one object in 3D.

Two views see the same surface point where `segment.visibility` says so: a cell's point, projected
into the other view, lies in its photo and at its depth. The 3D consistency of an answer is

    pairs (point, two views that see it) of which both call it object
    -----------------------------------------------------------------
    pairs of which at least one does

an IoU between views, so that neither the empty background nor the number of photos decides it.
It says nothing about being right: an answer that is wrong everywhere in the same way has 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, MaskSet
from mvsam_engine.progress import Progress
from mvsam_engine.segment.scene import SceneView, make_view
from mvsam_engine.segment.visibility import UNSEEN, VisibilityTables


@dataclass(frozen=True, slots=True, eq=False)
class Surfaces:
    """The placed views of a capture and which of their cells show the same surface.

    Attributes:
        views: without embeddings.
        tables: of all of them.
    """

    views: Sequence[SceneView]
    tables: VisibilityTables

    @classmethod
    def of(cls, capture: Capture, progress: Progress) -> Surfaces:
        """Read the pointmaps of a capture; needs no network.

        Raises:
            CaptureError: not reconstructed, or damaged.
            Cancelled: cancellation was asked for.
        """
        photos = {photo.view: photo for photo in capture.photos()}
        cameras = capture.require_reconstruction().cameras
        nothing = np.zeros((0,), np.float16)
        progress.stage("Reading pointmaps", len(cameras))
        views = []
        for camera in cameras:
            pointmap = capture.pointmap(camera.view)
            views.append(make_view(photos[camera.view], camera, nothing, pointmap))
            progress.step()
        return cls(views, VisibilityTables(views, progress))

    def consistency(self, answer: MaskSet) -> float | None:
        """3D consistency of an answer (see the module); None where no shared point is object."""
        logits = {mask.view: mask.logits for mask in answer.masks}
        on_cells = [_on_cells(view, logits) for view in self.views]
        both = either = 0
        for i, here in enumerate(on_cells):
            for j, table in self.tables.partners(i).items():
                seen = table != UNSEEN
                there = on_cells[j][table[seen]]
                both += int((here[seen] & there).sum())
                either += int((here[seen] | there).sum())
        return both / either if either else None


def _on_cells(view: SceneView, logits: Mapping[str, NDArray[np.floating]]) -> NDArray[np.bool_]:
    """[cells] bool: what the answer calls object; a view without an answer calls nothing so."""
    rows, columns = view.shape
    if view.name not in logits:
        return np.zeros(rows * columns, bool)
    grid = np.asarray(logits[view.name], np.float32)
    if grid.shape != (rows, columns):
        grid = cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return (grid > 0).reshape(-1)
