# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture's JSON files: dataclasses to plain JSON and back, checked field by field.

The same JSON form of objects and prompts travels in protocol messages.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.files import is_safe_name
from mvsam_engine.capture.model import (
    Photo,
    Placement,
    Prompt,
    PromptKind,
    Reconstruction,
    SceneObject,
    Unplaced,
    ViewScore,
)
from mvsam_engine.errors import CaptureError
from mvsam_engine.fields import Fields, JsonObject

SCHEMA = 1

# How many positions each kind of prompt carries: (least, most).
_PROMPT_POSITIONS: dict[str, tuple[int, float]] = {
    "point": (1, 1),
    "box": (2, 2),
    "stroke": (1, float("inf")),
    "mask": (0, 0),
}


def check_schema(data: Fields, where: str) -> None:
    """Refuse a file of a newer program.

    Raises:
        CaptureError: the schema is newer than this program knows.
    """
    schema = data.integer("schema")
    if schema > SCHEMA:
        raise CaptureError(
            "capture.newer",
            f"{where} was written by a newer MV-SAM (schema {schema}, this one reads {SCHEMA}).",
            "Update MV-SAM; the capture was not changed.",
        )
    if schema < 1:
        raise CaptureError("capture.schema", f"{where} has the unknown schema {schema}.")


def _name(fields: Fields, key: str) -> str:
    name = fields.text(key)
    if not is_safe_name(name):
        raise CaptureError(
            "capture.name", f"The capture holds the name {name!r}, which is not a safe file name."
        )
    return name


def _orientation(fields: Fields) -> int:
    orientation = fields.integer("orientation", 1)
    if not 1 <= orientation <= 8:
        raise CaptureError(
            "capture.orientation",
            f"capture.json holds the EXIF orientation {orientation}, which does not exist.",
            "It was damaged or not made by us.",
        )
    return orientation


def photos_to_json(photos: tuple[Photo, ...]) -> list[JsonObject]:
    """The ``photos`` of capture.json."""
    return [
        {
            "view": p.view,
            "file": p.file,
            "width": p.width,
            "height": p.height,
            "size": p.size,
            "sha256": p.sha256,
            "original_name": p.original_name,
            "focal": p.focal,
            "camera_model": p.camera_model,
            "mask": p.mask,
            "orientation": p.orientation,
        }
        for p in photos
    ]


def photos_from_json(data: Fields) -> tuple[Photo, ...]:
    """Inverse of `photos_to_json`, from the whole capture.json."""
    photos = tuple(
        Photo(
            view=_name(f, "view"),
            file=f.text("file"),
            width=f.integer("width"),
            height=f.integer("height"),
            size=f.integer("size"),
            sha256=f.text("sha256"),
            original_name=f.text("original_name"),
            focal=f.optional_number("focal"),
            camera_model=f.text("camera_model", ""),
            mask=f.text("mask", ""),
            orientation=_orientation(f),
        )
        for f in data.children("photos")
    )
    if len({p.view for p in photos}) != len(photos):
        raise CaptureError("capture.duplicate", "capture.json names a view twice.")
    return photos


def reconstruction_to_json(reconstruction: Reconstruction) -> JsonObject:
    """The content of cameras.json."""
    data: JsonObject = {
        "schema": SCHEMA,
        "method": reconstruction.method,
        "settings": reconstruction.settings,
        "metric": reconstruction.metric,
        "upright": reconstruction.upright,
        "cameras": [
            {
                "view": c.view,
                "model": c.model,
                "width": c.width,
                "height": c.height,
                "params": list(c.params),
                "camera_from_world": c.camera_from_world.tolist(),
            }
            for c in reconstruction.cameras
        ],
        "unplaced": [{"view": u.view, "reason": u.reason} for u in reconstruction.unplaced],
    }
    if not reconstruction.placement.is_default:
        data["placement"] = placement_to_json(reconstruction.placement)
    return data


def placement_to_json(placement: Placement) -> JsonObject:
    """The ``placement`` of cameras.json; protocol messages carry the same form."""
    return {
        "scale": placement.scale,
        "matrix": placement.matrix.tolist(),
        "metric": placement.metric,
        "upright": placement.upright,
        "source": placement.source,
    }


def placement_from_json(fields: Fields) -> Placement:
    """Inverse of `placement_to_json`."""
    return Placement(
        scale=fields.number("scale"),
        matrix=np.array(_rows(fields, "matrix"), dtype=np.float64),
        metric=fields.flag("metric", False),
        upright=fields.flag("upright", False),
        source=fields.text("source", ""),
    )


