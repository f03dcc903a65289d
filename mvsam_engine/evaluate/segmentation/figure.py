# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of a scene: photos in rows, the truth and each method's errors in columns.

Which photos are shown does not depend on any answer: of a scene with one object, some that are
spread evenly over the scored ones, below the prompted one; of a scene with several, each object in
the photo in which its size is the median of its scored photos.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mvsam_engine.capture import Capture
from mvsam_engine.evaluate.segmentation.judge import FoundMasks
from mvsam_engine.evaluate.segmentation.metrics import boundary, iou
from mvsam_engine.evaluate.segmentation.outcome import Run
from mvsam_engine.evaluate.segmentation.sets import PhotoIndex, SegmentationSet, TrueMasks
from mvsam_engine.photos import read_rgb

# Photos of a scene with one object, and objects of a scene with several, that are shown at most.
PHOTOS, OBJECTS = 5, 8

# Distinct under common colour blindness (Okabe and Ito 2008).
_RIGHT, _WRONG, _MISSED = (0, 158, 115), (213, 94, 0), (86, 180, 233)
_OUTLINE = (255, 255, 255)
_TINT = 0.6
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
_CELL, _GAP, _LINE = 300, 6, 22
# Around what is shown of a photo, as a share of its size.
_MARGIN = 0.35
_SMALLEST = 0.3

# Left, top, right and bottom of a part of a photo, as shares of its sides.
Window = tuple[float, float, float, float]


