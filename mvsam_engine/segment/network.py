# SPDX-License-Identifier: GPL-3.0-or-later
"""The MV-SAM network: SAM's mask decoder that also knows where its tokens are in space.

Each view is decoded on its own, but against the prompts of the whole scene: a prompt is a token
with the 3D position of what it was put on, an image token carries the 3D position of what it shows,
and both are coded alike, so attention finds the place in every view.

Source: Jeong et al., MV-SAM, arXiv 2601.17866 (no code or weights are published), on top of
Segment Anything, https://arxiv.org/abs/2304.02643. Beyond the paper, each with a switch in
`Config`:

    2D code kept    a token keeps SAM's own 2D code beside the 3D code. The 3D code goes through a
                    matrix that starts at zero: before training the network IS SAM with the prompts
                    projected into every view that sees them, and it can only get better from there.
    presence        whether the object is seen in a view at all.
    dense prompts   an earlier answer, fused on the 3D points, as a mask prompt for every view.

Convention: rows of a batch are (view, object) pairs, each decoded on its own. B rows, N prompt
tokens, 256 channels, an R x C grid of image tokens: the top left of SAM's 64 x 64, as much of it as
the photos fill (its padding says nothing, and a quarter of the time goes with it). Positions in the
image are in the 1024-square (`segment.frame`), positions in space are standardised (`standardise`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mvsam_engine.segment.frame import MODEL_SIDE
from mvsam_engine.segment.two_way import mask_logits, two_way

# Kinds of prompt tokens; the first five are SAM's own embeddings, in its order.
NOT_A_POINT, EXCLUDE, INCLUDE, BOX_START, BOX_END = -1, 0, 1, 2, 3

PRESENCE_SEED = 20260117

# Standardised coordinates are cut off here: what is farther (sky, a street behind the table) is
# "far away", whatever its number.
FARTHEST = 3.0


@dataclass(frozen=True, slots=True)
class Config:
    """What the network is made of; stored beside its weights.

    Attributes:
        width: channels of a token.
        frequencies: of the 3D code; sine and cosine of each make `width` channels.
        frequency_spread: middle size of the frequencies, in cycles per unit of the standardised
            scene.
        frequency_octaves: how many octaves of sizes there are around it: low ones tell the corners
            of a scene apart, high ones its small things.
        code: which positions the tokens carry. "3d" is the paper's network; "2d" and "none" are
            its ablations; "2d+3d" keeps SAM's own code beside the 3D code.
        views: "single" decodes each view on its own, "full" lets the tokens of all views of an
            object attend to one another (the paper's ablation).
        confidence: whether tokens know if their 3D point is trustworthy.
        presence: whether a view says that it does not show the object.
    """

    width: int = 256
    frequencies: int = 128
    frequency_spread: float = 0.9
    frequency_octaves: float = 4.0
    code: Literal["2d+3d", "3d", "2d", "none"] = "2d+3d"
    views: Literal["single", "full"] = "single"
    confidence: bool = True
    presence: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ValueError: the 3D code does not have the width of a token.
        """
        if 2 * self.frequencies != self.width:
            raise ValueError(
                f"{self.frequencies} frequencies make {2 * self.frequencies} channels, "
                f"but a token has {self.width}."
            )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Config:
        """Inverse of `dataclasses.asdict`; unknown names are refused.

        Raises:
            ValueError: a name is unknown: the weights belong to a newer program.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"unknown settings of the network: {', '.join(unknown)}")
        return cls(**values)


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The image tokens of B rows.

    Attributes:
        features: [B, 256, R, C] of the frozen image encoder.
        code: [B, R, C, 256] mean 3D code of what each token shows (`SpaceCode.of_grid`).
        known: [B, R, C] 0..1, share of each token's pixels that have a 3D point.
        low: [B, R, C] 0..1, share of them whose confidence is low.
    """

    features: Tensor
    code: Tensor
    known: Tensor
    low: Tensor

    def rows(self, chosen: Sequence[int]) -> Views:
        """Some of the rows, in the given order."""
        index = torch.as_tensor(list(chosen), device=self.features.device)
        return Views(self.features[index], self.code[index], self.known[index], self.low[index])


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """The prompt tokens of B rows, padded to N.

    Attributes:
        kind: [B, N] int, one of the constants above.
        valid: [B, N] bool, False for padding.
        pixels: [B, N, 2] positions in the row's image (x, y), where `seen`.
        seen: [B, N] bool, whether the prompt has a position in this image: it was given here, or
            its 3D point is seen from here.
        points: [B, N, 3] standardised positions in space, where `located`.
        located: [B, N] bool, whether the prompt has a position in space.
        low: [B, N] bool, whether the confidence of that position is low.
        masks: [B, 4R, 4C] logits of dense prompts.
        masked: [B] bool, whether a row has a dense prompt.
    """

    kind: Tensor
    valid: Tensor
    pixels: Tensor
    seen: Tensor
    points: Tensor
    located: Tensor
    low: Tensor
    masks: Tensor
    masked: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What the network says about B rows.

    Attributes:
        logits: [B, 4, 4R, 4C], > 0 is object; row 0 for unambiguous prompts, then three choices.
        ious: [B, 4] estimate of each mask's IoU.
        presence: [B] logit, > 0 when the object is seen in the view.
    """

    logits: Tensor
    ious: Tensor
    presence: Tensor


def standardise(points: Tensor, confident: Tensor) -> tuple[Tensor, Tensor]:
    """Middle [3] and scale [] of a scene, for ``(X - middle) / scale``.

    The paper takes mean and standard deviation per axis over all points; one far-off wall or a
    badly measured sky then squeezes the objects into a corner. Here: medians, over confident points
    only, and one scale for all axes, so that turning the world turns the coordinates and nothing
    else.

    Args:
        points: [n, 3] of all views, finite.
        confident: [n] bool; where none is, all points count.
    """
    chosen = points[confident] if bool(confident.any()) else points
    middle = chosen.median(dim=0).values
    distance = torch.linalg.vector_norm(chosen - middle, dim=-1)
    # The median distance of a normal cloud in three dimensions is 1.54 deviations.
    return middle, (distance.median() / 1.54).clamp_min(1e-9)


class SpaceCode(nn.Module):
    """Random Fourier features of standardised positions (Tancik et al., NeurIPS 2020).

    The inner product of two codes depends on the difference of the positions only, and, with many
    frequencies, hardly on its direction.

    Args:
        frequencies: how many; the code has twice as many channels.
        spread: middle size of the frequencies, cycles per unit.
        octaves: their sizes are spread evenly over so many octaves around it.
    """

    def __init__(self, frequencies: int, spread: float, octaves: float) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(20260117)
        direction = torch.randn(3, frequencies, generator=generator)
        direction = direction / direction.norm(dim=0)
        matrix = direction * spread * 2.0 ** (octaves * torch.linspace(-0.5, 0.5, frequencies))
        self.matrix: Tensor
        self.register_buffer("matrix", matrix)

    def forward(self, points: Tensor) -> Tensor:
        """Code [..., 2 * frequencies] of standardised points [..., 3]."""
        angle = 2.0 * math.pi * (points.clamp(-FARTHEST, FARTHEST) @ self.matrix)
        return torch.cat([angle.sin(), angle.cos()], dim=-1)

    def of_grid(self, points: Tensor, known: Tensor, cells: int) -> tuple[Tensor, Tensor]:
        """Mean code of the known points of each token.

        A mean of codes, not of points: across a depth edge the mean point lies on no surface, while
        the mean code looks a little like both.

        Args:
            points: [H, W, 3] standardised, anything where unknown; H and W multiples of `cells`.
            known: [H, W] bool.
            cells: side of the square of points that one token covers.

        Returns:
            Code [H / cells, W / cells, 256], zero where nothing is known, and the known share
            [H / cells, W / cells].
        """
        rows, columns = points.shape[0] // cells, points.shape[1] // cells

        def by_token(values: Tensor) -> Tensor:
            split = values.reshape(rows, cells, columns, cells, -1)
            return split.transpose(1, 2).flatten(2, 3)  # [rows, columns, cells^2, C]

        weight = by_token(known[..., None].to(points.dtype))
        code = self(torch.nan_to_num(by_token(points)))
        total = (code * weight).sum(dim=2) / weight.sum(dim=2).clamp_min(1.0)
        return total, weight.mean(dim=2)[..., 0]


class MVSam(nn.Module):
    """See the module. Start it from SAM with `from_sam`, or load trained weights.

    Args:
        prompt_encoder: kornia's `PromptEncoder`; taken over, and trained.
        mask_decoder: kornia's `MaskDecoder`; taken over, and trained.
        config: what else there is.
    """

    def __init__(self, prompt_encoder: Any, mask_decoder: Any, config: Config) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.space_code = SpaceCode(
            config.frequencies, config.frequency_spread, config.frequency_octaves
        )
        # Beside SAM's 2D code the 3D code comes in through a matrix that starts at zero; alone it
        # must be there from the start.
        self.space_mix = nn.Linear(width, width, bias=False)
        if config.code == "2d+3d":
            nn.init.zeros_(self.space_mix.weight)
        else:
            nn.init.eye_(self.space_mix.weight)
        # Rows: high, low confidence; zero at first, so that they change nothing.
        self.confidence = nn.Embedding(2, width)
        nn.init.zeros_(self.confidence.weight)
        # A prompt that this view does not see.
        self.elsewhere = nn.Embedding(1, width)
        nn.init.zeros_(self.elsewhere.weight)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(PRESENCE_SEED)  # the only part that starts at random
            self.presence_head = nn.Sequential(
                nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1)
            )
        # Objects are seen, until training says otherwise.
        nn.init.zeros_(self.presence_head[2].weight)
        nn.init.constant_(self.presence_head[2].bias, 4.0)

    @classmethod
    def from_sam(cls, sam: Any, config: Config | None = None) -> MVSam:
        """A network that starts as SAM, every weight of it ready to be trained.

        Args:
            sam: kornia's `Sam` with weights; its prompt encoder and mask decoder are copied.
            config: what else there is.
        """
        from copy import deepcopy

        prompt_encoder, mask_decoder = deepcopy(sam.prompt_encoder), deepcopy(sam.mask_decoder)
        return cls(prompt_encoder, mask_decoder, config or Config()).requires_grad_(True)

    def forward(self, views: Views, prompts: Prompts) -> Answers:
        """Decode B rows.

        With ``views="full"`` all rows must be views of one object.
        """
        size = (views.features.shape[2], views.features.shape[3])
        images = (views.features + self._dense(prompts)).flatten(2).transpose(1, 2).contiguous()
        code = self._image_code(views).flatten(1, 2)
        tokens = self._tokens(prompts)
        decoder = self.mask_decoder
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(tokens), -1, -1), tokens], dim=1)
        valid = torch.cat([prompts.valid.new_ones(len(tokens), len(own)), prompts.valid], dim=1)
        if self.config.views == "full":
            out, keys = self._decode_together(images, code, tokens, valid)
        else:
            out, keys = two_way(decoder.transformer, images, code, tokens, valid)
        logits = mask_logits(decoder, out[:, 1 : len(own)], keys, size)
        presence = self.presence_head(out[:, 0])[:, 0]
        if not self.config.presence:
            presence = torch.full_like(presence, 10.0)
        return Answers(logits, decoder.iou_prediction_head(out[:, 0]), presence)

    def _image_code(self, views: Views) -> Tensor:
        """Positional code [B, R, C, 256] of the image tokens."""
        config = self.config
        rows, columns = views.features.shape[2:]
        code = torch.zeros_like(views.code)
        if config.code in ("2d", "2d+3d"):
            flat = self.prompt_encoder.get_dense_pe()[0, :, :rows, :columns]
            code = code + flat.permute(1, 2, 0)
        if config.code in ("3d", "2d+3d"):
            code = code + self.space_mix(views.code)
        if config.confidence:
            high, low = self.confidence.weight
            share = views.low[..., None]
            code = code + views.known[..., None] * ((1 - share) * high + share * low)
        return code

    def _tokens(self, prompts: Prompts) -> Tensor:
        """Prompt tokens [B, N, 256]."""
        encoder, config = self.prompt_encoder, self.config
        table = torch.cat([encoder.not_a_point_embed.weight]
                          + [e.weight for e in encoder.point_embeddings])  # fmt: skip
        tokens = table[prompts.kind + 1]
        placed = (prompts.kind != NOT_A_POINT)[..., None]
        if config.code in ("2d", "2d+3d"):
            flat = encoder.pe_layer.forward_with_coords(prompts.pixels, (MODEL_SIDE, MODEL_SIDE))
            here = prompts.seen[..., None]
            tokens = tokens + torch.where(placed & here, flat, 0.0)
            tokens = tokens + torch.where(placed & ~here, self.elsewhere.weight[0], 0.0)
        if config.code in ("3d", "2d+3d"):
            deep = self.space_mix(self.space_code(torch.nan_to_num(prompts.points)))
            tokens = tokens + torch.where(placed & prompts.located[..., None], deep, 0.0)
        if config.confidence:
            trust = self.confidence(prompts.low.long())
            tokens = tokens + torch.where(placed & prompts.located[..., None], trust, 0.0)
        return tokens

    def _dense(self, prompts: Prompts) -> Tensor:
        """What the dense prompts add to the image features, [B, 256, R, C]."""
        encoder = self.prompt_encoder
        none = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        if not bool(prompts.masked.any()):
            return none
        given = encoder.mask_downscaling(prompts.masks[:, None])
        return torch.where(prompts.masked[:, None, None, None], given, none)

    def _decode_together(
        self, images: Tensor, code: Tensor, tokens: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`two_way` with all views of one object as one long image."""
        views, count, width = images.shape
        long = (1, views * count, width)
        out, keys = two_way(
            self.mask_decoder.transformer, images.reshape(long), code.reshape(long), tokens[:1],
            valid[:1],
        )  # fmt: skip
        return out.expand(views, -1, -1), keys.reshape(views, count, width)