def _rows(fields: Fields, key: str) -> list[tuple[float, ...]]:
    """The rows, four numbers each, of a matrix."""
    return [
        Fields({"row": row}, f"cameras.json {key}", CaptureError).numbers("row", 4)
        for row in fields.items(key)
    ]


def _camera_from_json(fields: Fields) -> Camera:
    return Camera(
        view=_name(fields, "view"),
        model=fields.text("model"),
        width=fields.integer("width"),
        height=fields.integer("height"),
        params=fields.numbers("params"),
        camera_from_world=np.array(_rows(fields, "camera_from_world"), dtype=np.float64),
    )


def reconstruction_from_json(data: object) -> Reconstruction:
    """Inverse of `reconstruction_to_json`."""
    fields = Fields(data, "cameras.json", CaptureError)
    check_schema(fields, "cameras.json")
    placed = fields.mapping("placement", {})
    return Reconstruction(
        cameras=tuple(_camera_from_json(f) for f in fields.children("cameras")),
        unplaced=tuple(
            Unplaced(_name(f, "view"), f.text("reason")) for f in fields.children("unplaced")
        ),
        method=fields.text("method", ""),
        settings=fields.mapping("settings", {}),
        metric=fields.flag("metric", False),
        upright=fields.flag("upright", False),
        placement=(
            placement_from_json(Fields(placed, "cameras.json placement", CaptureError))
            if placed
            else Placement()
        ),
    )


def prompt_to_json(prompt: Prompt) -> JsonObject:
    """One prompt; leaves out what its kind does not have."""
    data: JsonObject = {"kind": prompt.kind, "view": prompt.view, "include": prompt.include}
    if prompt.xy:
        data["xy"] = [list(p) for p in prompt.xy]
    if prompt.radius:
        data["radius"] = prompt.radius
    if prompt.mask:
        data["mask"] = prompt.mask
    return data


def prompt_from_json(fields: Fields) -> Prompt:
    """Inverse of `prompt_to_json`.

    Raises:
        CaptureError: unknown kind, or the wrong number of positions for it.
    """
    kind, xy = fields.text("kind"), fields.pairs("xy")
    least, most = _PROMPT_POSITIONS.get(kind, (1, 0))
    if not least <= len(xy) <= most:
        raise CaptureError(
            "prompt.invalid",
            f"A prompt of kind {kind!r} with {len(xy)} positions is not known.",
            "Points have one position, boxes two corners, strokes one or more, masks none.",
        )
    return Prompt(
        kind=cast(PromptKind, kind),
        view=_name(fields, "view"),
        include=fields.flag("include", True),
        xy=xy,
        radius=fields.number("radius", 0.0),
        mask=fields.text("mask", ""),
    )


def object_to_json(item: SceneObject) -> JsonObject:
    """The content of objects/<id>/object.json."""
    return {
        "schema": SCHEMA,
        "id": item.id,
        "name": item.name,
        "color": list(item.color),
        "prompts": [prompt_to_json(p) for p in item.prompts],
        "revision": item.revision,
        "answered": item.answered,
        "segmenter": item.segmenter,
        "scores": [score_to_json(s) for s in item.scores],
    }


def object_from_json(data: object) -> SceneObject:
    """Inverse of `object_to_json`."""
    fields = Fields(data, "object.json", CaptureError)
    check_schema(fields, "object.json")
    red, green, blue = fields.numbers("color", 3)
    return SceneObject(
        id=_name(fields, "id"),
        name=fields.text("name"),
        color=(red, green, blue),
        prompts=tuple(prompt_from_json(f) for f in fields.children("prompts")),
        revision=fields.integer("revision", 0),
        answered=fields.integer("answered", 0),
        segmenter=fields.text("segmenter", ""),
        scores=tuple(score_from_json(f) for f in fields.children("scores")),
    )


def score_to_json(score: ViewScore) -> dict[str, Any]:
    """One view's score."""
    return {
        "view": score.view,
        "presence": round(score.presence, 4),
        "confidence": round(score.confidence, 4),
        "area": round(score.area, 6),
    }


def score_from_json(fields: Fields) -> ViewScore:
    """Inverse of `score_to_json`."""
    return ViewScore(
        view=_name(fields, "view"),
        presence=fields.number("presence"),
        confidence=fields.number("confidence"),
        area=fields.number("area"),
    )
