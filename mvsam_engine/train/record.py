# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training run leaves beside its checkpoint: its settings, its log, curves for TensorBoard.

The loop writes ``log.jsonl``, a line for every 20 steps and for every validation. All else is made
from that file, so it can be made later and says nothing that is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvsam_engine.capture.files import json_bytes, read_json, write_atomic
from mvsam_engine.errors import TrainingError
from mvsam_engine.train.loop import LOG

SETTINGS, NETWORK, CURVES = "run.json", "network.safetensors", "tensorboard"
# What may change from one part of a run to the next without making it another run.
MAY_CHANGE = frozenset({"steps", "device", "versions", "left_out", "kept"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log.

    Attributes:
        step: how many steps were done.
        kind: train or validation.
        values: what was measured.
    """

    step: int
    kind: str
    values: dict[str, float]


def read_log(folder: Path) -> list[Line]:
    """The log of a run, ordered by steps.

    A run that was killed repeats the steps since its last checkpoint: of two lines about the same
    step the later one counts. A line that was cut off is passed over.

    Raises:
        TrainingError: there is no log.
    """
    try:
        text = (folder / LOG).read_text(encoding="utf-8")
    except OSError as error:
        raise TrainingError(
            "train.log",
            f"{folder} has no log of a training run.",
            "Name the folder that `mvsam train run --into` was given.",
        ) from error
    found: dict[tuple[int, str], Line] = {}
    for one in filter(None, map(parse_line, text.splitlines())):
        found[one.step, one.kind] = one
    return sorted(found.values(), key=lambda line: (line.step, line.kind))


def parse_line(text: str) -> Line | None:
    """A line of the log, None when it is no whole line."""
    try:
        data = json.loads(text)
        step, kind = int(data.pop("step")), str(data.pop("kind"))
        return Line(step, kind, {name: float(value) for name, value in data.items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Follower:
    """Passes lines on as they are appended to a log.

    Args:
        folder: of the run.
        hear: called with each new line.
    """

    def __init__(self, folder: Path, hear: Callable[[Line], None]) -> None:
        self._path, self._hear = folder / LOG, hear
        self._read = self._path.stat().st_size if self._path.is_file() else 0

    def follow(self) -> None:
        """Pass on what is new; a line that is still being written waits for the next time."""
        if not self._path.is_file() or self._path.stat().st_size <= self._read:
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for text in whole.decode("utf-8", "replace").splitlines():
            line = parse_line(text)
            if line is not None:
                self._hear(line)


def curve_writer(folder: Path, step: int) -> Callable[[Line], None] | None:
    """Writes lines as curves for TensorBoard; None when that is not installed (extra ``train``).

    Args:
        folder: of the run; the curves are in ``tensorboard/`` there.
        step: that the run goes on from; what was drawn beyond it is dropped.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    writer = SummaryWriter(str(folder / CURVES), purge_step=step)

    def write(line: Line) -> None:
        for name, value in line.values.items():
            writer.add_scalar(f"{line.kind}/{name}", value, line.step)
        writer.flush()

    return write


def keep_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write ``run.json``, or check that a run that goes on is still the same.

    Args:
        folder: of the run; made.
        settings: plain JSON values.

    Raises:
        TrainingError: the run was begun with other settings.
        CaptureError: the folder cannot be written to.
    """
    path = folder / SETTINGS
    if path.is_file():
        before = read_settings(folder)
        plain = json.loads(json.dumps(settings))
        for name in sorted({*before, *plain} - MAY_CHANGE):
            if before.get(name) != plain.get(name):
                raise TrainingError(
                    "train.changed",
                    f"The run in {folder} was begun with {_difference(name, before, plain)}.",
                    "Give the same options to go on with it, or train into another folder.",
                )
    write_atomic(path, json_bytes(dict(settings)))


def _difference(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs in one setting, in words short enough for a sentence."""
    old, new = before.get(name), now.get(name)
    if isinstance(old, dict) and isinstance(new, dict):
        part = next(key for key in sorted({*old, *new}) if old.get(key) != new.get(key))
        name, old, new = f"{name} {part}", old.get(part), new.get(part)
    if isinstance(old, list) or isinstance(new, list):
        return f"other {name}"
    return f"{name} {old}, not {new}"


def read_settings(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says.

    Raises:
        TrainingError: there is none, or it is something else.
        CaptureError: it is damaged.
    """
    path = folder / SETTINGS
    data = read_json(path) if path.is_file() else None
    if not isinstance(data, dict):
        raise TrainingError(
            "train.settings",
            f"{folder} holds no training run: it has no {SETTINGS}.",
            "Name the folder that `mvsam train run --into` was given.",
        )
    return data


def validation_rows(lines: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """Names and rows of a table of all validations."""
    found = [line for line in lines if line.kind == "validation"]
    names = sorted({name for line in found for name in line.values})
    rows = [
        [str(line.step)]
        + [f"{line.values[name]:.3f}" if name in line.values else "" for name in names]
        for line in found
    ]
    return ["step", *names], rows
