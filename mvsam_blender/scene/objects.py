# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the scene: between Blender's property groups and the capture's dataclasses."""

from __future__ import annotations

import bpy

from mvsam_engine.capture import Prompt, SceneObject, new_object_id
from mvsam_engine.capture.schema import object_to_json
from mvsam_engine.errors import SegmentationError
from mvsam_engine.fields import JsonObject

from . import groups, images, points, renaming
from .editing import outside_edit_mode
from .placement import capture_path
from .props import MVSAM_PG_object
from .session import ObjectKey, session
from .stored_prompts import fill, to_prompt

# Told apart by eye on photos, also with the common colour blindnesses (Okabe and Ito, 2008).
PALETTE = (
    (0.90, 0.60, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.00, 0.45, 0.70),
    (0.84, 0.37, 0.00),
    (0.80, 0.47, 0.65),
)

# Blender cuts names of vertex groups at 63 bytes.
_LONGEST_NAME = 60


def find(scene: bpy.types.Scene, object_id: str) -> MVSAM_PG_object | None:
    """The object with this id, None when the scene does not have it."""
    return next((o for o in scene.mvsam.objects if o.object_id == object_id), None)


def key_of(scene: bpy.types.Scene, object_id: str) -> ObjectKey:
    """How the session calls an object of the scene's capture."""
    return str(capture_path(scene) or ""), object_id


def active(scene: bpy.types.Scene) -> MVSAM_PG_object | None:
    """The object that clicks go to."""
    settings = scene.mvsam
    if 0 <= settings.active_object < len(settings.objects):
        return settings.objects[settings.active_object]
    return None


def add(scene: bpy.types.Scene, name: str = "", taken: tuple[str, ...] = ()) -> MVSAM_PG_object:
    """A new object, made active.

    Args:
        scene: gets the object.
        name: as shown to people; "" for the next free "Object 1", "Object 2", ...
        taken: ids that may not be used, e.g. those in the capture.
    """
    settings = scene.mvsam
    unique = _unique_name(scene, name)
    ids = (*(o.object_id for o in settings.objects), *taken)
    item = settings.objects.add()
    item.object_id = new_object_id(unique, ids)
    # The group first: a name that equals it is not a renaming.
    item.group = unique
    item.name = unique
    item.number = _free_number(scene)
    item.color = PALETTE[(item.number - 1) % len(PALETTE)]
    settings.active_object = len(settings.objects) - 1
    return item


def adopt(scene: bpy.types.Scene, stored: SceneObject) -> MVSAM_PG_object:
    """The scene's object for one of the capture, added when it is not there, with its prompts."""
    item = find(scene, stored.id)
    if item is None:
        item = scene.mvsam.objects.add()
        item.object_id = stored.id
        item.group = _unique_name(scene, stored.name)
        item.name = item.group
        item.number = _free_number(scene)
        item.color = stored.color
        scene.mvsam.active_object = len(scene.mvsam.objects) - 1
    set_prompts(item, stored.prompts, stored.revision)
    session().revisions.observe(stored.id, stored.revision)
    return item


def remove(scene: bpy.types.Scene, item: MVSAM_PG_object) -> None:
    """Remove an object from the scene, with its weights and mask images.

    Raises:
        SegmentationError: it is locked.
    """
    require_unlocked(item)
    settings = scene.mvsam
    cloud = points.points_object(scene)
    images.remove_masks(scene, item.object_id)
    if cloud is not None:
        with outside_edit_mode(cloud):
            groups.remove_weights(cloud, item.object_id, item.group)
    index = index_of(scene, item.object_id)
    settings.objects.remove(index)
    settings.active_object = min(settings.active_object, len(settings.objects) - 1)
    settle(scene)
    points.apply_display(scene)


def move(scene: bpy.types.Scene, item: MVSAM_PG_object, step: int) -> bool:
    """Move an object up (-1) or down (1) in the list, it stays active; whether it could."""
    settings = scene.mvsam
    index = index_of(scene, item.object_id)
    target = index + step
    if not 0 <= target < len(settings.objects):
        return False
    settings.objects.move(index, target)
    settings.active_object = target
    return True


def index_of(scene: bpy.types.Scene, object_id: str) -> int:
    """Place of an object in the list; it must be there."""
    return next(i for i, o in enumerate(scene.mvsam.objects) if o.object_id == object_id)


