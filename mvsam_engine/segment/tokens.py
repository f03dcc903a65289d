# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene and a person's prompts as the network reads them: numpy outside, tensors inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvsam_engine.capture.conventions import pixels_to_grid
from mvsam_engine.segment.frame import MASK_SIDE
from mvsam_engine.segment.hints import Hints
from mvsam_engine.segment.network import (
    BOX_END,
    BOX_START,
    EXCLUDE,
    INCLUDE,
    NOT_A_POINT,
    Prompts,
    SpaceCode,
    Views,
    standardise,
)
from mvsam_engine.segment.scene import SceneView

# The least trustworthy share of all points of a scene, as the paper found best (0 and 30 % were
# worse).
LOW_SHARE = 0.15
# Every second cell of the mask grid gives a token its code: four points a token, at a quarter of
# the price of all sixteen.
STRIDE = 2
TOKENS = 64
# Side of the square of mask cells that a token covers.
CELLS = MASK_SIDE // TOKENS
# Logit of a dense prompt beside the photo.
OUTSIDE_LOGIT = -8.0
# A prompt's point is seen in another view when what that view shows there lies this close to it,
# as a share of the depth, or is not known.
SAME_DEPTH = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class TokenScene:
    """What of a scene does not depend on prompts.

    Attributes:
        views: the placed views.
        tokens: image tokens, a row per view.
        middle: [3] of the standardised frame, world units.
        scale: of the standardised frame, world units.
        low: confidence below which a point counts as low.
    """

    views: tuple[SceneView, ...]
    tokens: Views
    middle: NDArray[np.float64]
    scale: float
    low: float

    def standardised(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """World points [..., 3] in the standardised frame."""
        return ((points - self.middle) / self.scale).astype(np.float32)


def make_scene(
    views: Sequence[SceneView],
    space_code: SpaceCode,
    stretch: float = 1.0,
    shift: NDArray[np.float64] | None = None,
) -> TokenScene:
    """Image tokens of all views, on the device of `space_code`.

    Args:
        views: the placed views; at least one point is known.
        space_code: of the network that will read them.
        stretch: makes everything so many times as large as the standard; for training.
        shift: [3] moves everything off the standard's middle, in its units; for training.
    """
    device = space_code.matrix.device
    points = np.concatenate([view.points for view in views])
    confidence = np.concatenate([view.confidence for view in views])
    known = np.isfinite(points[:, 0])
    low = float(np.quantile(confidence[known], LOW_SHARE)) if known.any() else 0.0
    middle, scale = standardise(
        torch.from_numpy(points[known].astype(np.float64)),
        torch.from_numpy(confidence[known] > low),
    )
    scale = scale / stretch
    if shift is not None:
        middle = middle + scale * torch.from_numpy(shift)
    found = [_image_tokens(view, space_code, middle, scale, low) for view in views]
    rows, columns = tokens_filled([view.shape for view in views])
    features = np.stack([np.asarray(view.embedding[:, :rows, :columns]) for view in views])
    tokens = Views(
        features=torch.from_numpy(features).to(device).float(),
        code=torch.stack([code[:rows, :columns] for code, _, _ in found]),
        known=torch.stack([share[:rows, :columns] for _, share, _ in found]),
        low=torch.stack([share[:rows, :columns] for _, _, share in found]),
    )
    return TokenScene(tuple(views), tokens, middle.numpy(), float(scale), low)


def tokens_filled(shapes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Rows and columns of SAM's token grid that hold something of photos of these mask sizes."""
    rows, columns = np.max(list(shapes), axis=0)
    return -(-int(rows) // CELLS), -(-int(columns) // CELLS)


def _image_tokens(
    view: SceneView, space_code: SpaceCode, middle: Tensor, scale: Tensor, low: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean code [64, 64, 256] of each token, its known share and its low share [64, 64]."""
    rows, columns = view.shape
    square = np.full((MASK_SIDE, MASK_SIDE, 3), np.nan, np.float32)
    square[:rows, :columns] = view.points.reshape(rows, columns, 3)
    trust = np.ones((MASK_SIDE, MASK_SIDE), np.float32)
    trust[:rows, :columns] = view.confidence.reshape(rows, columns)
    start = STRIDE // 2
    device = space_code.matrix.device
    points = torch.from_numpy(square[start::STRIDE, start::STRIDE])
    points = ((points - middle.float()) / scale.float()).to(device)
    known = torch.isfinite(points[..., 0])
    doubtful = torch.from_numpy(trust[start::STRIDE, start::STRIDE] <= low).to(device) & known
    cells = len(points) // TOKENS
    with torch.no_grad():
        code, share = space_code.of_grid(points, known, cells)
    of_token = doubtful.float().reshape(TOKENS, cells, TOKENS, cells).mean(dim=(1, 3))
    return code, share, of_token / share.clamp_min(1e-6)


@dataclass(frozen=True, slots=True, eq=False)
class _Token:
    """One prompt token before it is known which views see it.

    Attributes:
        kind: see `network`.
        home: index of the view that it was given in.
        pixel: [2] photo position there.
        point: [3] world, NaN when not located.
        low: whether the confidence there is low.
    """

    kind: int
    home: int
    pixel: NDArray[np.float64]
    point: NDArray[np.float64]
    low: bool


def make_prompts(
    scene: TokenScene,
    hints: Mapping[int, Hints],
    rows: Sequence[int],
    masks: Mapping[int, NDArray[np.float32]] | None = None,
) -> Prompts:
    """Prompt tokens of one object for some of the views.

    Points go to all views, by their place in space; a box is said only to the view that it was
    drawn in, since the places under its corners are not the object's.

    Args:
        scene: the scene.
        hints: what a person said, by index of the view.
        rows: indices of the views that will be decoded.
        masks: dense prompts by index of the view, logits of its cells [h, w]; a person's own mask
            of the view goes before them.
    """
    tokens = [token for home, hint in sorted(hints.items()) for token in _tokens(scene, home, hint)]
    count = len(tokens) + 1
    shape = (len(rows), count)
    kind = np.full(shape, NOT_A_POINT)
    valid, seen = np.zeros(shape, bool), np.zeros(shape, bool)
    located, low = np.zeros(shape, bool), np.zeros(shape, bool)
    pixels, points = np.zeros((*shape, 2), np.float32), np.zeros((*shape, 3), np.float32)
    for row, index in enumerate(rows):
        view = scene.views[index]
        boxed = False
        for k, token in enumerate(tokens):
            corner = token.kind in (BOX_START, BOX_END)
            if corner and token.home != index:
                continue
            boxed = boxed or corner
            kind[row, k], valid[row, k], low[row, k] = token.kind, True, token.low
            located[row, k] = not corner and bool(np.isfinite(token.point).all())
            if located[row, k]:
                points[row, k] = scene.standardised(token.point)
            pixel = token.pixel if token.home == index else _seen_at(view, token.point)
            if pixel is not None:
                seen[row, k], pixels[row, k] = True, view.frame.to_model(pixel)
        # As in SAM, prompts without a box end in one "not a point" token.
        valid[row, -1] = not boxed
    height, width = (CELLS * side for side in scene.tokens.features.shape[2:])
    dense = np.zeros((len(rows), height, width), np.float32)
    masked = np.zeros(len(rows), bool)
    for row, index in enumerate(rows):
        mask = _mask_of(scene.views[index], hints.get(index), (masks or {}).get(index))
        if mask is not None:
            dense[row], masked[row] = mask[:height, :width], True
    device = scene.tokens.features.device
    return Prompts(
        **{
            name: torch.from_numpy(values).to(device)
            for name, values in (
                ("kind", kind), ("valid", valid), ("pixels", pixels), ("seen", seen),
                ("points", points), ("located", located), ("low", low),
                ("masks", dense), ("masked", masked),
            )
        }
    )  # fmt: skip


def _tokens(scene: TokenScene, home: int, hint: Hints) -> list[_Token]:
    view = scene.views[home]
    tokens = []
    for xy, included in zip(hint.points, hint.labels, strict=True):
        point, confidence = point_under(view, xy)
        kind = INCLUDE if included else EXCLUDE
        tokens.append(_Token(kind, home, xy, point, confidence <= scene.low))
    if hint.box is not None:
        nowhere = np.full(3, np.nan)
        for kind, corner in zip((BOX_START, BOX_END), hint.box.reshape(2, 2), strict=True):
            tokens.append(_Token(kind, home, corner, nowhere, low=False))
    return tokens


def point_under(view: SceneView, xy: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """World point [3] under a photo position, NaN where none is near, and its confidence.

    The most confident point of the 3 x 3 cells around: a click beside a hole still finds the
    surface.
    """
    rows, columns = view.shape
    row, column, _ = pixels_to_grid(
        np.asarray(xy, np.float64), rows, columns, view.photo.width, view.photo.height
    )
    around_row = np.clip(np.arange(row - 1, row + 2), 0, rows - 1)
    around_column = np.clip(np.arange(column - 1, column + 2), 0, columns - 1)
    cells = (around_row[:, None] * columns + around_column).ravel()
    own = int(row * columns + column)
    confidence = np.where(np.isfinite(view.points[cells, 0]), view.confidence[cells], -1.0)
    best = own if np.isfinite(view.points[own, 0]) else int(cells[confidence.argmax()])
    return view.points[best].astype(np.float64), float(view.confidence[best])


def _seen_at(view: SceneView, point: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Photo position [2] at which a view shows a world point, None where it does not."""
    if not np.isfinite(point).all():
        return None
    pixel, depth = view.camera.project(point)
    if not depth > 0:
        return None
    rows, columns = view.shape
    row, column, inside = pixels_to_grid(pixel, rows, columns, view.photo.width, view.photo.height)
    if not inside:
        return None
    shown = view.depth[int(row) * columns + int(column)]
    hidden = np.isfinite(shown) and shown < depth * (1 - SAME_DEPTH)
    return None if hidden else pixel


def _mask_of(
    view: SceneView, hint: Hints | None, earlier: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """Dense prompt [256, 256] of a view: a person's own mask, else the earlier answer."""
    if hint is not None and hint.mask is not None:
        return hint.sam_prompts(view.frame).mask
    if earlier is None:
        return None
    return view.frame.pad(earlier, OUTSIDE_LOGIT)
