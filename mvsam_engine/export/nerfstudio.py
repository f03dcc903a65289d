# SPDX-License-Identifier: GPL-3.0-or-later
"""``transforms.json`` for nerfstudio and what reads its format, with images, masks and points.

Convention: https://docs.nerf.studio/quickstart/data_conventions.html: camera-to-world with OpenGL
axes (x right, y up, looks along -z); masks are 8-bit, black is ignored, and every photo has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mvsam_engine.capture import Camera, Capture
from mvsam_engine.capture.conventions import OPENCV_BLENDER_FLIP, invert_rigid
from mvsam_engine.capture.files import json_bytes
from mvsam_engine.errors import CaptureError
from mvsam_engine.export.folder import OutputFolder
from mvsam_engine.export.lens import brown_of
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.ply import ply_bytes
from mvsam_engine.export.points import gather_points
from mvsam_engine.export.selecting import chosen_objects
from mvsam_engine.export.shots import Shot, placed_shots, stage_photos, stage_shot_masks
from mvsam_engine.export.world import export_world
from mvsam_engine.fields import JsonObject
from mvsam_engine.progress import Progress

POINTS = "sparse_pc.ply"


def export_nerfstudio(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write transforms.json, masks/ when there are objects, images/ and sparse_pc.ply.

    With ``photos`` original, paths are those of the person's own files, which are not copied.

    Raises:
        MvsamError: no reconstruction, a lens that nerfstudio does not have, or a failed write.
    """
    items = chosen_objects(capture, options.objects, progress)
    which = options.photos or "upright"
    world = export_world(capture.require_reconstruction(), options.frame, progress)
    shots = placed_shots(capture, options, which, world, progress)
    lenses = [_lens(shot) for shot in shots]
    points = gather_points(capture, [], options, world, progress)
    copied = which == "upright" or options.undistort
    with OutputFolder(out, "nerfstudio", options.overwrite) as folder:
        if copied:
            stage_photos(capture, folder, shots, "images", progress)
        masks: dict[str, str] = {}
        if items:
            masks = stage_shot_masks(
                capture, folder, shots, items, options, "masks/{stem}.png", progress
            )
            _tell_missing(masks, shots, progress)
        frames = [
            {
                "file_path": f"images/{shot.file.name}" if copied else shot.file.name,
                **({"mask_path": masks[v]} if (v := shot.file.photo.view) in masks else {}),
                **lens,
                "transform_matrix": _world_from_camera(shot.camera),
            }
            for shot, lens in zip(shots, lenses, strict=True)
        ]
        cloud = folder.write(POINTS, ply_bytes(points, [], world.sentence()))
        data = {"ply_file_path": POINTS, "frames": frames}
        return [folder.write("transforms.json", json_bytes(data)), cloud]


def _world_from_camera(camera: Camera) -> list[list[float]]:
    return (invert_rigid(camera.camera_from_world) @ OPENCV_BLENDER_FLIP).tolist()


def _lens(shot: Shot) -> JsonObject:
    """The intrinsics of one frame.

    Raises:
        CaptureError: nerfstudio has no such lens.
    """
    lens = brown_of(shot.camera)
    good = lens is not None and lens.fx > 0 and lens.fy > 0 and not lens.skew
    if lens is None or not good or (lens.fisheye and any(lens.p)):
        raise CaptureError(
            "export.lens",
            f"nerfstudio has no lens model for {shot.file.name} ({shot.camera.model}, perhaps "
            "mirrored).",
            "Export with --undistort, which gives pinhole cameras.",
        )
    data: JsonObject = {
        "camera_model": "OPENCV_FISHEYE" if lens.fisheye else "OPENCV",
        "fl_x": lens.fx,
        "fl_y": lens.fy,
        "cx": lens.cx,
        "cy": lens.cy,
        "w": shot.camera.width,
        "h": shot.camera.height,
        **{f"k{i}": float(np.float64(k)) for i, k in enumerate(lens.k, start=1)},
    }
    return data if lens.fisheye else {**data, "p1": lens.p[0], "p2": lens.p[1]}


def _tell_missing(masks: dict[str, str], shots: Sequence[Shot], progress: Progress) -> None:
    if len(masks) < len(shots):
        progress.warn(
            "export.whole",
            "nerfstudio wants a mask for every photo or none; photos without the object have none.",
            "Choose --absent blank or --absent full.",
        )
