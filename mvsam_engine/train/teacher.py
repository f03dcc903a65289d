# SPDX-License-Identifier: GPL-3.0-or-later
"""Real photos as training data, with SAM's own masks as the truth.

Made-up scenes do not look like photos. A reconstructed capture does, but nobody marked anything in
it; what can be had is what SAM finds in each photo by itself. Such a mask says nothing about other
photos (the same object may be hidden there, or be cut up differently), so it is known in its own
view only, and examples decode only that one (`TrainingScene.known`).

The masks are found as by SAM's automatic mask generator (Kirillov et al. 2023, section 5 and
appendix B; `segment_anything/automatic_mask_generator.py`): a grid of single points, the three
choices of each, kept when SAM itself expects a high IoU and when the mask hardly changes with the
threshold (stability score: IoU of the mask cut at logits +1 and -1), and without duplicates.
Duplicates are told by the IoU of masks here, not of their boxes as there: a cup and the saucer
around it may have about the same box.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture, Photo
from mvsam_engine.capture.files import inside, safe_name, write_atomic
from mvsam_engine.errors import TrainingError, UsageError
from mvsam_engine.photos.read import read_bytes
from mvsam_engine.progress import Progress
from mvsam_engine.segment.frame import MODEL_SIDE
from mvsam_engine.segment.masks import drop_specks, mask_png
from mvsam_engine.segment.sam import BATCH, FIRST_CHOICE, Sam, SamPrompts
from mvsam_engine.segment.scale import stability
from mvsam_engine.segment.scene import SceneView, load_views
from mvsam_engine.train.folders import Description, damage, data_folder, whole_scene
from mvsam_engine.train.make import DONE


@dataclass(frozen=True, slots=True)
class TeacherOptions:
    """Which of SAM's masks are believed. Scores, stability and overlap are SAM's own defaults.

    Attributes:
        grid: points along the long side of a photo (SAM's generator: 32 along each; a quarter of
            them finds most objects in a quarter of the time).
        least_score: IoU that SAM expects, at least.
        least_stability: stability score, at least.
        most_overlap: IoU of two masks above which they are the same.
        least_area: share of the photo, at least.
        most_area: share of the photo, at most: what is larger is the background.
        least_known: share of the mask whose 3D points are known, at least.
        most: masks kept in a view, best scores first.
        views: views asked about, spread over the capture; None for all.
    """

    grid: int = 16
    least_score: float = 0.88
    least_stability: float = 0.95
    most_overlap: float = 0.7
    least_area: float = 0.002
    most_area: float = 0.6
    least_known: float = 0.5
    most: int = 32
    views: int | None = None

    def __post_init__(self) -> None:
        """Refuse what finds nothing.

        Raises:
            UsageError: no points, masks or views are asked for.
        """
        if self.grid < 1 or self.most < 1 or (self.views is not None and self.views < 1):
            raise UsageError(
                "usage.teacher", "SAM must be asked about something.", "Numbers are at least 1."
            )


def make_teacher_scene(
    source: Path, out: Path, sam: Sam, options: TeacherOptions, progress: Progress
) -> Path:
    """Write a capture and SAM's masks of its photos as a training scene.

    Args:
        source: a reconstructed capture; left as it is.
        out: the data folder; made.
        sam: the teacher.
        options: which masks are kept.
        progress: counts photos and masks asked for.

    Returns:
        The scene's folder, ``out/<name of the capture>``; one that is whole already is left alone.

    Raises:
        CaptureError: it is no capture, not reconstructed, or a folder cannot be written to.
        TrainingError: SAM finds nothing in it that can be believed, or there is a scene of another
            capture with its name.
        Cancelled: asked for; nothing is left behind.
    """
    capture = Capture.open(source)
    capture.require_reconstruction()
    name = _name_of(capture.root)
    description: Description = {
        "kind": "SAM's own masks on real photos, each known in one view",
        "teacher": sam.encoder.name,
        "grid": options.grid,
        "least score": options.least_score,
        "least stability": options.least_stability,
    }
    with data_folder(out, description):
        if (out / name).exists() and not damage(out / name):
            _refuse_another(out / name, capture)
            return out / name
        with whole_scene(out, name) as folder:
            copy = copy_capture(capture, folder / "capture", sam.encoder.name)
            with copy.writing():
                views = load_views(copy, sam.encoder, progress)
            count = _write_masks(folder / "masks", views, sam, options, progress)
            if count == 0:
                raise TrainingError(
                    "train.teacher",
                    f"SAM finds nothing in the photos of {name} that it is sure enough of.",
                    "A finer --grid asks about more places.",
                )
            text = f"teacher {sam.encoder.name}, {count} masks, {_print_of(capture)}\n"
            write_atomic(folder / DONE, text.encode())
    return out / name


def _name_of(root: Path) -> str:
    """Name of a capture: its folder's, or, where that is just called capture, the one above's."""
    root = root.resolve()
    plain = root.name if root.name.lower() != "capture" else root.parent.name
    return safe_name(plain, "capture")


def _print_of(capture: Capture) -> str:
    """What changes with a capture's cameras."""
    return hashlib.sha256((capture.root / "cameras.json").read_bytes()).hexdigest()[:16]


def _refuse_another(folder: Path, capture: Capture) -> None:
    """A scene that is there must be of this very capture."""
    if _print_of(capture) not in (folder / DONE).read_text(encoding="utf-8", errors="replace"):
        raise TrainingError(
            "train.another",
            f"{folder} is of another capture, or of an earlier reconstruction of this one.",
            "Remove it, or name another folder for this one.",
        )


