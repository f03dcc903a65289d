# SPDX-License-Identifier: GPL-3.0-or-later
"""From photos to the pixels that a network takes, and exactly back.

Convention: both grids count from the top-left CORNER of the top-left pixel, so that a photo
position x lies at ``scale_x * x + offset_x`` in the network's image, whatever was resized, cut off
or padded. Photos are upright here already: EXIF orientation is applied when they come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

# Photos whose sides differ by no more than this are stretched to one shape, as every model's own
# preparation does when it rounds to whole patches.
SAME_SHAPE = 0.03

Unequal = Literal["crop", "pad"]


@dataclass(frozen=True, slots=True)
class InputNeeds:
    """What pixels a network takes.

    Attributes:
        long_side: of its images, pixels; what it was trained for, or a bound.
        multiple: both sides are whole multiples of this (its patch).
        unequal: what happens to photos of several shapes, which one run cannot mix: ``crop`` cuts
            them to a common middle (what is cut off gets no points), ``pad`` puts white beside.
        most_pixels: of one image; 0 when only `long_side` bounds it.
    """

    long_side: int
    multiple: int
    unequal: Unequal
    most_pixels: int = 0


@dataclass(frozen=True, slots=True)
class Framing:
    """How one photo lies in the network's image.

    Attributes:
        photo_width: of the upright photo, pixels.
        photo_height: of the upright photo.
        width: of the network's image.
        height: of the network's image.
        scale_x: network pixels per photo pixel.
        scale_y: network pixels per photo pixel.
        offset_x: where the photo's left edge lies, network pixels; negative when cut off.
        offset_y: where its upper edge lies.
    """

    photo_width: int
    photo_height: int
    width: int
    height: int
    scale_x: float
    scale_y: float
    offset_x: float = 0.0
    offset_y: float = 0.0

    def to_network(self, pixels: NDArray[np.floating]) -> NDArray[np.float64]:
        """Network positions [..., 2] of photo positions [..., 2]."""
        return np.asarray(pixels) * [self.scale_x, self.scale_y] + [self.offset_x, self.offset_y]

    def to_photo(self, pixels: NDArray[np.floating]) -> NDArray[np.float64]:
        """Photo positions [..., 2] of network positions [..., 2]; undoes `to_network`."""
        return (np.asarray(pixels) - [self.offset_x, self.offset_y]) / [self.scale_x, self.scale_y]

    def centers(self) -> NDArray[np.float64]:
        """Photo positions [h, w, 2] of the centres of the network's pixels."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        return self.to_photo(np.stack([x, y], axis=-1))

    def inside(self) -> NDArray[np.bool_]:
        """Which of the network's pixels [h, w] show the photo, not padding."""
        x, y = np.moveaxis(self.centers(), -1, 0)
        return (x > 0) & (y > 0) & (x < self.photo_width) & (y < self.photo_height)

    @property
    def covers(self) -> float:
        """Share of the photo that the network's image shows."""
        x0, y0 = np.clip(self.to_photo(np.zeros(2)), 0, [self.photo_width, self.photo_height])
        x1, y1 = np.clip(
            self.to_photo(np.array([self.width, self.height])),
            0,
            [self.photo_width, self.photo_height],
        )
        return float((x1 - x0) * (y1 - y0) / (self.photo_width * self.photo_height))

    def image(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The network's image [h, w, 3] of a photo [H, W, 3]; padding is white.

        Shrinking averages areas, so that nothing aliases; enlarging is bicubic.
        """
        x0, y0 = (round(v) for v in (self.offset_x, self.offset_y))
        inner_w = max(1, round(self.scale_x * self.photo_width))
        inner_h = max(1, round(self.scale_y * self.photo_height))
        smaller = inner_w <= self.photo_width and inner_h <= self.photo_height
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        inner = cv2.resize(photo, (inner_w, inner_h), interpolation=how)
        out = np.full((self.height, self.width, 3), 255, np.uint8)
        left, top = max(0, x0), max(0, y0)
        right, bottom = min(self.width, x0 + inner_w), min(self.height, y0 + inner_h)
        out[top:bottom, left:right] = inner[top - y0 : bottom - y0, left - x0 : right - x0]
        return out


def frame_photos(
    sizes: Sequence[tuple[int, int]], needs: InputNeeds, long_side: int | None = None
) -> tuple[Framing, ...]:
    """How photos are given to a network: all of one shape, as large as it likes them.

    Args:
        sizes: width and height of each upright photo.
        needs: of the network.
        long_side: instead of the network's own, for a quicker look or less memory.

    Returns:
        One framing per photo. Photos of one shape are only resized, each side by its own factor
        when whole patches ask for it; of several shapes, they are then cut or padded.
    """
    side = needs.long_side if long_side is None else long_side
    fitted = [_fit(w, h, side, needs) for w, h in sizes]
    aspects = np.array([np.log(w / h) for w, h in sizes])
    if np.ptp(aspects) <= SAME_SHAPE:
        width, height = fitted[int(np.argmin(np.abs(aspects - np.median(aspects))))]
        return tuple(Framing(w, h, width, height, width / w, height / h) for w, h in sizes)
    common = min if needs.unequal == "crop" else max
    width, height = common(f[0] for f in fitted), common(f[1] for f in fitted)
    return tuple(
        _placed(w, h, width, height, fit) for (w, h), fit in zip(sizes, fitted, strict=True)
    )


def _fit(width: int, height: int, side: int, needs: InputNeeds) -> tuple[int, int]:
    """The photo's size at the network's long side, in whole patches."""
    most = needs.most_pixels * (side / needs.long_side) ** 2
    scale = side / max(width, height)
    if most:
        scale = min(scale, (most / (width * height)) ** 0.5)

    def patches(pixels: float) -> int:
        return max(1, round(pixels / needs.multiple))

    columns, rows = patches(width * scale), patches(height * scale)
    while most and columns * rows * needs.multiple**2 > most and max(columns, rows) > 1:
        if columns * height > rows * width:  # wider than the photo
            columns -= 1
        else:
            rows -= 1
    return columns * needs.multiple, rows * needs.multiple


def _placed(
    photo_width: int, photo_height: int, width: int, height: int, fit: tuple[int, int]
) -> Framing:
    """A photo in the middle of the common image, at whole pixels."""
    inner_w, inner_h = fit
    return Framing(
        photo_width,
        photo_height,
        width,
        height,
        inner_w / photo_width,
        inner_h / photo_height,
        float((width - inner_w) // 2),
        float((height - inner_h) // 2),
    )
