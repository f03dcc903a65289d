# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts as written on the command line: ``VIEW:x,y:+``, ``VIEW:x0,y0,x1,y1``, ``VIEW:FILE``."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from mvsam_engine.capture import Capture, Prompt
from mvsam_engine.errors import UsageError
from mvsam_engine.photos import read_rgb

_NUMBER = r"-?\d+(?:\.\d+)?"
_POINT = re.compile(rf"(?P<view>.+):(?P<x>{_NUMBER}),(?P<y>{_NUMBER})(?::(?P<sign>[+-]))?")
_BOX = re.compile(rf"(?P<view>.+):(?P<xy>{_NUMBER}(?:,{_NUMBER}){{3}})")


def parse_point(text: str) -> Prompt:
    """A click such as ``IMG_1:320,200:+``; the sign may be left out and then means +.

    Raises:
        UsageError: it reads differently.
    """
    match = _POINT.fullmatch(text)
    if match is None:
        raise UsageError(
            "usage.point", f"{text!r} is not a point.", "Write VIEW:x,y:+ or VIEW:x,y:-."
        )
    position = (float(match["x"]), float(match["y"]))
    return Prompt("point", match["view"], include=match["sign"] != "-", xy=(position,))


def parse_box(text: str) -> Prompt:
    """A box such as ``IMG_1:10,20,300,200``; its corners may come in any order.

    Raises:
        UsageError: it reads differently.
    """
    match = _BOX.fullmatch(text)
    if match is None:
        raise UsageError("usage.box", f"{text!r} is not a box.", "Write VIEW:x0,y0,x1,y1.")
    x0, y0, x1, y1 = (float(v) for v in match["xy"].split(","))
    corners = ((min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1)))
    return Prompt("box", match["view"], xy=corners)


def parse_mask(text: str) -> tuple[str, Path]:
    """View and file of ``VIEW:FILE``.

    Raises:
        UsageError: it reads differently.
    """
    view, colon, file = text.partition(":")
    if not (view and colon and file):
        raise UsageError("usage.mask", f"{text!r} is not a mask.", "Write VIEW:FILE.")
    return view, Path(file)


def store_mask(capture: Capture, object_id: str, view: str, file: Path) -> tuple[Prompt, bytes]:
    """A mask prompt and the PNG that the capture keeps for it.

    Args:
        capture: holds the photo.
        object_id: the prompt's object.
        view: the photo's view.
        file: any image; bright (> 127) is object.

    Raises:
        PhotoError: the file cannot be read.
        UsageError: its shape is not the photo's.
    """
    photo = capture.photo(view)
    image = Image.fromarray(read_rgb(file)).convert("L")
    if abs(image.width * photo.height - image.height * photo.width) > max(image.size) * 2:
        raise UsageError(
            "usage.mask",
            f"{file.name} is {image.width} x {image.height} pixels, photo {view!r} is "
            f"{photo.width} x {photo.height}.",
            "A mask covers the whole upright photo.",
        )
    resized = image.resize((photo.width, photo.height), Image.Resampling.NEAREST)
    binary = (np.asarray(resized) > 127).astype(np.uint8) * 255
    buffer = io.BytesIO()
    Image.fromarray(binary).save(buffer, "PNG")
    path = f"objects/{object_id}/prompts/{view}.png"
    return Prompt("mask", view, mask=path), buffer.getvalue()
