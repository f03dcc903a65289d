# SPDX-License-Identifier: GPL-3.0-or-later
"""The Image Editor's overlay: masks of the shown photo as tints, prompts as marks."""

from __future__ import annotations

from collections.abc import Hashable

import bpy
import gpu

from ..scene import images, objects
from ..scene.mask_images import PAINTED
from ..scene.props import MVSAM_PG_object
from ..scene.session import session
from .gesture import Gesture
from .mask_drawing import Look, MaskPainter, ToRegion, draw_picture
from .overlay_marks import draw_gesture, draw_measures, draw_prompts
from .pointing import find_photo

_TINT = 0.35
_OUTLINE = 0.95
# The previous answer while a new one is on its way, and objects that are not active.
_DIM = 0.45
# What a click would mark.
_PREVIEW_TINT, _PREVIEW_OUTLINE = 0.16, 0.6
# Of the photo, over an image in which its mask is painted.
_PHOTO_OPACITY = 0.6


class ImageOverlay:
    """Draws masks and marks.

    Attributes:
        gesture: the mark that the mouse is making, None when it makes none.
    """

    def __init__(self) -> None:
        self.gesture: Gesture | None = None
        self._painter = MaskPainter()

    def draw_region(self) -> None:
        """Draw into the region that Blender is drawing."""
        context = bpy.context
        space, region = context.space_data, context.region
        if space is None or space.image is None:
            return

        def to_region(u: float, v: float) -> tuple[float, float]:
            return region.view2d.view_to_region(u, v, clip=False)

        view = images.view_of(context.scene, space.image)
        if view:
            self.draw(context.scene, view, to_region, context.preferences.system.ui_scale)
        elif space.image.get(PAINTED):
            self.draw_under_paint(context.scene, space.image[PAINTED], to_region)

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
            self._draw_masks(scene, view, to_region)
        photo = find_photo(scene, view)
        if photo is not None:
            draw_prompts(scene, photo, to_region, scale)
            draw_measures(scene, photo, to_region, scale)
            if self.gesture is not None:
                draw_gesture(self.gesture, photo, to_region, scale)
        gpu.state.blend_set("NONE")

    def draw_under_paint(self, scene: bpy.types.Scene, view: str, to_region: ToRegion) -> None:
        """Let the photo show through an image in which its mask is painted."""
        photo = images.photo_image(scene, view)
        if photo is None or not scene.mvsam.display.show_masks:
            return
        gpu.state.blend_set("ALPHA")
        draw_picture(gpu.texture.from_image(photo), _PHOTO_OPACITY, to_region)
        gpu.state.blend_set("NONE")

    def _draw_masks(self, scene: bpy.types.Scene, view: str, to_region: ToRegion) -> None:
        known = images.tagged_images(scene)
        used: set[Hashable] = set()
        for item in scene.mvsam.objects:
            if item.visible:
                image = known.get((view, item.object_id))
                used |= self._draw_mask(scene, item, view, image, to_region)
        used |= self._draw_preview(scene, view, to_region)
        self._painter.keep_only(used)

    def _draw_mask(
        self,
        scene: bpy.types.Scene,
        item: MVSAM_PG_object,
        view: str,
        image: bpy.types.Image | None,
        to_region: ToRegion,
    ) -> set[Hashable]:
        """Draw an object's first or complete answer; which texture of ours that took."""
        key = (objects.key_of(scene, item.object_id), view)
        first = session().pending.get(key)
        strength = 1.0 if item == objects.active(scene) else _DIM
        used: set[Hashable] = set()
        if first is not None and first.revision == item.revision:
            texture, threshold = self._painter.texture_of(key, first.logits), 0.0
            used = {key}
        elif image is not None and _has_masks(item):
            texture, threshold = gpu.texture.from_image(image), 0.5
            strength *= 1.0 if item.answered == item.revision else _DIM
        else:
            return used
        look = Look(tuple(item.color), _TINT * strength, _OUTLINE * strength)
        self._painter.draw(texture, threshold, look, to_region)
        return used

    def _draw_preview(
        self, scene: bpy.types.Scene, view: str, to_region: ToRegion
    ) -> set[Hashable]:
        """Draw what a click would mark, lightly; which texture of ours that took."""
        preview = session().hover.preview
        if preview is None or preview.question.view != view or self.gesture is not None:
            return set()
        item = objects.find(scene, preview.question.object_id)
        color = tuple(item.color) if item is not None else objects.PALETTE[0]
        texture = self._painter.texture_of("preview", preview.mask)
        self._painter.draw(texture, 0.5, Look(color, _PREVIEW_TINT, _PREVIEW_OUTLINE), to_region)
        return {"preview"}


def _has_masks(item: MVSAM_PG_object) -> bool:
    """Whether the mask images on disk are those that the scene's weights come from."""
    stored = session().stored.get(objects.key_of(item.id_data, item.object_id), 0)
    return bool(stored) and stored == item.answered
