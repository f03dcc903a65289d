# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM 2.1's encoder behind the common interface, and its high-resolution features.

SAM 2.1's own decoder adds two finer maps while it upscales, and is not itself without them. So
that caches and segmenters, which hand on one array per photo, need not know, the three maps can
be folded into one: the cells of the finer maps that lie under one cell of the embedding become
its channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.frame import SquareFrame

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Channels of a folded array: 256 of the embedding, 64 of 2 x 2 cells, 32 of 4 x 4.
FOLDED_SHAPE = (256 + 64 * 4 + 32 * 16, 64, 64)


@dataclass(frozen=True, slots=True, eq=False)
class ImageFeatures:
    """What SAM 2.1's encoder sees in one image.

    Attributes:
        embedding: [256, 64, 64] float32, one cell for 16 x 16 pixels of the 1024-square.
        stride8: [64, 128, 128] float32.
        stride4: [32, 256, 256] float32.
    """

    embedding: NDArray[np.float32]
    stride8: NDArray[np.float32]
    stride4: NDArray[np.float32]

    def folded(self) -> NDArray[np.float32]:
        """All three maps as one array [1024, 64, 64]; `unfold` undoes it."""
        import torch
        from torch.nn.functional import pixel_unshuffle

        stride8 = pixel_unshuffle(torch.from_numpy(self.stride8), 2).numpy()
        stride4 = pixel_unshuffle(torch.from_numpy(self.stride4), 4).numpy()
        return np.concatenate([self.embedding, stride8, stride4])


def unfold(folded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three maps of folded arrays [B, 1024, 64, 64], see `ImageFeatures`."""
    from torch.nn.functional import pixel_shuffle

    embedding, stride8, stride4 = folded.split((256, 256, 512), dim=1)
    return embedding, pixel_shuffle(stride8, 2), pixel_shuffle(stride4, 4)


class Sam2Encoder(ImageEncoder):
    """SAM 2.1's Hiera in torch.

    SAM 2 is trained on, and its own predictor makes, squares that the photo is squeezed into;
    so this encoder's frame is another one than SAM's, which keeps the aspect and pads.

    Args:
        name: see `ImageEncoder`.
        module: `HieraEncoder` with its weights; moved to `device`.
        device: where to run.
    """

    def __init__(self, name: str, module: nn.Module, device: torch.device) -> None:
        self._name, self._device = name, device
        self._module: Any = module.eval().to(device)

    @property
    def name(self) -> str:
        """See `ImageEncoder`."""
        return self._name

    def frame(self, width: int, height: int) -> SquareFrame:
        """See `ImageEncoder`."""
        return SquareFrame(width, height)

    def features(self, image: NDArray[np.uint8]) -> ImageFeatures:
        """Embedding and high-resolution features of an RGB photo [H, W, 3], from one pass."""
        import torch

        frame = self.frame(image.shape[1], image.shape[0])
        with torch.inference_mode():
            square = torch.from_numpy(frame.model_input(image)).to(self._device)
            maps = self._module(square)
            return ImageFeatures(*(m[0].float().cpu().numpy() for m in maps))

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `ImageEncoder`."""
        return self.features(image).embedding


class FoldedEncoder(ImageEncoder):
    """Gives the three maps of a `Sam2Encoder` as one array, for SAM 2.1's own decoder.

    Args:
        encoder: whose features these are.
    """

    shape = FOLDED_SHAPE

    def __init__(self, encoder: Sam2Encoder) -> None:
        self._encoder = encoder

    @property
    def name(self) -> str:
        """See `ImageEncoder`."""
        return f"{self._encoder.name}-fine"

    def frame(self, width: int, height: int) -> SquareFrame:
        """See `ImageEncoder`."""
        return self._encoder.frame(width, height)

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [1024, 64, 64], see `ImageFeatures.folded`."""
        return self._encoder.features(image).folded()
