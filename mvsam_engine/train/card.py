# SPDX-License-Identifier: GPL-3.0-or-later
"""The model card of a run, from its own settings and log: no number comes from elsewhere.

What a card tells follows Mitchell et al. 2019 (Model Cards for Model Reporting), as far as a run
knows it itself: what was trained, on which data, how, and how it was judged on the way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvsam_engine.capture.files import write_atomic
from mvsam_engine.errors import MvsamError, TrainingError, UsageError
from mvsam_engine.progress import Progress
from mvsam_engine.train.record import NETWORK, Line, read_log, read_settings

CARD, PICTURE = "card.md", "curves.png"
NOT_STATED = "not stated"

# What the columns of a validation are; an IoU is of the mask that the network itself ranks first.
MEANINGS = """\
`own` is a view with prompts, `other` one without; `dense` is with an earlier mask as a prompt,
`points` without. `iou` is of the choice that the network ranks first, `best_iou` of the best of
its three choices (which nobody knows when it is used), `single_iou` of its mask for unambiguous
prompts; all on the 256-grid, views that show the object only. `presence` is the share of views in
which it is right about whether the object is seen at all."""


def write_card(folder: Path, licences: Sequence[str], progress: Progress) -> Path:
    """Write ``card.md`` and, where matplotlib is installed, ``curves.png`` into a run's folder.

    Args:
        folder: of the run.
        licences: of its data folders, then of the photos to keep answering as before, in the order
            they were given to the run; may be fewer.
        progress: warned when there is no picture.

    Returns:
        The card.

    Raises:
        UsageError: there are more licences than data folders.
        TrainingError: it is no run, or nothing was logged yet.
        CaptureError: a file is damaged, or cannot be written.
    """
    settings, lines = read_settings(folder), read_log(folder)
    if not lines:
        raise TrainingError(
            "train.log", f"Nothing was logged in {folder} yet.", "Train longer, then ask again."
        )
    count = len(settings["data"]) + len(settings.get("keep", []))
    if len(licences) > count:
        raise UsageError(
            "train.licence",
            f"There are {len(licences)} licences for {count} folders of data.",
            "Give them in the order of the folders that `mvsam train run` was given.",
        )
    pictured = _draw(folder / PICTURE, lines, progress)
    text = card_text(folder, settings, lines, licences, pictured)
    write_atomic(folder / CARD, text.encode())
    return folder / CARD


def card_text(
    folder: Path,
    settings: Mapping[str, Any],
    lines: Sequence[Line],
    licences: Sequence[str],
    pictured: bool,
) -> str:
    """The card as Markdown."""
    done = max(line.step for line in lines)
    network = settings["network"]
    parts = [
        f"# MV-SAM network `{folder.resolve().name}`",
        f"MV-SAM's mask decoder and prompt encoder on frozen image features of "
        f"`{settings['encoder']}`, trained from {settings['start']}, {done} of "
        f"{settings['steps']} steps logged.",
        _file_line(folder / NETWORK),
        "## Data",
        _data_table(settings["data"], licences),
        _validation_line(settings["validation"]),
        _left_out_line(settings.get("left_out", [])),
        _kept_line(settings, licences[len(settings["data"]) :]),
        "## Network",
        _pairs(network),
        "## Training",
        _pairs({"steps": settings["steps"], **settings["train"]}),
        "Examples (shares and chances, `EpisodeOptions`):",
        _pairs(settings["examples"]),
        "Errors put into the pointmaps, the most of each (`NoiseOptions`):",
        _pairs(settings["noise"]),
        _speed_line(lines, settings),
        "## Curves" if pictured else "",
        f"![Losses and validation over the steps]({PICTURE})" if pictured else "",
        "## Validation",
        _validation_table(lines),
        MEANINGS,
        "## Limits",
        "These numbers are from validation while training, on the scenes named above with errors "
        "put into their pointmaps. They say nothing about other kinds of photos, nor about the "
        "errors of one certain reconstruction.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _file_line(path: Path) -> str:
    """Size and hash of the weights, where they are there."""
    if not path.is_file():
        return ""
    data = path.read_bytes()
    return f"`{path.name}`: {len(data):,} bytes, SHA-256 `{hashlib.sha256(data).hexdigest()}`."


def _data_table(data: Sequence[Mapping[str, Any]], licences: Sequence[str]) -> str:
    rows = []
    for k, one in enumerate(data):
        about = one.get("description") or {}
        kind = str(about.get("kind", "scenes of one's own"))
        details = ", ".join(
            f"{name} {', '.join(value) if isinstance(value, list) else value}"
            for name, value in about.items()
            if name != "kind" and value != []
        )
        licence = licences[k] if k < len(licences) else NOT_STATED
        rows.append([str(one["name"]), kind, details, str(len(one["scenes"])), licence])
    return _table(["folder", "what it is", "made with", "scenes trained on", "licence"], rows)


def _validation_line(data: Sequence[Mapping[str, Any]]) -> str:
    """Which scenes it is judged by; none of them is trained on."""
    counts = ", ".join(f"{len(one['scenes'])} of `{one['name']}`" for one in data)
    return f"Judged by {counts}; none of these scenes is trained on."


def _left_out_line(names: Sequence[str]) -> str:
    """Scenes that are counted above but could not be used."""
    if not names:
        return ""
    return f"Of all these, {len(names)} could not be used: {', '.join(names)}."


def _kept_line(settings: Mapping[str, Any], licences: Sequence[str]) -> str:
    """Photos on which it goes on answering as SAM does."""
    folders = settings.get("keep", [])
    if not folders:
        return ""
    named = [
        f"`{name}` (licence: {licences[k] if k < len(licences) else NOT_STATED})"
        for k, name in enumerate(folders)
    ]
    return (
        f"While training it also answers clicks on {settings.get('kept', 0)} real photos, "
        f"and is held to what it said in the beginning: {', '.join(named)}."
    )


def _speed_line(lines: Sequence[Line], settings: Mapping[str, Any]) -> str:
    values = [x.values["seconds_per_step"] for x in lines if "seconds_per_step" in x.values]
    versions = ", ".join(f"{name} {number}" for name, number in settings["versions"].items())
    where = f"On {settings['device']}, {versions}"
    return f"{where}; {float(np.median(values)):.2f} s a step." if values else f"{where}."


def _validation_table(lines: Sequence[Line]) -> str:
    """A row for each measure, a column for each of up to five validations, the last among them."""
    found = [line for line in lines if line.kind == "validation"]
    if not found:
        return "No validation was reached yet."
    chosen = np.unique(np.linspace(0, len(found) - 1, min(5, len(found))).round().astype(int))
    shown = [found[int(i)] for i in chosen]
    names = sorted({name for line in shown for name in line.values})
    rows = [
        [name, *(f"{x.values[name]:.3f}" if name in x.values else "" for x in shown)]
        for name in names
    ]
    return _table(["", *(f"step {line.step}" for line in shown)], rows)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) + "."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


# --- curves --------------------------------------------------------------------------------------


def _draw(path: Path, lines: Sequence[Line], progress: Progress) -> bool:
    """Draw the curves; a word and no picture where matplotlib is not installed."""
    from mvsam_engine.evaluate.plots import load_pyplot

    try:
        pyplot = load_pyplot("the picture of the curves")
    except MvsamError as error:
        progress.warn(error.code, error.message, error.remedy)
        return False
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    _draw_losses(left, lines)
    _draw_validation(right, lines)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def _draw_losses(axes: Any, lines: Sequence[Line]) -> None:
    """Parts of the loss, each a mean over neighbouring lines of the log."""
    train = [line for line in lines if line.kind == "train"]
    for name in ("total", "focal", "dice", "iou", "presence", "keep"):
        points = [(x.step, x.values[name]) for x in train if name in x.values]
        if points:
            steps, values = np.array(points, float).T
            width = max(1, len(values) // 40)
            kernel = np.ones(width) / width
            axes.plot(
                np.convolve(steps, kernel, "valid"),
                np.convolve(values, kernel, "valid"),
                label=name,
            )
    if train:
        axes.set_yscale("log")
        axes.legend(fontsize=8)
    axes.set(xlabel="step", ylabel="loss")
    axes.grid(color="0.9")


def _draw_validation(axes: Any, lines: Sequence[Line]) -> None:
    found = [line for line in lines if line.kind == "validation"]
    names = sorted({name for x in found for name in x.values if not name.startswith("best_")})
    for name in names:
        points = [(x.step, x.values[name]) for x in found if name in x.values]
        axes.plot(*np.array(points, float).T, marker=".", label=name)
    if found:
        axes.legend(fontsize=8)
    axes.set(xlabel="step", ylabel="validation", ylim=(0, 1))
    axes.grid(color="0.9")
