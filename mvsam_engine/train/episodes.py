# SPDX-License-Identifier: GPL-3.0-or-later
"""Training examples: an object of a scene, prompts in one or two views, and some views to answer.

Sampling follows the paper where it says how: up to ten points an object, at most a tenth of them
negative. What it leaves out, and the product needs: single clicks, boxes, dense prompts from
earlier, imperfect answers, and views that do not show the object at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mvsam_engine.capture import Capture
from mvsam_engine.errors import CaptureError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.frame import MASK_SIDE
from mvsam_engine.segment.hints import Hints
from mvsam_engine.segment.scene import SceneView, load_views

# Cells that a view must show of an object for prompts to be put there.
LEAST_CELLS = 60
# Logits of dense prompts lie within this.
MASK_LOGIT = 8.0
# In the names of objects that are parts of others (`train.make`).
PART = "_part"


@dataclass(frozen=True, slots=True, eq=False)
class TrainingScene:
    """A scene in memory.

    Attributes:
        name: of its folder.
        views: with features and exact (or measured) pointmaps.
        masks: object to [views, 256, 256] uint8, 1 = object, on SAM's padded grid.
        known: object to [views] bool, False where nobody says where the object is; what is not in
            it is known in all views.
    """

    name: str
    views: tuple[SceneView, ...]
    masks: dict[str, NDArray[np.uint8]]
    known: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def masks_of(self, objects: Sequence[str]) -> NDArray[np.uint8]:
        """[views, 256, 256] 1 where any of these objects is."""
        return np.max([self.masks[name] for name in objects], axis=0)

    def known_of(self, objects: Sequence[str]) -> NDArray[np.bool_]:
        """[views] where all of these objects are known."""
        everywhere = np.ones(len(self.views), bool)
        return np.all([self.known.get(name, everywhere) for name in objects], axis=0)

    def inside(self) -> NDArray[np.float32]:
        """[views, 256, 256] 1 where the photo is, 0 in its padding."""
        area = np.zeros((len(self.views), MASK_SIDE, MASK_SIDE), np.float32)
        for one, view in zip(area, self.views, strict=True):
            one[: view.shape[0], : view.shape[1]] = 1.0
        return area


def load_scene(folder: Path, encoder: ImageEncoder, progress: Progress) -> TrainingScene:
    """Read a scene folder (`train.make`), computing what features are missing.

    A mask that is missing is not known: nothing is asked about that object in that view.

    Raises:
        CaptureError: it is no scene, or a mask is damaged or of another size than its photo.
    """
    capture = Capture.open(folder / "capture")
    with _held(capture, encoder):
        views = load_views(capture, encoder, progress)
    masks: dict[str, NDArray[np.uint8]] = {}
    known: dict[str, NDArray[np.bool_]] = {}
    for object_folder in sorted(p for p in (folder / "masks").glob("*") if p.is_dir()):
        found = [_read_mask(object_folder, view) for view in views]
        nothing = np.zeros((MASK_SIDE, MASK_SIDE), np.uint8)
        masks[object_folder.name] = np.stack([nothing if m is None else m for m in found])
        known[object_folder.name] = np.array([m is not None for m in found])
    if not masks:
        raise CaptureError(
            "train.masks",
            f"{folder.name} has no masks to learn from.",
            "Put them into masks/<object>/<view>.png, one for each photo.",
        )
    return TrainingScene(folder.name, views, masks, known)


def _held(capture: Capture, encoder: ImageEncoder) -> AbstractContextManager[None]:
    """The capture's lock, where features are to be added to it.

    What is complete is read without: several runs may read it at once, and from a disk that
    cannot be written to.
    """
    folder = capture.root / "features" / encoder.name
    cameras = capture.require_reconstruction().cameras
    complete = all((folder / f"{camera.view}.key").is_file() for camera in cameras)
    return nullcontext() if complete else capture.writing()


def _read_mask(folder: Path, view: SceneView) -> NDArray[np.uint8] | None:
    """An object's mask [256, 256] in a view; None when there is none."""
    path = folder / f"{view.name}.png"
    if not path.exists():
        return None
    try:
        with Image.open(path) as image:
            values = np.asarray(image.convert("L"))
    except OSError as error:
        raise CaptureError(
            "train.mask",
            f"The mask {folder.name}/{path.name} cannot be read: {error}.",
            "Make it again, or remove it: the object is then not asked about in this photo.",
        ) from error
    if values.shape != (view.photo.height, view.photo.width):
        raise CaptureError(
            "train.mask",
            f"The mask {folder.name}/{path.name} is {values.shape[1]} x {values.shape[0]} pixels, "
            f"its photo {view.photo.width} x {view.photo.height}.",
        )
    rows, columns = view.shape
    small = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
    grid = np.zeros((MASK_SIDE, MASK_SIDE), np.uint8)
    grid[:rows, :columns] = small > 127
    return grid


