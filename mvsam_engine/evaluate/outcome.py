# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of one run of one method on one set: plain JSON values, so that tables reprint."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mvsam_engine.capture.files import json_bytes, write_atomic
from mvsam_engine.errors import UsageError

FORMAT = "mvsam-evaluation-1"
Status = Literal["ok", "refused", "failed", "absent"]


@dataclass(frozen=True, slots=True)
class PoseSummary:
    """Errors of the placed cameras; degrees, and shares of the rig."""

    degrees_median: float
    degrees_max: float
    centre_median: float
    centre_max: float
    wrong: bool


@dataclass(frozen=True, slots=True)
class DepthSummary:
    """Means over the views of `metrics.DepthScore`, shares 0..1; None where nothing counts."""

    views: int
    measured: float
    measured_within: list[float | None]
    measured_median: float | None
    full_within: list[float]
    nothing: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    Attributes:
        set: name of the set.
        method: name of the method.
        photos: how many it was given.
        seed: of its random numbers.
        settings: what it was run with.
        status: ok, refused (said itself that it cannot), failed (crash, time limit), or absent
            (not installed).
        reason: of a status other than ok, a sentence.
        placed: photos with a camera.
        unplaced: view to the method's own reason, where it gives one.
        poses: None when fewer than three placed photos have a true camera.
        depth: None for a method or a truth without depth.
        calibration: [count, right] by tenth of confidence, None without confidences.
        wall_s: seconds by the clock, start of the process included.
        cpu_s: seconds of processor time of the process and its children.
        stages_s: wall seconds by stage, as far as the method tells.
        stages_cpu_s: the same in processor time.
        peak_mb: largest memory of all its processes together; None where the system cannot say.
        remark: of the truth.
        version: of the program that did it.
    """

    set: str
    method: str
    photos: int
    seed: int
    settings: dict[str, Any]
    status: Status
    reason: str = ""
    placed: int = 0
    unplaced: dict[str, str] = field(default_factory=dict)
    poses: PoseSummary | None = None
    depth: DepthSummary | None = None
    calibration: list[list[int]] | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    stages_s: dict[str, float] = field(default_factory=dict)
    stages_cpu_s: dict[str, float] = field(default_factory=dict)
    peak_mb: int | None = None
    remark: str = ""
    version: str = ""

    @property
    def wrong(self) -> bool:
        """Whether it calls itself done and misleads all the same."""
        return self.status == "ok" and self.poses is not None and self.poses.wrong


def save_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes; whole or not at all."""
    data = {"format": FORMAT, "outcomes": [asdict(outcome) for outcome in outcomes]}
    write_atomic(path, json_bytes(data))


def load_outcomes(path: Path) -> list[Outcome]:
    """Read what `save_outcomes` wrote.

    Raises:
        UsageError: it is something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}")
        return [_from_json(item) for item in data["outcomes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "evaluate.results",
            f"{path} does not hold results of an evaluation ({error}).",
            "Results are written with --results FILE.",
        ) from error


def _from_json(item: dict[str, Any]) -> Outcome:
    poses, depth = item.pop("poses"), item.pop("depth")
    return Outcome(
        poses=PoseSummary(**poses) if poses else None,
        depth=DepthSummary(**depth) if depth else None,
        **item,
    )
