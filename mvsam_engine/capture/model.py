# SPDX-License-Identifier: GPL-3.0-or-later
"""What a capture holds, in the order the data flows. Convention: `capture.conventions`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.placement import Placement

PromptKind = Literal["point", "box", "stroke", "mask"]
Setting = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo of the capture; all its pixel coordinates refer to the upright photo.

    Attributes:
        view: name of the view: the original file name without its ending, made unique.
        file: path inside the capture, with forward slashes, e.g. ``photos/IMG_1.jpg``.
        width: of the upright photo, pixels.
        height: of the upright photo, pixels.
        size: bytes of the original file.
        sha256: of the original file, hexadecimal.
        original_name: file name as the person had it, ending included; with the folders below
            the one that was named, joined by forward slashes, e.g. ``left/IMG_1.jpg``.
        focal: focal length in pixels of the upright photo from EXIF, None when unknown.
        camera_model: maker and model from EXIF, "" when unknown.
        mask: path inside the capture of an 8-bit image of the upright photo's size, 255 = used,
            0 = ignored (gives no features and no points); "" when all of the photo is used.
        orientation: the EXIF orientation, 1..8, that was applied when the photo came in.
    """

    view: str
    file: str
    width: int
    height: int
    size: int
    sha256: str
    original_name: str
    focal: float | None = None
    camera_model: str = ""
    mask: str = ""
    orientation: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Pointmap:
    """One 3D point per pixel of a view.

    Attributes:
        view: name of the view.
        points: [h, w, 3] float32, world frame, NaN where nothing is known.
        confidence: [h, w] float16, 0..1: the chance that the point lies within 1 % of its depth.
        colors: [h, w, 3] uint8 RGB, the photo at the pointmap's size.
    """

    view: str
    points: NDArray[np.float32]
    confidence: NDArray[np.float16]
    colors: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A photo that could not be placed, with the reason and what to do, as sentences."""

    view: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Cameras of all placed views; their pointmaps are read one by one from the capture.

    Attributes:
        cameras: one per placed view, in the order of the photos.
        unplaced: the photos that were left out.
        method: name of the reconstructor, e.g. ``classical``.
        settings: what it was run with, plain JSON values.
        metric: whether one world unit is one metre.
        upright: whether +Z of the world is up.
        placement: from this world to the frame that the person asked for.
    """

    cameras: tuple[Camera, ...]
    unplaced: tuple[Unplaced, ...] = ()
    method: str = ""
    settings: dict[str, Setting] = field(default_factory=dict[str, Setting])
    metric: bool = False
    upright: bool = False
    placement: Placement = field(default_factory=Placement)

    @property
    def is_metric(self) -> bool:
        """Whether one unit of the person's frame is one metre."""
        return self.metric if self.placement.is_default else self.placement.metric

    @property
    def is_upright(self) -> bool:
        """Whether +Z of the person's frame is up."""
        return self.upright if self.placement.is_default else self.placement.upright

    def camera(self, view: str) -> Camera | None:
        """The camera of `view`, None when it was not placed."""
        return next((c for c in self.cameras if c.view == view), None)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A hint of what belongs to an object, given in one view.

    Attributes:
        kind: point, box, stroke or mask.
        view: name of the view it was given in.
        include: True for "this is it", False for "this is not".
        xy: photo pixels (x, y): one for a point, two corners for a box, many for a stroke.
        radius: half width of a stroke in photo pixels.
        mask: path inside the capture of a mask image (255 = object), for kind mask.
    """

    kind: PromptKind
    view: str
    include: bool = True
    xy: tuple[tuple[float, float], ...] = ()
    radius: float = 0.0
    mask: str = ""


@dataclass(frozen=True, slots=True)
class ViewScore:
    """How sure the answer is in one view.

    Attributes:
        view: name of the view.
        presence: 0..1, whether the object is seen in this view at all.
        confidence: 0..1, agreement of the view's mask with the object's 3D points.
        area: share of the photo's pixels inside the mask, 0..1.
    """

    view: str
    presence: float
    confidence: float
    area: float


@dataclass(frozen=True, slots=True)
class SceneObject:
    """An object: its prompts, and what is known of the last complete answer.

    Attributes:
        id: short name that is safe as a folder, never changes.
        name: as shown to people.
        color: RGB 0..1.
        prompts: all prompts, in the order given.
        revision: grows by one with every change of the prompts.
        answered: revision that the stored masks answer; 0 when there are none.
        segmenter: name of the method that made the masks.
        scores: one per placed view, of the stored masks.
    """

    id: str
    name: str
    color: tuple[float, float, float] = (1.0, 0.55, 0.1)
    prompts: tuple[Prompt, ...] = ()
    revision: int = 0
    answered: int = 0
    segmenter: str = ""
    scores: tuple[ViewScore, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ViewMask:
    """An object's mask in one view.

    Attributes:
        score: presence, confidence and area in this view.
        logits: [h, w] float16 over the whole photo, > 0 is object; all negative where absent.
        fused: [H, W] float16 on the pointmap's grid, 0..1: weight of each point after fusing
            all views that see it; NaN where the pointmap is. None in a first, single-view answer.
    """

    score: ViewScore
    logits: NDArray[np.float16]
    fused: NDArray[np.float16] | None = None

    @property
    def view(self) -> str:
        """Name of the view."""
        return self.score.view


@dataclass(frozen=True, slots=True, eq=False)
class MaskSet:
    """The answer to an object's prompts at one revision: a mask for every placed view."""

    object_id: str
    revision: int
    segmenter: str
    masks: tuple[ViewMask, ...]


__all__ = [
    "Camera",
    "MaskSet",
    "Photo",
    "Placement",
    "Pointmap",
    "Prompt",
    "PromptKind",
    "Reconstruction",
    "SceneObject",
    "Setting",
    "Unplaced",
    "ViewMask",
    "ViewScore",
]
