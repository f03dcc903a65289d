# SPDX-License-Identifier: GPL-3.0-or-later
"""SA-1B (Kirillov et al. 2023) as training data, a scene of one view for each photo.

Layout of a folder of SA-1B:
    sa_1.jpg     the photo
    sa_1.json    {"image": {"width", "height", "file_name", ...},
                  "annotations": [{"id", "segmentation": {"size": [h, w], "counts": "..."}, ...}]}
    sa_1.npz     not part of SA-1B: its pointmap (`train.beside`)

This is what the paper of MV-SAM trains on: geometry of the single image, prompts and mask in the
same image. SA-1B has a research licence of its own, and what is trained on it inherits its terms.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture import Capture, Photo, Reconstruction
from mvsam_engine.capture.files import is_safe_name, read_json, write_atomic
from mvsam_engine.errors import Cancelled, MvsamError, TrainingError, UsageError
from mvsam_engine.photos import add_photos, read_rgb
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import RECONSTRUCTORS, ReconstructOptions, reconstruct
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.frame import ModelFrame
from mvsam_engine.train.beside import read_beside
from mvsam_engine.train.episodes import LEAST_CELLS
from mvsam_engine.train.folders import damage, data_folder, whole_scene
from mvsam_engine.train.make import DONE
from mvsam_engine.train.recipe import embed_scene
from mvsam_engine.train.rle import decode_rle

# The pointmap lies beside the photo.
BESIDE = "beside"
# Geometries that cannot place one photo, and why.
NEED_MORE = {
    "classical": "it measures depth between photos, and these are single ones",
    "auto": "it would have to choose again for each photo; name a model",
    "posed": "it needs cameras that are known, and these photos have none",
}
# A file of annotations that is larger is none: SA-1B's have up to a few megabytes.
MOST_JSON = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Sa1bOptions:
    """How SA-1B is read.

    Attributes:
        geometry: ``beside``, or a registered geometry that places single photos.
        most: photos, None for all.
        objects: masks of a photo, drawn at random (but always the same) when there are more.
        device: for the geometry: auto, cpu, cuda or mps.
    """

    geometry: str
    most: int | None = None
    objects: int = 64
    device: str = "auto"


def check_geometry(name: str) -> None:
    """Refuse a geometry that cannot make points of one photo.

    Raises:
        UsageError: it cannot, or there is none of that name.
    """
    able = [BESIDE, *(n for n in RECONSTRUCTORS if n not in NEED_MORE)]
    possible = (
        f"Possible: {', '.join(able)}. With {BESIDE}, each sa_N.jpg has a sa_N.npz with points "
        "[h, w, 3] and confidence [h, w] from any geometry network beside it."
    )
    if name in NEED_MORE:
        raise UsageError("train.geometry", f"{name} cannot be used: {NEED_MORE[name]}.", possible)
    if name not in able:
        raise UsageError("train.geometry", f"There is no geometry {name!r}.", possible)


def make_sa1b_scenes(
    folder: Path, out: Path, options: Sa1bOptions, encoder: ImageEncoder, progress: Progress
) -> list[Path]:
    """Write a training scene for each photo of a folder of SA-1B.

    A photo that cannot be used is named in a warning and left out; scenes that are whole already
    are left alone.

    Args:
        folder: with ``sa_*.jpg`` and ``sa_*.json``.
        out: the data folder; made.
        options: geometry and how much.
        encoder: embeds the photos.
        progress: counts photos.

    Returns:
        The scenes' folders.

    Raises:
        UsageError: the geometry cannot place single photos.
        TrainingError: there is nothing of SA-1B in the folder, or nothing of it can be used.
        CaptureError: `out` cannot be written to.
        Cancelled: scenes that were finished are kept.
    """
    check_geometry(options.geometry)
    files = sorted(folder.glob("sa_*.json"), key=_number)[: options.most]
    if not files:
        raise TrainingError(
            "train.sa1b",
            f"{folder} holds no sa_*.json.",
            "Name a folder of SA-1B, with sa_1.jpg and sa_1.json.",
        )
    made: list[Path] = []
    with data_folder(out, {"kind": "SA-1B, single photos", "geometry": options.geometry}):
        progress.stage("Reading SA-1B", len(files))
        for file in files:
            try:
                made.append(_make(file, out, options, encoder, progress))
            except Cancelled:
                raise
            except MvsamError as error:
                if error.code.startswith("disk."):
                    raise
                progress.warn(error.code, f"{file.stem} is left out: {error.message}")
            progress.step()
    if not made:
        raise TrainingError(
            "train.sa1b",
            f"None of the {len(files)} photos in {folder} can be used.",
            "The warnings above say why for each.",
        )
    return made


def _number(path: Path) -> tuple[int, str]:
    """For sorting: sa_2 comes before sa_10."""
    digits = path.stem.removeprefix("sa_")
    return (int(digits) if digits.isdecimal() else -1, path.stem)


def _make(
    file: Path, out: Path, options: Sa1bOptions, encoder: ImageEncoder, progress: Progress
) -> Path:
    """The scene of one photo."""
    target = out / file.stem
    if target.exists() and not damage(target):
        return target
    annotations = read_annotations(file)
    colors = read_rgb(annotations.photo)  # refuses what is no photo, in better words than below
    with whole_scene(out, file.stem) as folder:
        capture = Capture.create(folder / "capture")
        quiet = _Quiet(progress)
        with capture.writing():
            (photo,) = add_photos(capture, [annotations.photo], quiet)
            if (photo.width, photo.height) != (annotations.width, annotations.height):
                raise TrainingError(
                    "train.sa1b",
                    f"its photo is {photo.width} x {photo.height} pixels, its annotations say "
                    f"{annotations.width} x {annotations.height}.",
                )
            if options.geometry == BESIDE:
                _put_beside(capture, photo, colors, file.with_suffix(".npz"))
            else:
                chosen = ReconstructOptions(device=options.device)
                reconstruct(capture, options.geometry, chosen, quiet)
        count = _write_masks(folder / "masks", photo, annotations, options.objects, progress)
        if count == 0:
            raise TrainingError("train.sa1b", "it has no mask that is large enough.")
        embed_scene(folder, encoder)
        write_atomic(folder / DONE, f"sa1b {file.stem}, {count} masks\n".encode())
    return target


class _Quiet(Progress):
    """No counts, but warnings and cancellation of another progress."""

    def __init__(self, other: Progress) -> None:
        super().__init__()
        self._other = other

    def check(self) -> None:
        """See `Progress`."""
        self._other.check()

    def on_warning(self, code: str, message: str, remedy: str) -> None:
        """See `Progress`."""
        self._other.warn(code, message, remedy)


def _put_beside(capture: Capture, photo: Photo, colors: NDArray[np.uint8], path: Path) -> None:
    camera, pointmap = read_beside(path, photo, colors)
    with capture.transaction() as transaction:
        reconstruction = Reconstruction(cameras=(camera,), method="given beside the photo")
        capture.put_reconstruction(reconstruction, transaction)
        capture.put_pointmap(pointmap, transaction)


# --- annotations ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Annotations:
    """What ``sa_N.json`` says.

    Attributes:
        photo: file of the photo, beside it.
        width: of the photo, pixels.
        height: of the photo, pixels.
        masks: name of each object to its mask in COCO's run-length encoding.
    """

    photo: Path
    width: int
    height: int
    masks: dict[str, Any]


def read_annotations(file: Path) -> Annotations:
    """Read ``sa_N.json``; masks are decoded later, one by one.

    Raises:
        TrainingError: it is not of that form, or its photo is not beside it.
        CaptureError: it is no JSON.
    """
    if not file.is_file() or file.stat().st_size > MOST_JSON:
        raise TrainingError("train.sa1b", f"{file.name} is no file, or too large to be of SA-1B.")
    data = read_json(file)
    try:
        image: Any = data["image"]  # type: ignore[index]
        width, height, name = int(image["width"]), int(image["height"]), str(image["file_name"])
        items: Sequence[Any] = data["annotations"]  # type: ignore[index]
        masks = {f"{int(item['id'])}": item["segmentation"] for item in items}
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            "train.sa1b", f"{file.name} is not of the form of SA-1B ({error!r})."
        ) from error
    if not all(is_safe_name(one) for one in masks):
        raise TrainingError("train.sa1b", f"{file.name} has annotations with ids that are none.")
    photo = file.parent / name
    if not is_safe_name(name) or not photo.is_file():
        raise TrainingError("train.sa1b", f"its photo {name!r} is not beside {file.name}.")
    return Annotations(photo, width, height, masks)


def _write_masks(
    folder: Path, photo: Photo, annotations: Annotations, most: int, progress: Progress
) -> int:
    """Write ``<id>/<view>.png`` of objects that are large enough; returns how many."""
    frame = ModelFrame(photo.width, photo.height)
    rows, columns = frame.mask_size
    least = LEAST_CELLS * photo.width * photo.height / (rows * columns)
    names = sorted(annotations.masks)
    rng = np.random.default_rng([len(names), photo.width, photo.height])
    written, refused = 0, 0
    for k in rng.permutation(len(names)):
        if written == most:
            break
        try:
            mask = decode_rle(annotations.masks[names[k]], photo.width, photo.height)
        except TrainingError as error:
            if error.code != "train.rle":
                raise
            refused += 1
            continue
        if mask.sum() >= least:
            write_atomic(folder / names[k] / f"{photo.view}.png", _png(mask))
            written += 1
        progress.check()
    if refused:
        progress.warn("train.rle", f"{photo.view}: {refused} masks are left out, they are damaged.")
    return written


def _png(mask: NDArray[np.bool_]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()
