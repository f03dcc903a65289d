# SPDX-License-Identifier: GPL-3.0-or-later
"""Photo masks: which pixels of a photo may be used at all (255 = used, 0 = ignored)."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture import Photo
from mvsam_engine.capture.sources import masks_beside
from mvsam_engine.errors import PhotoError
from mvsam_engine.photos.decode import MIN_SIDE, open_any, turn_upright
from mvsam_engine.photos.deep import to_8_bit
from mvsam_engine.photos.read import read_bytes

MASK_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
_AGAIN = "Bring the masks in again with `--masks FOLDER`."


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
        mask = np.asarray(open_any(path.name, read_bytes(path))[0].convert("L"))
    except PhotoError as error:
        text = f"The photo mask {path.name} is missing or damaged."
        raise PhotoError("mask.damaged", text, _AGAIN) from error
    if mask.shape != (height, width):
        raise PhotoError(
            "mask.damaged",
            f"The photo mask {path.name} has {mask.shape[1]} x {mask.shape[0]} pixels, its photo "
            f"{width} x {height}.",
            _AGAIN,
        )
    return mask > 127


def used_png(used: NDArray[np.bool_]) -> bytes:
    """The PNG that the capture keeps of [H, W] bool."""
    _, data = cv2.imencode(".png", np.where(used, 255, 0).astype(np.uint8))
    return data.tobytes()


def find_masks(folder: Path) -> list[Path]:
    """Mask images in a folder and below it, without hidden ones.

    Where masks lie beside their photos, the photos are left out.

    Raises:
        PhotoError: the folder does not exist, or holds no image.
    """
    if not folder.is_dir():
        raise PhotoError(
            "mask.missing", f"The folder of masks {folder} does not exist.", "Check the path."
        )
    images = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in MASK_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    names: dict[Path, list[str]] = {}
    for path in images:
        names.setdefault(path.parent, []).append(path.name)
    beside = {parent: masks_beside(inside) for parent, inside in names.items()}
    found = [p for p in images if not beside[p.parent] or p.name in beside[p.parent]]
    if not found:
        raise PhotoError(
            "mask.none",
            f"There are no masks in {folder}.",
            "A mask of IMG_1.jpg is named IMG_1.png, IMG_1.jpg.png or IMG_1_mask.png.",
        )
    return found


@dataclass(frozen=True, slots=True)
class MatchedMasks:
    """Which mask belongs to which photo.

    Attributes:
        files: view to its mask.
        spare: masks that fit no photo.
    """

    files: dict[str, Path]
    spare: tuple[Path, ...]


def match_masks(folder: Path, masks: Sequence[Path], photos: Sequence[Photo]) -> MatchedMasks:
    """Match masks to photos by name, without regard to case.

    Tried in turn: the mask in the same subfolder as the photo was in; then one anywhere, if its
    name belongs to one photo and to one mask only.

    Args:
        folder: of the masks.
        masks: files below it.
        photos: of the capture.
    """
    placed: dict[tuple[str, str], Path] = {}
    for mask in masks:
        relative = PurePosixPath(mask.relative_to(folder).as_posix())
        placed.setdefault((_key(str(relative.parent)), _key(relative.stem)), mask)
    anywhere = Counter(stem for _, stem in placed)
    by_stem = {stem: mask for (_, stem), mask in placed.items()}
    owners = Counter(stem for photo in photos for stem in set(_mask_stems(photo)))
    files: dict[str, Path] = {}
    for photo in photos:
        parent = _key(str(PurePosixPath(photo.original_name).parent))
        stems = _mask_stems(photo)
        near = (placed.get((parent, stem)) for stem in stems)
        alone = (s for s in stems if anywhere[s] == 1 and owners[s] == 1)
        mask = next((m for m in near if m is not None), None)
        if mask is None:
            mask = next((by_stem[stem] for stem in alone), None)
        if mask is not None:
            files[photo.view] = mask
    taken = set(files.values())
    return MatchedMasks(files, tuple(mask for mask in masks if mask not in taken))


def read_mask(path: Path, photo: Photo, invert: bool = False) -> NDArray[np.bool_]:
    """Read a person's mask of a photo.

    The mask has the size of the photo as its file has it, or that size scaled; the photo's EXIF
    orientation is applied to it. A mask with an orientation of its own, or one that only fits the
    upright photo, is taken as upright.

    Args:
        path: image of any kind; its brightest channel counts, above the middle is white. Where
            nothing is brighter than 1, as in label images, 1 is white.
        photo: that it belongs to.
        invert: whether white means ignored rather than used.

    Returns:
        [H, W] bool of the upright photo's size, True = used.

    Raises:
        PhotoError: unreadable, of another shape, with nothing used, or the photo itself.
    """
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() == photo.sha256:
        raise PhotoError(
            "mask.photo",
            f"{path.name} is the photo itself and no mask.",
            "Name the folder of the masks with `--masks`.",
        )
    image, turned = open_any(path.name, data)
    stored = (photo.height, photo.width) if photo.orientation >= 5 else (photo.width, photo.height)
    if not turned and _is_scaled(image.size, stored):
        image = turn_upright(image, photo.orientation)
    size = image.size
    if not _is_scaled(size, (photo.width, photo.height)):
        raise PhotoError(
            "mask.size",
            f"The mask {path.name} has {image.width} x {image.height} pixels, its photo "
            f"{photo.original_name} {stored[0]} x {stored[1]}.",
            "A mask has its photo's size, or the same shape at another scale.",
        )
    values = mask_values(image)
    if size != (photo.width, photo.height):
        values = cv2.resize(
            values, (photo.width, photo.height), None, 0, 0, cv2.INTER_NEAREST_EXACT
        )
    used = (values > (127 if values.max() > 1 else 0)) != invert
    if not used.any():
        raise PhotoError(
            "mask.empty",
            f"The mask {path.name} ignores all of {photo.original_name}.",
            "White means used; with `--masks-invert` it means ignored.",
        )
    return used


def mask_values(image: Image.Image) -> NDArray[np.uint8]:
    """[h, w] uint8: the brightest channel, 0 where the mask image is transparent."""
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "F":
            return np.where(values > 0.5, 255, 0).astype(np.uint8)
        return values.astype(np.uint8) if values.max() <= 1 else to_8_bit(values)
    rgba = np.asarray(image.convert("RGBA"))
    return np.where(rgba[..., 3] > 0, rgba[..., :3].max(axis=2), 0).astype(np.uint8)


def _is_scaled(size: tuple[int, int], full: tuple[int, int]) -> bool:
    """Whether `size` is `full` times one factor, but for rounding to whole pixels."""
    (w, h), (W, H) = size, full
    if (w, h) == (W, H):
        return True
    rounding = max(W, H) if w < W else max(w, h)
    return min(w, h) >= MIN_SIDE and abs(w * H - h * W) <= rounding


def _mask_stems(photo: Photo) -> list[str]:
    """Names, without ending, that a photo's mask may have; the best first."""
    name = PurePosixPath(photo.original_name)
    bases = dict.fromkeys((_key(name.name), _key(name.stem), _key(photo.view)))
    return [stem for base in bases for stem in (base, f"{base}_mask")]


def _key(name: str) -> str:
    """A name as file systems compare it: any case, any way of composing accents."""
    return unicodedata.normalize("NFC", name).casefold()
