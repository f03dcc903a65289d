# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the mouse is in a photo, and whether something can be said there."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from mvsam_engine.capture.conventions import pixels_to_uv, uv_to_pixels
from mvsam_engine.errors import SegmentationError

from ..scene import images
from ..scene.props import MVSAM_PG_photo


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a photo, in photo pixels (x right, y down)."""

    view: str
    x: float
    y: float


def photo_under_mouse(context: bpy.types.Context, event: bpy.types.Event) -> Spot | None:
    """The place under the mouse in an Image Editor; None outside of a photo."""
    space, region = context.space_data, context.region
    if space is None or space.type != "IMAGE_EDITOR" or region.type != "WINDOW":
        return None
    photo = find_photo(context.scene, images.view_of(context.scene, space.image))
    if photo is None:
        return None
    spot = spot_at(photo, region, event.mouse_region_x, event.mouse_region_y)
    return spot if 0 <= spot.x < photo.width and 0 <= spot.y < photo.height else None


def spot_at(photo: MVSAM_PG_photo, region: bpy.types.Region, x: float, y: float) -> Spot:
    """The place at a position of an Image Editor's region that shows `photo`; may lie beside it.

    Hundredths of a pixel are as exact as any hand.
    """
    uv = region.view2d.region_to_view(x, y)
    place = uv_to_pixels(uv, photo.width, photo.height)
    return Spot(photo.view, *(round(float(v), 2) for v in place))


def inside_photo(photo: MVSAM_PG_photo, spot: Spot) -> Spot:
    """The place of the photo that is nearest to `spot`."""
    x = min(max(spot.x, 0.0), float(photo.width))
    return Spot(spot.view, x, min(max(spot.y, 0.0), float(photo.height)))


def zoom(photo: MVSAM_PG_photo, region: bpy.types.Region) -> float:
    """Pixels of the screen per pixel of the photo."""
    to_region = region.view2d.view_to_region
    left, _ = to_region(*pixels_to_uv((0, 0), photo.width, photo.height), clip=False)
    right, _ = to_region(*pixels_to_uv((photo.width, 0), photo.width, photo.height), clip=False)
    return max(1e-3, (right - left) / photo.width)


def find_photo(scene: bpy.types.Scene, view: str) -> MVSAM_PG_photo | None:
    """The photo of a view, None when there is none or it is not brought in yet."""
    return next((p for p in scene.mvsam.photos if view and p.view == view and p.width), None)


def markable(scene: bpy.types.Scene, view: str) -> MVSAM_PG_photo:
    """The photo in which an object can be marked.

    Raises:
        SegmentationError: there is none of this name, or it was not placed.
    """
    photo = find_photo(scene, view)
    if photo is None:
        raise SegmentationError(
            "prompt.view",
            f"There is no photo {view!r} to click in." if view else "No photo was clicked in.",
            "Show one of the photos in an Image Editor and click there.",
        )
    if not photo.placed:
        raise SegmentationError(
            "prompt.unplaced",
            f"{view} could not be placed, so a click there says nothing about other photos.",
            "Click in another photo.",
        )
    return photo


def clickable(scene: bpy.types.Scene, view: str, x: float, y: float) -> MVSAM_PG_photo:
    """The photo that can be clicked in at (x, y).

    Raises:
        SegmentationError: no such photo, not placed, or beside it.
    """
    photo = markable(scene, view)
    if not (0 <= x < photo.width and 0 <= y < photo.height):
        raise SegmentationError(
            "prompt.outside",
            f"({x:.0f}, {y:.0f}) lies outside of {view}, which is "
            f"{photo.width} x {photo.height} pixels.",
            "Click inside the photo.",
        )
    return photo
