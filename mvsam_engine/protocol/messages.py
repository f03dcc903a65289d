# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed messages between a client (the Blender add-on) and the engine: JSON-RPC 2.0 in lines.

The client sends requests; the engine sends, for each, any number of notifications (`Progress`,
`Warning`, `ViewAnswered`) and then exactly one result or error. Arrays never travel: both sides
read and write them in the capture folder. docs/protocol.md shows a conversation.

    method        params               result
    hello         HelloParams          HelloResult
    doctor        (none)               plain JSON, sentences for people
    forecast      ForecastParams       ForecastResult
    reconstruct   ReconstructParams    ReconstructResult
    prepare       PrepareParams        (empty)
    segment       SegmentParams        SegmentResult
    delete        DeleteParams         (empty)
    place         PlaceParams          PlaceResult
    preview       PreviewParams        PreviewResult
    cancel        CancelParams         (empty); the cancelled request ends with error `cancelled`
    shutdown      (none)               (empty)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mvsam_engine.errors import ProtocolError
from mvsam_engine.fields import JsonObject
from mvsam_engine.protocol.forecasting import ForecastParams
from mvsam_engine.protocol.placing import PlaceParams
from mvsam_engine.protocol.previewing import PreviewParams
from mvsam_engine.protocol.reading import fields_of, texts_of

PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True)
class HelloParams:
    """Who asks.

    Attributes:
        client: name and version of the client, e.g. ``"mvsam-blender 0.1.0"``.
        protocol: the client's `PROTOCOL_VERSION`.
    """

    METHOD: ClassVar[str] = "hello"
    client: str
    protocol: int

    @classmethod
    def from_json(cls, data: object) -> HelloParams:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(client=f.text("client"), protocol=f.integer("protocol"))


@dataclass(frozen=True, slots=True)
class HelloResult:
    """Who answers.

    Attributes:
        engine: version of the engine.
        protocol: the engine's `PROTOCOL_VERSION`.
        python: version of its interpreter.
        executable: path of its interpreter.
        pid: its process id.
    """

    engine: str
    protocol: int
    python: str
    executable: str
    pid: int

    @classmethod
    def from_json(cls, data: object) -> HelloResult:
        """Read `result`."""
        f = fields_of(data, "hello result")
        return cls(
            engine=f.text("engine"),
            protocol=f.integer("protocol"),
            python=f.text("python"),
            executable=f.text("executable"),
            pid=f.integer("pid"),
        )


@dataclass(frozen=True, slots=True)
class ReconstructParams:
    """Photos to cameras and pointmaps.

    Attributes:
        capture: folder of the capture; made when it does not exist.
        photos: files and folders to add first; may be empty when the capture has photos.
        geometry: name of the reconstructor; "" for the one that suits what is given.
        max_size: long side of the pointmaps in pixels, 0 for the preset's.
        device: auto, cpu, cuda or mps.
        masks: folder of photo masks; "" for none. Applies to photos that are there already, too.
        masks_invert: whether white in a mask means ignored rather than used.
        every: of a video, the sharpest of every so many frames; 0 for about 80 in all.
        recursive: whether folders are searched below too.
        cameras: file or folder with cameras that the person has, ``capture`` for those of the
            capture, "" to find them.
        mesh: file with the person's mesh in the cameras' world, "" for none.
        preset: how much work to put in: draft, normal or fine.
        careful: refuse with ``memory.forecast`` when memory will not suffice, before any work.
    """

    METHOD: ClassVar[str] = "reconstruct"
    capture: str
    photos: tuple[str, ...] = ()
    geometry: str = ""
    max_size: int = 0
    device: str = "auto"
    masks: str = ""
    masks_invert: bool = False
    every: int = 0
    recursive: bool = False
    cameras: str = ""
    mesh: str = ""
    preset: str = "normal"
    careful: bool = False

    @classmethod
    def from_json(cls, data: object) -> ReconstructParams:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(
            capture=f.text("capture"),
            photos=texts_of(f, "photos"),
            geometry=f.text("geometry", ""),
            max_size=f.integer("max_size", 0),
            device=f.text("device", "auto"),
            masks=f.text("masks", ""),
            masks_invert=f.flag("masks_invert", False),
            every=f.integer("every", 0),
            recursive=f.flag("recursive", False),
            cameras=f.text("cameras", ""),
            mesh=f.text("mesh", ""),
            preset=f.text("preset", "normal"),
            careful=f.flag("careful", False),
        )


@dataclass(frozen=True, slots=True)
class ReconstructResult:
    """What was placed.

    Attributes:
        views: names of the placed views.
        unplaced: ``(view, reason)`` of those left out.
        seconds: wall time.
    """

    views: tuple[str, ...]
    unplaced: tuple[tuple[str, str], ...]
    seconds: float

    @classmethod
    def from_json(cls, data: object) -> ReconstructResult:
        """Read `result`."""
        f = fields_of(data, "reconstruct result")
        pairs: list[tuple[str, str]] = []
        for item in f.items("unplaced", []):
            p = fields_of({"pair": item}, "reconstruct result")
            view, reason = texts_of(p, "pair")
            pairs.append((view, reason))
        return cls(texts_of(f, "views"), tuple(pairs), f.number("seconds"))


