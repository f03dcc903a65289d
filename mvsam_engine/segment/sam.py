# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM on single images, many at once: prompts and embeddings in, masks and their scores out.

kornia's classes hold the weights and the layers. The forward pass of the mask decoder is written
here, because kornia's takes one image a call: ours takes a batch of images, each with its own
number of prompts, and masks the padding inside the attention, so that an image's answer does not
depend on what else is in the batch. Method: Segment Anything, https://arxiv.org/abs/2304.02643.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import SegmentationError
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.frame import MODEL_SIDE
from mvsam_engine.segment.two_way import mask_logits, two_way

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# The encoder whose weights come with MV-SAM.
DEFAULT_ENCODER = "tiny-vit"

# Rows of `SamAnswer.logits`: SAM's mask for unambiguous prompts, then three to choose from.
SINGLE, FIRST_CHOICE = 0, 1

# Images decoded in one call: more gains nothing on a CPU and costs 60 MB of memory each.
BATCH = 4


@dataclass(frozen=True, slots=True, eq=False)
class SamPrompts:
    """What is asked of one image. Positions are in the 1024-square, see `segment.frame`.

    Attributes:
        points: [n, 2] float32 positions (x, y).
        labels: [n] bool, True where the point is on the object.
        box: [4] float32 x0, y0, x1, y1, or None.
        mask: [256, 256] float32 logits of an earlier answer, or None.
    """

    points: NDArray[np.float32]
    labels: NDArray[np.bool_]
    box: NDArray[np.float32] | None = None
    mask: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SamAnswer:
    """SAM's answer for one image.

    Attributes:
        logits: [4, 256, 256] float32, or the part of it that the photos fill; > 0 is object. Row
            `SINGLE` is for unambiguous prompts, the others are three choices (part, subpart, whole
            in no fixed order).
        scores: [4] float32, the decoder's own estimate of each mask's IoU.
        presence: 0..1, whether the image shows the object at all; SAM does not ask itself that.
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    presence: float = 1.0


class Sam:
    """Encoder and decoder with their weights; make one with `load_sam`.

    Args:
        encoder: the image encoder.
        prompt_encoder: kornia's `PromptEncoder` on `device`; MV-SAM starts from it.
        mask_decoder: kornia's `MaskDecoder` on `device`; MV-SAM starts from it.
        device: where the decoder runs.
    """

    def __init__(
        self, encoder: ImageEncoder, prompt_encoder: Any, mask_decoder: Any, device: torch.device
    ) -> None:
        import torch

        self.encoder = encoder
        self.prompt_encoder, self.mask_decoder, self.device = prompt_encoder, mask_decoder, device
        with torch.inference_mode():
            code = prompt_encoder.get_dense_pe()  # [1, 256, 64, 64]
            self._image_code = code.flatten(2).transpose(1, 2).contiguous()  # [1, 4096, 256]

    def predict(
        self, embeddings: Sequence[NDArray[np.floating]], prompts: Sequence[SamPrompts]
    ) -> list[SamAnswer]:
        """Decode several images at once.

        Args:
            embeddings: one [256, 64, 64] array per image.
            prompts: as many, each with at least one point, box or mask.

        Returns:
            One answer per image, in order.

        Raises:
            SegmentationError: an image has no prompt at all, or the numbers differ.
        """
        import torch

        if len(embeddings) != len(prompts):
            raise SegmentationError(
                "sam.batch", f"{len(embeddings)} embeddings but {len(prompts)} sets of prompts."
            )
        if any(len(p.points) == 0 and p.box is None and p.mask is None for p in prompts):
            raise SegmentationError(
                "sam.prompts", "An image was asked about without a point, a box or a mask."
            )
        answers: list[SamAnswer] = []
        with torch.inference_mode():
            for start in range(0, len(prompts), BATCH):
                part = slice(start, start + BATCH)
                answers += self._decode(embeddings[part], prompts[part])
        return answers

    def _decode(
        self, embeddings: Sequence[NDArray[np.floating]], prompts: Sequence[SamPrompts]
    ) -> list[SamAnswer]:
        import torch

        stacked = np.stack([np.asarray(e, dtype=np.float32) for e in embeddings])
        images = torch.from_numpy(stacked).to(self.device)  # [B, 256, 64, 64]
        tokens, valid = self._prompt_tokens(prompts)
        logits, scores = self._masks(images + self._dense(prompts), tokens, valid)
        return [
            SamAnswer(one, score)
            for one, score in zip(logits.cpu().numpy(), scores.cpu().numpy(), strict=True)
        ]

    def _prompt_tokens(self, prompts: Sequence[SamPrompts]) -> tuple[Tensor, Tensor]:
        """Tokens [B, N, 256] of points and boxes, and which of them are not padding [B, N].

        As in SAM, a box is two corner tokens, and prompts without a box end in one
        "not a point" token.
        """
        import torch

        count = max(len(p.points) + (1 if p.box is None else 2) for p in prompts)
        positions = np.zeros((len(prompts), count, 2), dtype=np.float32)
        kinds = np.full((len(prompts), count), -1)
        valid = np.zeros((len(prompts), count), dtype=bool)
        for i, prompt in enumerate(prompts):
            n = len(prompt.points)
            positions[i, :n], kinds[i, :n] = prompt.points, prompt.labels
            if prompt.box is not None:
                positions[i, n : n + 2], kinds[i, n : n + 2] = prompt.box.reshape(2, 2), (2, 3)
            valid[i, : n + (1 if prompt.box is None else 2)] = True
        encoder = self.prompt_encoder
        code = encoder.pe_layer.forward_with_coords(
            torch.from_numpy(positions).to(self.device), (MODEL_SIDE, MODEL_SIDE)
        )
        table = torch.cat([encoder.not_a_point_embed.weight]
                          + [e.weight for e in encoder.point_embeddings])  # fmt: skip
        kind = torch.from_numpy(kinds).to(self.device)
        tokens = torch.where(kind[..., None] < 0, 0.0, code) + table[kind + 1]
        return tokens, torch.from_numpy(valid).to(self.device)

    def _dense(self, prompts: Sequence[SamPrompts]) -> Tensor:
        """What the mask prompts add to the image features, [B, 256, 64, 64]."""
        import torch

        encoder = self.prompt_encoder
        none = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        dense = none.expand(len(prompts), -1, *encoder.image_embedding_size).clone()
        given = [i for i, p in enumerate(prompts) if p.mask is not None]
        if given:
            masks = np.stack([np.asarray(prompts[i].mask, dtype=np.float32) for i in given])
            dense[given] = encoder.mask_downscaling(
                torch.from_numpy(masks)[:, None].to(self.device)
            )
        return dense

    def _masks(self, images: Tensor, prompts: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Mask logits [B, 4, 256, 256] and scores [B, 4]."""
        import torch

        decoder, batch = self.mask_decoder, images.shape[0]
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(batch, -1, -1), prompts], dim=1)
        valid = torch.cat([valid.new_ones(batch, len(own)), valid], dim=1)
        flat = images.flatten(2).transpose(1, 2).contiguous()  # [B, 4096, 256]
        tokens, keys = two_way(decoder.transformer, flat, self._image_code, tokens, valid)
        size = (images.shape[2], images.shape[3])
        logits = mask_logits(decoder, tokens[:, 1 : len(own)], keys, size)
        return logits, decoder.iou_prediction_head(tokens[:, 0])


