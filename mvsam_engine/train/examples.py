# SPDX-License-Identifier: GPL-3.0-or-later
"""From a drawn episode to tensors: errors in the pointmaps, tokens, prompts, and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvsam_engine.progress import Progress
from mvsam_engine.segment.base import probability
from mvsam_engine.segment.fusion import fuse, fused_logits
from mvsam_engine.segment.network import Prompts, SpaceCode, Views
from mvsam_engine.segment.scene import SceneView
from mvsam_engine.segment.tokens import CELLS, make_prompts, make_scene
from mvsam_engine.segment.visibility import VisibilityTables
from mvsam_engine.train.episodes import Episode, TrainingScene
from mvsam_engine.train.noise import NoiseOptions, disturb


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """What the network is asked, and what it should answer.

    Attributes:
        views: B rows of image tokens.
        prompts: of the same rows.
        truth: [B, 4R, 4C] 1 where the object is.
        inside: [B, 4R, 4C] 1 where the photo is, 0 in its padding.
        prompted: by row, whether a person's prompts are in this very view.
    """

    views: Views
    prompts: Prompts
    truth: Tensor
    inside: Tensor
    prompted: tuple[bool, ...]


def make_example(
    episode: Episode,
    scene: TrainingScene,
    space_code: SpaceCode,
    noise: NoiseOptions,
    rng: np.random.Generator,
) -> Example:
    """An episode as tensors, on the device of `space_code`.

    Args:
        episode: what is asked about which views.
        scene: the scene that it belongs to.
        space_code: of the network.
        noise: errors put into the pointmaps.
        rng: draws them.
    """
    # Prompted views must be among the views that give the tokens their frame.
    used = [*episode.rows, *(i for i in episode.hints if i not in episode.rows)]
    views = disturb([scene.views[i] for i in used], rng, noise)
    place = {view: k for k, view in enumerate(used)}
    # How large things are in the standardised frame depends on what else the photos show; a street
    # behind a table shrinks it, and that says nothing about things.
    stretch, shift = float(np.exp(rng.normal(0.0, 0.5))), rng.normal(0.0, 0.3, 3)
    tokens = make_scene(views, space_code, stretch, shift)
    dense = {place[i]: mask for i, mask in episode.dense.items()}
    if episode.fused:
        dense = fused_masks(views, dense, rng)
    rows = [place[i] for i in episode.rows]
    hints = {place[i]: hint for i, hint in episode.hints.items()}
    image = tokens.tokens.rows(rows)
    device = image.features.device
    height, width = (CELLS * side for side in image.features.shape[2:])
    chosen = list(episode.rows)
    truth = torch.from_numpy(scene.masks_of(episode.objects)[chosen, :height, :width])
    inside = torch.from_numpy(scene.inside()[chosen, :height, :width])
    return Example(
        views=image,
        prompts=make_prompts(tokens, hints, rows, dense),
        truth=truth.to(device).float(),
        inside=inside.to(device),
        prompted=tuple(i in episode.hints for i in episode.rows),
    )


def fused_masks(
    views: Sequence[SceneView], masks: Mapping[int, NDArray[np.float32]], rng: np.random.Generator
) -> dict[int, NDArray[np.float32]]:
    """Dense prompts of all views from the masks of some, fused on the points (`segment.fusion`).

    Args:
        views: with the errors of their pointmaps, which the prompts then have too.
        masks: logits of the cells [h, w], by index of the view.
        rng: draws whose masks are trusted how much.

    Returns:
        Logits of the cells [h, w], of views that see something of the object.
    """
    tables = VisibilityTables(views, Progress(), among=masks)
    chances = {i: probability(mask.ravel()) for i, mask in masks.items()}
    trust = {i: float(rng.uniform(0.4, 1.0)) for i in masks}
    fused = [fuse(i, views, tables, chances, trust) for i in range(len(views))]
    return {
        i: fused_logits(one).reshape(view.shape)
        for i, (view, one) in enumerate(zip(views, fused, strict=True))
        if one.object.any()
    }
