# SPDX-License-Identifier: GPL-3.0-or-later
"""COLMAP models, text and binary, with or without rigs, through pycolmap.

Format: https://colmap.github.io/format.html. COLMAP's axes and pixels are ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvsam_engine.capture.camera import Camera
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.posed.camera_set import CameraSet, PosedPhoto


def read(path: Path) -> CameraSet:
    """Read the COLMAP model in the folder `path`."""
    import pycolmap

    try:
        model = pycolmap.Reconstruction(str(path))
    except (ValueError, RuntimeError, IndexError) as error:
        raise ReconstructionError(
            "cameras.damaged", f"The COLMAP model in {path} cannot be read: {error}."
        ) from error
    images = [model.images[i] for i in sorted(model.reg_image_ids())]
    photos = tuple(_photo(model.cameras[image.camera_id], image) for image in images)
    points = {p: i for i, p in enumerate(model.points3D)}
    seen = [
        (i, points[observed.point3D_id])
        for i, image in enumerate(images)
        for observed in image.points2D
        if observed.point3D_id in points
    ]
    pairs = np.array(seen, dtype=np.int64).reshape(-1, 2)
    return CameraSet(
        format="COLMAP",
        photos=photos,
        points=np.array([p.xyz for p in model.points3D.values()]).reshape(-1, 3),
        seen_by=pairs[:, 0],
        seen_point=pairs[:, 1],
    )


def _photo(camera, image) -> PosedPhoto:
    matrix = np.eye(4)
    matrix[:3] = image.cam_from_world().matrix()
    return PosedPhoto(
        name=image.name.replace("\\", "/"),
        camera=Camera(
            view="",
            model=camera.model.name,
            width=int(camera.width),
            height=int(camera.height),
            params=tuple(float(v) for v in camera.params),
            camera_from_world=matrix,
        ),
    )
