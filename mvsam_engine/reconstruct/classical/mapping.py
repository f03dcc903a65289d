# SPDX-License-Identifier: GPL-3.0-or-later
"""Verified matches to cameras and points with pycolmap (runs in the child process)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap

from mvsam_engine.capture.camera import Camera
from mvsam_engine.reconstruct.classical.features import shrink_factor
from mvsam_engine.reconstruct.classical.sfm_job import SfmJob
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.support import FOCAL_BOUNDS

# Points that the global mapper uses for each photo, where there are more.
TRACKS = 500


def map_global(database: Path, output: Path, seed: int) -> list[pycolmap.Reconstruction]:
    """All cameras at once (GLOMAP), after the focal lengths were estimated from the pairs."""
    calibration = pycolmap.ViewGraphCalibrationOptions()
    calibration.random_seed = seed
    pycolmap.calibrate_view_graph(database, calibration)
    options = pycolmap.GlobalPipelineOptions()
    options.random_seed = seed
    # More points do not place photos better; all come back in the triangulation that follows.
    options.mapper.track_required_tracks_per_view = TRACKS
    options.mapper.global_positioning.use_gpu = False
    options.mapper.bundle_adjustment.ceres.use_gpu = False
    output.mkdir(exist_ok=True)
    return list(pycolmap.global_mapping(database, output, output, options).values())


def map_incremental(
    database: Path,
    output: Path,
    seed: int,
    angle: float,
    photos: int,
    start: pycolmap.Reconstruction | None = None,
) -> list[pycolmap.Reconstruction]:
    """One camera after the other, with settings that also start from few or close photos.

    Args:
        database: verified.
        output: folder for pycolmap's files.
        seed: of the random numbers.
        angle: least triangulation angle in degrees of the pair it starts from.
        photos: how many there are in all.
        start: a model of some of them to continue from; photos then join with fewer matches.
    """
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = seed
    options.min_model_size = 2
    options.max_num_models = 5
    options.extract_colors = False
    options.min_num_matches = 10
    options.min_focal_length_ratio, options.max_focal_length_ratio = FOCAL_BOUNDS
    # Two or three photos do not determine the bending of the lens.
    options.ba_refine_extra_params = photos > 3
    # Tracks of two photos bias the focal length, but two or three photos have little else.
    options.triangulation.ignore_two_view_tracks = photos > 3
    options.triangulation.min_angle = 0.5
    mapper = options.mapper
    mapper.init_min_tri_angle = angle
    mapper.init_min_num_inliers = 30
    mapper.init_max_forward_motion = 0.99
    mapper.abs_pose_min_num_inliers = 15
    mapper.abs_pose_min_inlier_ratio = 0.15
    mapper.abs_pose_refine_extra_params = photos > 3
    mapper.filter_min_tri_angle = 0.5
    mapper.min_focal_length_ratio, mapper.max_focal_length_ratio = FOCAL_BOUNDS
    output.mkdir(exist_ok=True)
    beginning = ""
    if start is not None:
        mapper.abs_pose_min_num_inliers = 10
        mapper.abs_pose_min_inlier_ratio = 0.1
        options.multiple_models = False
        beginning = str(output / "start")
        Path(beginning).mkdir(exist_ok=True)
        start.write(beginning)
    models = pycolmap.incremental_mapping(database, output, output, options, beginning)
    return list(models.values())


def to_sparse(model: pycolmap.Reconstruction, job: SfmJob, method: str) -> SparseModel:
    """A pycolmap model as ours, with intrinsics of the upright photos."""
    point_index = {point_id: i for i, point_id in enumerate(model.points3D)}
    points = np.array([p.xyz for p in model.points3D.values()]).reshape(-1, 3)
    cameras: list[Camera] = []
    seen_by: list[int] = []
    seen_point: list[int] = []
    for image_id, image in sorted(model.images.items()):
        if not image.has_pose:
            continue
        photo = job.photos[image_id - 1]
        focal, cx, cy, k1 = image.camera.params
        back = 1.0 / shrink_factor(photo, job.size)
        pose = np.eye(4)
        pose[:3] = image.cam_from_world().matrix()
        observed = [point_index[p.point3D_id] for p in image.points2D if p.has_point3D()]
        seen_by += [len(cameras)] * len(observed)
        seen_point += observed
        cameras.append(
            Camera(
                view=photo.view,
                model="SIMPLE_RADIAL",
                width=photo.width,
                height=photo.height,
                params=(focal * back, cx * back, cy * back, k1),
                camera_from_world=pose,
            )
        )
    return SparseModel(
        cameras=tuple(cameras),
        points=points,
        seen_by=np.array(seen_by, np.int64),
        seen_point=np.array(seen_point, np.int64),
        method=method,
    )
