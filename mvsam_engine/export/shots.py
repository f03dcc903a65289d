# SPDX-License-Identifier: GPL-3.0-or-later
"""Placed photos as another program gets them: file, camera in its pixels and world, pixels.

With ``undistort``, photos and masks are resampled for a pinhole camera at the same place that looks
the same way, zoomed in as far as it takes to see nothing outside the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture import Camera, Capture, SceneObject
from mvsam_engine.export.folder import OutputFolder
from mvsam_engine.export.mask_images import mask_png, used_pixels
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.photo_files import PhotoFile, photo_files
from mvsam_engine.export.world import World
from mvsam_engine.photos.ahead import ahead
from mvsam_engine.photos.read import encode_jpeg, read_bytes, read_rgb
from mvsam_engine.progress import Progress

# How far a pinhole view is zoomed in at most so that it sees nothing outside the photo.
_ZOOMS = np.arange(1.0, 2.51, 0.01)


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A placed photo of an export.

    Attributes:
        file: that the other program reads.
        camera: of the file's pixels, in the export's world.
        source: of the upright photo, in the reconstruction's world.
        lookup: [H, W, 2] float32 photo position (array indices) of each pixel of the file, when it
            was undistorted; None when it is the photo as it is.
    """

    file: PhotoFile
    camera: Camera
    source: Camera
    lookup: NDArray[np.float32] | None = None


def placed_shots(
    capture: Capture, options: ExportOptions, which: str, world: World, progress: Progress
) -> list[Shot]:
    """The placed photos, in the order of the photos.

    Args:
        capture: with a reconstruction.
        options: whether to undistort.
        which: ``original`` or ``upright``; undistorted photos are upright.
        world: frame of the cameras.
        progress: hears of names that could not be kept.
    """
    reconstruction = capture.require_reconstruction()
    cameras = {camera.view: camera for camera in reconstruction.cameras}
    photos = [photo for photo in capture.photos() if photo.view in cameras]
    files = photo_files(photos, "upright" if options.undistort else which, progress)
    shots: list[Shot] = []
    for file in files:
        source = cameras[file.photo.view]
        if options.undistort:
            pinhole, lookup = undistorted(source)
            shots.append(Shot(file, world.camera(pinhole), source, lookup))
        else:
            shots.append(Shot(file, file.camera(world.camera(source)), source))
    return shots


def undistorted(camera: Camera) -> tuple[Camera, NDArray[np.float32] | None]:
    """The pinhole camera of the undistorted photo, and where its pixels lie in the photo.

    Returns:
        The camera, and array indices [H, W, 2] float32; None when the lens does not bend.
    """
    width, height = camera.width, camera.height
    focal = float(np.sqrt(abs(camera.param("fx") * camera.param("fy"))))
    if not camera.is_distorted and camera.model in ("SIMPLE_PINHOLE", "PINHOLE"):
        return camera, None
    y, x = np.mgrid[0:height, 0:width] + 0.5
    pixels = np.stack([x, y], axis=-1)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    straight = replace(camera, camera_from_world=np.eye(4))
    middle = np.array([width / 2.0, height / 2.0])

    def positions(of: NDArray[np.float64], zoom: float) -> NDArray[np.float64]:
        flat = (of - middle) / (focal * zoom)
        return straight.project(np.concatenate([flat, np.ones((*flat.shape[:-1], 1))], -1))[0]

    def sees_only_photo(zoom: float) -> bool:
        found = positions(border, zoom)
        return bool(((found >= 0) & (found <= (width, height))).all())

    zoom = float(next((z for z in _ZOOMS if sees_only_photo(z)), 1.0))
    params = (focal * zoom, focal * zoom, *map(float, middle))
    lookup = np.nan_to_num(positions(pixels, zoom) - 0.5, nan=-1e6).astype(np.float32)
    return replace(camera, model="PINHOLE", params=params), lookup


def resampled(image: NDArray[np.uint8], lookup: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A photo [H, W, ...] at the places of `lookup`; its border goes on beyond it."""
    return cv2.remap(image, lookup, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def stage_photos(
    capture: Capture, folder: OutputFolder, shots: Sequence[Shot], below: str, progress: Progress
) -> None:
    """Stage the upright photos, undistorted where that is asked for, in ``below/``."""
    progress.stage("Copying photos", len(shots))

    def content(shot: Shot) -> bytes:
        path = capture.photo_path(shot.file.photo)
        if shot.lookup is None:
            return read_bytes(path)
        pixels = resampled(read_rgb(path), shot.lookup)
        if path.suffix.lower() == ".png":
            return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
        return encode_jpeg(Image.fromarray(pixels))

    for shot, result in ahead(content, shots):
        folder.write(f"{below}/{shot.file.name}", result())
        progress.step()


def stage_shot_masks(
    capture: Capture,
    folder: OutputFolder,
    shots: Sequence[Shot],
    items: Sequence[SceneObject],
    options: ExportOptions,
    pattern: str,
    progress: Progress,
) -> dict[str, str]:
    """Stage masks of the shots, white = used; gives view to path.

    Args:
        capture: with masks.
        folder: of the export.
        shots: photos as the program gets them.
        items: objects to keep or to hide.
        options: how.
        pattern: path with ``{name}`` or ``{stem}``.
        progress: counts.
    """
    progress.stage("Writing masks", len(shots))

    def content(shot: Shot) -> bytes | None:
        used = used_pixels(capture, items, shot.file.photo, options)
        if used is None:
            return None
        if shot.lookup is not None:
            flat = cv2.remap(used.astype(np.uint8) * 255, shot.lookup, None, cv2.INTER_LINEAR)
            return mask_png(flat > 127)
        return mask_png(shot.file.stored(used))

    written: dict[str, str] = {}
    for shot, result in ahead(content, shots):
        data = result()
        if data is not None:
            path = pattern.format(name=shot.file.name, stem=shot.file.stem)
            folder.write(path, data)
            written[shot.file.photo.view] = path
        progress.step()
    return written
