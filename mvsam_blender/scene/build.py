# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture and its objects into the scene. Running it again replaces what is there.

This is the plain API for scripts and the command line; operators call the same functions.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from mvsam_engine.capture import Capture, Reconstruction, SceneObject
from mvsam_engine.errors import CaptureError

from ..core.points import choose_points, typical_spacing
from ..core.weights import gather_weights
from . import cameras, groups, images, objects, points, views, world
from .attributes import PointAttribute, read_attribute
from .placement import capture_path, require_capture
from .props import MVSAM_PG_object
from .session import session

# A camera's frustum is drawn this many point distances long.
_FRUSTUM_PER_SPACING = 60.0


def load_capture(context: bpy.types.Context, capture_dir: str) -> None:
    """Bring a capture into the context's scene: photos, points, cameras and images.

    The objects of a capture that is opened for the first time come with it; after that the scene
    decides which objects there are, and those get their weights again.

    Args:
        context: its scene is filled.
        capture_dir: folder of the capture; Blender's ``//`` for the file's own folder works.

    Raises:
        CaptureError: not a capture, damaged, or written by a newer program.
    """
    scene = context.scene
    root = Path(bpy.path.abspath(capture_dir)).absolute()
    capture = Capture.open(root)
    settings = scene.mvsam
    known = capture_path(scene)
    other = known is None or known.resolve() != root.resolve()
    session().forget_capture(str(root))
    settings.capture_dir = str(root)

    reconstruction = capture.reconstruction()
    _list_photos(scene, capture, reconstruction)
    photo_images = images.place_photos(scene, capture)
    session().ruler.forget()
    if reconstruction is not None:
        _place_reconstruction(scene, capture, reconstruction, photo_images)
        # What was done by hand to another capture's world says nothing about this one.
        another = world.recorded_world(scene) not in {0, world.world_stamp(reconstruction)}
        place_world(scene, root, reconstruction, force=other and another)
    _place_objects(scene, capture, adopt_all=other or not settings.objects)
    points.apply_display(scene)
    session().stamp += 1


def place_world(
    scene: bpy.types.Scene, root: Path, reconstruction: Reconstruction, force: bool = False
) -> bool:
    """Let the parent carry the capture's placement; what a person did to it is kept.

    Args:
        scene: its parent is moved.
        root: folder of the capture.
        reconstruction: as stored there.
        force: move the parent even when a person has moved it by hand.

    Returns:
        Whether the parent stands there now.
    """
    stands = world.apply_placement(scene, reconstruction, force)
    cameras.follow_scale(scene, world.frame_of(scene).median_scale)
    session().placed[str(root)] = (
        world.world_stamp(reconstruction),
        world.as_text(reconstruction.placement),
    )
    session().stamp += 1
    return stands


def load_object(context: bpy.types.Context, object_id: str) -> None:
    """Bring an object's last complete answer into the scene: weights, group, mask images.

    Prompts that are newer in the capture than in the scene come with it.

    Args:
        context: its scene must have the capture (`load_capture`).
        object_id: folder of the object.

    Raises:
        CaptureError: the scene has no capture, or the capture has no such object.
        SegmentationError: the object is locked.
    """
    capture = open_capture(context.scene)
    stored = capture.object(object_id)
    item = objects.find(context.scene, object_id)
    if item is not None:
        objects.require_unlocked(item)
    if item is None or stored.revision > item.revision:
        item = objects.adopt(context.scene, stored)
    place_answer(context.scene, capture, item, stored)


def open_capture(scene: bpy.types.Scene) -> Capture:
    """The scene's capture.

    Raises:
        CaptureError: it has none, or the folder is gone.
    """
    return Capture.open(require_capture(scene))


def place_answer(
    scene: bpy.types.Scene, capture: Capture, item: MVSAM_PG_object, stored: SceneObject
) -> None:
    """Put an object's stored answer on points and images, and book its revision."""
    session().stored[objects.key_of(scene, stored.id)] = stored.answered
    cloud = points.points_object(scene)
    if stored.answered and cloud is not None:
        weights = _weights_on(cloud, capture, stored.id)
        groups.write_weights(cloud, stored.id, weights)
        objects.settle(scene, fresh=(stored.id,))
        item.answered = stored.answered
        views.book_answers(item, stored)
    images.place_masks(scene, capture, stored.id, item.name)
    points.apply_display(scene)
    session().stamp += 1


def _place_reconstruction(
    scene: bpy.types.Scene,
    capture: Capture,
    reconstruction: Reconstruction,
    photo_images: dict[str, bpy.types.Image],
) -> None:
    settings = scene.mvsam.points
    cloud = choose_points(
        (capture.pointmap(c.view) for c in reconstruction.cameras),
        min_confidence=settings.min_confidence,
        cap=settings.cap,
    )
    spacing = typical_spacing(cloud, reconstruction.cameras)
    cameras.place_cameras(
        scene, reconstruction.cameras, photo_images, spacing * _FRUSTUM_PER_SPACING or 1.0
    )
    points.place_points(scene, cloud, spacing)


def _place_objects(scene: bpy.types.Scene, capture: Capture, adopt_all: bool) -> None:
    stored = {o.id: o for o in capture.objects()}
    if adopt_all:
        for item in stored.values():
            objects.adopt(scene, item)
    # Locked ones first: they keep the points that the others would share with them.
    for item in sorted(scene.mvsam.objects, key=lambda o: not o.locked):
        session().revisions.observe(item.object_id, item.revision)
        # New points carry no weights yet; the answer is placed again when it still holds.
        item.answered = 0
        item.point_count = 0
        if item.object_id in stored:
            session().revisions.observe(item.object_id, stored[item.object_id].revision)
            place_answer(scene, capture, item, stored[item.object_id])


def _list_photos(
    scene: bpy.types.Scene, capture: Capture, reconstruction: Reconstruction | None
) -> None:
    listed = scene.mvsam.photos
    listed.clear()
    placed = {c.view for c in reconstruction.cameras} if reconstruction else set()
    reasons = {u.view: u.reason for u in reconstruction.unplaced} if reconstruction else {}
    for photo in capture.photos():
        item = listed.add()
        item.view, item.file = photo.view, photo.file
        item.width, item.height = photo.width, photo.height
        item.placed = photo.view in placed
        item.reason = reasons.get(photo.view, "")


def _weights_on(cloud: bpy.types.Object, capture: Capture, object_id: str) -> np.ndarray:
    mesh = cloud.data
    pixel = read_attribute(mesh, PointAttribute.PIXEL.value)
    view = read_attribute(mesh, PointAttribute.VIEW.value)
    if pixel is None or view is None:
        raise CaptureError(
            "points.damaged",
            "The points have lost the attributes that tie them to the photos.",
            "Open the capture again.",
        )
    return gather_weights(
        points.view_names(mesh),
        view,
        pixel[:, 1],
        pixel[:, 0],
        lambda name: capture.fused(object_id, name),
    )
