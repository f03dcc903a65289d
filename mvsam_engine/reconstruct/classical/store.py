# SPDX-License-Identifier: GPL-3.0-or-later
"""Working views and their depth maps in a folder, a few of them in memory.

The dense step looks at a view and its sources at a time. Everything else waits on disk, so that
memory does not grow with the number of photos.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.reconstruct.classical.undistort import WorkingView, assemble


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """What stays in memory of a view: all but its pictures."""

    camera: Camera
    intrinsics: NDArray[np.float64]
    near: float
    far: float
    pictures: tuple[str, ...]


class ViewStore:
    """Views by number, in `folder`.

    Args:
        folder: empty; the caller removes it.
        at_hand: how many views stay in memory.
    """

    def __init__(self, folder: Path, at_hand: int) -> None:
        self._folder = folder
        self._at_hand = at_hand
        self._frames: list[_Frame] = []
        self._recent: OrderedDict[int, WorkingView] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    def append(self, view: WorkingView) -> None:
        """Write the pictures of the next view."""
        pictures = {"guide": view.guide, "inside": view.gray >= 0}
        if view.colors is not view.guide:
            pictures["colors"] = view.colors
        if view.used is not None:
            pictures["used"] = view.used
        for name, picture in pictures.items():
            self.put(len(self), name, picture)
        self._frames.append(
            _Frame(view.camera, view.intrinsics, view.near, view.far, tuple(pictures))
        )

    def view(self, index: int) -> WorkingView:
        """View number `index`, read again when it is no longer at hand."""
        if index in self._recent:
            self._recent.move_to_end(index)
            return self._recent[index]
        frame = self._frames[index]
        pictures = {name: self.get(index, name) for name in frame.pictures}
        view = assemble(frame.camera, frame.intrinsics, frame.near, frame.far, **pictures)
        self._recent[index] = view
        while len(self._recent) > self._at_hand:
            self._recent.popitem(last=False)
        return view

    def put(self, index: int, name: str, values: NDArray[np.generic]) -> None:
        """Write an array of view `index`."""
        np.save(self._file(index, name), values, allow_pickle=False)

    def get(self, index: int, name: str) -> NDArray[np.generic]:
        """Read what `put` wrote."""
        return np.load(self._file(index, name), allow_pickle=False)

    def drop(self, index: int, name: str) -> None:
        """Remove what `put` wrote."""
        self._file(index, name).unlink()

    def _file(self, index: int, name: str) -> Path:
        return self._folder / f"{index:05d}_{name}.npy"
