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
        options = onnxruntime.SessionOptions()
        # Threads that wait for work sleep: beside another program (Blender, a training run) on the
        # same cores a photo then takes 2.2 s instead of 3.0, and 1.4 s of CPU instead of 1.7.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            tiny_vit_onnx(module), options, providers=["CPUExecutionProvider"]
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
