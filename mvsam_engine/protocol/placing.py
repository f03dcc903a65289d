# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the request ``place``: the world turned upright, set down, scaled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from mvsam_engine.fields import JsonObject
from mvsam_engine.protocol.reading import fields_of


@dataclass(frozen=True, slots=True)
class KnownDistance:
    """Two places in photos that are `metres` apart; positions in pixels of the upright photo."""

    first_view: str
    first_x: float
    first_y: float
    second_view: str
    second_x: float
    second_y: float
    metres: float

    @classmethod
    def from_json(cls, data: object) -> KnownDistance:
        """Read one of `distances`."""
        f = fields_of(data, "place distances")
        return cls(
            f.text("first_view"),
            f.number("first_x"),
            f.number("first_y"),
            f.text("second_view"),
            f.number("second_x"),
            f.number("second_y"),
            f.number("metres"),
        )


@dataclass(frozen=True, slots=True)
class KnownBaseline:
    """Two photos that were taken `metres` apart."""

    first_view: str
    second_view: str
    metres: float

    @classmethod
    def from_json(cls, data: object) -> KnownBaseline:
        """Read one of `baselines`."""
        f = fields_of(data, "place baselines")
        return cls(f.text("first_view"), f.text("second_view"), f.number("metres"))


@dataclass(frozen=True, slots=True)
class PlaceParams:
    """Where to put the world; what is not asked for stays as it is.

    Attributes:
        capture: folder of the capture.
        upright: turn so that +Z is up.
        ground: move along z so that the ground lies at z = 0.
        distances: scale by these known distances.
        baselines: scale by these known distances of cameras.
        camera_height: scale so that the cameras are so many metres above the ground; None: not.
        reset: forget the earlier placement first.
        placement: begin from this placement (the form of cameras.json) instead of the stored one;
            empty: from the stored one.
    """

    METHOD: ClassVar[str] = "place"
    capture: str
    upright: bool = False
    ground: bool = False
    distances: tuple[KnownDistance, ...] = ()
    baselines: tuple[KnownBaseline, ...] = ()
    camera_height: float | None = None
    reset: bool = False
    placement: JsonObject = field(default_factory=dict[str, Any])

    @classmethod
    def from_json(cls, data: object) -> PlaceParams:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(
            capture=f.text("capture"),
            upright=f.flag("upright", False),
            ground=f.flag("ground", False),
            distances=tuple(KnownDistance.from_json(d) for d in f.items("distances", [])),
            baselines=tuple(KnownBaseline.from_json(b) for b in f.items("baselines", [])),
            camera_height=f.optional_number("camera_height"),
            reset=f.flag("reset", False),
            placement=f.mapping("placement", {}),
        )


@dataclass(frozen=True, slots=True)
class FoundLength:
    """A measured length: what it is, metres as given, and metres by the scale that was chosen."""

    label: str
    metres: float
    found: float

    @classmethod
    def from_json(cls, data: object) -> FoundLength:
        """Read one of `lengths`."""
        f = fields_of(data, "place result lengths")
        return cls(f.text("label"), f.number("metres"), f.number("found"))


@dataclass(frozen=True, slots=True)
class PlaceResult:
    """Where the world stands now.

    Attributes:
        placement: as stored, in the form of cameras.json.
        up_from: ``plane`` or ``cameras``, "" when up was not asked for.
        up_degrees: expected error of up in degrees.
        lengths: every measured length.
        sentences: what changed, for people.
    """

    placement: JsonObject
    up_from: str
    up_degrees: float
    lengths: tuple[FoundLength, ...]
    sentences: tuple[str, ...]

    @classmethod
    def from_json(cls, data: object) -> PlaceResult:
        """Read `result`."""
        f = fields_of(data, "place result")
        sentences = [
            fields_of({"sentence": s}, "place result").text("sentence")
            for s in f.items("sentences", [])
        ]
        return cls(
            placement=f.mapping("placement"),
            up_from=f.text("up_from", ""),
            up_degrees=f.number("up_degrees", 0.0),
            lengths=tuple(FoundLength.from_json(item) for item in f.items("lengths", [])),
            sentences=tuple(sentences),
        )
