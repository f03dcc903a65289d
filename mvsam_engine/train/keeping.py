# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping what SAM knows of real photos, while the network learns about space from made-up ones.

Things made up by a program are simpler than things in photos, and a decoder trained on them alone
soon takes a toy with many bricks for its nearest brick. So the network also answers clicks on real
photos as SAM does: knowledge distillation (Hinton et al., arXiv 1503.02531) against its own
beginning ("learning without forgetting", Li and Hoiem, arXiv 1606.09282). Half of
these photos have no points, the others smooth made-up surfaces that end at no object's edge, so
where an object ends is for its looks to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mvsam_engine.photos import find_photos, read_rgb
from mvsam_engine.progress import Progress
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.frame import CELL, frame_of
from mvsam_engine.segment.network import (
    EXCLUDE,
    INCLUDE,
    NOT_A_POINT,
    Answers,
    MVSam,
    Prompts,
    Views,
)
from mvsam_engine.segment.tokens import CELLS, STRIDE, tokens_filled

# Questions about one photo at a time, of so many points at the most.
QUESTIONS, MOST_POINTS = 4, 8
# Photos are read at most this large; the encoder looks at no more.
LARGEST = 1024


@dataclass(frozen=True, slots=True, eq=False)
class RealPhoto:
    """A photo without geometry.

    Attributes:
        features: [256, R, C] float16 of the image encoder, where the photo is.
        shape: rows and columns of its mask cells.
    """

    features: NDArray[np.float16]
    shape: tuple[int, int]


def load_photos(
    sources: Sequence[Path], encoder: ImageEncoder, progress: Progress
) -> list[RealPhoto]:
    """Look at all photos in files and folders.

    Raises:
        PhotoError: there is none, or one cannot be read.
    """
    files = [file.path for file in find_photos(sources) if not file.is_video]
    progress.stage("Looking at photos", len(files))
    found = []
    for path in files:
        image = read_rgb(path)
        scale = LARGEST / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        shape = frame_of(image).mask_size
        rows, columns = tokens_filled([shape])
        features = encoder.embed(np.ascontiguousarray(image))[:, :rows, :columns]
        found.append(RealPhoto(features.astype(np.float16), shape))
        progress.step()
    return found


