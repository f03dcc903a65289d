# SPDX-License-Identifier: GPL-3.0-or-later
"""Image embeddings kept in the capture, made anew when the photo or the weights change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, Photo
from mvsam_engine.capture.files import array_bytes, read_array, write_atomic
from mvsam_engine.errors import CaptureError
from mvsam_engine.photos import read_rgb
from mvsam_engine.progress import Progress
from mvsam_engine.segment.encoder import ImageEncoder


def embed_photos(
    capture: Capture, photos: tuple[Photo, ...], encoder: ImageEncoder, progress: Progress
) -> list[NDArray[np.float16]]:
    """Embeddings of `photos`, from the cache where it holds them.

    The cache is ``features/<encoder>/<view>.npy`` with the photo's hash beside it in
    ``<view>.key``; the encoder's name changes with its weights. A capture that cannot be written
    to is only warned about.

    Args:
        capture: where photos and cache are.
        photos: which.
        encoder: used for what the cache lacks.
        progress: counts photos.

    Returns:
        One float16 array of the encoder's shape, [256, 64, 64] for most, per photo.

    Raises:
        PhotoError: a photo cannot be read.
        Cancelled: between two photos; what is done stays in the cache.
    """
    folder = capture.root / "features" / encoder.name
    progress.stage("Looking at photos", len(photos))
    embeddings: list[NDArray[np.float16]] = []
    writable = True
    for photo in photos:
        features = _cached(folder, photo, encoder.shape)
        if features is None:
            image = read_rgb(capture.photo_path(photo))
            features = encoder.embed(image).astype(np.float16)
            writable = writable and _store(folder, photo, features, progress)
        embeddings.append(features)
        progress.step()
    return embeddings


def _cached(folder: Path, photo: Photo, shape: tuple[int, int, int]) -> NDArray[np.float16] | None:
    """The cached embedding of exactly this photo, or None."""
    try:
        if (folder / f"{photo.view}.key").read_text(encoding="ascii") != photo.sha256:
            return None
        return read_array(folder / f"{photo.view}.npy", np.float16, shape)
    # Whatever is wrong with a cache, the answer is to compute its content again.
    except (OSError, UnicodeDecodeError, CaptureError):
        return None


def _store(folder: Path, photo: Photo, features: NDArray[np.float16], progress: Progress) -> bool:
    """Write one embedding, its key last; False when the capture cannot be written to."""
    key = folder / f"{photo.view}.key"
    try:
        key.unlink(missing_ok=True)
        write_atomic(folder / f"{photo.view}.npy", array_bytes(features))
        write_atomic(key, photo.sha256.encode("ascii"))
    except (OSError, CaptureError) as error:
        progress.warn("features.unwritable", f"The image features cannot be kept: {error}")
        return False
    return True
