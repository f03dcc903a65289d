# SPDX-License-Identifier: GPL-3.0-or-later
"""The Image Editor's overlay: masks of the shown photo as tints, prompts as marks."""

from __future__ import annotations

from collections.abc import Callable

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from mvsam_engine.capture.conventions import pixels_to_uv

from ..core.prompts import is_pending
from ..scene import images, objects
from ..scene.props import MVSAM_PG_object
from ..scene.session import PendingMask, session
from .marks import draw_mark, draw_measure
from .operators_click import find_photo
from .shaders import mask_shader

# (u, v) in the image, 0..1 from the lower left, to pixels of the region.
ToRegion = Callable[[float, float], tuple[float, float]]

_TINT = 0.35
_OUTLINE = 0.95
# The previous answer while a new one is on its way, and objects that are not active.
_DIM = 0.45
_LINE_PIXELS = 1.5


class ImageOverlay:
    """Draws masks and marks; keeps the shader and the textures of first answers."""

    def __init__(self) -> None:
        self._shader: gpu.types.GPUShader | None = None
        self._textures: dict[tuple[str, str], tuple[PendingMask, gpu.types.GPUTexture]] = {}

    def draw_region(self) -> None:
        """Draw into the region that Blender is drawing."""
        context = bpy.context
        space, region = context.space_data, context.region
        if space is None or space.image is None:
            return
        view = images.view_of(context.scene, space.image)
        if not view:
            return

        def to_region(u: float, v: float) -> tuple[float, float]:
            return region.view2d.view_to_region(u, v, clip=False)

        self.draw(context.scene, view, to_region, context.preferences.system.ui_scale)

    def draw(self, scene: bpy.types.Scene, view: str, to_region: ToRegion, scale: float) -> None:
        """Draw a view's masks and marks.

        Args:
            scene: its objects are drawn.
            view: the shown photo.
            to_region: where positions of the image lie in the region.
            scale: of the interface.
        """
        gpu.state.blend_set("ALPHA")
        if scene.mvsam.display.show_masks:
            known = images.tagged_images(scene)
            for item in scene.mvsam.objects:
                if item.visible:
                    image = known.get((view, item.object_id))
                    self._draw_mask(scene, item, view, image, to_region)
        self._draw_marks(scene, view, to_region, scale)
        _draw_measure(scene, view, to_region, scale)
        gpu.state.blend_set("NONE")

    def _draw_mask(
        self,
        scene: bpy.types.Scene,
        item: MVSAM_PG_object,
        view: str,
        image: bpy.types.Image | None,
        to_region: ToRegion,
    ) -> None:
        first = session().pending.get((item.object_id, view))
        strength = 1.0 if item == objects.active(scene) else _DIM
        if first is not None and first.revision == item.revision:
            texture, threshold = self._texture_of(item.object_id, view, first), 0.0
        elif image is not None and _has_masks(item):
            texture, threshold = gpu.texture.from_image(image), 0.5
            strength *= 1.0 if item.answered == item.revision else _DIM
        else:
            return
        color = (*item.color, _TINT * strength)
        self._draw_texture(texture, threshold, color, _OUTLINE * strength, to_region)

    def _draw_texture(
        self,
        texture: gpu.types.GPUTexture,
        threshold: float,
        color: tuple[float, ...],
        outline: float,
        to_region: ToRegion,
    ) -> None:
        if self._shader is None:
            self._shader = mask_shader()
        (left, low), (right, high) = to_region(0.0, 0.0), to_region(1.0, 1.0)
        corners = [
            (left, low),
            (right, low),
            (right, high),
            (left, low),
            (right, high),
            (left, high),
        ]
        places = [(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)]
        batch = batch_for_shader(self._shader, "TRIS", {"pos": corners, "texCoord": places})
        shader = self._shader
        shader.bind()
        matrix = gpu.matrix.get_projection_matrix() @ gpu.matrix.get_model_view_matrix()
        shader.uniform_float("ModelViewProjectionMatrix", matrix)
        shader.uniform_float("color", color)
        shader.uniform_float(
            "line", (_LINE_PIXELS / max(1, right - left), _LINE_PIXELS / max(1, high - low))
        )
        shader.uniform_float("threshold", threshold)
        shader.uniform_float("outline", outline)
        shader.uniform_sampler("mask", texture)
        batch.draw(shader)

    def _texture_of(self, object_id: str, view: str, mask: PendingMask) -> gpu.types.GPUTexture:
        """Logits as a texture, made once per answer; those of earlier answers are dropped."""
        pending = session().pending
        self._textures = {k: v for k, v in self._textures.items() if pending.get(k) is v[0]}
        key = (object_id, view)
        if key not in self._textures:
            # Textures begin at the bottom, photos at the top.
            upright = np.ascontiguousarray(mask.logits[::-1], dtype=np.float32)
            height, width = upright.shape
            data = gpu.types.Buffer("FLOAT", width * height, upright.ravel())
            self._textures[key] = (
                mask,
                gpu.types.GPUTexture((width, height), format="R32F", data=data),
            )
        return self._textures[key][1]

    def _draw_marks(
        self, scene: bpy.types.Scene, view: str, to_region: ToRegion, scale: float
    ) -> None:
        item, photo = objects.active(scene), find_photo(scene, view)
        if item is None or photo is None or not item.visible:
            return
        pending = is_pending(objects.to_scene_object(item))
        for prompt in objects.prompts_of(item):
            if prompt.view != view:
                continue
            corners = [
                to_region(*(float(c) for c in pixels_to_uv(xy, photo.width, photo.height)))
                for xy in prompt.xy
            ]
            draw_mark(prompt, corners, pending, scale)


def _draw_measure(scene: bpy.types.Scene, view: str, to_region: ToRegion, scale: float) -> None:
    """Draw the measure marks that are in the shown photo."""
    photo = find_photo(scene, view)
    place = scene.mvsam.place
    shown = [(n, m) for n, m in (("A", place.first), ("B", place.second)) if m.view == view]
    if photo is None or not shown:
        return
    ends = [
        to_region(*(float(c) for c in pixels_to_uv((m.x, m.y), photo.width, photo.height)))
        for _, m in shown
    ]
    draw_measure(ends, "".join(name for name, _ in shown), scale)


def _has_masks(item: MVSAM_PG_object) -> bool:
    """Whether the mask images on disk are those that the scene's weights come from."""
    stored = session().stored.get(item.object_id, 0)
    return bool(stored) and stored == item.answered