def copy_capture(source: Capture, target: Path, encoder: str) -> Capture:
    """A capture with the placed photos, cameras, pointmaps and image features of another.

    Args:
        source: reconstructed.
        target: folder of the copy; made.
        encoder: name of the image encoder whose features are taken along where they are there.

    Raises:
        CaptureError: the source is damaged, or the target cannot be written to.
        PhotoError: a photo cannot be read.
    """
    reconstruction = source.require_reconstruction()
    placed = {camera.view for camera in reconstruction.cameras}
    photos = tuple(photo for photo in source.photos() if photo.view in placed)
    copy = Capture.create(target)
    with copy.writing(), copy.transaction() as transaction:
        for photo in photos:
            transaction.write(photo.file, read_bytes(source.photo_path(photo)))
            used = source.photo_mask_path(photo)
            if used is not None:
                transaction.write(photo.mask, read_bytes(used))
        copy.put_photos(photos, transaction)
        copy.put_reconstruction(replace(reconstruction, unplaced=()), transaction)
        for photo in photos:
            copy.put_pointmap(source.pointmap(photo.view), transaction)
    _copy_features(source, copy, photos, encoder)
    return copy


def _copy_features(source: Capture, target: Capture, photos: Sequence[Photo], encoder: str) -> None:
    """Take cached features along; whoever reads them checks them."""
    for photo in photos:
        names = [f"features/{encoder}/{photo.view}.{ending}" for ending in ("npy", "key")]
        files = [inside(source.root, name) for name in names]
        if all(file.is_file() for file in files):
            for name, file in zip(names, files, strict=True):
                path = inside(target.root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, path)


def _write_masks(
    folder: Path, views: Sequence[SceneView], sam: Sam, options: TeacherOptions, progress: Progress
) -> int:
    """Write ``<view>_<mask>/<view>.png`` for what SAM finds; returns how many."""
    count = len(views) if options.views is None else min(options.views, len(views))
    chosen = np.unique(np.linspace(0, len(views) - 1, count).round().astype(int))
    points = {int(i): grid_points(views[i], options.grid) for i in chosen}
    progress.stage("Asking SAM", sum(len(p) for p in points.values()))
    written = 0
    for i, asked in points.items():
        view = views[i]
        for k, logits in enumerate(believed_masks(view, sam, asked, options, progress)):
            png = mask_png(logits, view.photo.width, view.photo.height)
            write_atomic(folder / f"{i:04d}_{k:03d}" / f"{view.name}.png", png)
            written += 1
    return written


def grid_points(view: SceneView, side: int) -> NDArray[np.float32]:
    """A grid [n, 2] of positions in the 1024-square, `side` along the photo's long side."""
    rows, columns = view.frame.model_size
    step = MODEL_SIDE / side
    across, down = max(1, round(columns / step)), max(1, round(rows / step))
    x = (np.arange(across) + 0.5) * columns / across
    y = (np.arange(down) + 0.5) * rows / down
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)


def believed_masks(
    view: SceneView,
    sam: Sam,
    points: NDArray[np.float32],
    options: TeacherOptions,
    progress: Progress,
) -> list[NDArray[np.float32]]:
    """SAM's masks of a view that are sure, stable, of a fair size, in 3D, and not the same.

    Args:
        view: the photo.
        sam: asked.
        points: [n, 2] where, positions in the 1024-square.
        options: what is believed.
        progress: counts points.

    Returns:
        Logits [h, w] on the view's cells, the surest first.
    """
    found: list[tuple[float, NDArray[np.float32]]] = []
    for start in range(0, len(points), BATCH):
        part = points[start : start + BATCH]
        asked = [SamPrompts(point[None], np.ones(1, bool)) for point in part]
        for answer in sam.predict([view.embedding] * len(part), asked):
            logits = view.frame.crop(answer.logits[FIRST_CHOICE:]).astype(np.float32)
            scores = answer.scores[FIRST_CHOICE:]
            sure = (scores >= options.least_score) & (stability(logits) >= options.least_stability)
            found += [(float(scores[k]), logits[k]) for k in np.flatnonzero(sure)]
        progress.step(len(part))
    found.sort(key=lambda pair: -pair[0])
    fair = [clean for _, one in found if _is_fair(view, clean := drop_specks(one), options)]
    return without_duplicates(fair, options.most_overlap, options.most)


def _is_fair(view: SceneView, logits: NDArray[np.float32], options: TeacherOptions) -> bool:
    """Whether a mask [h, w] has a size to learn from, and points in space."""
    mask = logits > 0
    if not options.least_area <= mask.mean() <= options.most_area:
        return False
    known = np.isfinite(view.depth).reshape(view.shape)
    return bool(known[mask].mean() >= options.least_known)


def without_duplicates(
    masks: Sequence[NDArray[np.float32]], most_overlap: float, most: int
) -> list[NDArray[np.float32]]:
    """The first of all masks that are about the same, `most` at the most.

    Args:
        masks: logits [h, w], better ones first.
        most_overlap: IoU above which two are the same.
        most: where to stop.
    """
    kept: list[NDArray[np.float32]] = []
    flat: list[NDArray[np.bool_]] = []
    for logits in masks:
        if len(kept) == most:
            break
        mask = logits > 0
        if all((mask & other).sum() <= most_overlap * (mask | other).sum() for other in flat):
            kept.append(logits)
            flat.append(mask)
    return kept
