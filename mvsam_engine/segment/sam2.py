# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM 2.1 on single images: as `segment.sam`, with what its decoder has beyond SAM's.

It reads two finer maps of the image while it upscales, says whether the object is in the image at
all, and ends every prompt in a "not a point" token, a box too. Its memory of video frames is not
used: the views here are tied by their pointmaps. Method: SAM 2, https://arxiv.org/abs/2408.00714.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import SegmentationError
from mvsam_engine.segment.encoders.fine import FOLDED_SHAPE, unfold
from mvsam_engine.segment.sam import Sam, SamAnswer, SamPrompts
from mvsam_engine.segment.two_way import two_way

if TYPE_CHECKING:
    from torch import Tensor


class Sam2(Sam):
    """SAM 2.1; its embeddings are the folded arrays of `FoldedEncoder`."""

    def _decode(
        self, embeddings: Sequence[NDArray[np.floating]], prompts: Sequence[SamPrompts]
    ) -> list[SamAnswer]:
        import torch

        if any(one.shape != FOLDED_SHAPE for one in embeddings):
            raise SegmentationError(
                "sam2.features",
                "SAM 2.1's decoder was given an embedding without high-resolution features.",
                "Use the encoder that was loaded together with it.",
            )
        stacked = np.stack([np.asarray(e, dtype=np.float32) for e in embeddings])
        dense = self._dense(prompts)
        image, stride8, stride4 = unfold(torch.from_numpy(stacked).to(dense.device))
        tokens, valid = self._prompt_tokens(prompts)
        tokens, grid = self._attend(image + dense, tokens, valid)
        logits = self._fine_masks(tokens[:, 2:6], grid, stride8, stride4)
        scores = self.mask_decoder.iou_prediction_head(tokens[:, 1])
        presence = self.mask_decoder.pred_obj_score_head(tokens[:, 0])[:, 0].sigmoid()
        return [
            SamAnswer(*one)
            for one in zip(
                logits.cpu().numpy(), scores.cpu().numpy(), presence.tolist(), strict=True
            )
        ]

    def _prompt_tokens(self, prompts: Sequence[SamPrompts]) -> tuple[Tensor, Tensor]:
        """As SAM's, but prompts with a box end in a "not a point" token like all others."""
        import torch

        tokens, valid = super()._prompt_tokens(prompts)
        end = self.prompt_encoder.not_a_point_embed.weight.expand(len(prompts), 1, -1)
        has_box = torch.tensor([[p.box is not None] for p in prompts], device=valid.device)
        return torch.cat([tokens, end], dim=1), torch.cat([valid, has_box], dim=1)

    def _attend(self, images: Tensor, prompts: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The two-way transformer.

        Args:
            images: [B, 256, 64, 64].
            prompts: [B, N, 256].
            valid: [B, N] bool, False for padding.

        Returns:
            Tokens [B, 6, 256]: presence, IoUs, four masks; image features [B, 256, 64, 64].
        """
        import torch

        decoder, batch = self.mask_decoder, images.shape[0]
        own = torch.cat(
            [decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight]
        )
        tokens = torch.cat([own.expand(batch, -1, -1), prompts], dim=1)
        valid = torch.cat([valid.new_ones(batch, len(own)), valid], dim=1)
        flat = images.flatten(2).transpose(1, 2).contiguous()  # [B, 4096, 256]
        tokens, keys = two_way(decoder.transformer, flat, self._image_code, tokens, valid)
        return tokens[:, : len(own)], keys.transpose(1, 2).unflatten(2, images.shape[2:])

    def _fine_masks(self, tokens: Tensor, grid: Tensor, stride8: Tensor, stride4: Tensor) -> Tensor:
        """Mask logits [B, 4, 256, 256]: upscaled features, the finer maps added on the way."""
        import torch

        first, norm, act, second, last = self.mask_decoder.output_upscaling
        fine = act(norm(first(grid) + stride8))
        fine = last(second(fine) + stride4)  # [B, 32, 256, 256]
        heads = self.mask_decoder.output_hypernetworks_mlps
        weights = torch.stack([head(tokens[:, i]) for i, head in enumerate(heads)], dim=1)
        return (weights @ fine.flatten(2)).unflatten(2, fine.shape[2:])
