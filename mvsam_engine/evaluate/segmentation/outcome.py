# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a run: plain JSON values, so that tables reprint and runs accumulate."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mvsam_engine.capture.files import json_bytes, write_atomic
from mvsam_engine.errors import UsageError
from mvsam_engine.evaluate.segmentation.metrics import ViewScores

FORMAT = "mvsam-segmentation-evaluation-1"

# Results are written at most this often while runs go on, and always at the end.
_SAVE_SECONDS = 10.0

Key = tuple[str, str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """One object, one kind of prompt, one seed, one method.

    Attributes:
        benchmark: that the set belongs to, "" for none.
        set: name of the scene.
        object: name of the object.
        method: name of the method.
        prompt: label of the prompt.
        seed: of the prompt's random numbers.
        reference: photo that was prompted.
        views: scores by photo, of scored photos that show the object.
        absent: by scored photo that does not show it, whether the answer was empty.
        reference_iou: of the prompted photo's mask, None without a true mask of it.
        consistency: 3D consistency, None where it has no meaning.
        first_s: seconds to the first mask.
        all_s: seconds to all masks.
        cpu_s: processor seconds to all masks.
        photos: how many were answered.
        geometry: what placed the photos.
        unplaced: scored photos without a camera, counted as empty answers.
        clicks: [x, y, 1 or 0 for object or not] in the upright reference photo.
        weights: what tells a network file from others.
        version: of this program.
    """

    benchmark: str
    set: str
    object: str
    method: str
    prompt: str
    seed: int
    reference: str
    views: dict[str, ViewScores]
    absent: dict[str, bool]
    reference_iou: float | None
    consistency: float | None
    first_s: float
    all_s: float
    cpu_s: float
    photos: int
    geometry: str
    unplaced: list[str] = field(default_factory=list)
    clicks: list[list[float]] = field(default_factory=list)
    weights: str = ""
    version: str = ""

    @property
    def key(self) -> Key:
        """What a later run replaces an earlier one by."""
        return (self.benchmark, self.set, self.object, self.method, self.prompt, self.seed)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that could not be measured.

    Attributes:
        benchmark: of the set.
        set: name of the scene.
        what: `case_name`, or the method when it concerns all of that, "" for the whole set.
        reason: a sentence.
    """

    benchmark: str
    set: str
    what: str
    reason: str


def case_name(object_name: str, method: str, prompt: str) -> str:
    """What a refusal of one case is `Refusal.what`."""
    return f"{object_name}, {method}, {prompt}"


class Ledger:
    """Runs and refusals, those of earlier times included, kept in a file while they come in.

    Args:
        path: file, None to keep nothing; what it holds already is read.

    Raises:
        UsageError: the file holds something else.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._runs: dict[Key, Run] = {}
        self._refusals: dict[tuple[str, str, str], Refusal] = {}
        self._saved = time.monotonic()
        if path is not None and path.exists():
            self.read(path)

    @property
    def runs(self) -> list[Run]:
        """All runs, in the order they first came."""
        return list(self._runs.values())

    @property
    def refusals(self) -> list[Refusal]:
        """All refusals."""
        return list(self._refusals.values())

    def read(self, path: Path) -> None:
        """Add what a file holds.

        Raises:
            UsageError: it holds something else.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r}")
            for item in data["runs"]:
                self._note(_run_from_json(item))
            for item in data["refusals"]:
                self._note_refusal(Refusal(**item))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                "evaluate.results",
                f"{path} does not hold results of a segmentation evaluation ({error}).",
                "Results are written with --results FILE.",
            ) from error

    def holds(self, key: Key, geometry: str, weights: str) -> bool:
        """Whether there is a run of that key, on that geometry and with those weights."""
        run = self._runs.get(key)
        return run is not None and (run.geometry, run.weights) == (geometry, weights)

    def add(self, run: Run) -> None:
        """Keep a run; an earlier one of the same key goes."""
        self._note(run)
        self._save_sometimes()

    def refuse(self, refusal: Refusal) -> None:
        """Keep a refusal."""
        self._note_refusal(refusal)
        self._save_sometimes()

    def save(self) -> None:
        """Write all to the file; whole or not at all."""
        self._saved = time.monotonic()
        if self._path is not None:
            data = {
                "format": FORMAT,
                "runs": [asdict(run) for run in self._runs.values()],
                "refusals": [asdict(refusal) for refusal in self._refusals.values()],
            }
            write_atomic(self._path, json_bytes(data))

    def _save_sometimes(self) -> None:
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self.save()

    def _note(self, run: Run) -> None:
        self._runs[run.key] = run
        # What can be measured now is not refused any more.
        for what in ("", run.method, case_name(run.object, run.method, run.prompt)):
            self._refusals.pop((run.benchmark, run.set, what), None)

    def _note_refusal(self, refusal: Refusal) -> None:
        self._refusals[refusal.benchmark, refusal.set, refusal.what] = refusal


def _run_from_json(item: dict[str, Any]) -> Run:
    views = {name: ViewScores(**scores) for name, scores in item.pop("views").items()}
    return Run(views=views, **item)
