# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks over a photo: a light tint inside and an outline, from images or from small arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from numpy.typing import NDArray

from .shaders import mask_shader

# (u, v) in the image, 0..1 from the lower left, to pixels of the region.
ToRegion = Callable[[float, float], tuple[float, float]]

_LINE_PIXELS = 1.5
_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1))


@dataclass(frozen=True, slots=True)
class Look:
    """How a mask is drawn.

    Attributes:
        color: RGB 0..1.
        tint: opacity inside.
        outline: opacity of the border.
    """

    color: tuple[float, float, float]
    tint: float
    outline: float


class MaskPainter:
    """Draws masks; keeps the shader, and the textures of arrays."""

    def __init__(self) -> None:
        self._shader: gpu.types.GPUShader | None = None
        self._kept: dict[Hashable, tuple[NDArray[np.float32], gpu.types.GPUTexture]] = {}

    def draw(
        self, texture: gpu.types.GPUTexture, threshold: float, look: Look, to_region: ToRegion
    ) -> None:
        """Draw a texture over the whole photo; what is above `threshold` is object."""
        if self._shader is None:
            self._shader = mask_shader()
        shader = self._shader
        (left, low), (right, high) = to_region(0.0, 0.0), to_region(1.0, 1.0)
        places = [(left + (right - left) * u, low + (high - low) * v) for u, v in _CORNERS]
        batch = batch_for_shader(shader, "TRIS", {"pos": places, "texCoord": list(_CORNERS)})
        shader.bind()
        matrix = gpu.matrix.get_projection_matrix() @ gpu.matrix.get_model_view_matrix()
        shader.uniform_float("ModelViewProjectionMatrix", matrix)
        shader.uniform_float("color", (*look.color, look.tint))
        shader.uniform_float(
            "line", (_LINE_PIXELS / max(1, right - left), _LINE_PIXELS / max(1, high - low))
        )
        shader.uniform_float("threshold", threshold)
        shader.uniform_float("outline", look.outline)
        shader.uniform_sampler("mask", texture)
        batch.draw(shader)

    def texture_of(self, key: Hashable, values: NDArray[np.float32]) -> gpu.types.GPUTexture:
        """Values [h, w], first row on top, as a texture: made once, and anew for other values."""
        kept = self._kept.get(key)
        if kept is None or kept[0] is not values:
            # Textures begin at the bottom, photos at the top.
            upright = np.ascontiguousarray(values[::-1], dtype=np.float32)
            height, width = upright.shape
            data = gpu.types.Buffer("FLOAT", width * height, upright.ravel())
            texture = gpu.types.GPUTexture((width, height), format="R32F", data=data)
            kept = self._kept[key] = (values, texture)
        return kept[1]

    def keep_only(self, keys: set[Hashable]) -> None:
        """Free the textures of all other keys."""
        self._kept = {key: kept for key, kept in self._kept.items() if key in keys}


def draw_picture(texture: gpu.types.GPUTexture, opacity: float, to_region: ToRegion) -> None:
    """Draw a picture over the whole image, seen through."""
    (left, low), (right, high) = to_region(0.0, 0.0), to_region(1.0, 1.0)
    places = [(left + (right - left) * u, low + (high - low) * v) for u, v in _CORNERS]
    shader = gpu.shader.from_builtin("IMAGE_COLOR")
    batch = batch_for_shader(shader, "TRIS", {"pos": places, "texCoord": list(_CORNERS)})
    shader.bind()
    shader.uniform_sampler("image", texture)
    shader.uniform_float("color", (1.0, 1.0, 1.0, opacity))
    batch.draw(shader)