@dataclass(frozen=True, slots=True)
class EpisodeOptions:
    """How examples are drawn.

    Attributes:
        views: how many views of an example are decoded, the prompted one among them.
        single: chance of one click.
        box: chance of a box instead of points.
        second: chance that a second view is prompted too.
        fused: chance that earlier masks of some views are fused into dense prompts for all.
        own: chance that a view instead gets its own earlier mask as it is.
        absent: share of the other views that should not show the object, where there are such.
        parts: share of examples that ask for a part of a thing instead of all of it.
        several: share of examples that ask for neighbouring things together, each clicked at: what
            people mean is not always of one look, and clicks all count.
    """

    views: int = 4
    single: float = 0.3
    box: float = 0.08
    second: float = 0.15
    fused: float = 0.5
    own: float = 0.1
    absent: float = 0.2
    parts: float = 0.2
    several: float = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Episode:
    """One training example.

    Attributes:
        scene: index among the scenes.
        objects: names of what is meant, all of it together.
        rows: indices of the views to decode.
        hints: prompts by index of the view.
        dense: earlier masks, logits of the view's cells [h, w], by index of the view.
        fused: whether `dense` is to be fused on the points, and not given as it is.
    """

    scene: int
    objects: tuple[str, ...]
    rows: tuple[int, ...]
    hints: dict[int, Hints]
    dense: dict[int, NDArray[np.float32]]
    fused: bool = False


def episodes(
    scenes: Sequence[TrainingScene], rng: np.random.Generator, options: EpisodeOptions
) -> Iterator[Episode]:
    """Endless examples, all scenes equally often."""
    while True:
        index = int(rng.integers(len(scenes)))
        scene = scenes[index]
        parts = [name for name in sorted(scene.masks) if PART in name]
        wholes = [name for name in sorted(scene.masks) if PART not in name]
        some = parts if parts and (not wholes or rng.random() < options.parts) else wholes
        names = [str(rng.choice(some))]
        if rng.random() < options.several:
            names = neighbours(scene, str(rng.choice(wholes or some)), wholes, rng)
        episode = draw_episode(scene, index, names, rng, options)
        if episode is not None:
            yield episode


def neighbours(
    scene: TrainingScene, name: str, among: Sequence[str], rng: np.random.Generator
) -> list[str]:
    """A thing and one to three that stand next to it, in a view that shows it."""
    areas = scene.masks[name].sum(axis=(1, 2))
    view = int(rng.choice(np.flatnonzero(areas == areas.max())))
    seen = [one for one in among if scene.masks[one][view].sum() >= LEAST_CELLS and one != name]

    def middle(one: str) -> NDArray[np.float64]:
        return np.argwhere(scene.masks[one][view]).mean(axis=0)

    if not areas[view] or not seen:
        return [name]
    own = middle(name)
    seen.sort(key=lambda one: float(np.linalg.norm(middle(one) - own)))
    return [name, *seen[: rng.integers(1, 4)]]


def draw_episode(
    scene: TrainingScene,
    index: int,
    names: Sequence[str],
    rng: np.random.Generator,
    options: EpisodeOptions,
) -> Episode | None:
    """An example of some objects together, None when no view shows enough of each."""
    masks = scene.masks_of(names)
    area = masks.sum(axis=(1, 2))
    members = [scene.masks[name] for name in names]
    shown = np.all([member.sum(axis=(1, 2)) >= LEAST_CELLS for member in members], axis=0)
    able = np.flatnonzero(shown)
    if not len(able):
        return None
    prompted = [int(rng.choice(able))]
    if len(able) > 1 and rng.random() < options.second:
        prompted.append(int(rng.choice([i for i in able if i != prompted[0]])))
    hints = {
        i: _prompt(scene.views[i], [member[i] for member in members], rng, options)
        for i in prompted
    }
    known = scene.known_of(names)
    others = [i for i in range(len(masks)) if known[i] and i != prompted[0]]
    wanted = min(options.views - 1, len(others))
    absent = [i for i in others if area[i] == 0]
    taken = list(rng.permutation(absent)[: rng.binomial(wanted, options.absent)])
    rest = rng.permutation([i for i in others if i not in taken])
    rows = (prompted[0], *(int(i) for i in [*taken, *rest][:wanted]))
    kind = rng.random()
    fused = bool(kind < options.fused)
    given: list[int] = []
    if fused:  # the prompted view first, as a person's click does, then more of the others
        most = int(rng.integers(1, len(rows) + 1))
        given = [rows[0], *(int(i) for i in rng.permutation(rows[1:])[: most - 1])]
    elif kind < options.fused + options.own:
        given = [i for i in rows if rng.random() < 0.5]
    dense = {i: imperfect(masks[i], scene.views[i].shape, rng) for i in given}
    return Episode(index, tuple(names), rows, hints, dense, fused)