@dataclass(frozen=True, slots=True)
class SegmentParams:
    """Prompts of one object to masks in every view.

    Attributes:
        capture: folder of the capture.
        object: the object in the JSON form of object.json (`capture.schema.object_to_json`);
            its `revision` comes back in the answer.
        segmenter: name of the method, "" for the default.
        device: auto, cpu, cuda or mps.
    """

    METHOD: ClassVar[str] = "segment"
    capture: str
    object: JsonObject
    segmenter: str = ""
    device: str = "auto"

    @classmethod
    def from_json(cls, data: object) -> SegmentParams:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(
            f.text("capture"),
            f.mapping("object"),
            f.text("segmenter", ""),
            f.text("device", "auto"),
        )


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """The stored answer; masks and weights lie in the capture.

    Attributes:
        object_id: the object that was asked about.
        revision: the prompts' revision that the masks answer.
        object: the object as it was stored, with scores, in the JSON form of object.json.
        seconds: wall time.
    """

    object_id: str
    revision: int
    object: JsonObject
    seconds: float

    @classmethod
    def from_json(cls, data: object) -> SegmentResult:
        """Read `result`."""
        f = fields_of(data, "segment result")
        return cls(
            f.text("object_id"), f.integer("revision"), f.mapping("object"), f.number("seconds")
        )


@dataclass(frozen=True, slots=True)
class PrepareParams:
    """A capture that will be clicked in soon: what segmenting needs is made and kept in memory."""

    METHOD: ClassVar[str] = "prepare"
    capture: str
    segmenter: str = ""
    device: str = "auto"

    @classmethod
    def from_json(cls, data: object) -> PrepareParams:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(f.text("capture"), f.text("segmenter", ""), f.text("device", "auto"))


@dataclass(frozen=True, slots=True)
class DeleteParams:
    """An object to remove from the capture with all its masks."""

    METHOD: ClassVar[str] = "delete"
    capture: str
    object_id: str

    @classmethod
    def from_json(cls, data: object) -> DeleteParams:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(f.text("capture"), f.text("object_id"))


@dataclass(frozen=True, slots=True)
class CancelParams:
    """The request to cancel, by its id."""

    METHOD: ClassVar[str] = "cancel"
    request: int

    @classmethod
    def from_json(cls, data: object) -> CancelParams:
        """Read `params`."""
        return cls(fields_of(data, cls.METHOD).integer("request"))


@dataclass(frozen=True, slots=True)
class ProgressNote:
    """Counted progress of a request; `total` 0 means that the amount is not known."""

    METHOD: ClassVar[str] = "progress"
    request: int
    stage: str
    done: int
    total: int

    @classmethod
    def from_json(cls, data: object) -> ProgressNote:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(f.integer("request"), f.text("stage"), f.integer("done"), f.integer("total"))


@dataclass(frozen=True, slots=True)
class WarningNote:
    """Something to tell the person that does not stop the request."""

    METHOD: ClassVar[str] = "warning"
    request: int
    code: str
    message: str
    remedy: str = ""

    @classmethod
    def from_json(cls, data: object) -> WarningNote:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(f.integer("request"), f.text("code"), f.text("message"), f.text("remedy", ""))


@dataclass(frozen=True, slots=True)
class ViewAnsweredNote:
    """A view's first, single-view answer lies in objects/<id>/pending/<view>.npy."""

    METHOD: ClassVar[str] = "view_answered"
    request: int
    object_id: str
    revision: int
    view: str

    @classmethod
    def from_json(cls, data: object) -> ViewAnsweredNote:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(f.integer("request"), f.text("object_id"), f.integer("revision"), f.text("view"))


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """Why a request failed: a stable code, a sentence, a remedy.

    `code` is ``cancelled`` when the person cancelled.
    """

    code: str
    message: str
    remedy: str = ""

    @classmethod
    def from_json(cls, data: object) -> ErrorBody:
        """Read the `data` member of a JSON-RPC error."""
        f = fields_of(data, "error")
        return cls(f.text("code"), f.text("message"), f.text("remedy", ""))


RequestParams = (
    HelloParams
    | ForecastParams
    | ReconstructParams
    | PrepareParams
    | SegmentParams
    | DeleteParams
    | PlaceParams
    | PreviewParams
    | CancelParams
)
Note = ProgressNote | WarningNote | ViewAnsweredNote


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it stands on a line."""

    id: int
    method: str
    params: JsonObject = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Response:
    """The end of a request: `error` is None when it went well."""

    id: int
    result: JsonObject = field(default_factory=dict[str, Any])
    error: ErrorBody | None = None


def to_json(message: object) -> JsonObject:
    """The JSON form of any params, result or note of this module.

    Raises:
        ProtocolError: not a message.
    """
    if not dataclasses.is_dataclass(message) or isinstance(message, type):
        raise ProtocolError("protocol.type", f"{message!r} is not a protocol message.")
    return dataclasses.asdict(message)