@dataclass(slots=True)
class Gallery:
    """Gathers the masks of a scene while runs go on, and draws them at the end.

    Attributes:
        one: the scene.
        capture: of the scene.
        places: object and photo of each row.
    """

    one: SegmentationSet
    capture: Capture
    places: list[tuple[str, str]] = field(default_factory=list)
    _truths: dict[str, TrueMasks] = field(default_factory=dict)
    _found: dict[tuple[str, str], dict[tuple[str, str], NDArray[np.uint8]]] = field(
        default_factory=dict
    )
    _clicks: dict[tuple[str, str], list[list[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        index = PhotoIndex(self.capture.photos())
        self._truths = {task.name: TrueMasks(task, index) for task in self.one.tasks}
        if len(self._truths) == 1:
            (truth,) = self._truths.values()
            self.places = _spread_places(truth)
        else:
            places = [place for t in self._truths.values() if (place := _median_place(t))]
            self.places = places[:OBJECTS]

    def add(self, run: Run, found: FoundMasks) -> None:
        """Keep what is shown of a run; of several seeds the first counts."""
        kept = self._found.setdefault((run.prompt, run.method), {})
        for place in self.places:
            if place[0] == run.object and place not in kept:
                kept[place] = np.packbits(found.read(place[1]))
                self._clicks.setdefault((run.prompt, run.object), run.clicks)

    def draw(self, folder: Path) -> list[Path]:
        """Write ``<scene>-<prompt>.jpg`` for every kind of prompt; gives the files."""
        files = []
        for prompt in dict.fromkeys(prompt for prompt, _ in self._found):
            methods = [m for p, m in self._found if p == prompt]
            rows = [
                [self._truth_cell(place, prompt)]
                + [self._cell(place, (prompt, method)) for method in methods]
                for place in self.places
            ]
            if not rows:
                continue
            title = f"{self.one.benchmark} {self.one.name}, prompt {prompt}".strip()
            sheet = _sheet(title, ["truth", *methods], rows)
            folder.mkdir(parents=True, exist_ok=True)
            stem = f"{self.one.capture_name}-{self.one.name}-{prompt}"
            if self.one.capture_name == self.one.name:
                stem = f"{self.one.name}-{prompt}"
            safe = "".join(c if c.isalnum() or c in "-+_." else "_" for c in stem)
            files.append(folder / f"{safe}.jpg")
            sheet.save(files[-1], quality=92)
        return files

    def _truth_cell(self, place: tuple[str, str], prompt: str) -> Image.Image:
        """The photo with the truth's outline and, where it was prompted, the clicks."""
        name, photo = place
        picture, window, here = self._photo(place)
        pixels = np.asarray(picture).copy()
        pixels[boundary(here)] = _OUTLINE
        picture = Image.fromarray(pixels)
        caption = photo + (f"  {name}" if len(self.one.tasks) > 1 else "")
        if photo == self._truths[name].task.reference:
            caption += " (prompted, not scored)"
            record = self._truths[name].photo(photo)
            for x, y, include in self._clicks.get((prompt, name), []):
                u = (x / record.width - window[0]) / (window[2] - window[0]) * picture.width
                v = (y / record.height - window[1]) / (window[3] - window[1]) * picture.height
                _mark(picture, u, v, bool(include))
        return _card(picture, caption)

    def _cell(self, place: tuple[str, str], of: tuple[str, str]) -> Image.Image:
        """The photo, grey, with a method's right, wrong and missed pixels."""
        picture, window, here = self._photo(place)
        found = self._mask(of, place)
        grey = np.asarray(picture.convert("L"), np.float32)[..., None]
        pixels = np.repeat(grey, 3, axis=2)
        if found is None:
            return _card(Image.fromarray(pixels.astype(np.uint8)), "not measured")
        there = _cut(found, window, picture.size)
        for mask, color in (
            (there & here, _RIGHT),
            (there & ~here, _WRONG),
            (here & ~there, _MISSED),
        ):
            pixels[mask] += _TINT * (np.array(color, np.float32) - pixels[mask])
        pixels[boundary(here)] = _OUTLINE
        truth = self._truths[place[0]].read(place[1])
        return _card(Image.fromarray(pixels.astype(np.uint8)), f"IoU {iou(found, truth):.3f}")

    def _photo(self, place: tuple[str, str]) -> tuple[Image.Image, Window, NDArray[np.bool_]]:
        """What is shown of a photo, which part that is, and the truth there."""
        name, photo = place
        truth = self._truths[name].read(photo)
        found = [m for of in self._found if (m := self._mask(of, place)) is not None]
        window = _window(truth, found)
        path = self.capture.photo_path(self._truths[name].photo(photo))
        image = Image.fromarray(read_rgb(path, at_least=4 * _CELL))
        left, top, right, bottom = window
        box = (
            left * image.width,
            top * image.height,
            right * image.width,
            bottom * image.height,
        )
        height = max(1, round(_CELL * (box[3] - box[1]) / (box[2] - box[0])))
        size = (_CELL, height)
        picture = image.resize(size, Image.Resampling.LANCZOS, box=box)
        return picture, window, _cut(truth, window, size)

    def _mask(self, of: tuple[str, str], place: tuple[str, str]) -> NDArray[np.bool_] | None:
        bits = self._found[of].get(place)
        if bits is None:
            return None
        shape = self._truths[place[0]].read(place[1]).shape
        return np.unpackbits(bits, count=shape[0] * shape[1]).reshape(shape).astype(bool)


def _shown_in(truth: TrueMasks) -> list[str]:
    """Scored photos that are there and show the object."""
    names = truth.task.scored
    return [n for n in names if truth.index.find(n) is not None and truth.read(n).any()]


def _spread_places(truth: TrueMasks) -> list[tuple[str, str]]:
    """The prompted photo, when it has a true mask, and some scored ones, spread evenly."""
    task, shown = truth.task, _shown_in(truth)
    count = min(PHOTOS, len(shown))
    chosen = {round(i * (len(shown) - 1) / max(count - 1, 1)) for i in range(count)}
    prompted = [task.reference] if task.reference in task.masks else []
    return [(task.name, photo) for photo in (*prompted, *(shown[i] for i in sorted(chosen)))]


def _median_place(truth: TrueMasks) -> tuple[str, str] | None:
    """The scored photo in which the object's size is the median; None when none shows it."""
    sized = sorted((float(truth.read(name).mean()), name) for name in _shown_in(truth))
    return (truth.task.name, sized[len(sized) // 2][1]) if sized else None


def _window(truth: NDArray[np.bool_], found: list[NDArray[np.bool_]]) -> Window:
    """What is shown, of the photo's shape: around the truth, and more where much else was found."""
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    height, width = truth.shape
    y0, y1 = rows[0] / height, (rows[-1] + 1) / height
    x0, x1 = columns[0] / width, (columns[-1] + 1) / width
    side = min(1.0, max(_SMALLEST, (1 + 2 * _MARGIN) * max(x1 - x0, y1 - y0)))
    if any((mask & ~truth).sum() > truth.sum() for mask in found):
        side = min(1.0, 2 * side)  # something much larger was found: show where
    left = float(np.clip((x0 + x1 - side) / 2, 0, 1 - side))
    top = float(np.clip((y0 + y1 - side) / 2, 0, 1 - side))
    return left, top, left + side, top + side


def _cut(mask: NDArray[np.bool_], window: Window, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A window of a mask [H, W] at the size (width, height) of a cell."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    sides = (image.width, image.height) * 2
    box = tuple(share * side for share, side in zip(window, sides, strict=True))
    return np.asarray(image.resize(size, Image.Resampling.BOX, box=box)) > 127


def _mark(picture: Image.Image, x: float, y: float, include: bool) -> None:
    """A click: a plus for "this is it", a minus for "this is not"."""
    draw, fill = ImageDraw.Draw(picture), (0, 120, 80) if include else (200, 40, 20)
    draw.ellipse([x - 7, y - 7, x + 7, y + 7], fill=fill, outline="white", width=1)
    draw.line([x - 4, y, x + 4, y], fill="white", width=2)
    if include:
        draw.line([x, y - 4, x, y + 4], fill="white", width=2)


def _card(picture: Image.Image, caption: str) -> Image.Image:
    card = Image.new("RGB", (picture.width, picture.height + _LINE), _PAPER)
    card.paste(picture, (0, 0))
    _write(card, (2, picture.height + 3), caption, 13)
    return card


def _sheet(title: str, heads: list[str], rows: list[list[Image.Image]]) -> Image.Image:
    """Cells under a title and the names of the columns, with the meaning of the colours below."""
    width = len(heads) * (_CELL + _GAP) + _GAP
    width = max(width, 560)
    heights = [max(cell.height for cell in row) + _GAP for row in rows]
    top = 2 * _LINE + 2 * _GAP
    sheet = Image.new("RGB", (width, top + sum(heights) + _LINE + _GAP), _PAPER)
    _write(sheet, (_GAP, _GAP), title, 16)
    for column, head in enumerate(heads):
        _write(sheet, (_GAP + column * (_CELL + _GAP), _GAP + _LINE), head, 14)
    y = top
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP + column * (_CELL + _GAP), y))
        y += height
    x = _GAP
    for color, meaning in ((_RIGHT, "right"), (_WRONG, "wrong"), (_MISSED, "missed")):
        ImageDraw.Draw(sheet).rectangle([x, y + 3, x + 14, y + 17], fill=color)
        _write(sheet, (x + 20, y + 2), meaning, 13)
        x += 90
    _write(sheet, (x, y + 2), "white line: the truth's boundary", 13)
    return sheet


def _write(image: Image.Image, place: tuple[int, int], text: str, size: int) -> None:
    ImageDraw.Draw(image).text(place, text, fill=_INK, font=ImageFont.load_default(size))
