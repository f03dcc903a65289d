# SPDX-License-Identifier: GPL-3.0-or-later
"""One Blender camera per placed photo, through which the photo and the points line up.

Convention: see `mvsam_engine.capture.conventions`. Blender's cameras have no lens distortion: they
show the pinhole part of the intrinsics.
"""

from __future__ import annotations

import bpy
from mathutils import Matrix

from mvsam_engine.capture import Camera
from mvsam_engine.capture.conventions import blender_lens, blender_shift, blender_world_from_camera

from .placement import KIND, VIEW, find_tagged, tagged_object

_SENSOR = 36.0
# The scale that a camera's clipping distances are for.
_CLIP_SCALE = "mvsam_clip_scale"


def place_cameras(
    scene: bpy.types.Scene,
    cameras: tuple[Camera, ...],
    images: dict[str, bpy.types.Image],
    display_size: float,
) -> None:
    """Make or update the cameras; those of views that are no longer placed are removed."""
    for camera in cameras:
        _place(scene, camera, images.get(camera.view), display_size)
    placed = {camera.view for camera in cameras}
    for item in list(scene.objects):
        if item.get(KIND) == "camera" and item.get(VIEW) not in placed:
            bpy.data.objects.remove(item)
    if cameras and (scene.camera is None or scene.camera.get(KIND) != "camera"):
        look_through(scene, cameras[0])


def follow_scale(scene: bpy.types.Scene, scale: float) -> None:
    """Let what the cameras clip grow and shrink with the world, from what is set on them.

    Args:
        scene: its cameras.
        scale: units of the scene for one unit of the reconstruction.
    """
    for item in scene.objects:
        if item.get(KIND) != "camera":
            continue
        factor = scale / item.get(_CLIP_SCALE, 1.0)
        if abs(factor - 1.0) > 1e-6:
            item.data.clip_start *= factor
            item.data.clip_end *= factor
            item[_CLIP_SCALE] = scale


def look_through(scene: bpy.types.Scene, camera: Camera) -> None:
    """Make a view's camera the scene's, with the render size and pixel aspect of its photo."""
    item = find_tagged(scene, "camera", camera.view)
    if item is None:
        return
    scene.camera = item
    render = scene.render
    render.resolution_x, render.resolution_y = camera.width, camera.height
    render.resolution_percentage = 100
    # Blender's only way to have fx and fy differ is a pixel that is not square.
    ratio = abs(camera.param("fy") / camera.param("fx"))
    render.pixel_aspect_x, render.pixel_aspect_y = max(1.0, ratio), max(1.0, 1.0 / ratio)


def _place(
    scene: bpy.types.Scene, camera: Camera, image: bpy.types.Image | None, display_size: float
) -> None:
    item = find_tagged(scene, "camera", camera.view)
    if item is None:
        item = tagged_object(
            scene, "camera", camera.view, bpy.data.cameras.new(camera.view), camera.view
        )
    item.matrix_parent_inverse = Matrix.Identity(4)
    item.matrix_basis = Matrix(blender_world_from_camera(camera.camera_from_world).tolist())
    _set_intrinsics(item.data, camera)
    item.data.display_size = display_size
    if image is not None:
        _set_background(item.data, image)


def _set_intrinsics(data: bpy.types.Camera, camera: Camera) -> None:
    """Lens and shift for ``sensor_fit = 'AUTO'``, which measures along the longer side."""
    landscape = camera.width >= camera.height
    # Negative for a mirrored photo, which no camera of Blender can be.
    focal = abs(camera.param("fx" if landscape else "fy"))
    # Shifts count in widths of a pixel; those of the other direction are as wide as the aspect.
    aspect = abs(camera.param("fx") / camera.param("fy"))
    shift_x, shift_y = blender_shift(
        camera.param("cx"), camera.param("cy"), camera.width, camera.height
    )
    data.sensor_fit = "AUTO"
    data.sensor_width = _SENSOR
    data.lens = blender_lens(focal, camera.width, camera.height, _SENSOR)
    data.shift_x = shift_x if landscape else shift_x / aspect
    data.shift_y = shift_y * aspect if landscape else shift_y


def _set_background(data: bpy.types.Camera, image: bpy.types.Image) -> None:
    data.show_background_images = True
    backgrounds = data.background_images
    background = next((b for b in backgrounds if b.image == image), None) or backgrounds.new()
    background.image = image
    background.display_depth = "BACK"
    background.frame_method = "STRETCH"
    background.alpha = 1.0
