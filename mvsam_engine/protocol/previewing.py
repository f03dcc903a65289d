# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the request ``preview``: the mask that a click would give, before it is made.

The mask is small and travels in the message: it is gone with the next move of the mouse, so that
nothing is written into the capture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mvsam_engine.errors import ProtocolError
from mvsam_engine.fields import JsonObject
from mvsam_engine.protocol.reading import fields_of

# The longest side of a preview's grid; more is a mistake.
_LONGEST_SIDE = 4096


@dataclass(frozen=True, slots=True)
class PreviewParams:
    """What would these prompts give in one photo? Nothing is stored, and nothing is loaded.

    Attributes:
        capture: folder of the capture.
        view: the photo; prompts of others do not count.
        object: the object, with the prompt that is considered, in the JSON form of object.json.
        segmenter: name of the method, "" for the default.
    """

    METHOD: ClassVar[str] = "preview"
    capture: str
    view: str
    object: JsonObject
    segmenter: str = ""

    @classmethod
    def from_json(cls, data: object) -> PreviewParams:
        """Read `params`."""
        f = fields_of(data, cls.METHOD)
        return cls(f.text("capture"), f.text("view"), f.mapping("object"), f.text("segmenter", ""))


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """The mask on a coarse grid over the whole photo.

    Attributes:
        width: columns; 0 when the engine is not ready for this capture, which is no error.
        height: rows.
        runs: lengths of stretches without and with the object, by turns, row after row.
        seconds: what it took the engine.
    """

    width: int
    height: int
    runs: tuple[int, ...]
    seconds: float

    @property
    def ready(self) -> bool:
        """Whether the engine could answer."""
        return self.width > 0

    @classmethod
    def from_json(cls, data: object) -> PreviewResult:
        """Read `result`.

        Raises:
            ProtocolError: the runs do not fill the grid.
        """
        f = fields_of(data, "preview result")
        width, height = f.integer("width"), f.integer("height")
        runs = tuple(
            fields_of({"run": run}, "preview result").integer("run") for run in f.items("runs", [])
        )
        fits = 0 <= width <= _LONGEST_SIDE and 0 <= height <= _LONGEST_SIDE
        if not fits or min(runs, default=0) < 0 or sum(runs) != width * height:
            raise ProtocolError(
                "protocol.field", f"The preview's runs do not fill {width} x {height} cells."
            )
        return cls(width, height, runs, f.number("seconds"))
