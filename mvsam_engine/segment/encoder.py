# SPDX-License-Identifier: GPL-3.0-or-later
"""Image encoders: one embedding per photo, computed once, whatever is clicked later.

`segment.encoders` makes them by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.segment.frame import ModelFrame, frame_of
from mvsam_engine.segment.tiny_vit_graph import INPUT, tiny_vit_onnx

if TYPE_CHECKING:
    import torch
    from torch import nn


EMBEDDING_SHAPE = (256, 64, 64)


class ImageEncoder(Protocol):
    """Turns a photo into the features that SAM's decoder reads.

    An encoder states how it sees a photo (`frame`); whoever asks about its features must put
    pixels through that frame.
    """

    @property
    def name(self) -> str:
        """Safe as a folder name, different for different weights."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of what `embed` gives."""
        return EMBEDDING_SHAPE

    def frame(self, width: int, height: int) -> ModelFrame:
        """How it sees a photo of this size: SAM's frame, unless it says otherwise."""
        return ModelFrame(width, height)

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features [256, 64, 64] of an RGB photo [H, W, 3]."""
        ...


class OnnxEncoder(ImageEncoder):
    """TinyViT in ONNX Runtime: on a CPU about three times as fast as in torch.

    Args:
        name: see `ImageEncoder`.
        module: kornia's TinyViT with its weights.
    """

    def __init__(self, name: str, module: nn.Module) -> None:
        import onnxruntime

        self._name = name
        self._session = onnxruntime.InferenceSession(
            tiny_vit_onnx(module), providers=["CPUExecutionProvider"]
        )

    @property
    def name(self) -> str:
        """See `ImageEncoder`."""
        return self._name

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `ImageEncoder`."""
        (features,) = self._session.run(None, {INPUT: frame_of(image).model_input(image)})
        return features[0]


class TorchEncoder(ImageEncoder):
    """TinyViT or one of SAM's ViTs in torch.

    Args:
        name: see `ImageEncoder`.
        module: kornia's TinyViT or ViT with its weights; moved to `device`.
        device: where to run.
    """

    def __init__(self, name: str, module: nn.Module, device: torch.device) -> None:
        self._name, self._device = name, device
        self._module = module.eval().to(device)

    @property
    def name(self) -> str:
        """See `ImageEncoder`."""
        return self._name

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `ImageEncoder`."""
        import torch

        with torch.inference_mode():
            square = torch.from_numpy(frame_of(image).model_input(image)).to(self._device)
            return self._module(square)[0].float().cpu().numpy()
