# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene remembers of the work, under ``scene.mvsam``: saved in the file, covered by undo.

Job state is not here: it lives in `session.Session` and ends with Blender.
"""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .props_given import CLASSES as GIVEN_CLASSES
from .props_given import MVSAM_PG_given
from .props_place import CLASSES as PLACE_CLASSES
from .props_place import MVSAM_PG_place
from .props_prompt import CLASSES as PROMPT_CLASSES
from .props_prompt import MVSAM_PG_marking, MVSAM_PG_prompt
from .props_views import CLASSES as VIEWS_CLASSES
from .props_views import MVSAM_PG_view, MVSAM_PG_views


def _redraw(_self: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    """Show a changed setting at once."""
    from . import redraw

    redraw.redraw_all()


def _recolor(_self: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    """Show a setting that changes which points are drawn, or their colours."""
    from . import redraw
    from .session import session

    session().stamp += 1
    redraw.redraw_all()


def _renamed(item: "MVSAM_PG_object", _context: bpy.types.Context) -> None:
    from . import objects

    objects.follow_new_name(item.id_data, item)


def _lock_changed(item: "MVSAM_PG_object", _context: bpy.types.Context) -> None:
    from . import objects

    objects.follow_lock(item)


def _overlap_changed(settings: "MVSAM_PG_scene", context: bpy.types.Context) -> None:
    from . import objects

    objects.settle(settings.id_data, every=True)
    _recolor(settings, context)


def _points_changed(settings: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    from . import points

    points.apply_display(settings.id_data)
    _recolor(settings, context)


def _photo_changed(settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    from . import redraw

    redraw.show_photo(settings.id_data)


class MVSAM_PG_photo(bpy.types.PropertyGroup):
    """A photo: first as a file to bring in, then as a view of the capture."""

    view: StringProperty(name="View", description="Name of the photo without its ending")
    file: StringProperty(
        name="File", description="Path inside the capture, or of the file to bring in"
    )
    width: IntProperty(name="Width", description="Pixels of the upright photo; 0 until brought in")
    height: IntProperty(name="Height")
    placed: BoolProperty(name="Placed", description="Its camera has been found")
    reason: StringProperty(name="Reason", description="Why it could not be placed")


class MVSAM_PG_object(bpy.types.PropertyGroup):
    """An object: its prompts, and what is known of its last answer."""

    object_id: StringProperty(name="Id", description="Folder of the object; never changes")
    name: StringProperty(
        name="Name", description="Renames the vertex group and the mask images too", update=_renamed
    )
    group: StringProperty(description="The vertex group's present name")
    color: FloatVectorProperty(
        name="Color",
        subtype="COLOR_GAMMA",
        size=3,
        min=0,
        max=1,
        default=(1.0, 0.55, 0.1),
        update=_recolor,
    )
    visible: BoolProperty(
        name="Show", description="Show its masks and points", default=True, update=_recolor
    )
    locked: BoolProperty(
        name="Lock",
        description="Keep it as it is: no clicks, no new masks, no other name, no removal",
        update=_lock_changed,
    )
    number: IntProperty(description="Its value in the attribute mvsam_object; never changes")
    revision: IntProperty(description="Changes with every change of the prompts")
    answered: IntProperty(description="The revision that the weights on the points answer")
    prompts: CollectionProperty(type=MVSAM_PG_prompt)
    point_count: IntProperty(name="Points", description="Points that belong to it")
    lowest_confidence: FloatProperty(
        name="Lowest Confidence", description="Of all photos that show the object"
    )
    lowest_view: StringProperty(description="The photo with the lowest confidence")
    views: CollectionProperty(type=MVSAM_PG_view, description="The last answer, by photo")


class MVSAM_PG_display(bpy.types.PropertyGroup):
    """How points and masks are shown."""

    show_points: BoolProperty(
        name="Colored Points",
        description="Draw the points in their photo's colors (Solid view shows none by itself)",
        default=True,
        update=_points_changed,
    )
    point_size: FloatProperty(
        name="Point Size", default=3.0, min=1.0, max=20.0, subtype="PIXEL", update=_redraw
    )
    tint_objects: BoolProperty(
        name="Tint Objects", description="Mix in the objects' colors", default=True, update=_recolor
    )
    show_masks: BoolProperty(
        name="Masks", description="Tint the object in the photo", default=True, update=_redraw
    )
    isolate: BoolProperty(
        name="Isolate",
        description="Show only the points of the active object; nothing is deleted",
        update=_points_changed,
    )
    threshold: FloatProperty(
        name="Threshold",
        description="Points with a higher weight belong to the object",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_points_changed,
    )


class MVSAM_PG_points(bpy.types.PropertyGroup):
    """Which points are brought into Blender."""

    min_confidence: FloatProperty(
        name="Least Confidence",
        description="Points below are left out when the capture is opened or reconstructed",
        default=0.3,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    cap: IntProperty(
        name="Most Points",
        description="More points than this are thinned evenly",
        default=1_000_000,
        min=1000,
        soft_max=10_000_000,
    )


class MVSAM_PG_scene(bpy.types.PropertyGroup):
    """Everything of MV-SAM in a scene."""

    uid: StringProperty(description="Tells this scene's images from those of other scenes")
    capture_dir: StringProperty(
        name="Capture", description="Folder that holds photos, points and masks", subtype="DIR_PATH"
    )
    capture_hint: StringProperty(
        description="The capture's path as seen from the saved file, to find it after moving"
    )
    photos: CollectionProperty(type=MVSAM_PG_photo)
    active_photo: IntProperty(name="Active Photo", update=_photo_changed)
    objects: CollectionProperty(type=MVSAM_PG_object)
    active_object: IntProperty(name="Active Object", update=_points_changed)
    independent: BoolProperty(
        name="Independent Objects",
        description=(
            "Let objects share points: each group holds all of its object. Otherwise a point "
            "belongs to the object with the highest weight"
        ),
        update=_overlap_changed,
    )
    auto: BoolProperty(
        name="Segment After Each Click",
        description="Start segmenting by itself when prompts change",
        default=True,
    )
    max_size: IntProperty(
        name="Pointmap Size",
        description=(
            "Long side of the pointmaps in pixels: more is finer and slower. 0: the preset's"
        ),
        default=0,
        min=0,
        max=4096,
    )
    display: PointerProperty(type=MVSAM_PG_display)
    points: PointerProperty(type=MVSAM_PG_points)
    given: PointerProperty(type=MVSAM_PG_given)
    place: PointerProperty(type=MVSAM_PG_place)
    marking: PointerProperty(type=MVSAM_PG_marking)
    views: PointerProperty(type=MVSAM_PG_views)


CLASSES = (
    *GIVEN_CLASSES,
    *PLACE_CLASSES,
    *PROMPT_CLASSES,
    *VIEWS_CLASSES,
    MVSAM_PG_photo,
    MVSAM_PG_object,
    MVSAM_PG_display,
    MVSAM_PG_points,
    MVSAM_PG_scene,
)


def register() -> None:
    """Register the groups and put them on scenes."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.mvsam = PointerProperty(type=MVSAM_PG_scene)


def unregister() -> None:
    """Take them away; what files hold stays in them."""
    del bpy.types.Scene.mvsam
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
