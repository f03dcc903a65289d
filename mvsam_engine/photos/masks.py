# SPDX-License-Identifier: GPL-3.0-or-later
"""Photo masks: which pixels of a photo may be used at all (255 = used, 0 = ignored)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import PhotoError


def read_used(path: Path, width: int, height: int) -> NDArray[np.bool_]:
    """Read a mask that lies in the capture (`Capture.photo_mask_path`).

    Args:
        path: 8-bit image of the upright photo's size.
        width: of the upright photo, pixels.
        height: of the upright photo, pixels.

    Returns:
        [H, W] bool, True where the photo is used.

    Raises:
        PhotoError: missing, damaged, or of another size.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    except (OSError, cv2.error) as error:
        raise _unusable(path, "is missing or damaged") from error
    if mask is None:
        raise _unusable(path, "is missing or damaged")
    if mask.shape != (height, width):
        size = f"{mask.shape[1]} x {mask.shape[0]}, its photo {width} x {height}"
        raise _unusable(path, f"does not fit: it has {size} pixels")
    return mask > 127


def _unusable(path: Path, what: str) -> PhotoError:
    return PhotoError(
        "mask.damaged",
        f"The photo mask {path.parent.name}/{path.name} {what}.",
        "Bring the masks in again with `--masks FOLDER`.",
    )
