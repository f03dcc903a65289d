# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of COCO's run-length encoding, from files that nobody vouches for.

pycocotools decodes them, but takes the lengths on trust: runs that end before the mask does leave
the rest of it as the memory was. So their sum is checked here first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import TrainingError


def decode_rle(segmentation: object, width: int, height: int) -> NDArray[np.bool_]:
    """A mask [height, width] from ``{"size": [height, width], "counts": ...}``.

    Args:
        segmentation: of an annotation; its counts are text (compressed) or numbers.
        width: of the photo, pixels.
        height: of the photo, pixels.

    Raises:
        TrainingError: it is no such thing, of another size, or does not fill its size; or
            pycocotools is not installed.
    """
    try:
        from pycocotools import mask as coco
    except ImportError as error:
        raise TrainingError(
            "train.pycocotools",
            "Masks of this kind are read with pycocotools, which is not installed.",
            "Install it with: pip install 'mvsam-engine[train]'",
        ) from error
    if not isinstance(segmentation, Mapping) or segmentation.get("size") != [height, width]:
        size = segmentation.get("size") if isinstance(segmentation, Mapping) else None
        raise TrainingError(
            "train.rle", f"A mask has the size {size}, its photo is {[height, width]}."
        )
    counts = segmentation.get("counts")
    runs = _numbers(counts) if isinstance(counts, list) else _unpacked(counts)
    if runs is None or min(runs, default=-1) < 0 or sum(runs) != width * height:
        raise TrainingError("train.rle", "The runs of a mask do not fill its size.")
    plain = coco.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    return coco.decode(plain).astype(bool)


def _numbers(counts: Sequence[Any]) -> list[int] | None:
    """Lengths of uncompressed runs, None when they are something else."""
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in counts)
    return list(counts) if whole else None


def _unpacked(counts: object) -> list[int] | None:
    """Lengths of compressed runs, None when the text is none of these.

    Each length is written in groups of five bits, lowest first, in characters from "0" on: the
    sixth bit says that more follow, the highest one of the last group is the sign. From the fourth
    length on it is the difference to the one before the last (cocoapi, ``common/maskApi.c``).
    """
    if not isinstance(counts, str) or not counts.isascii():
        return None
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            return None
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs if shift == 0 else None
