# SPDX-License-Identifier: GPL-3.0-or-later
"""A COLMAP project: ``sparse/0`` with cameras, points and tracks, ``images`` and ``masks``.

Convention: COLMAP's axes, pixels and lens models are ours. The model is written by pycolmap. A
point's track holds the photos whose own depth agrees with it within 1 %; its observations are the
projections of the point, since pointmaps have no keypoints. The layout is what 3DGS trainers read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import pixels_to_grid, transform_points
from mvsam_engine.errors import CaptureError
from mvsam_engine.export.folder import OutputFolder, add_tree
from mvsam_engine.export.lens import colmap_lens
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.points import Points, gather_points
from mvsam_engine.export.selecting import chosen_objects
from mvsam_engine.export.shots import Shot, placed_shots, stage_photos, stage_shot_masks
from mvsam_engine.export.world import World, export_world
from mvsam_engine.progress import Progress

# A photo sees a point when its own depth there differs by less than this share.
SAME_DEPTH = 0.01
# COLMAP adds .png to the whole name of a photo (--ImageReader.mask_path OUT/masks).
MASKS = "masks/{name}.png"


def export_colmap(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write the project.

    Masks are written when there are objects. With ``photos`` original, names and pixels are those
    of the person's own files, which are not copied.

    Raises:
        MvsamError: no reconstruction, a lens that COLMAP does not have, or a failed write.
    """
    items = chosen_objects(capture, options.objects, progress)
    which = options.photos or "upright"
    world = export_world(capture.require_reconstruction(), options.frame, progress)
    shots = placed_shots(capture, options, which, world, progress)
    check_lenses(shots)
    points = gather_points(capture, [], options, world, progress)
    tracks = find_tracks(capture, points, shots, world, options.min_confidence, progress)
    with (
        OutputFolder(out, "colmap", options.overwrite) as folder,
        tempfile.TemporaryDirectory(prefix="mvsam-export-") as work,
    ):
        write_model(Path(work), shots, points, tracks, options.text, progress)
        files = add_tree(folder, Path(work), "sparse/0")
        if which == "upright" or options.undistort:
            stage_photos(capture, folder, shots, "images", progress)
        if items:
            stage_shot_masks(capture, folder, shots, items, options, MASKS, progress)
    return files


def check_lenses(shots: Sequence[Shot]) -> None:
    """Refuse lenses that COLMAP cannot express, before anything is written.

    Raises:
        CaptureError: the sentence names a photo.
    """
    for shot in shots:
        if colmap_lens(shot.camera) is None:
            raise CaptureError(
                "export.lens",
                f"COLMAP has no lens model for {shot.file.name} ({shot.camera.model}, perhaps "
                "mirrored).",
                "Export with --undistort, which gives pinhole cameras.",
            )


def find_tracks(
    capture: Capture,
    points: Points,
    shots: Sequence[Shot],
    world: World,
    min_confidence: float,
    progress: Progress,
) -> list[NDArray[np.int64]]:
    """For each shot the indices of the points that it sees.

    A shot sees a point of its own pointmap, and points that lie within `SAME_DEPTH` of the depth
    that it measured itself. Points that fewer than two shots see are in no track.
    """
    progress.stage("Finding tracks", len(shots))
    index_of = {view: i for i, view in enumerate(points.views)}
    seen = np.zeros((len(shots), len(points)), dtype=bool)
    for row, shot in enumerate(shots):
        source = shot.source
        placed = world.camera(source)
        pixels, depth = placed.project(points.position)
        pointmap = capture.pointmap(source.view)
        i, j, inside = pixels_to_grid(
            pixels, *pointmap.points.shape[:2], source.width, source.height
        )
        own = transform_points(source.camera_from_world, pointmap.points.astype(np.float64))[..., 2]
        own = own[i, j] * world.placement.scale
        sure = pointmap.confidence[i, j] >= min_confidence
        with np.errstate(invalid="ignore"):
            agrees = np.abs(own - depth) < SAME_DEPTH * depth
        seen[row] = inside & ((agrees & sure) | (points.view == index_of[source.view]))
        # What is undistorted may have lost its border.
        at = shot.camera.project(points.position)[0]
        size = (shot.camera.width, shot.camera.height)
        with np.errstate(invalid="ignore"):
            seen[row] &= ((at >= 0) & (at <= size)).all(axis=-1)
        progress.step()
    seen &= seen.sum(axis=0) >= 2
    return [np.flatnonzero(row) for row in seen]


def write_model(
    folder: Path,
    shots: Sequence[Shot],
    points: Points,
    tracks: Sequence[NDArray[np.int64]],
    text: bool,
    progress: Progress,
) -> None:
    """Write cameras, images and points with pycolmap."""
    import pycolmap

    progress.stage("Writing the model", len(shots))
    model = pycolmap.Reconstruction()
    numbers: dict[tuple[object, ...], int] = {}
    elements: dict[int, list[pycolmap.TrackElement]] = {}
    for image_id, (shot, track) in enumerate(zip(shots, tracks, strict=True), start=1):
        lens = colmap_lens(shot.camera)
        key = (lens, shot.camera.width, shot.camera.height)
        if key not in numbers:
            numbers[key] = len(numbers) + 1
            model.add_camera_with_trivial_rig(
                pycolmap.Camera(
                    camera_id=numbers[key],
                    model=lens[0],
                    width=shot.camera.width,
                    height=shot.camera.height,
                    params=list(lens[1]),
                )
            )
        pixels = shot.camera.project(points.position[track])[0]
        image = pycolmap.Image(
            name=shot.file.name,
            keypoints=pixels,
            camera_id=numbers[key],
            image_id=image_id,
        )
        pose = pycolmap.Rigid3d(shot.camera.camera_from_world[:3])
        model.add_image_with_trivial_frame(image, pose)
        for place, point in enumerate(track.tolist()):
            elements.setdefault(point, []).append(pycolmap.TrackElement(image_id, place))
        progress.step()
    for point in sorted(elements):
        model.add_point3D(
            points.position[point], pycolmap.Track(elements[point]), points.color[point]
        )
    if text:
        model.write_text(str(folder))
    else:
        model.write_binary(str(folder))
