# SPDX-License-Identifier: GPL-3.0-or-later
"""The request ``preview``: what a click would give, from what is in memory already."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, SceneObject
from mvsam_engine.capture.schema import object_from_json
from mvsam_engine.protocol import PreviewParams, PreviewResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mvsam_engine.segment import Segmenter

_NOT_READY = PreviewResult(0, 0, (), 0.0)


def preview(params: PreviewParams, segmenters: Iterable[Segmenter]) -> PreviewResult:
    """Answer an object's prompts in one view; `_NOT_READY` when that would take loading anything.

    Args:
        params: what is asked.
        segmenters: those in memory.

    Raises:
        MvsamError: prompts that cannot be answered.
    """
    from mvsam_engine.jobs import check_prompts
    from mvsam_engine.segment import DEFAULT_SEGMENTER

    began = time.monotonic()
    name = params.segmenter or DEFAULT_SEGMENTER
    capture = Capture.open(Path(params.capture))
    ready = (s for s in segmenters if s.name == name and s.is_prepared(capture))
    segmenter = next(ready, None)
    if segmenter is None:
        return _NOT_READY
    item = _in_view(object_from_json(params.object), params.view)
    check_prompts(capture, item)
    inside = segmenter.first_answer(item, params.view).logits > 0
    return PreviewResult(
        width=inside.shape[1],
        height=inside.shape[0],
        runs=_runs(inside.reshape(-1)),
        seconds=round(time.monotonic() - began, 3),
    )


def _in_view(item: SceneObject, view: str) -> SceneObject:
    """The object with only what was said in one view."""
    return replace(item, prompts=tuple(p for p in item.prompts if p.view == view))


def _runs(cells: NDArray[np.bool_]) -> tuple[int, ...]:
    """Lengths of stretches of equal cells [n], the first of cells without the object."""
    changes = np.flatnonzero(np.diff(cells, prepend=False))
    edges = np.concatenate([[0], changes, [len(cells)]])
    return tuple(np.diff(edges).tolist())
