# SPDX-License-Identifier: GPL-3.0-or-later
"""SIFT features of all photos into a COLMAP database (runs in the child process).

Convention: keypoints are in pixels of the photo shrunk by ONE factor on both axes (corner origin),
although the shrunk image has whole sides: so a camera found on them converts to the upright photo
by that one factor, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import fit_size
from mvsam_engine.photos import read_rgb, read_used
from mvsam_engine.reconstruct.classical.evidence import Look, make_look
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, PhotoFacts
from mvsam_engine.reconstruct.images import shrink

# Without EXIF a focal length of 1.2 long sides is assumed (30 deg to each side: a phone's lens).
DEFAULT_FOCAL_FACTOR = 1.2
# Of more features than this only the largest are kept: on textured photos twice as many cost twice
# the time and place no photo better (0.0066 degrees with 2500, 0.0074 with all 5600).
MOST_FEATURES = 4000
# Least contrast of a feature in OpenCV's unit, which is that of a whole octave.
CONTRAST = 0.02
# Features this close, in pixels, to what is masked out describe its outline, not the things.
MASK_MARGIN = 4


@dataclass(frozen=True, slots=True, eq=False)
class PhotoFeatures:
    """SIFT features of one photo.

    Attributes:
        keypoints: [n, 2] float32 positions in the shrunk photo.
        descriptors: pycolmap's own descriptors, [n, 128] uint8 inside.
        order: [n] indices of the features from the largest scale to the smallest.
        look: a small picture of the photo, to see later whether two photos look alike.
    """

    keypoints: NDArray[np.float32]
    descriptors: pycolmap.FeatureDescriptors
    order: NDArray[np.int64]
    look: Look | None = None


def shrink_factor(photo: JobPhoto, size: int) -> float:
    """Factor from the upright photo to the coordinates that features are kept in."""
    return min(1.0, size / max(photo.width, photo.height))


def detect(photo: JobPhoto, size: int) -> PhotoFeatures:
    """Find SIFT features in a photo shrunk to `size` pixels on its long side.

    OpenCV's SIFT finds 9 in 10 of the features of pycolmap's in a third of the time, and the
    cameras come out alike. Descriptors are RootSIFT (Arandjelovic and Zisserman 2012), as pycolmap
    writes them: L1 root, times 512, in bytes.

    Raises:
        PhotoError: the photo or its mask cannot be read.
    """
    image = read_rgb(Path(photo.path), at_least=size)
    width, height = fit_size(photo.width, photo.height, size)
    gray = cv2.cvtColor(shrink(image, width, height), cv2.COLOR_RGB2GRAY)
    sift = cv2.SIFT_create(contrastThreshold=CONTRAST, enable_precise_upscale=True)
    keypoints, found = sift.detectAndCompute(gray, _used(photo, width, height))
    positions = np.array([k.pt for k in keypoints], np.float64).reshape(-1, 2)
    order = np.argsort([-k.size for k in keypoints], kind="stable")[:MOST_FEATURES]
    descriptors = np.zeros((0, 128), np.float32) if found is None else found[order]
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    factor = shrink_factor(photo, size)
    whole = np.array([photo.width * factor / width, photo.height * factor / height])
    return PhotoFeatures(
        # OpenCV's centre of the first pixel is (0, 0).
        keypoints=((positions[order] + 0.5) * whole).astype(np.float32),
        descriptors=pycolmap.FeatureDescriptors(
            pycolmap.FeatureExtractorType.SIFT,
            np.clip(np.round(512.0 * root), 0, 255).astype(np.uint8),
        ),
        order=np.arange(len(order)),
        look=make_look(gray, photo.width),
    )


def _used(photo: JobPhoto, width: int, height: int) -> NDArray[np.uint8] | None:
    """Where features may lie in the shrunk photo (255), None for everywhere."""
    if not photo.mask:
        return None
    used = read_used(Path(photo.mask), photo.width, photo.height).astype(np.uint8) * 255
    small = cv2.resize(used, (width, height), interpolation=cv2.INTER_AREA)
    around = np.ones((2 * MASK_MARGIN + 1,) * 2, np.uint8)
    whole = (small == 255).astype(np.uint8) * 255
    return cv2.erode(whole, around, borderType=cv2.BORDER_REPLICATE).astype(np.uint8)


def detect_all(
    photos: tuple[JobPhoto, ...], size: int, threads: int, step: Callable[[], None]
) -> tuple[list[PhotoFeatures | None], list[PhotoFacts]]:
    """Features of all photos, and facts; a photo that cannot be read gives None."""

    def attempt(photo: JobPhoto) -> tuple[PhotoFeatures | None, PhotoFacts]:
        try:
            found = detect(photo, size)
        except Exception as error:  # whatever one broken photo does must not lose the others
            return None, PhotoFacts(photo.view, features=-1, error=str(error))
        return found, PhotoFacts(photo.view, features=len(found.keypoints))

    features: list[PhotoFeatures | None] = []
    facts: list[PhotoFacts] = []
    with ThreadPoolExecutor(threads) as pool:
        for found, fact in pool.map(attempt, photos):
            features.append(found)
            facts.append(fact)
            step()
    return features, facts


def _camera(photo: JobPhoto, size: int) -> pycolmap.Camera:
    """First guess of the camera of a shrunk photo, principal point in the middle."""
    factor = shrink_factor(photo, size)
    width, height = photo.width * factor, photo.height * factor
    focal = photo.focal * factor if photo.focal else DEFAULT_FOCAL_FACTOR * max(width, height)
    return pycolmap.Camera(
        model="SIMPLE_RADIAL",
        width=round(width),
        height=round(height),
        params=[focal, width / 2, height / 2, 0.0],
        has_prior_focal_length=photo.focal is not None,
    )


def write_database(
    path: Path,
    names: list[str],
    photos: tuple[JobPhoto, ...],
    features: list[PhotoFeatures | None],
    size: int,
) -> None:
    """Write a database with one camera for each group of photos taken alike.

    A group shares size, camera model and focal length: a shared camera is far better determined
    than one per photo, and photos of another size are not dropped. Image ids are 1 + the index
    of the photo.

    Args:
        path: the database file, made here.
        names: of the images in the database, one per photo.
        photos: as asked for.
        features: of each photo; None leaves it out.
        size: long side at which they were found.
    """
    cameras: dict[tuple[object, ...], tuple[pycolmap.Camera, int]] = {}
    with pycolmap.Database.open(path) as database:
        for index, (photo, found) in enumerate(zip(photos, features, strict=True)):
            if found is None or len(found.keypoints) == 0:
                continue
            key = (photo.width, photo.height, photo.camera_model, photo.focal)
            if key not in cameras:
                camera = _camera(photo, size)
                camera.camera_id = database.write_camera(camera)
                rig = pycolmap.Rig()
                rig.add_ref_sensor(camera.sensor_id)
                cameras[key] = (camera, database.write_rig(rig))
            camera, rig_id = cameras[key]
            image = pycolmap.Image(
                name=names[index], camera_id=camera.camera_id, image_id=index + 1
            )
            database.write_image(image, use_image_id=True)
            frame = pycolmap.Frame(rig_id=rig_id)
            frame.add_data_id(image.data_id)
            database.write_frame(frame)
            database.write_keypoints(index + 1, found.keypoints)
            database.write_descriptors(index + 1, found.descriptors)