def require_unlocked(item: MVSAM_PG_object) -> None:
    """Refuse to change a locked object.

    Raises:
        SegmentationError: it is locked.
    """
    if item.locked:
        raise SegmentationError("object.locked", why_locked(item), "Unlock it in the list first.")


def why_locked(item: MVSAM_PG_object) -> str:
    """The sentence that says so."""
    return f"{item.name} is locked and stays as it is."


def settle(scene: bpy.types.Scene, fresh: tuple[str, ...] = (), every: bool = False) -> None:
    """Share the points among the objects, and count those of each.

    Args:
        scene: its objects and points.
        fresh: ids of the objects whose weights are new.
        every: all groups are filled anew.
    """
    settings = scene.mvsam
    cloud = points.points_object(scene)
    if cloud is None:
        return
    for item in settings.objects:
        # Files of earlier versions have no numbers.
        item.number = item.number or _free_number(scene)
    claims = [groups.Claim(o.object_id, o.group, o.number, o.locked) for o in settings.objects]
    fresh = tuple(c.object_id for c in claims) if every else fresh
    with outside_edit_mode(cloud):
        counts = groups.settle(cloud, claims, settings.independent, fresh)
    for item in settings.objects:
        if item.object_id in counts and not (item.locked and item.object_id not in fresh):
            item.point_count = counts[item.object_id]


def follow_lock(item: MVSAM_PG_object) -> None:
    """After locking or unlocking: answers under way are given up or asked for again."""
    session().sync_needed = True


def follow_new_name(scene: bpy.types.Scene, item: MVSAM_PG_object) -> None:
    """Let everything that carries an object's name follow after it was renamed."""
    if not item.object_id or item.name == item.group:
        return
    if item.locked:
        item.name = item.group
        session().tell(f"{why_locked(item)} Unlock it first to rename it.", "WARNING")
        return
    name = _unique_name(scene, item.name, item)
    renaming.follow(scene, item.object_id, item.group, name)
    item.group = name
    if item.name != name:
        item.name = name


def to_scene_object(item: MVSAM_PG_object) -> SceneObject:
    """The object as the capture knows it."""
    return SceneObject(
        id=item.object_id,
        name=item.name,
        color=tuple(round(c, 4) for c in item.color),
        prompts=prompts_of(item),
        revision=item.revision,
        answered=item.answered,
    )


def request_json(item: MVSAM_PG_object) -> JsonObject:
    """The object in the JSON form that a segment request carries."""
    return object_to_json(to_scene_object(item))


def prompts_of(item: MVSAM_PG_object) -> tuple[Prompt, ...]:
    """The object's prompts in the order given."""
    return tuple(to_prompt(p) for p in item.prompts)


def set_prompts(item: MVSAM_PG_object, prompts: tuple[Prompt, ...], revision: int) -> None:
    """Replace the object's prompts."""
    item.prompts.clear()
    for prompt in prompts:
        fill(item.prompts.add(), prompt)
    item.revision = revision


def add_prompt(item: MVSAM_PG_object, prompt: Prompt) -> None:
    """Add a prompt under a new revision.

    Raises:
        SegmentationError: the object is locked.
    """
    require_unlocked(item)
    fill(item.prompts.add(), prompt)
    item.revision = session().revisions.next(item.object_id, item.revision)


def remove_prompt(item: MVSAM_PG_object, index: int) -> None:
    """Remove a prompt under a new revision.

    Raises:
        SegmentationError: the object is locked.
    """
    require_unlocked(item)
    item.prompts.remove(index)
    item.revision = session().revisions.next(item.object_id, item.revision)


def _free_number(scene: bpy.types.Scene) -> int:
    """A number that no object of the scene has."""
    return 1 + max((o.number for o in scene.mvsam.objects), default=0)


def _unique_name(scene: bpy.types.Scene, wanted: str, own: MVSAM_PG_object | None = None) -> str:
    """`wanted`, or a numbered variant that no other object and no group of a person's has."""
    others = [o for o in scene.mvsam.objects if own is None or o.object_id != own.object_id]
    taken = {o.name for o in others}
    cloud = points.points_object(scene)
    if cloud is not None:
        taken |= {group.name for group in cloud.vertex_groups}
    taken -= {own.group} if own is not None else set()
    base = wanted.strip().encode()[:_LONGEST_NAME].decode("utf-8", "ignore")
    if base and base not in taken:
        return base
    base, number = (base, 2) if base else ("Object", 1)
    while f"{base} {number}" in taken:
        number += 1
    return f"{base} {number}"
