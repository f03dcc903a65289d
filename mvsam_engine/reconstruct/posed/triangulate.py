# SPDX-License-Identifier: GPL-3.0-or-later
"""Points from matches and given cameras, which are not moved (runs in the child process).

Convention: keypoints are lens-corrected once, here: in the database every photo is a pinhole
photo with its given focal lengths and principal point, shrunk by one factor (see
`classical.features`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.reconstruct.classical.features import PhotoFeatures
from mvsam_engine.reconstruct.classical.sparse import SparseModel

# Where keypoints go that the lens model cannot have seen: no match survives there.
NOWHERE = -1e5
# Points must be seen under this angle, in degrees, and within these pixels, to be kept.
LEAST_ANGLE = 0.5
MOST_ERROR = 3.0


def pinhole(camera: Camera, factor: float) -> NDArray[np.float64]:
    """Matrix [3, 3], without skew, of the lens-corrected photo, shrunk by `factor`."""
    fx, fy, cx, cy = (factor * camera.param(name) for name in ("fx", "fy", "cx", "cy"))
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def correct_lens(found: PhotoFeatures, camera: Camera, factor: float) -> PhotoFeatures:
    """Features at the places where a pinhole camera would have seen them."""
    rays = camera.rays(found.keypoints.astype(np.float64) / factor)
    places = (rays @ pinhole(camera, factor).T)[:, :2]
    places[~np.isfinite(places).all(axis=1)] = NOWHERE
    return replace(found, keypoints=places.astype(np.float32))


def write_database(
    path: Path,
    names: Sequence[str],
    cameras: Sequence[Camera],
    factors: Sequence[float],
    features: Sequence[PhotoFeatures | None],
) -> None:
    """Write lens-corrected features, each photo with a pinhole camera of its own.

    The focal lengths are not called known, so that two-view verification does not lean on the
    cameras that it is to judge. Ids are 1 + the number of the photo.
    """
    with pycolmap.Database.open(path) as database:
        for index, found in enumerate(features):
            if found is None or len(found.keypoints) == 0:
                continue
            camera = _camera(index, cameras[index], factors[index])
            database.write_camera(camera, use_camera_id=True)
            rig = pycolmap.Rig(rig_id=index + 1)
            rig.add_ref_sensor(camera.sensor_id)
            database.write_rig(rig, use_rig_id=True)
            image = _image(index, names[index])
            database.write_image(image, use_image_id=True)
            frame = pycolmap.Frame(frame_id=index + 1, rig_id=index + 1)
            frame.add_data_id(image.data_id)
            database.write_frame(frame, use_frame_id=True)
            database.write_keypoints(index + 1, found.keypoints)
            database.write_descriptors(index + 1, found.descriptors)


def _camera(index: int, camera: Camera, factor: float) -> pycolmap.Camera:
    matrix = pinhole(camera, factor)
    return pycolmap.Camera(
        camera_id=index + 1,
        model="PINHOLE",
        width=round(camera.width * factor),
        height=round(camera.height * factor),
        params=[matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]],
        has_prior_focal_length=False,
    )


def _image(index: int, name: str) -> pycolmap.Image:
    return pycolmap.Image(name=name, camera_id=index + 1, image_id=index + 1)


def triangulate(
    database: Path,
    names: Sequence[str],
    cameras: Sequence[Camera],
    factors: Sequence[float],
    use: Sequence[int],
) -> SparseModel:
    """Points of the verified matches of a database, seen by the cameras `use`.

    Args:
        database: verified, as `write_database` wrote it.
        names: of its images.
        cameras: as given.
        factors: by which each photo was shrunk.
        use: numbers of the cameras that may see points, in rising order; all are in the database.

    Returns:
        A model of those cameras, as given.
    """
    given = pycolmap.Reconstruction()
    for index in use:
        given.add_camera_with_trivial_rig(_camera(index, cameras[index], factors[index]))
        pose = pycolmap.Rigid3d(cameras[index].camera_from_world[:3])
        given.add_image_with_trivial_frame(_image(index, names[index]), pose)
    options = pycolmap.IncrementalPipelineOptions()
    options.extract_colors = False
    options.min_num_matches = 10
    options.triangulation.ignore_two_view_tracks = False
    options.triangulation.min_angle = LEAST_ANGLE
    options.mapper.filter_min_tri_angle = LEAST_ANGLE
    options.mapper.filter_max_reproj_error = MOST_ERROR
    output = database.parent / "triangulated"
    output.mkdir(exist_ok=True)
    found = pycolmap.triangulate_points(given, database, output, output, options=options)
    return _to_sparse(found, [cameras[i] for i in use], list(use))


def _to_sparse(
    found: pycolmap.Reconstruction, cameras: list[Camera], use: list[int]
) -> SparseModel:
    number = {point_id: i for i, point_id in enumerate(found.points3D)}
    seen_by: list[int] = []
    seen_point: list[int] = []
    for place, index in enumerate(use):
        observed = {p.point3D_id for p in found.image(index + 1).points2D if p.has_point3D()}
        seen_by += [place] * len(observed)
        seen_point += sorted(number[point_id] for point_id in observed)
    return SparseModel(
        cameras=tuple(cameras),
        points=np.array([p.xyz for p in found.points3D.values()]).reshape(-1, 3),
        seen_by=np.array(seen_by, np.int64),
        seen_point=np.array(seen_point, np.int64),
        method="triangulated with the given cameras",
    )