class Keeper:
    """Asks the network about real photos, and compares with what SAM says.

    Args:
        teacher: SAM as a network (`MVSam.from_sam`) on the device of the trained one; copied.
        photos: at least one.
    """

    def __init__(self, teacher: MVSam, photos: Sequence[RealPhoto]) -> None:
        self._teacher = deepcopy(teacher).eval().requires_grad_(False)
        self._photos = photos

    def loss(self, network: MVSam, rng: np.random.Generator) -> Tensor:
        """How far the network is from SAM, on one photo; a scalar.

        Cross-entropy of all four masks against the teacher's, and squared error of their scores.
        """
        photo = self._photos[rng.integers(len(self._photos))]
        views, surface = self._views(network, photo, rng)
        with torch.no_grad():
            prompts = self._questions(views, photo, surface, network, rng)
            wanted = self._teacher(views, prompts)
        answers: Answers = network(views, prompts)
        rows, columns = photo.shape
        given = answers.logits[..., :rows, :columns].float()
        target = wanted.logits[..., :rows, :columns].float().sigmoid()
        masks = binary_cross_entropy_with_logits(given, target)
        return masks + (answers.ious.float() - wanted.ious.float()).square().mean()

    def _views(
        self, network: MVSam, photo: RealPhoto, rng: np.random.Generator
    ) -> tuple[Views, Tensor | None]:
        """The photo as image tokens of `QUESTIONS` rows, and its made-up surface [h, w, 3]."""
        device = network.space_code.matrix.device
        features = torch.from_numpy(photo.features).to(device).float()[None]
        rows, columns = features.shape[2:]
        size = (QUESTIONS, rows, columns)
        nothing = torch.zeros(size, device=device)
        surface = None
        code = torch.zeros((*size, features.shape[1]), device=device)
        known = nothing
        if rng.random() < 0.5:
            cells = CELLS // STRIDE  # as `tokens.make_scene` samples it
            surface = torch.from_numpy(smooth_surface((rows * cells, columns * cells), rng))
            surface = surface.to(device)
            everywhere = torch.ones(surface.shape[:2], dtype=torch.bool, device=device)
            with torch.no_grad():
                one, share = network.space_code.of_grid(surface, everywhere, cells)
            code, known = one.expand(QUESTIONS, -1, -1, -1), share.expand(QUESTIONS, -1, -1)
        views = Views(features.expand(QUESTIONS, -1, -1, -1), code, known, nothing)
        return views, surface

    def _questions(
        self,
        views: Views,
        photo: RealPhoto,
        surface: Tensor | None,
        network: MVSam,
        rng: np.random.Generator,
    ) -> Prompts:
        """Clicks at random; half of the rows get more clicks on what the first one marks."""
        rows, columns = photo.shape
        clicks = [
            [(*(rng.uniform(0, 1, 2) * (columns, rows)), True)]
            for _ in range(QUESTIONS)
        ]  # fmt: skip
        first = self._teacher(views, self._prompts(clicks, surface, network))
        masks = first.logits[:, :, :rows, :columns] > 0
        for row in range(QUESTIONS // 2):
            choice = int(first.ious[row, 1:].argmax()) + 1
            marked = masks[row, choice].cpu().numpy()
            for inside, most in ((True, MOST_POINTS - 1), (False, 3)):
                y, x = np.nonzero(marked == inside)
                count = int(rng.integers(0, most)) if len(y) else 0
                for k in rng.integers(0, max(1, len(y)), count):
                    clicks[row].append((x[k] + 0.5, y[k] + 0.5, inside))
        return self._prompts(clicks, surface, network)

    def _prompts(
        self,
        clicks: Sequence[Sequence[tuple[float, float, bool]]],
        surface: Tensor | None,
        network: MVSam,
    ) -> Prompts:
        """Clicks [(x, y, included)] of each row, in mask cells, as the network takes them."""
        device = network.space_code.matrix.device
        count = max(len(row) for row in clicks) + 1
        shape = (len(clicks), count)
        kind = torch.full(shape, NOT_A_POINT)
        valid = torch.zeros(shape, dtype=torch.bool)
        pixels, points = torch.zeros(*shape, 2), torch.zeros(*shape, 3)
        for i, row in enumerate(clicks):
            for k, (x, y, included) in enumerate(row):
                kind[i, k] = INCLUDE if included else EXCLUDE
                valid[i, k] = True
                pixels[i, k] = torch.tensor([x * CELL, y * CELL])
                if surface is not None:
                    points[i, k] = surface[int(y) // STRIDE, int(x) // STRIDE].cpu()
            valid[i, -1] = True
        placed = valid & (kind != NOT_A_POINT)
        located = placed if surface is not None else torch.zeros_like(placed)
        return Prompts(
            kind=kind.to(device), valid=valid.to(device), pixels=pixels.to(device),
            seen=placed.to(device), points=points.to(device), located=located.to(device),
            low=torch.zeros_like(placed).to(device),
            masks=torch.zeros(len(clicks), 1, 1, device=device),  # none is given
            masked=torch.zeros(len(clicks), dtype=torch.bool, device=device),
        )  # fmt: skip


def smooth_surface(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """A surface [h, w, 3] that is seen from one place and has no edges, in standardised units."""
    rows, columns = shape
    small = rng.normal(0.0, 0.25, (3, 4)).astype(np.float32)
    depth = np.exp(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_CUBIC))
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    depth = depth * (1.0 - rng.uniform(0.0, 0.6) * y / rows)  # the ground comes nearer
    span = rng.uniform(0.5, 1.2)
    rays = np.stack([(x / columns - 0.5) * span, (y / columns - 0.5) * span, np.ones_like(x)], -1)
    points = rays * depth[..., None]
    points = (points - np.median(points, axis=(0, 1))) * np.exp(rng.normal(1.0, 0.6))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return (points @ turn).astype(np.float32)
