# SPDX-License-Identifier: GPL-3.0-or-later
"""A small capture whose every point is known exactly: a plane seen by three cameras.

The plane z = 0 carries a checker; the object is its part with x > 0. The cameras look down from
different places, one in portrait format and one with its principal point off the centre.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from mvsam_engine.capture import (
    Camera,
    Capture,
    MaskSet,
    Photo,
    Pointmap,
    Prompt,
    Reconstruction,
    SceneObject,
    ViewMask,
    ViewScore,
)
from mvsam_engine.capture.conventions import grid_pixels

GRID = 4  # photo pixels per pointmap pixel
OBJECT = "half"


def cameras() -> tuple[Camera, ...]:
    """Three cameras: landscape, portrait, and shifted."""
    return (
        look_down("wide", 160, 120, (150.0, 150.0, 80.0, 60.0), (0.2, -0.3, 3.0)),
        look_down("tall", 120, 160, (140.0, 140.0, 60.0, 80.0), (-0.4, 0.2, 3.5)),
        look_down("shifted", 160, 120, (150.0, 150.0, 95.0, 48.0), (0.5, 0.4, 2.8)),
    )


def look_down(view, width, height, params, center) -> Camera:
    """A camera above the plane, turned a little about all axes."""
    tilt, roll = 0.15 * center[0], 0.2 * center[1]
    flip = np.diag([1.0, -1.0, -1.0])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = about_x @ about_z @ flip
    matrix[:3, 3] = -matrix[:3, :3] @ np.array(center)
    return Camera(view, "PINHOLE", width, height, params, matrix)


def plane_points(camera: Camera, rows: int, columns: int) -> np.ndarray:
    """Where the rays of the grid meet the plane: [rows, columns, 3]."""
    rays = camera.rays(grid_pixels(rows, columns, camera.width, camera.height))
    directions = rays @ camera.camera_from_world[:3, :3]
    return camera.center - directions * (camera.center[2] / directions[..., 2:])


def colors_of(points: np.ndarray) -> np.ndarray:
    """The checker: red where x > 0, else green; darker on every other square."""
    dark = (np.floor(points[..., 0] * 4) + np.floor(points[..., 1] * 4)) % 2 == 0
    colors = np.zeros((*points.shape[:2], 3), dtype=np.uint8)
    colors[..., 0] = np.where(points[..., 0] > 0, 220, 40)
    colors[..., 1] = np.where(points[..., 0] > 0, 40, 200)
    colors[dark] //= 2
    return colors


def png_bytes(pixels: np.ndarray) -> bytes:
    """A PNG of [h, w] grey or [h, w, 3] RGB bytes (https://www.w3.org/TR/png/)."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def make_capture(root: Path) -> Capture:
    """Write photos, cameras and pointmaps."""
    capture = Capture.create(root)
    photos = []
    with capture.writing(), capture.transaction() as transaction:
        for camera in cameras():
            full = plane_points(camera, camera.height, camera.width)
            data = png_bytes(colors_of(full))
            file = f"photos/{camera.view}.png"
            transaction.write(file, data)
            photos.append(
                Photo(
                    view=camera.view,
                    file=file,
                    width=camera.width,
                    height=camera.height,
                    size=len(data),
                    sha256="0" * 64,
                    original_name=f"{camera.view}.png",
                )
            )
        capture.put_photos(tuple(photos), transaction)
        capture.put_reconstruction(Reconstruction(cameras(), method="exact"), transaction)
        for camera in cameras():
            capture.put_pointmap(pointmap_of(camera), transaction)
    return capture


def pointmap_of(camera: Camera) -> Pointmap:
    """The exact pointmap; its first row is unknown, its second is hardly trusted."""
    points = plane_points(camera, camera.height // GRID, camera.width // GRID).astype(np.float32)
    confidence = np.full(points.shape[:2], 0.9, dtype=np.float16)
    confidence[1] = 0.1
    colors = colors_of(points)
    points[0] = np.nan
    return Pointmap(camera.view, points, confidence, colors)


def add_answer(capture: Capture, revision: int = 1, flip: bool = False) -> SceneObject:
    """Store a complete answer for the object x > 0 (x < 0 when `flip`)."""
    prompt = Prompt(kind="point", view="wide", xy=((100.0, 60.0),))
    item = SceneObject(id=OBJECT, name="Half", prompts=(prompt,), revision=revision)
    masks, images = [], {}
    for camera in cameras():
        full = plane_points(camera, camera.height, camera.width)
        inside = (full[..., 0] > 0) != flip
        images[camera.view] = png_bytes(np.where(inside, 255, 0).astype(np.uint8))
        pointmap = pointmap_of(camera)
        weight = np.clip(0.5 + pointmap.points[..., 0] * (-2 if flip else 2), 0, 1)
        score = ViewScore(camera.view, 1.0, 0.8 if camera.view == "tall" else 0.9, inside.mean())
        logits = np.where(inside[::GRID, ::GRID], 5, -5).astype(np.float16)
        masks.append(ViewMask(score, logits, weight.astype(np.float16)))
    with capture.writing(), capture.transaction() as transaction:
        answer = MaskSet(item.id, revision, "exact", tuple(masks))
        return capture.put_masks(item, answer, images, transaction)
