# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures to judge masks by: each photo with its objects tinted and outlined, and one sheet."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from mvsam_engine.capture import Capture, Photo, SceneObject
from mvsam_engine.export.folder import OutputFolder
from mvsam_engine.export.options import ExportOptions
from mvsam_engine.export.selecting import some_objects
from mvsam_engine.photos import read_rgb
from mvsam_engine.progress import Progress

_LONG_SIDE = 1024
_THUMBNAIL = 320
_TINT = 0.42


def export_overlays(
    capture: Capture, out: Path, options: ExportOptions, progress: Progress
) -> list[Path]:
    """Write ``OUT/<view>.jpg`` for every placed photo and ``OUT/contact_sheet.jpg``.

    Args:
        capture: with segmented objects.
        out: folder, made when missing.
        options: the objects to show; the rest does not matter.
        progress: counts photos.

    Returns:
        The files; the contact sheet is the last.

    Raises:
        SegmentationError: there is nothing to show, or an object that is not there.
    """
    objects = some_objects(capture, options.objects, progress)
    placed = {c.view for c in capture.require_reconstruction().cameras}
    photos = [p for p in capture.photos() if p.view in placed]
    progress.stage("Drawing overlays", len(photos))
    files: list[Path] = []
    thumbnails: list[Image.Image] = []
    with OutputFolder(out, "overlays", options.overwrite) as folder:
        for photo in photos:
            picture = _overlay(capture, photo, objects)
            files.append(folder.write(f"{photo.view}.jpg", _jpeg(picture)))
            thumbnails.append(_thumbnail(picture, _caption(photo, objects)))
            progress.step()
        files.append(folder.write("contact_sheet.jpg", _jpeg(_tile(thumbnails))))
    return files


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _overlay(capture: Capture, photo: Photo, objects: Sequence[SceneObject]) -> Image.Image:
    """The photo at `_LONG_SIDE` with every object's mask and prompts."""
    image = Image.fromarray(read_rgb(capture.photo_path(photo)))
    image.thumbnail((_LONG_SIDE, _LONG_SIDE))
    pixels = np.asarray(image, dtype=np.float32)
    for item in objects:
        path = capture.mask_path(item.id, photo.view)
        if not path.is_file():
            continue
        with Image.open(path) as stored:
            mask = stored.convert("L").resize(image.size, Image.Resampling.BILINEAR)
        color = 255 * np.array(item.color, dtype=np.float32)
        inside = np.asarray(mask, dtype=np.float32)[..., None] / 255
        pixels = pixels + _TINT * inside * (color - pixels)
        binary = mask.point(lambda v: 255 * (v > 127))
        edge = np.asarray(binary.filter(ImageFilter.MaxFilter(5))) != np.asarray(
            binary.filter(ImageFilter.MinFilter(3))
        )
        pixels = np.where(edge[..., None], color, pixels)
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    _draw_prompts(picture, photo, objects)
    return picture


def _draw_prompts(picture: Image.Image, photo: Photo, objects: Sequence[SceneObject]) -> None:
    """Plus signs, minus signs and boxes: told apart by shape as well as by colour."""
    draw, scale = ImageDraw.Draw(picture), picture.width / photo.width
    for prompt in (p for o in objects for p in o.prompts if p.view == photo.view):
        places = [(x * scale, y * scale) for x, y in prompt.xy]
        if prompt.kind == "box":
            draw.rectangle([*places[0], *places[1]], outline="white", width=2)
            continue
        for x, y in places:
            fill = (20, 160, 60) if prompt.include else (200, 30, 30)
            draw.ellipse([x - 11, y - 11, x + 11, y + 11], fill=fill, outline="white", width=2)
            draw.line([x - 6, y, x + 6, y], fill="white", width=3)
            if prompt.include:
                draw.line([x, y - 6, x, y + 6], fill="white", width=3)


def _caption(photo: Photo, objects: Sequence[SceneObject]) -> str:
    """The view's name and the lowest confidence of what it shows."""
    scores = [s for o in objects for s in o.scores if s.view == photo.view]
    seen = [s.confidence for s in scores if s.area > 0]
    return f"{photo.view}   {f'{min(seen):.2f}' if seen else 'not here'}"


def _thumbnail(picture: Image.Image, caption: str) -> Image.Image:
    small = picture.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    card = Image.new("RGB", (small.width, small.height + 20), (24, 24, 26))
    card.paste(small, (0, 0))
    font = ImageFont.load_default(13)
    ImageDraw.Draw(card).text((6, small.height + 2), caption, fill=(225, 225, 225), font=font)
    return card


def _tile(cards: Sequence[Image.Image]) -> Image.Image:
    """Cards in rows, about as wide as high."""
    columns = max(1, math.ceil(math.sqrt(len(cards) * 1.2)))
    width, height = max(c.width for c in cards) + 6, max(c.height for c in cards) + 6
    rows = math.ceil(len(cards) / columns)
    sheet = Image.new("RGB", (columns * width + 6, rows * height + 6), (12, 12, 14))
    for i, card in enumerate(cards):
        sheet.paste(card, (6 + i % columns * width, 6 + i // columns * height))
    return sheet
