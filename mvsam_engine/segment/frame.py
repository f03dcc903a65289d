# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that knows how SAM sees a photo: size, padding, colours, pixels.

Convention: the photo is scaled so that its long side is 1024 and padded right and below with
zeros (after normalising) to 1024 x 1024; masks come on a grid of a quarter of that. The short side
is rounded to a multiple of 4, so that the photo covers whole cells of the 256-grid and a mask cut
out of it covers the photo exactly. Pixel positions have their origin at the top-left corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MODEL_SIDE = 1024  # pixels of the square that the encoder sees
MASK_SIDE = 256  # cells of the square that the decoder answers on
CELL = MODEL_SIDE // MASK_SIDE

# Mean and standard deviation of RGB, 0..255 (ImageNet's, as in segment-anything `Sam`).
PIXEL_MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
PIXEL_STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class ModelFrame:
    """Conversion between a photo of `width` x `height` and SAM's square.

    Attributes:
        width: photo width in pixels.
        height: photo height in pixels.
    """

    width: int
    height: int

    @property
    def mask_size(self) -> tuple[int, int]:
        """Rows and columns of the 256-grid that the photo covers."""
        longest = max(self.width, self.height)
        return (
            max(1, round(self.height * MASK_SIDE / longest)),
            max(1, round(self.width * MASK_SIDE / longest)),
        )

    @property
    def model_size(self) -> tuple[int, int]:
        """Rows and columns of the 1024-square that the photo covers."""
        rows, columns = self.mask_size
        return rows * CELL, columns * CELL

    def to_model(self, pixels: NDArray[np.floating]) -> NDArray[np.float32]:
        """Photo positions [..., 2] (x, y) to positions in the 1024-square [..., 2]."""
        rows, columns = self.model_size
        scale = np.array([columns / self.width, rows / self.height])
        return (np.asarray(pixels, dtype=np.float64) * scale).astype(np.float32)

    def crop(self, grid: NDArray[np.floating]) -> NDArray[np.floating]:
        """The part [..., h, w] of a [..., 256, 256] grid that the photo covers."""
        rows, columns = self.mask_size
        return grid[..., :rows, :columns]

    def pad(self, grid: NDArray[np.floating], value: float) -> NDArray[np.float32]:
        """A [h, w] grid over the photo, set into a [256, 256] one filled with `value`."""
        square = np.full((MASK_SIDE, MASK_SIDE), value, dtype=np.float32)
        square[: grid.shape[0], : grid.shape[1]] = grid
        return square

    def model_input(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the encoder takes, [1, 3, 1024, 1024], from an RGB photo [H, W, 3]."""
        rows, columns = self.model_size
        small = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
        values = (np.asarray(small, dtype=np.float32) - PIXEL_MEAN) / PIXEL_STD
        square = np.zeros((1, 3, MODEL_SIDE, MODEL_SIDE), dtype=np.float32)
        square[0, :, :rows, :columns] = values.transpose(2, 0, 1)
        return square


@dataclass(frozen=True, slots=True)
class SquareFrame(ModelFrame):
    """The frame of SAM 2: the photo is squeezed to fill the square, its aspect is not kept."""

    @property
    def mask_size(self) -> tuple[int, int]:
        """Rows and columns of the 256-grid that the photo covers: all of them."""
        return MASK_SIDE, MASK_SIDE


def frame_of(image: NDArray[np.uint8]) -> ModelFrame:
    """The frame of an RGB photo [H, W, 3]."""
    return ModelFrame(image.shape[1], image.shape[0])
