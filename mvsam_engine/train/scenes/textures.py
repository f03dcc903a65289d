# SPDX-License-Identifier: GPL-3.0-or-later
"""What things look like: patches of real photographs, or patterns made up where there are none.

A texture is a square that repeats mirrored, so it has no seams, with smaller copies of itself for
things far away (mip maps, Williams 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.photos import find_photos, read_rgb

SIDE = 256
LEVELS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """A square picture and its smaller copies.

    Attributes:
        levels: [side, side, 3] float32 linear RGB 0..1, side halved from one to the next.
        size: metres that the square covers on the thing.
    """

    levels: tuple[NDArray[np.float32], ...]
    size: float

    def sample(
        self, uv: NDArray[np.floating], footprint: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Colours [n, 3] at positions `uv` [n, 2] in metres, each a blur of `footprint` [n] metres.

        The nearest smaller copy, interpolated linearly.
        """
        texel = self.size / SIDE
        level = np.clip(np.log2(np.maximum(footprint / texel, 1.0)).round(), 0, LEVELS - 1)
        colours = np.empty((len(uv), 3), np.float32)
        for number, picture in enumerate(self.levels):
            here = np.flatnonzero(level == number)
            if not len(here):
                continue
            side = picture.shape[0]
            place = np.abs((uv[here] / self.size) % 2.0 - 1.0) * (side - 1)
            x, y = place[:, 0].astype(np.float32), place[:, 1].astype(np.float32)
            colours[here] = _bilinear(picture, x, y)
        return colours


def _bilinear(
    picture: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    left, top = x.astype(np.int32), y.astype(np.int32)
    right = np.minimum(left + 1, picture.shape[1] - 1)
    bottom = np.minimum(top + 1, picture.shape[0] - 1)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    upper = picture[top, left] * (1 - fx) + picture[top, right] * fx
    lower = picture[bottom, left] * (1 - fx) + picture[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


def make_texture(picture: NDArray[np.uint8], size: float) -> Texture:
    """A texture from a square sRGB picture [SIDE, SIDE, 3] that covers `size` metres."""
    level = (picture.astype(np.float32) / 255.0) ** 2.2
    levels = [level]
    for _ in range(LEVELS - 1):
        level = cv2.resize(level, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        levels.append(level)
    return Texture(tuple(levels), size)


class Patches:
    """A source of textures.

    Args:
        photos: folders or files of photographs to cut patches from; none makes patterns up.
        most: so many photographs are read at the most, spread over the list.
    """

    def __init__(self, photos: Sequence[Path] = (), most: int = 60) -> None:
        files = [f.path for f in find_photos(photos) if not f.is_video] if photos else []
        step = max(1, len(files) // most)
        self._photos = [_moderate(read_rgb(file)) for file in files[::step]]

    def draw(self, rng: np.random.Generator) -> Texture:
        """A random texture: plain one time in eight, else a patch or a pattern."""
        size = float(rng.uniform(0.25, 1.2))
        kind = rng.random()
        if kind < 0.125:
            return make_texture(_plain(rng), size)
        if self._photos and kind < 0.8:
            return make_texture(self._patch(rng), size)
        return make_texture(_pattern(rng), size)

    def _patch(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        photo = self._photos[rng.integers(len(self._photos))]
        height, width = photo.shape[:2]
        side = int(rng.integers(min(height, width) // 5, min(height, width) * 3 // 4))
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        patch = cv2.resize(
            photo[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA
        )
        patch = np.ascontiguousarray(np.rot90(patch, rng.integers(4)))
        tint = rng.uniform(0.6, 1.4, 3)
        return np.clip(patch * tint * rng.uniform(0.7, 1.3), 0, 255).astype(np.uint8)


def _moderate(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photo of at most 1200 pixels, so that many fit into memory."""
    scale = 1200 / max(photo.shape[:2])
    if scale >= 1:
        return photo
    return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(
        np.uint8
    )


def _color(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.uniform(0.08, 0.95, 3)


def _plain(rng: np.random.Generator) -> NDArray[np.uint8]:
    """One colour with hardly any grain: what stereo cannot measure."""
    grain = rng.normal(0.0, 0.004, (SIDE, SIDE, 1))
    return _to_bytes(_color(rng) + grain)


def _pattern(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Two colours mixed by clouds, stripes, checks or dots, and grain."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    clouds = np.zeros((SIDE, SIDE))
    for octave in range(5):
        cells = 2 ** (octave + 2)
        small = rng.normal(size=(cells, cells)).astype(np.float32)
        clouds += cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    angle, cycles = rng.uniform(0, np.pi), rng.uniform(3, 14)
    along = (x * np.cos(angle) + y * np.sin(angle)) * cycles * 2 * np.pi
    across = (y * np.cos(angle) - x * np.sin(angle)) * cycles * 2 * np.pi
    shape = (
        clouds,
        np.sin(along + 0.4 * clouds) * 2,
        np.sign(np.sin(along) * np.sin(across)),
        np.sin(along) + np.sin(across) - 0.8,
    )[rng.integers(4)]
    mix = 1.0 / (1.0 + np.exp(-3.0 * shape))[..., None]
    grain = 0.06 * clouds[..., None] + rng.normal(0.0, 0.02, (SIDE, SIDE, 1))
    return _to_bytes(_color(rng) * mix + _color(rng) * (1 - mix) + grain)


def _to_bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return (np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
