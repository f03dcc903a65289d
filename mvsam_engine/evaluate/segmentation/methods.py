# SPDX-License-Identifier: GPL-3.0-or-later
"""The segmenters that stand side by side: by name, or with a network from a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mvsam_engine.errors import UsageError
from mvsam_engine.segment import SEGMENTERS, load_segmenter
from mvsam_engine.weights import find_weights

if TYPE_CHECKING:
    from mvsam_engine.segment import Segmenter

_NETWORK = ".safetensors"

# Ways to use a network: in rounds of asking and fusing, and once, as published.
KINDS = ("mvsam", "mvsam-paper")

# Names that use the network that comes with MV-SAM, and its name among the weights.
ON_SHIPPED, SHIPPED = frozenset({"mvsam", "mvsam-paper"}), "mvsam"


@dataclass(frozen=True, slots=True)
class Method:
    """A segmenter.

    Attributes:
        label: for tables.
        file: a trained network, None for the segmenter called `label`.
        kind: way to use the network of the file, "" for the usual one.
    """

    label: str
    file: Path | None = None
    kind: str = ""

    def load(self, device: str = "auto") -> Segmenter:
        """Make it with its weights.

        Raises:
            SegmentationError: there is no such device.
            WeightsError: its weights are missing or damaged.
        """
        if self.file is None:
            return load_segmenter(self.label, device)
        from mvsam_engine.segment.mvsam import segmenter_of

        return segmenter_of(self.file, device, self.kind or "mvsam")

    def identity(self) -> str:
        """What tells its network from others: a hash, and the use of a file."""
        if self.file is None:
            return find_weights(SHIPPED).sha256[:16] if self.label in ON_SHIPPED else ""
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()[:16]
        return f"{digest}:{self.kind}" if self.kind else digest


def parse_methods(text: str) -> tuple[Method, ...]:
    """Names and ``NAME=FILE.safetensors``, separated by commas; "all" for all names.

    ``:mvsam-paper`` after the file uses the network as published.

    Raises:
        UsageError: an unknown name, or a file that is not there.
    """
    methods: dict[str, Method] = {}
    for word in (w.strip() for w in text.split(",") if w.strip()):
        for method in _parse(word):
            if method.label in methods and methods[method.label] != method:
                raise UsageError(
                    "evaluate.method",
                    f"Two methods are called {method.label!r}.",
                    "Write NAME=FILE with different names.",
                )
            methods[method.label] = method
    if not methods:
        raise UsageError("evaluate.method", "No method is named.", _known())
    return tuple(methods.values())


def _parse(word: str) -> list[Method]:
    if word == "all":
        return [Method(name) for name in SEGMENTERS]
    label, equals, file = word.partition("=")
    if not equals and _NETWORK in word:
        label, equals, file = Path(word.partition(_NETWORK)[0]).name, "=", word
    if not equals:
        if word not in SEGMENTERS:
            raise UsageError("evaluate.method", f"There is no method {word!r}.", _known())
        return [Method(word)]
    if label in SEGMENTERS or not label:
        raise UsageError(
            "evaluate.method",
            f"{label!r} cannot be the name of {file}.",
            "Choose a name that no segmenter has.",
        )
    start, ending, kind = file.rpartition(_NETWORK)
    path, kind = Path(start + ending), kind.removeprefix(":")
    if not ending or not path.is_file():
        raise UsageError(
            "evaluate.method", f"There is no network file {file}.", f"It ends in {_NETWORK}."
        )
    if kind and kind not in KINDS:
        raise UsageError(
            "evaluate.method",
            f"A network cannot be used as {kind!r}.",
            f"Known: {', '.join(KINDS)}.",
        )
    return [Method(label, path, kind)]


def _known() -> str:
    return f"Known: all, {', '.join(SEGMENTERS)}, or NAME=FILE{_NETWORK}[:{KINDS[1]}]."