def _prompt(
    view: SceneView,
    members: Sequence[NDArray[np.uint8]],
    rng: np.random.Generator,
    options: EpisodeOptions,
) -> Hints:
    """Points on each object, or a box around all of them, in one view, in photo pixels."""
    mask: NDArray[np.uint8] = np.max(members, axis=0)
    rows, columns = np.nonzero(mask)
    if rng.random() < options.box:
        corners = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
        size = np.tile([corners[2] - corners[0], corners[3] - corners[1]], 2)
        corners = corners + rng.normal(0.0, 0.04, 4) * size
        box = view.to_photo(corners.reshape(2, 2)).reshape(4)
        return Hints(np.zeros((0, 2)), np.zeros(0, bool), box=box)
    included = 1 if rng.random() < options.single else int(rng.integers(2, 11))
    included = max(included, len(members) if len(members) > 1 else 0)
    excluded = int(rng.binomial(max(1, included // 4), 0.4)) if included > 1 else 0
    inside = [_inner(member) for member in members] if len(members) > 1 else []
    xy = [_draw(area, 1, rng) for area in inside]
    xy = [np.concatenate([*xy, _draw(_inner(mask), included - len(xy), rng)])]
    near = cv2.dilate(mask, np.ones((31, 31), np.uint8)) & ~cv2.dilate(
        mask, np.ones((3, 3), np.uint8)
    )
    near[view.shape[0] :] = 0
    near[:, view.shape[1] :] = 0
    if excluded and near.any():
        xy.append(_draw(near, excluded, rng))
    labels = np.concatenate([np.full(len(part), k == 0) for k, part in enumerate(xy)])
    return Hints(view.to_photo(np.concatenate(xy)), labels)


def _inner(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mask without its border, where anything is left of it then."""
    eroded = cv2.erode(mask, np.ones((3, 3), np.uint8)).astype(np.uint8)
    return eroded if eroded.any() else mask


def _draw(area: NDArray[np.uint8], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """`count` positions [n, 2] (x, y), in cells, inside `area`."""
    rows, columns = np.nonzero(area)
    chosen = rng.integers(len(rows), size=count)
    return np.column_stack([columns[chosen], rows[chosen]]) + rng.uniform(0.0, 1.0, (count, 2))


def imperfect(
    mask: NDArray[np.uint8], shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Logits [h, w] like an earlier answer: torn, grown, shifted, blurred, unsure."""
    mask = np.ascontiguousarray(mask[: shape[0], : shape[1]])
    soft = mask.astype(np.float32)
    side = 2 * int(rng.integers(0, 3)) + 1
    change = cv2.erode if rng.random() < 0.5 else cv2.dilate
    soft = change(soft, np.ones((side, side), np.uint8)).astype(np.float32)
    shift = np.array([[1, 0, rng.normal(0, 1.5)], [0, 1, rng.normal(0, 1.5)]])
    soft = cv2.warpAffine(soft, shift, shape[::-1]).astype(np.float32)
    for value in (0.0, 1.0):  # pieces that are missing, and pieces too much
        cells = int(rng.integers(6, 24))
        small = rng.random((MASK_SIDE // cells + 1,) * 2).astype(np.float32)
        field = cv2.resize(small, (MASK_SIDE, MASK_SIDE), interpolation=cv2.INTER_CUBIC)
        piece = field[: shape[0], : shape[1]] > rng.uniform(0.8, 1.15)
        near = cv2.dilate(mask, np.ones((25, 25), np.uint8)) > 0
        soft = np.where(piece & near, value, soft)
    soft = cv2.GaussianBlur(soft, (0, 0), rng.uniform(0.5, 3.0)).astype(np.float32)
    return ((soft - 0.5) * 2 * MASK_LOGIT * rng.uniform(0.4, 1.0)).astype(np.float32)


__all__ = [
    "Episode",
    "EpisodeOptions",
    "TrainingScene",
    "draw_episode",
    "episodes",
    "imperfect",
    "load_scene",
]