def load_sam(name: str = DEFAULT_ENCODER, device: str = "auto", file: Path | None = None) -> Sam:
    """Load SAM: an image encoder and the decoder that was trained with it.

    Args:
        name: of the encoder, a key of `segment.encoders.ENCODERS`.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        file: a checkpoint of the same shape instead of the published one.

    Raises:
        WeightsError: the weights are missing, damaged, or of another network.
        SegmentationError: there is no such encoder, or this machine has no such device.
    """
    from mvsam_engine.segment.encoders import load_modules, make_encoder
    from mvsam_engine.segment.encoders.fine import FoldedEncoder, Sam2Encoder
    from mvsam_engine.segment.sam2 import Sam2

    where = pick_device(device)
    modules = load_modules(name, file)
    encoder = make_encoder(modules, where)
    decoder = modules.prompt_encoder.to(where), modules.mask_decoder.to(where), where
    if isinstance(encoder, Sam2Encoder):
        return Sam2(FoldedEncoder(encoder), *decoder)
    return Sam(encoder, *decoder)


def pick_device(name: str) -> torch.device:
    """The torch device called `name`; ``auto`` takes a GPU when there is one.

    Raises:
        SegmentationError: unknown, or not on this machine.
    """
    import torch

    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available.get(name, False):
        raise SegmentationError(
            "device.missing",
            f"The device {name!r} is not available.",
            f"Use auto or one of: {', '.join(k for k, there in available.items() if there)}.",
        )
    return torch.device(name)
